"""What was said on flows, told apart by numbers, and where: what no column tells."""

from __future__ import annotations

from collections.abc import Hashable
from itertools import chain
from typing import Final

import numpy as np

from capture.facts import Mark
from capture.frames import Ints
from capture.protocols.events import Request
from capture.shards.numbers import Numbers
from capture.shards.opened import Openings, plain_host
from capture.shards.skeleton import STAND_IN
from capture.tracking.build import MIN_RUN
from capture.tracking.openings import KEPT_SEGMENTS, Lot
from capture.tracking.streams import Conversation
from capture.tracking.tracker import Tracker

ALONE: Final = -1
"""The number of what few flows have."""

AT_ONCE: Final = 512
"""Flows whose kept payload is in memory at once."""

MOST_MARKS: Final = 32
"""A flow with more marks than this beside its kept segments has none like it."""


class Reader:
    """Tells apart what was said, in all flows that it is shown."""

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
        said: A number for what was said on each, ``ALONE`` where that is rare.
        hosts: The host that each asked for, where the number leaves it out; else empty.
        sized: False where a conversation was told of the flow's sizes, and keeps what follows
            from them.
        packets: Numbers of packets of which no column tells, in an order of which ``said`` tells;
            0 for none. Shape ``(n, places)``.
        times: Their times, in nanoseconds.
    """

    def __init__(self, tracker: Tracker, flows: Ints, reader: Reader) -> None:
        self.said = np.zeros(len(flows), np.int64)
        self.hosts = [""] * len(flows)
        self.sized = np.ones(len(flows), np.bool_)
        shape = len(flows), 2 * KEPT_SEGMENTS
        self.packets, self.times = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        for start in range(0, len(flows), AT_ONCE):
            batch = flows[start : start + AT_ONCE]
            self._read(start, batch, tracker.payload.openings.lot(batch), reader)
        self._mark(self._add(tracker, flows, reader.numbers))
        self.said[np.isin(flows, _rare(tracker))] = ALONE

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
                self.said[place], self.hosts[place] = reader.openings.of(
                    size[place - start].tobytes(), payload[first:answer], payload[answer:end]
                )
        self.said[start : start + len(flows)][missing.any(1)] = ALONE

    def _add(self, tracker: Tracker, flows: Ints, numbers: Numbers) -> dict[int, list[Mark]]:
        """Add what was said otherwise, and what else no column tells; returns the marks of
        these, by place."""
        odd, alerts, talks = tracker.odd, tracker.payload.walker.alerts, tracker.payload
        rows = {row >> 1 for row in chain(odd.resets, odd.windows, alerts)}
        some = talks.conversations.keys() | odd.syns.keys() | rows
        found: dict[int, list[Mark]] = {}
        for place, flow in enumerate(flows.tolist()):
            if flow not in some:
                continue
            said: Hashable = int(self.said[place])
            marks: list[Mark] = []
            talk = tracker.conversation(flow)
            if talk is not None:
                told = _of_talk(talk)
                if told is None:
                    self.said[place] = ALONE
                    continue
                said, marks, self.hosts[place] = told
                self.sized[place] = False
            key = [said, len(marks)]
            marks += odd.syns.get(flow, ())
            for row in (2 * flow, 2 * flow + 1):
                reset, window = odd.resets.get(row), odd.windows.get(row)
                key += (reset, len(marks))
                if window is not None:
                    shut = [mark for mark in (window.since, window.longest) if mark is not None]
                    marks += shut
                    key += (window.since is None, len(shut))
                for mark, level, code in alerts.get(row, ()):
                    marks.append(mark)
                    key.append((level, code))
            known = said != ALONE and len(marks) <= MOST_MARKS
            self.said[place] = numbers.of(tuple(key)) if known else ALONE
            found[place] = marks if known else []
        return found

    def _mark(self, found: dict[int, list[Mark]]) -> None:
        """Add columns for marks, by place."""
        shape = len(self.said), max(map(len, found.values()), default=0)
        packets, times = np.zeros((2, *shape), np.int64)
        at = [place for place, marks in found.items() for _ in marks]
        column = [number for marks in found.values() for number in range(len(marks))]
        every = [mark for marks in found.values() for mark in marks]
        packets[at, column] = [mark.number for mark in every]
        times[at, column] = [mark.time_ns for mark in every]
        self.packets = np.concatenate([self.packets, packets], 1)
        self.times = np.concatenate([self.times, times], 1)


def _rare(tracker: Tracker) -> list[int]:
    """Flows with something that few have."""
    odd = tracker.odd
    again = [
        row
        for row, ranges in odd.ranges.items()
        if any(item.sent >= MIN_RUN for item in ranges.values())
    ]
    rows = chain(again, odd.gaps, tracker.payload.walker.carry)
    return [*tracker.icmp, *[row >> 1 for row in rows]]


def _of_talk(talk: Conversation) -> tuple[Hashable, list[Mark], str] | None:
    """What requests and their replies say, without the host; their marks; the host. None if
    there is more than requests and replies."""
    exchanges = talk.exchanges
    if talk.tls is not None or talk.tunnel is not None or talk.waiting or not exchanges:
        return None
    request = exchanges[0].request
    host = plain_host(request.authority) if request is not None else ""
    key: list[Hashable] = [*talk.languages, talk.first_bytes[1]]
    marks: list[Mark] = []
    for item in exchanges:
        asked, answered, request = item.request_first, item.response_first, item.request
        if asked is None or answered is None or request is None or item.response is None:
            return None
        if request.form != "authority":
            return None  # here the host itself may matter
        marks += (asked, answered)
        key += (
            _of_request(request, host), item.response, item.body_expected, item.body_received,
            item.body_complete, item.body_start,
        )  # fmt: skip
    return tuple(key), marks, host


def _of_request(request: Request, host: str) -> Hashable:
    """A request without the host."""
    if not host:
        return request
    headers = [(name, value.replace(host, STAND_IN)) for name, value in request.headers]
    target, authority = (
        text.replace(host, STAND_IN) for text in (request.target, request.authority)
    )
    return request._replace(target=target, authority=authority, headers=tuple(headers))
