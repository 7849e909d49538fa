"""What a recording had of its flows and packets by any packet of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from capture.facts import FlowFacts
from capture.frames import Ints
from capture.judged import JudgedFlow

T = TypeVar("T")

EVERY: Final = 4096
"""Packets between two running totals: the rest of a moment's is summed up when asked for."""


class Begun:
    """Flows in order of their numbers, and which of them had begun by a packet.

    Flows are numbered as they begin, so that these nearly always are the first of them.

    Args:
        flows: Their numbers (0-based), ascending.
        first: Number of the first packet of every flow there is, by flow.
    """

    def __init__(self, flows: Sequence[int], first: Ints) -> None:
        self.flows: Ints = np.array(flows, np.int64)
        """All of them."""
        self._first: Ints = first[self.flows]
        self._in_order = bool((np.diff(self._first) >= 0).all())

    def by(self, number: int) -> Ints:
        """The flows that had begun by a packet, ascending."""
        return self.flows[self._places(number)]

    def some(self, values: Sequence[T], number: int) -> list[T]:
        """The values of the flows that had begun, of those of all flows in the same order."""
        places = self._places(number)
        if isinstance(places, slice):
            return list(values[places])
        return [values[at] for at in places.tolist()]

    def _places(self, number: int) -> slice | Ints:
        if self._in_order:
            return slice(int(np.searchsorted(self._first, number, "right")))
        return np.flatnonzero(self._first <= number)


class FactsThen(Mapping[int, FlowFacts]):
    """Facts of the reported flows at a moment, by uid.

    Most are those of the end; with fifty thousand flows a dictionary of them is not made
    anew for each moment.

    Args:
        flows: The flows there were, ascending.
        ends: All reported flows at the end, by flow.
        then: Facts of the flows that were not as at the end, by flow.
    """

    def __init__(
        self, flows: Ints, ends: Mapping[int, JudgedFlow], then: Mapping[int, FlowFacts]
    ) -> None:
        self._flows = flows
        self._ends = ends
        self._then = then

    def __getitem__(self, uid: int) -> FlowFacts:
        flow = uid - 1
        facts = self._then.get(flow)
        if facts is not None:
            return facts
        at = int(np.searchsorted(self._flows, flow))
        if at == len(self._flows) or self._flows[at] != flow:
            raise KeyError(uid)
        return self._ends[flow].facts

    def __contains__(self, uid: object) -> bool:
        return isinstance(uid, int) and self.get(uid) is not None

    def __iter__(self) -> Iterator[int]:
        return iter((self._flows + 1).tolist())

    def __len__(self) -> int:
        return len(self._flows)


class Total(NamedTuple):
    """Sums over the first packets of a recording."""

    bytes: int
    first_ns: int
    """Earliest time; 0 without a packet."""
    last_ns: int


class Totals:
    """Running totals of a recording.

    Args:
        rows: The packet index (``PACKET_DTYPE``), complete.
    """

    def __init__(self, rows: NDArray[np.void]) -> None:
        self._rows = rows
        starts = np.arange(0, len(rows), EVERY)
        if len(starts):
            sizes = np.add.reduceat(rows["wirelen"].astype(np.int64), starts)
            self._bytes: Ints = np.cumsum(sizes)
            times = rows["time_ns"].astype(np.int64)
            self._first: Ints = np.minimum.accumulate(np.minimum.reduceat(times, starts))
            self._last: Ints = np.maximum.accumulate(np.maximum.reduceat(times, starts))

    def by(self, number: int) -> Total:
        """The totals of the first ``number`` packets."""
        if not number:
            return Total(0, 0, 0)
        known = number // EVERY
        rest = self._rows[known * EVERY : number]
        size = int(rest["wirelen"].sum(dtype=np.int64))
        first = [int(rest["time_ns"].min())] if len(rest) else []
        last = [int(rest["time_ns"].max())] if len(rest) else []
        if known:
            size += int(self._bytes[known - 1])
            first.append(int(self._first[known - 1]))
            last.append(int(self._last[known - 1]))
        return Total(size, min(first), max(last))
