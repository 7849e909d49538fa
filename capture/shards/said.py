"""What was said on flows, told apart by numbers, and where: what no column tells."""

from __future__ import annotations

from collections.abc import Hashable
from functools import partial
from typing import Final

import numpy as np

from capture.facts import CLIENT, PROXY, Mark
from capture.frames import Ints
from capture.protocols.events import Request
from capture.protocols.exchange import HttpExchange
from capture.shards.numbers import Numbers
from capture.shards.opened import Openings, plain_host
from capture.shards.skeleton import STAND_IN
from capture.tracking.build import MIN_RUN
from capture.tracking.openings import KEPT_SEGMENTS, Lot
from capture.tracking.streams import Conversation
from capture.tracking.tracker import Tracker

_SAID, _SYNS, _RESET, _SHUT, _ALERTS, _COLUMNS = 0, 1, 2, 4, 6, 8
"""Columns of ``Said.told``; the last three are of each side."""

AT_ONCE: Final = 512
"""Flows whose kept payload is in memory at once."""

MOST_MARKS: Final = 32
"""A flow with more marks than this beside its kept segments has none like it."""


class Reader:
    """Tells apart what was said, on all flows that it is shown."""

    def __init__(self) -> None:
        self.numbers = Numbers()
        self.openings = Openings(self.numbers)


class Said:
    """What was said on several flows.

    Args:
        tracker: Has them.
        flows: These, ascending.
        reader: Numbers what was said.

    Attributes:
        told: Numbers for what was said on each, and for what else no column tells of. Shape
            ``(n, 8)``: see ``_SAID`` and those below it.
        alone: Whether there is something that few flows have.
        hosts: The host that each asked for, where its numbers leave it out; else empty.
        sized: False where a conversation was told of the flow's sizes, and keeps what follows
            from them.
        packets: Numbers of packets of which no column tells, in an order of which ``told`` tells;
            0 for none. Shape ``(n, places)``.
        times: Their times, in nanoseconds.
    """

    def __init__(self, tracker: Tracker, flows: Ints, reader: Reader) -> None:
        count = len(flows)
        self.told = np.zeros((count, _COLUMNS), np.int64)
        self.alone = np.zeros(count, np.bool_)
        self.hosts = [""] * count
        self.sized = np.ones(count, np.bool_)
        shape = count, 2 * KEPT_SEGMENTS
        self.packets, self.times = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        for start in range(0, count, AT_ONCE):
            batch = flows[start : start + AT_ONCE]
            self._read(start, batch, tracker.payload.openings.lot(batch), reader)
        rows = np.stack([2 * flows + CLIENT, 2 * flows + PROXY], 1).ravel()
        self._marks: list[list[Mark]] = [[] for _ in range(count)]
        self._hear(tracker, flows.tolist(), reader.numbers)
        self._look(tracker, rows.tolist(), reader.numbers)
        self._stack()

    def _read(self, start: int, flows: Ints, lot: Lot, reader: Reader) -> None:
        """Read the openings of some flows, which begin at a place."""
        at = np.searchsorted(flows, lot.row >> 1)
        column = (lot.row & 1) * KEPT_SEGMENTS + lot.rank
        size, missing = np.zeros((2, len(flows), 2 * KEPT_SEGMENTS), np.int64)
        size[at, column] = np.fromiter(map(len, lot.payload), np.int64, len(lot.payload))
        self.packets[start + at, column] = lot.number
        self.times[start + at, column] = lot.time_ns
        streams = size.reshape(-1, KEPT_SEGMENTS)
        before = (np.cumsum(streams, 1) - streams).reshape(size.shape)
        missing[at, column] = lot.seq - 1 - before[at, column]
        rows = np.stack([2 * flows, 2 * flows + 1, 2 * flows + 2])
        bounds = np.searchsorted(lot.row, rows).T.tolist()
        for place, (first, answer, end) in enumerate(bounds, start):
            if first < end:
                payload = lot.payload
                self.told[place, _SAID], self.hosts[place] = reader.openings.of(
                    size[place - start].tobytes(), payload[first:answer], payload[answer:end]
                )
        self.alone[start : start + len(flows)] = missing.any(1)

    def _hear(self, tracker: Tracker, flows: list[int], numbers: Numbers) -> None:
        """Add conversations, and SYNs that were sent again."""
        syns, talks = tracker.odd.syns, tracker.payload.conversations
        for place, flow in enumerate(flows):
            if flow in talks and (talk := tracker.conversation(flow)) is not None:
                found = _of_talk(talk)
                if found is None:
                    self.alone[place] = True
                    continue
                said, marks, self.hosts[place] = found
                self.told[place, _SAID] = numbers.of(said)
                self.sized[place] = False
                self._marks[place] = marks
            if flow in syns:
                self.told[place, _SYNS] = len(syns[flow])
                self._marks[place] += syns[flow]
            if flow in tracker.icmp:
                self.alone[place] = True

    def _look(self, tracker: Tracker, rows: list[int], numbers: Numbers) -> None:
        """Add what else is known of some directions only."""
        odd, walker = tracker.odd, tracker.payload.walker
        for at, row in enumerate(rows):
            place, side = at >> 1, at & 1
            if row in odd.resets:
                self.told[place, _RESET + side] = numbers.of(odd.resets[row])
            if row in odd.windows:
                window = odd.windows[row]
                shut = window.since, window.longest
                self.told[place, _SHUT + side] = numbers.of(tuple([mark is None for mark in shut]))
                self._marks[place] += [mark for mark in shut if mark is not None]
            if row in walker.alerts:
                alerts = walker.alerts[row]
                told = tuple([(level, code) for _, level, code in alerts])
                self.told[place, _ALERTS + side] = numbers.of(told)
                self._marks[place] += [mark for mark, _, _ in alerts]
            if row in odd.gaps or row in walker.carry:
                self.alone[place] = True
            if row in odd.ranges and any(x.sent >= MIN_RUN for x in odd.ranges[row].values()):
                self.alone[place] = True

    def _stack(self) -> None:
        """Add columns for marks."""
        self.alone |= np.array([len(marks) > MOST_MARKS for marks in self._marks], np.bool_)
        every = [
            (place, column, *mark)
            for place, marks in enumerate(self._marks)
            for column, mark in enumerate(marks[:MOST_MARKS])
        ]
        at, column, number, time_ns = np.array(every, np.int64).reshape(-1, 4).T
        shape = len(self.told), int(column.max(initial=-1)) + 1
        packets, times = np.zeros((2, *shape), np.int64)
        packets[at, column], times[at, column] = number, time_ns
        self.packets = np.concatenate([self.packets, packets], 1)
        self.times = np.concatenate([self.times, times], 1)


def _of_talk(talk: Conversation) -> tuple[Hashable, list[Mark], str] | None:
    """What requests and their replies say, without the host; their marks; the host. None if
    there is more than requests and replies."""
    exchanges = talk.exchanges
    if talk.tls is not None or talk.tunnel is not None or talk.waiting or not exchanges:
        return None
    request = exchanges[0].request
    host = plain_host(request.authority) if request is not None else ""
    bodies = [item.body_start for item in exchanges]
    if host and any(map(partial(_names, host), exchanges, bodies)):
        host = ""  # what it means there may follow from its being the host asked for
    key: list[Hashable] = [*talk.languages, talk.first_bytes[1]]
    marks: list[Mark] = []
    for item, body in zip(exchanges, bodies, strict=True):
        asked, answered, request = item.request_first, item.response_first, item.request
        if asked is None or answered is None or request is None or item.response is None:
            return None
        if request.form != "authority":
            return None  # here the host itself may matter
        marks += (asked, answered)
        key += (
            _of_request(request, host), item.response, item.body_expected, item.body_received,
            item.body_complete, item.interim, body,
        )  # fmt: skip
    return tuple(key), marks, host


def _names(host: str, exchange: HttpExchange[Mark], body: bytes) -> bool:
    """Whether a reply, or the start of its body, names a host."""
    response = exchange.response
    if response is None:
        return False
    words = [response.reason, *[value for _, value in response.headers]]
    return host in "\0".join(words).lower() or host.encode() in body.lower()


def _of_request(request: Request, host: str) -> Hashable:
    """A request without the host."""
    if not host:
        return request
    headers = [(name, value.replace(host, STAND_IN)) for name, value in request.headers]
    target, authority = (
        text.replace(host, STAND_IN) for text in (request.target, request.authority)
    )
    return request._replace(target=target, authority=authority, headers=tuple(headers))
