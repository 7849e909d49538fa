"""The form of a flow: all that its facts say, but for who, when and which packets.

Flows of one form differ in their client, in the name of the host that they asked for, in the
numbers of their packets (not in their order), in the times of these, and in how much was sent. Most
failures of a large capture come in a few forms.
"""

from __future__ import annotations

from collections.abc import Hashable
from itertools import combinations
from typing import Final

import numpy as np
from numpy.typing import NDArray

from capture.facts import CLIENT, PROXY
from capture.frames import Ints
from capture.shards.said import Reader, Said
from capture.tracking.table import FlowTable
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


_SPAN: Final = ("from_no", "from_ns", "to_no", "ns")
SPANNED: Final = ("silence", "wait")
SPANS: Final = tuple([f"{what}_{part}" for what in SPANNED for part in _SPAN])
"""Columns of a flow in which those of one form may differ, too. Which packets are the furthest
apart is a matter of chance; a rule that asks where they come among others is noted doing so."""

SPANS_AT: Final = 2 * len(SIZES)
SHUT_AT: Final = SPANS_AT + len(SPANS)
PACKETS_AT: Final = SHUT_AT + 2


class Forms:
    """The forms of several flows.

    Args:
        tracker: Has them.
        flows: These, ascending.
        reader: Tells apart what was said.

    Attributes:
        keys: Equal for flows of one form; None for flows that are better looked at alone.
        sized: Whether the key leaves the flow's sizes out.
        hosts: The host that each flow asked for, where its key leaves it out; else empty.
        values: What else may differ: the ``SIZES`` of the client's side and the proxy's; from
            ``SPANS_AT`` on the ``SPANS``, but with when they end in place of how long they are,
            so that comparisons with times inside are bounds; from ``SHUT_AT`` on for how long
            each side's window was shut; from ``PACKETS_AT`` on number and time of each packet
            that facts mention, in order. The first packet is none, unused ones are, too: 0.
            Shape ``(n, places)``.
    """

    def __init__(self, tracker: Tracker, flows: Ints, reader: Reader) -> None:
        said = Said(tracker, flows, reader)
        table = tracker.table
        exact, numbers, times = _columns(table, flows)
        sizes = _stacked([
            getattr(table.sides, name)[2 * flows + side]
            for side in (CLIENT, PROXY)
            for name in SIZES
        ])  # fmt: skip
        spans = _stacked([getattr(table.flows, name)[flows] for name in SPANS])
        spans[:, _SPAN.index("ns") :: len(_SPAN)] += spans[:, _SPAN.index("from_ns") :: len(_SPAN)]
        packets = np.concatenate([_stacked(numbers), said.packets], 1)
        ranks = _ranks(packets)
        exact += [
            column != 0 for name, column in zip(SPANS, spans.T, strict=True) if name[-1] == "o"
        ]
        own = np.where(said.sized[:, None], 0, sizes)
        same = np.concatenate([_stacked(exact), said.told, own], 1)
        apart = said.alone | _late_ends(table, flows)
        self.keys: list[Hashable] = [
            # Without the ranks of packets that only others have.
            None if alone else (told.tobytes(), order.tobytes().rstrip(b"\0"))
            for alone, told, order in zip(apart.tolist(), same, ranks, strict=True)
        ]
        marks = np.zeros((len(flows), ranks.shape[1] + 1, 2), np.int64)
        at = np.arange(len(flows))[:, None], ranks
        marks[*at, 0] = packets
        marks[*at, 1] = np.concatenate([_stacked(times), said.times], 1)
        marks[:, 0] = 0
        shut = _shut(tracker, flows)
        self.values = np.concatenate([sizes, spans, shut, marks.reshape(len(flows), -1)], 1)
        self.sized = said.sized
        self.hosts = said.hosts


def _columns(table: FlowTable, flows: Ints) -> tuple[list[Ints], list[Ints], list[Ints]]:
    """Columns that flows of one form have in common; packet numbers; the packets' times."""
    exact: list[Ints] = []
    numbers: list[Ints] = []
    times: list[Ints] = []
    for columns, rows in (
        (table.flows, flows), (table.sides, 2 * flows), (table.sides, 2 * flows + 1),
    ):  # fmt: skip
        for name in columns.names:
            if name in SPANS:
                continue
            if name.endswith("_no"):
                numbers.append(getattr(columns, name)[rows])
                times.append(getattr(columns, f"{name.removesuffix('_no')}_ns")[rows])
            elif not (name in _IGNORED or name.endswith("_ns") or name in SIZES):
                exact.append(getattr(columns, name)[rows])
    return exact, numbers, times


def _late_ends(table: FlowTable, flows: Ints) -> NDArray[np.bool_]:
    """Flows whose FINs and RSTs came in another order than they were captured in."""
    sides, found = table.sides, np.zeros(len(flows), np.bool_)
    ends = [
        (
            getattr(sides, f"{what}_no")[2 * flows + side],
            getattr(sides, f"{what}_ns")[2 * flows + side],
        )
        for what in ("fin", "rst")
        for side in (CLIENT, PROXY)
    ]
    for (number, time), (other, when) in combinations(ends, 2):
        late = np.where(number < other, time > when, time < when)
        found |= (number > 0) & (other > 0) & late
    return found


def _stacked(columns: list[Ints]) -> Ints:
    """Columns side by side."""
    return np.stack(columns, 1, dtype=np.int64, casting="unsafe")


def _shut(tracker: Tracker, flows: Ints) -> Ints:
    """For how long each side's window was shut before it opened again, in nanoseconds."""
    found = np.zeros((len(flows), 2), np.int64)
    windows = tracker.odd.windows
    rows = np.array(sorted(windows), np.int64)
    rows = rows[np.isin(rows >> 1, flows)]
    found[np.searchsorted(flows, rows >> 1), rows & 1] = [
        windows[row].longest_ns for row in rows.tolist()
    ]
    return found


def _ranks(numbers: Ints) -> NDArray[np.uint8]:
    """Place of each number among those of its row, equal ones at one place; 0 for 0."""
    order = np.argsort(numbers, 1, kind="stable")
    ascending = np.take_along_axis(numbers, order, 1)
    new = np.concatenate([ascending[:, :1] > 0, ascending[:, 1:] != ascending[:, :-1]], 1)
    ranks = np.empty(order.shape, np.uint8)  # of packets that facts mention: less than a hundred
    np.put_along_axis(ranks, order, np.cumsum(new, 1), 1)
    return ranks
