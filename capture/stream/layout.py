"""A conversation as rows of bytes: turns, runs of bytes, holes; for views that show any part
of it at once, however long it is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from capture.stream.assembly import Assembly, Pieces

__all__ = ["BYTES", "HOLE", "TURN", "Blocks", "blocks_of"]

TURN, HOLE, BYTES = range(3)
"""Kinds of blocks: who speaks from here on, bytes not captured, bytes."""

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Blocks:
    """Consecutive parts of a conversation, in order; arrays of shape ``(n,)``."""

    kind: Ints
    side: Ints
    start: Ints
    """Offset in the side's stream."""
    end: Ints
    row: Ints
    """Row of the packet that a block begins with; of a hole: of the one behind it, or -1."""

    def __len__(self) -> int:
        return len(self.kind)

    def rows_at(self, per_row: int) -> Ints:
        """First screen row of each block, and at last how many there are; shape ``(n + 1,)``.

        Args:
            per_row: Bytes a row takes; 0: one row a block.
        """
        heights = np.ones(len(self), np.int64)
        if per_row:
            sizes = self.end - self.start
            heights = np.where(self.kind == BYTES, -(-sizes // per_row), 1)
        return np.concatenate(([0], np.cumsum(heights)))

    def holding(self, side: int, offset: int) -> int | None:
        """The block of bytes or hole that holds an offset; None when none does."""
        found = np.flatnonzero(
            (self.kind != TURN) & (self.side == side) & (self.start <= offset) & (offset < self.end)
        )
        return int(found[0]) if len(found) else None


def blocks_of(assembly: Assembly, side: int | None = None, *, merged: bool = True) -> Blocks:
    """Lay a conversation out.

    Args:
        assembly: The plan of both streams.
        side: Only this side's turns; None for both.
        merged: Runs of bytes without a hole as one block; else one block a packet.
    """
    turns = assembly.turns
    chosen = np.arange(len(turns)) if side is None else np.flatnonzero(turns.side == side)
    parts = [
        (chosen, np.full(len(chosen), TURN), turns.side[chosen], turns.start[chosen],
         turns.end[chosen], turns.row[chosen])
    ]  # fmt: skip
    for which, pieces in enumerate(assembly.sides):
        if side in (None, which) and len(pieces):
            parts += _side_parts(assembly, which, pieces, merged)
    turn, kind, who, start, end, row = (
        np.concatenate(column) for column in zip(*parts, strict=True)
    )
    order = np.lexsort((kind, start, turn))
    return Blocks(kind[order], who[order], start[order], end[order], row[order])


def _side_parts(
    assembly: Assembly, side: int, pieces: Pieces, merged: bool
) -> list[tuple[Ints, Ints, Ints, Ints, Ints, Ints]]:
    own = np.flatnonzero(assembly.turns.side == side)
    turn = own[np.searchsorted(assembly.turns.start[own], pieces.start, side="right") - 1]
    before = np.concatenate(([0], pieces.end[:-1]))
    hole = pieces.start > before
    first = np.ones(len(pieces), np.bool_)
    if merged:
        first = hole | (np.diff(turn, prepend=-1) != 0)
    begin = np.flatnonzero(first)
    last = np.concatenate((begin[1:], [len(pieces)])) - 1
    holes = np.flatnonzero(hole)

    def column(value: int, count: int) -> Ints:
        return np.full(count, value, np.int64)

    parts = [
        (turn[begin], column(BYTES, len(begin)), column(side, len(begin)), pieces.start[begin],
         pieces.end[last], pieces.row[begin]),
        (turn[holes], column(HOLE, len(holes)), column(side, len(holes)), before[holes],
         pieces.start[holes], pieces.row[holes]),
    ]  # fmt: skip
    end = int(pieces.end[-1])
    if pieces.total > end:
        one = (own[-1], HOLE, side, end, pieces.total, -1)
        parts.append(tuple(np.array([value]) for value in one))  # type: ignore[arg-type]
    return parts
