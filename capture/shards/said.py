"""What was said on flows, told apart by numbers, and where: what no column tells."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from functools import lru_cache, partial
from itertools import chain
from typing import Final, TypeVar

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

T = TypeVar("T")

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
        self._hear(tracker, flows, reader.numbers)
        self._look(tracker, rows, reader.numbers)
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

    def _hear(self, tracker: Tracker, flows: Ints, numbers: Numbers) -> None:
        """Add conversations, and SYNs that were sent again."""
        for place, flow, _ in _known(tracker.payload.conversations, flows):
            talk = tracker.conversation(flow)
            found = _of_talk(talk) if talk is not None else None
            if found is None:
                self.alone[place] = True
                continue
            said, marks, self.hosts[place] = found
            self.told[place, _SAID] = numbers.of(said)
            self.sized[place] = False
            self._marks[place] = marks
        for place, _, syns in _known(tracker.odd.syns, flows):
            self.told[place, _SYNS] = len(syns)
            self._marks[place] += syns
        for place, _, _ in _known(tracker.icmp, flows):
            self.alone[place] = True

    def _look(self, tracker: Tracker, rows: Ints, numbers: Numbers) -> None:
        """Add what else is known of some directions only."""
        odd, walker = tracker.odd, tracker.payload.walker
        for at, _, reset in _known(odd.resets, rows):
            self.told[at >> 1, _RESET + (at & 1)] = numbers.of(reset)
        for at, _, window in _known(odd.windows, rows):
            shut = window.since, window.longest
            told = tuple([mark is None for mark in shut])
            self.told[at >> 1, _SHUT + (at & 1)] = numbers.of(told)
            self._marks[at >> 1] += [mark for mark in shut if mark is not None]
        for at, _, alerts in _known(walker.alerts, rows):
            said = tuple([(level, code) for _, level, code in alerts])
            self.told[at >> 1, _ALERTS + (at & 1)] = numbers.of(said)
            self._marks[at >> 1] += [mark for mark, _, _ in alerts]
        for cut in (odd.gaps, walker.carry):
            for at, _, _ in _known(cut, rows):
                self.alone[at >> 1] = True
        for at, _, ranges in _known(odd.ranges, rows):
            if any(item.sent >= MIN_RUN for item in ranges.values()):
                self.alone[at >> 1] = True

    def _stack(self) -> None:
        """Add columns for marks."""
        counts = np.array([len(marks) for marks in self._marks], np.int64)
        few = counts <= MOST_MARKS
        self.alone |= ~few
        kept = [marks for marks, enough in zip(self._marks, few.tolist(), strict=True) if enough]
        every = np.fromiter(chain.from_iterable(chain.from_iterable(kept)), np.int64)
        at = np.repeat(np.arange(len(counts)), counts * few)
        first = np.cumsum(counts * few) - counts * few
        column = np.arange(len(at)) - first[at]
        marks = np.zeros((2, len(counts), int(column.max(initial=-1)) + 1), np.int64)
        marks[:, at, column] = every.reshape(-1, 2).T
        self.packets = np.concatenate([self.packets, marks[0]], 1)
        self.times = np.concatenate([self.times, marks[1]], 1)


def _known(things: Mapping[int, T], wanted: Ints) -> Iterator[tuple[int, int, T]]:
    """Of things by flow or row those that are wanted (ascending): their place there, their flow
    or row, and the thing."""
    keys = np.sort(np.fromiter(things, np.int64, len(things)))
    keys = keys[np.isin(keys, wanted)]
    places = np.searchsorted(wanted, keys)
    for place, key in zip(places.tolist(), keys.tolist(), strict=True):
        yield place, key, things[key]


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


@lru_cache(maxsize=512)
def _of_request(request: Request, host: str) -> Hashable:
    """A request without the host."""
    if not host:
        return request
    headers = [(name, value.replace(host, STAND_IN)) for name, value in request.headers]
    target, authority = (
        text.replace(host, STAND_IN) for text in (request.target, request.authority)
    )
    return request._replace(target=target, authority=authority, headers=tuple(headers))
