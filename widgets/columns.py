"""Shares the width of a line among columns: the important ones first, none cut below use.

A column has a least width, a width it would like, and a priority. The pinned columns get
their least widths first; then each column, in order of priority, takes what it would like,
or what is left if that is enough to be of use. So the same table reads at 40 cells and at
200.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

GAP: Final = 1
"""Blank cells between two columns."""


@dataclass(frozen=True, slots=True)
class Column:
    """How a column wants to be placed; its place in the sequence is its place on screen."""

    key: str
    title: str
    least: int
    """Cells without which it is not shown at all."""
    wanted: int
    """Cells that its usual content takes, when nothing is known of the content."""
    priority: float
    """Lower enters earlier."""
    right: bool = False
    """Numbers: aligned to the right."""
    pinned: bool = False
    """Of the essence: never left out for a wider one, nor scrolled away."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A column with its place on the line."""

    column: Column
    start: int
    """First cell."""
    width: int


def place(
    columns: Sequence[Column], width: int, content: Mapping[str, int] | None = None
) -> tuple[Placed, ...]:
    """Choose and place the columns of a line.

    Args:
        columns: In screen order.
        width: Cells of the line.
        content: Widest content by key, where it is known; else ``Column.wanted`` counts.

    Returns:
        The columns that are shown, from left to right. Never wider than ``width``; empty
        only when not even the first column fits.
    """
    content = content or {}
    wanted = {
        column.key: max(len(column.title), content.get(column.key, column.wanted))
        for column in columns
    }
    ranked = sorted(columns, key=lambda column: column.priority)
    room = width + GAP
    shown: dict[str, int] = {}

    def take(column: Column, most: int) -> None:
        """Enter a column, or widen it, with up to ``most`` cells."""
        nonlocal room
        has = shown.get(column.key)
        free = room if has is not None else room - GAP
        cells = min(most, (has or 0) + free)
        if cells >= min(column.least, wanted[column.key]) and cells > (has or 0):
            shown[column.key] = cells
            room -= cells - has if has is not None else cells + GAP

    for column in ranked:
        if column.pinned:
            take(column, min(column.least, wanted[column.key]))
    for column in ranked:
        take(column, wanted[column.key])
    placed = []
    start = 0
    for column in columns:
        if column.key in shown:
            placed.append(Placed(column, start, shown[column.key]))
            start += shown[column.key] + GAP
    return tuple(placed)
