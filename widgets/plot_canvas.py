"""Dots in cells: points and lines drawn into a grid of braille patterns, or of plain ASCII.

A braille cell holds two dots by four (Unicode 2800 to 28FF), an ASCII cell one. Everything
is drawn by array operations; only what there is on screen is looped over.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["Canvas", "ticks"]

Floats = NDArray[np.float64]

_BITS: Final = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]], np.uint8)
"""Bit of each dot of a cell, by row and column (Unicode's numbering of braille dots)."""
_BRAILLE: Final = 0x2800


class Canvas:
    """A grid of cells over a range of values. Later layers are drawn over earlier ones."""

    def __init__(
        self,
        columns: int,
        lines: int,
        x_range: tuple[float, float],
        y_range: tuple[float, float],
        *,
        ascii_only: bool = False,
    ) -> None:
        """Make an empty canvas.

        Args:
            columns: Cells in a line.
            lines: Lines.
            x_range: Values at the left and right edge; not equal.
            y_range: Values at the bottom and top edge; not equal.
            ascii_only: One dot a cell, drawn in ASCII.
        """
        self.columns, self.lines = columns, lines
        self._across, self._down = (1, 1) if ascii_only else (2, 4)
        self._ascii = ascii_only
        self._x_range, self._y_range = x_range, y_range
        self._dots: list[tuple[NDArray[np.bool_], str, str, bool]] = []

    @property
    def _size(self) -> tuple[int, int]:
        """Dots down and across."""
        return self.lines * self._down, self.columns * self._across

    def points(
        self, x: Floats, y: Floats, part: str, sign: str = "*", *, signed: bool = False
    ) -> None:
        """Draw single points.

        Args:
            x: Values across.
            y: Values up, of the same shape.
            part: Style of the layer.
            sign: What stands for a dot in ASCII.
            signed: Draw the sign itself, not dots: such points are told apart without colour.
        """
        grid = np.zeros(self._size, np.bool_)
        inside = (x >= self._x_range[0]) & (x <= self._x_range[1])
        inside &= (y >= self._y_range[0]) & (y <= self._y_range[1])
        grid[self._down_of(y[inside]), self._across_of(x[inside])] = True
        self._dots.append((grid, part, sign, signed))

    def line(self, x: Floats, y: Floats, part: str, sign: str = ".", *, held: bool = True) -> None:
        """Draw values as one line, from left to right.

        Args:
            x: Values across, ascending.
            y: Values up.
            part: Style of the layer.
            sign: What stands for a dot in ASCII.
            held: A value holds until the next; else they are joined straight.
        """
        grid = np.zeros(self._size, np.bool_)
        self._dots.append((grid, part, sign, False))
        low, high = self._x_range
        first = max(0, int(np.searchsorted(x, low, side="left")) - 1)
        last = min(len(x), int(np.searchsorted(x, high, side="right")) + 1)
        x, y = x[first:last], y[first:last]
        if not len(x):
            return
        # Every dot column gets the range of values it holds, and where it comes from.
        width = self._size[1]
        edges = np.linspace(low, high, width + 1)
        if held:
            # What held just before a column is drawn in it, too: a step has its riser.
            before, after = (
                y[np.clip(np.searchsorted(x, edge, side="left") - 1, 0, len(y) - 1)]
                for edge in (edges[:-1], edges[1:])
            )
        else:
            before, after = (np.interp(edge, x, y) for edge in (edges[:-1], edges[1:]))
        bottom, top = np.minimum(before, after), np.maximum(before, after)
        column = self._across_of(np.clip(x, low, high))
        np.minimum.at(bottom, column, y)
        np.maximum.at(top, column, y)
        known = edges[1:] >= x[0]
        if not held:
            known &= edges[:-1] <= x[-1]
        y_low, y_high = self._y_range
        floors = self._down_of(np.clip(bottom, y_low, y_high))
        tops = self._down_of(np.clip(top, y_low, y_high))
        for place in np.flatnonzero(known).tolist():
            grid[tops[place] : floors[place] + 1, place] = True

    def cells(self) -> list[list[tuple[str, str]]]:
        """Lines of (sign, part): what each cell shows; an empty cell is a blank."""
        signs = np.zeros((self.lines, self.columns), np.uint8)
        owner = np.full((self.lines, self.columns), -1, np.int64)
        for place, (grid, *_) in enumerate(self._dots):
            cells = grid.reshape(self.lines, self._down, self.columns, self._across)
            hit = cells.any(axis=(1, 3))
            bits = _BITS if self._down > 1 else np.ones((1, 1), np.uint8)
            signs |= (cells * bits[:, None, :]).sum(axis=(1, 3)).astype(np.uint8)
            owner[hit] = place
        return [
            [self._cell(sign, place) for sign, place in zip(*pair, strict=True)]
            for pair in zip(signs.tolist(), owner.tolist(), strict=True)
        ]

    def _cell(self, bits: int, place: int) -> tuple[str, str]:
        if place < 0:
            return " ", ""
        _, part, sign, signed = self._dots[place]
        return (sign if self._ascii or signed else chr(_BRAILLE + bits)), part

    def column_of(self, x: float) -> int:
        """Cell column of a value, clamped to the canvas."""
        low, high = self._x_range
        return max(0, min(self.columns - 1, int((x - low) / (high - low) * self.columns)))

    def value_at(self, column: int) -> float:
        """Value at the middle of a cell column."""
        low, high = self._x_range
        return low + (column + 0.5) / self.columns * (high - low)

    def _across_of(self, x: Floats) -> NDArray[np.int64]:
        low, high = self._x_range
        width = self._size[1]
        return np.clip(((x - low) / (high - low) * width).astype(np.int64), 0, width - 1)

    def _down_of(self, y: Floats) -> NDArray[np.int64]:
        low, high = self._y_range
        height = self._size[0]
        up = np.clip(((y - low) / (high - low) * height).astype(np.int64), 0, height - 1)
        return height - 1 - up


def ticks(low: float, high: float, count: int) -> list[float]:
    """At most ``count`` round values from ``low`` to ``high``: 1, 2 or 5 times a power of 10."""
    span = high - low
    if not (span > 0 and np.isfinite(span)) or count < 1:
        return []
    raw = span / count
    power = 10.0 ** np.floor(np.log10(raw))
    step = next((m * power for m in (1, 2, 5) if m * power >= raw), 10 * power)
    first = int(np.ceil(low / step - 1e-9))
    last = int(np.floor(high / step + 1e-9))
    return [float(number * step) for number in range(first, last + 1)]
