"""The form of a flow: all that its facts say, but for who, when and which packets.

Flows of one form differ in their client, in the name of the host that they asked for, in the
numbers of their packets (not in their order), in the times of these, and in how much was sent. Most
failures of a large capture come in a few forms.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Sequence
from itertools import chain, zip_longest
from typing import Any, Final, NamedTuple

import numpy as np

from capture.facts import CLIENT, PROXY, Mark
from capture.frames import Ints
from capture.protocols.events import Request
from capture.shards.skeleton import Skeletons
from capture.tracking.build import MIN_RUN
from capture.tracking.openings import Kept
from capture.tracking.streams import Conversation
from capture.tracking.table import Columns
from capture.tracking.tracker import Tracker

_IGNORED: Final = frozenset({
    "uid", "client", "base", "last_ack", "signature", "syn_seq", "rel_ack", "last_window",
    "last_analysis", "dup_run", "unscaled", "data_seen",
})  # fmt: skip
"""Columns of which no fact tells, and the client."""

SIZES: Final = (
    "packets", "bytes", "data_packets", "next_seq", "max_ack", "largest_end", "sack_right",
    "fin_end", "want", "data_at", "rec_count", "dup_acks", "retransmissions",
    "window_full",
)  # fmt: skip
"""Columns of a side in which flows of one form may differ."""

_AT_ONCE: Final = 512
"""Flows whose kept payload is in memory at once."""

_PLAIN_HOST: Final = re.compile(r"(?=.{4})[a-z0-9-]+(\.[a-z0-9-]+)*\.[a-z][a-z0-9-]*")
"""A name of several labels, no address: nothing but its being a name counts."""

_CONNECT: Final = b"CONNECT "
_ELSEWHERE: Final = "\0"
"""What stands for the host in a form: no text holds it."""


class Form(NamedTuple):
    """What of a form no column tells."""

    key: Hashable
    marks: tuple[Mark, ...]
    """Packets that no column tells of, in an order of which the form tells."""
    host: str
    """The host asked for, which the key leaves out; empty: it does not."""
    sized: bool = True
    """Whether the flow's sizes are left out, too."""


class Forms:
    """The forms of several flows.

    Attributes:
        keys: Equal for flows of one form; None for flows that are better looked at alone.
        numbers: Numbers of the packets that facts mention, in order, shape ``(n, places)``.
            The first place is 0; unused ones are, too.
        values: The ``SIZES`` of the client's side, those of the proxy's, and from the place
            ``times`` on the times of these packets.
        hosts: The host that each flow asked for, where its key leaves it out; else empty.
    """

    def __init__(self, tracker: Tracker, flows: Ints, skeletons: Skeletons) -> None:
        found = [*_said(tracker, flows, skeletons)]
        exact, sizes, numbers, times = _columns(tracker, flows)
        marks = list(zip_longest(*[form.marks if form else () for form in found]))
        for column in marks:
            numbers.append(np.array([mark.number if mark else 0 for mark in column], np.int64))
            times.append(np.array([mark.time_ns if mark else 0 for mark in column], np.int64))
        packets = np.stack(numbers, 1)
        places = _ranks(packets)
        self.numbers = np.zeros((len(flows), places.shape[1] + 1), np.int64)
        at = self.numbers.copy()
        np.put_along_axis(self.numbers, places, packets, 1)
        np.put_along_axis(at, places, np.stack(times, 1), 1)
        self.numbers[:, 0] = at[:, 0] = 0
        size = np.stack(sizes, 1)
        self.times = len(sizes)
        self.values = np.concatenate([size, at], 1)
        same = np.concatenate([np.stack(exact, 1), places], 1)
        self.keys: list[Hashable] = [
            form and (row.tobytes(), form.key, b"" if form.sized else own.tobytes())
            for form, row, own in zip(found, same, size, strict=True)
        ]
        self.sized = [form is not None and form.sized for form in found]
        self.hosts = [form.host if form else "" for form in found]


def _columns(
    tracker: Tracker, flows: Ints
) -> tuple[list[Ints], list[Ints], list[Ints], list[Ints]]:
    """Columns that flows of one form have in common; sizes; packet numbers; the packets'
    times."""
    exact: list[Ints] = []
    numbers: list[Ints] = []
    times: list[Ints] = []
    table = tracker.table
    for columns, rows in (
        (table.flows, flows), (table.sides, 2 * flows), (table.sides, 2 * flows + 1),
    ):  # fmt: skip
        for name in columns.names:
            if name.endswith("_no"):
                numbers.append(getattr(columns, name)[rows].astype(np.int64))
                times.append(_time_of(columns, name.removesuffix("_no"), rows))
            elif not (name in _IGNORED or name.endswith("_ns") or name in SIZES):
                exact.append(getattr(columns, name)[rows].astype(np.int64))
    sizes = [
        getattr(table.sides, name)[2 * flows + side].astype(np.int64)
        for side in (CLIENT, PROXY)
        for name in SIZES
    ]
    return exact, sizes, numbers, times


def _time_of(columns: Columns, name: str, rows: Ints) -> Ints:
    """Time of the packet whose number is in column ``name_no``."""
    what = name.removesuffix("_to")
    if what == name:
        time_ns: Ints = getattr(columns, f"{name}_ns")[rows]
        return time_ns
    ended: Ints = getattr(columns, f"{what}_from_ns")[rows] + getattr(columns, f"{what}_ns")[rows]
    return ended


def _ranks(numbers: Ints) -> Ints:
    """Place of each number among those of its row, equal ones at one place; 0 for 0."""
    order = np.argsort(numbers, 1, kind="stable")
    ascending = np.take_along_axis(numbers, order, 1)
    new = np.concatenate([ascending[:, :1] > 0, ascending[:, 1:] != ascending[:, :-1]], 1)
    ranks = np.empty_like(order)
    np.put_along_axis(ranks, order, np.cumsum(new, 1), 1)
    return ranks


def _said(tracker: Tracker, flows: Ints, skeletons: Skeletons) -> Iterable[Form | None]:
    """What was said on each flow, and what else its columns do not tell; None for a flow with
    something that few flows have."""
    odd, walker = tracker.odd, tracker.payload.walker
    again = [
        row
        for row, ranges in odd.ranges.items()
        if any(item.sent >= MIN_RUN for item in ranges.values())
    ]
    rows = chain(again, odd.gaps, odd.windows, walker.carry)
    rare = {row >> 1 for row in rows} | tracker.icmp.keys()
    talks = tracker.payload.conversations
    same: dict[Hashable, Any] = {}
    for start in range(0, len(flows), _AT_ONCE):
        batch = flows[start : start + _AT_ONCE].tolist()
        kept = tracker.payload.kept([flow for flow in batch if flow not in talks])
        for flow in batch:
            if flow in rare:
                yield None
                continue
            talk = tracker.conversation(flow)
            if talk is not None:
                form = _of_talk(talk)
            else:
                form = _of_opening(kept.get(flow, ()), skeletons)
            if form is not None:
                more = [*odd.syns.get(flow, ())]
                alerts = [
                    (row & 1, *alert)
                    for row in (2 * flow, 2 * flow + 1)
                    for alert in walker.alerts.get(row, ())
                ]
                resets = odd.resets.get(2 * flow), odd.resets.get(2 * flow + 1)
                told = tuple([(side, level, code) for side, _, level, code in alerts])
                more += [mark for _, mark, _, _ in alerts]
                key = (form.key, resets, told, len(form.marks), len(more))
                form = form._replace(key=same.setdefault(key, key), marks=(*form.marks, *more))
            yield form


def _of_opening(kept: Sequence[Kept], skeletons: Skeletons) -> Form | None:
    """The form of what is kept of a flow's first segments: heads, and TLS behind them."""
    if not kept:
        return Form((), (), "")
    first, host = kept[0].payload, ""
    if first.startswith(_CONNECT):
        host = _host(first[len(_CONNECT) : first.find(b" ", len(_CONNECT))].decode("latin-1"))
    key: list[Hashable] = []
    streams: tuple[list[bytes], list[bytes]] = [], []
    ends = [1, 1]
    for item in kept:
        side, payload = item.side, item.payload
        if item.seq != ends[side]:
            return None
        ends[side] += len(payload)
        key += (side, len(payload))
        streams[side].append(payload)
    for side, stream in enumerate(streams):
        head = stream[0] if stream else b""
        if host and side == CLIENT:  # what the proxy says of a host may matter
            head = head.replace(host.encode(), _ELSEWHERE.encode())
        key += (head, skeletons.of(b"".join(stream[1:]), host, _ELSEWHERE))
    return Form(tuple(key), tuple([Mark(item.number, item.time_ns) for item in kept]), host)


def _of_talk(talk: Conversation) -> Form | None:
    """The form of requests with their replies, as long as they are no more than that."""
    exchanges = talk.exchanges
    if talk.tls is not None or talk.tunnel is not None or talk.waiting or not exchanges:
        return None
    request = exchanges[0].request
    host = _host(request.authority) if request is not None else ""
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
    # It was told of sizes, and keeps what follows from them.
    return Form(tuple(key), tuple(marks), host, sized=False)


def _of_request(request: Request, host: str) -> Hashable:
    """A request without the host."""
    if not host:
        return request
    headers = [(name, value.replace(host, _ELSEWHERE)) for name, value in request.headers]
    target, authority = (
        text.replace(host, _ELSEWHERE) for text in (request.target, request.authority)
    )
    return request._replace(target=target, authority=authority, headers=tuple(headers))


def _host(authority: str) -> str:
    """The host of an authority, if it is a plain name."""
    host = authority.rpartition(":")[0]
    return host if _PLAIN_HOST.fullmatch(host) else ""
