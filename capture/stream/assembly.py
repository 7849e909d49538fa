"""Which packet delivered which bytes of a flow's two streams: the plan of a reassembly.

Only columns are looked at here, no byte of payload. Of bytes that came more than once the
first copy counts, as for the tracker (and for most receivers). Offsets count the bytes of
one side's stream from 0; what is between two pieces was never captured.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from capture.decode.columns import ACK, FIN, RST, SYN
from capture.facts import CLIENT, PROXY
from capture.packets.index import DUPLICATE, KEEP_ALIVE, PacketView

__all__ = ["Assembly", "Pieces", "Turns", "assemble", "unwrapped"]

MAX_JUMP: Final = 1 << 30
"""A segment further ahead than any window (RFC 7323 section 2.3) is none of this stream."""
MAX_BEFORE: Final = 1 << 22
"""How far before the first segment captured its predecessors may come in late."""

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Pieces:
    """One side's stream as disjoint ranges, ascending, each of one packet; shape ``(n,)``."""

    start: Ints
    end: Ints
    row: Ints
    """Row of the packet index that holds the range."""
    skip: Ints
    """Bytes of that packet's payload before the range."""
    total: int
    """Length of the stream, as far as segments or acknowledgements tell."""

    def __len__(self) -> int:
        return len(self.start)

    @property
    def missing(self) -> int:
        """Bytes that no packet holds."""
        return self.total - int((self.end - self.start).sum())


@dataclass(frozen=True, slots=True)
class Turns:
    """Who spoke when: runs of one side's bytes, in the order of delivery; shape ``(n,)``."""

    side: Ints
    start: Ints
    """Offset in the side's stream; a hole before the first byte is part of the turn."""
    end: Ints
    row: Ints
    """Row of the packet that began it."""

    def __len__(self) -> int:
        return len(self.side)


@dataclass(frozen=True, slots=True)
class Assembly:
    """Both streams of a flow."""

    sides: tuple[Pieces, Pieces]
    turns: Turns
    first_ns: int = 0
    """Capture time of the flow's first packet."""


def assemble(view: PacketView, rows: Ints) -> Assembly:
    """Plan the reassembly of a flow.

    Args:
        view: The packet index.
        rows: The flow's packets, in capture order.
    """
    sides = _pieces(view, rows, CLIENT), _pieces(view, rows, PROXY)
    first_ns = int(view.rows["time_ns"][rows[0]]) if len(rows) else 0
    return Assembly(sides, _turns(sides), first_ns)


def _pieces(view: PacketView, rows: Ints, side: int) -> Pieces:
    table = view.rows
    own = rows[(table["sender"][rows] == side) & (table["analysis"][rows] & DUPLICATE == 0)]
    flags = table["flags"][own]
    seq = unwrapped(table["seq"][own])
    opened = bool((flags & SYN != 0).any())
    # A keep-alive repeats a byte that may never have been the stream's; an RST's payload
    # explains the reset (RFC 9293 section 3.5.3).
    data = (table["length"][own] > 0) & (flags & RST == 0)
    data &= table["analysis"][own] & KEEP_ALIVE == 0
    start = seq[data] + (flags[data] & SYN != 0)
    end = start + table["length"][own][data]
    base = 1 if opened else _base(start)
    row = own[data]
    kept = _plausible(start, end, base)
    start, end, row = start[kept] - base, end[kept] - base, row[kept]
    pieces = _cover(start, end, row)
    last = int(pieces[1][-1]) if len(pieces[1]) else 0
    total = max(last, _acknowledged(view, rows, 1 - side, base, last, flags))
    return Pieces(*pieces, total)


def unwrapped(seq: NDArray[np.uint32]) -> Ints:
    """Sequence numbers that go on beyond 4 GiB, from those that begin anew there."""
    if not len(seq):
        return np.zeros(0, np.int64)
    wide = seq.astype(np.int64)
    steps = wide - np.concatenate(([0], wide[:-1]))
    steps = (steps + (1 << 31)) % (1 << 32) - (1 << 31)
    return np.cumsum(steps)


def _base(start: Ints) -> int:
    """Where a stream begins whose SYN was not captured."""
    if not len(start):
        return 0
    near = start[start > start[0] - MAX_BEFORE]
    return int(near.min())


def _plausible(start: Ints, end: Ints, base: int) -> NDArray[np.bool_]:
    """Leave out what is no part of the stream: before its start, or absurdly far ahead."""
    kept = end > base
    known = np.maximum.accumulate(np.maximum(end, base))
    before = np.concatenate(([base], known[:-1])) if len(end) else known
    if not (start > before + MAX_JUMP).any():
        return kept
    reached = base
    for place, (left, right) in enumerate(zip(start.tolist(), end.tolist(), strict=True)):
        if left > reached + MAX_JUMP:
            kept[place] = False
        else:
            reached = max(reached, right)
    return kept


def _cover(start: Ints, end: Ints, row: Ints) -> tuple[Ints, Ints, Ints, Ints]:
    """Cut segments (in capture order) so that each byte belongs to the first that had it."""
    if not len(start):
        empty = np.zeros(0, np.int64)
        return empty, empty, empty, empty
    reached = np.maximum.accumulate(end)
    before = np.concatenate(([0], np.maximum(reached[:-1], 0)))
    left = np.maximum(start, before)
    index = np.flatnonzero(end > left)
    left, right = left[index], end[index]
    late = _fill_holes(start, end, before)
    if late:
        more = np.array(late, np.int64)
        left = np.concatenate((left, more[:, 0]))
        right = np.concatenate((right, more[:, 1]))
        index = np.concatenate((index, more[:, 2]))
        order = np.argsort(left, kind="stable")
        left, right, index = left[order], right[order], index[order]
    return left, right, row[index], left - start[index]


def _fill_holes(start: Ints, end: Ints, before: Ints) -> list[tuple[int, int, int]]:
    """What late segments add: (start, end, segment) inside the holes left before them."""
    gap = np.flatnonzero(start > before)
    if not len(gap):
        return []
    lefts, rights = before[gap], start[gap]
    # Only segments that touch a hole are worth a look; a hole that opens later lies beyond
    # all that was sent before, and so is not touched.
    upto = np.minimum(end, before)
    place = np.searchsorted(rights, start, side="right")
    inside = place < len(lefts)
    inside[inside] = lefts[place[inside]] < upto[inside]
    open_left, open_right = lefts.tolist(), rights.tolist()
    found: list[tuple[int, int, int]] = []
    for segment in np.flatnonzero(inside).tolist():
        low, high = max(0, int(start[segment])), int(upto[segment])
        at = bisect_right(open_right, low)
        while at < len(open_left) and open_left[at] < high:
            hole_left, hole_right = open_left[at], open_right[at]
            first, last = max(low, hole_left), min(high, hole_right)
            found.append((first, last, segment))
            rest = [(hole_left, first), (last, hole_right)]
            rest = [(low_end, high_end) for low_end, high_end in rest if low_end < high_end]
            open_left[at : at + 1] = [low_end for low_end, _ in rest]
            open_right[at : at + 1] = [high_end for _, high_end in rest]
            at += len(rest)
    return found


def _acknowledged(
    view: PacketView, rows: Ints, peer: int, base: int, last: int, flags: NDArray[np.uint8]
) -> int:
    """Offset up to which the receiver says it has the stream; 0 when it says nothing more."""
    table = view.rows
    theirs = rows[
        (table["sender"][rows] == peer)
        & (table["flags"][rows] & ACK != 0)
        & (table["flags"][rows] & RST == 0)
        & (table["analysis"][rows] & DUPLICATE == 0)
    ]
    if not len(theirs):
        return 0
    highest = int(unwrapped(table["ack"][theirs]).max()) - base
    highest -= bool((flags & FIN).any())  # a FIN takes a number of its own
    return highest if last < highest <= last + MAX_JUMP else 0


def _turns(sides: tuple[Pieces, Pieces]) -> Turns:
    """Merge both streams by the moment at which their bytes could be delivered in order."""
    side = np.repeat(np.array([CLIENT, PROXY]), [len(pieces) for pieces in sides])
    if not len(side):
        empty = np.zeros(0, np.int64)
        return Turns(empty, empty, empty, empty)
    begin = np.concatenate([np.concatenate(([0], p.end[:-1])) if len(p) else p.end for p in sides])
    end = np.concatenate([pieces.end for pieces in sides])
    ready = np.concatenate([np.maximum.accumulate(p.row) if len(p) else p.row for p in sides])
    row = np.concatenate([pieces.row for pieces in sides])
    order = np.argsort(ready, kind="stable")
    side, begin, end, row = side[order], begin[order], end[order], row[order]
    first = np.flatnonzero(np.diff(side, prepend=-1))
    last = np.concatenate((first[1:], [len(side)])) - 1
    ends = end[last]
    for which, pieces in enumerate(sides):
        own = np.flatnonzero(side[first] == which)
        if len(own):
            ends[own[-1]] = pieces.total  # what was acknowledged and never captured
    return Turns(side[first], begin[first], ends, row[first])
