"""The form of a flow: all that its facts say, but for who, when and which packets.

Flows of one form differ in their client, in the name of the host that they asked for, in the
numbers of their packets (not in their order), in the times of these, and in how much was sent. Most
failures of a large capture come in a few forms.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final

import numpy as np

from capture.facts import CLIENT, PROXY
from capture.frames import Ints
from capture.shards.said import ALONE, Reader, Said
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


class Forms:
    """The forms of several flows.

    Attributes:
        sized: Whether the key leaves the flow's sizes out.
        keys: Equal for flows of one form; None for flows that are better looked at alone.
        numbers: Numbers of the packets that facts mention, in order, shape ``(n, places)``.
            The first place is 0; unused ones are, too.
        values: The ``SIZES`` of the client's side, those of the proxy's, and from the place
            ``times`` on the times of these packets.
        hosts: The host that each flow asked for, where its key leaves it out; else empty.
    """

    def __init__(self, tracker: Tracker, flows: Ints, reader: Reader) -> None:
        said = Said(tracker, flows, reader)
        exact, sizes, numbers, times = _columns(tracker, flows)
        packets = np.concatenate([np.stack(numbers, 1), said.packets], 1)
        places = _ranks(packets)
        self.numbers = np.zeros((len(flows), places.shape[1] + 1), np.int64)
        at = self.numbers.copy()
        np.put_along_axis(self.numbers, places, packets, 1)
        np.put_along_axis(at, places, np.concatenate([np.stack(times, 1), said.times], 1), 1)
        self.numbers[:, 0] = at[:, 0] = 0
        size = np.stack(sizes, 1)
        self.times = len(sizes)
        self.values = np.concatenate([size, at], 1)
        self.sized = said.sized
        self.hosts = said.hosts
        own = np.where(said.sized[:, None], 0, size)
        same = np.concatenate([np.stack([*exact, said.said], 1), own, places], 1)
        self.keys: list[Hashable] = [
            None if number == ALONE else row.tobytes().rstrip(b"\0")  # of columns that few need
            for number, row in zip(said.said.tolist(), same, strict=True)
        ]


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
