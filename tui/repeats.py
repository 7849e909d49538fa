"""Leaves out what the terminal shows already.

Textual sends a changed line whole, and while a screen is built, or panes change places, it
draws the whole screen several times within a moment. Most cells are what they were: on a link
of 2 kB/s they cost seconds. Here only cells that differ from what stands there are sent.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from rich.cells import cell_len

__all__ = ["Repeats"]

TRUSTED_S: Final = 30.0
"""How long a terminal is trusted to show what was written on a line: others may write there (a
message to all users), and what is drawn later must mend that."""
GAP: Final = 10
"""So many equal cells are sent again rather than skipped: a place costs as much as they do."""

_PLACE: Final = re.compile(r"\x1b\[(\d+);(\d+)H")
_STYLE: Final = re.compile(r"\x1b\[([\d;]*)m")
_ESCAPE: Final = re.compile(r"\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b\[[\d;?<>=]*[ -/]*[@-~]|\x1b.")
_PLAIN: Final = ("", "0")
"""Parameters that reset the style."""

Cell = tuple[str, str]
"""A character and the parameters of its style, as Textual sets them: whole and anew."""


class _Piece(NamedTuple):
    """What goes to one place."""

    y: int
    x: int
    """Line and column, from 1."""
    text: str
    ends: bool
    """A line break follows."""

    def after(self) -> tuple[int, int]:
        """Where the cursor stands behind it."""
        if self.ends:
            return self.y + 1, 1
        return self.y, self.x + cell_len(_STYLE.sub("", self.text))


class _Line:
    """A line of the terminal as it was written last."""

    def __init__(self) -> None:
        self.cells: dict[int, Cell] = {}
        self.since_s = 0.0
        """When it was begun anew."""


class Repeats:
    """Remembers what the cells of one terminal show."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lines: dict[int, _Line] = {}
        self._cursor: tuple[int, int] | None = None
        """Where the writer believes the cursor; None: where the terminal has it."""
        self._narrow: set[str] = set()
        """Characters known to take one cell."""

    def forget(self) -> None:
        """The terminal may show anything now: it has another size, or another program had it."""
        self._lines.clear()

    def without(self, data: str) -> str:
        """Output without the cells that are there already.

        Args:
            data: Pieces of lines, each behind its place and with whole styles. Anything else
                is passed on, and what was known of the terminal is forgotten.
        """
        pieces = _pieces(data)
        if pieces is None:
            self.forget()
            # What was left out did not move the cursor on, and loose text goes on from there.
            loose, *placed = _ESCAPE.sub("", _PLACE.sub("\0", data)).split("\0", maxsplit=1)
            cursor = self._cursor
            if loose or placed:
                self._cursor = None  # the terminal knows
            return f"\x1b[{cursor[0]};{cursor[1]}H{data}" if loose and cursor else data
        if pieces:
            self._cursor = pieces[-1].after()
        return "".join(part for piece in pieces for part in self._changes(piece))

    def _changes(self, piece: _Piece) -> Iterator[str]:
        cells = list(_cells(piece.text))
        if not cells:
            yield f"\x1b[{piece.y};{piece.x}H"
            return
        if not self._all_narrow(cells):
            # Where the characters stand is the terminal's affair: nothing is known of the line.
            self._lines.pop(piece.y, None)
            yield f"\x1b[{piece.y};{piece.x}H{piece.text}"
            return
        line = self._line(piece.y)
        places = range(piece.x, piece.x + len(cells))
        known = [line.cells.get(x) for x in places]
        if known == cells:
            return
        line.cells.update(zip(places, cells, strict=True))
        for start, end in _differing(known, cells):
            yield f"\x1b[{piece.y};{piece.x + start}H{_written(cells[start:end])}"

    def _line(self, y: int) -> _Line:
        """A line, as far as it can be trusted."""
        now = self._clock()
        line = self._lines.get(y)
        if line is None or now - line.since_s >= TRUSTED_S:
            line = self._lines[y] = _Line()
            line.since_s = now
        return line

    def _all_narrow(self, cells: list[Cell]) -> bool:
        unknown = {char for char, _ in cells} - self._narrow
        if any(cell_len(char) != 1 for char in unknown):
            return False
        self._narrow |= unknown
        return True


def _pieces(data: str) -> list[_Piece] | None:
    """The pieces of an output; None when there is anything else in it."""
    before, *rest = _PLACE.split(data)
    # A line that is followed by a place needs no end of its own.
    ends = [text.endswith("\n") for text in rest[2::3]]
    texts = [text.removesuffix("\n") for text in rest[2::3]]
    if before or any("\n" in text or "\x1b" in _STYLE.sub("", text) for text in texts):
        return None
    return [
        _Piece(int(y), int(x), text, end)
        for y, x, text, end in zip(rest[::3], rest[1::3], texts, ends, strict=True)
    ]


def _cells(text: str) -> Iterator[Cell]:
    """The characters of a piece, which begins with the style reset."""
    style = ""
    for place, part in enumerate(_STYLE.split(text)):
        if not place % 2:
            for char in part:
                yield char, style
        elif part in _PLAIN:
            style = ""
        else:
            # Textual resets before it sets; what comes without a reset adds to what is set.
            style = f"{style};{part}" if style else part


def _differing(known: list[Cell | None], cells: list[Cell]) -> Iterator[tuple[int, int]]:
    """Runs of cells that are not what was there, with the small gaps between them."""
    start = end = -1
    for place, (was, now) in enumerate(zip(known, cells, strict=True)):
        if was == now:
            continue
        if start >= 0 and place - end > GAP:
            yield start, end
            start = place
        elif start < 0:
            start = place
        end = place + 1
    if start >= 0:
        yield start, end


def _written(cells: list[Cell]) -> str:
    """Cells with their styles, each set whole."""
    parts: list[str] = []
    before = ""
    for char, style in cells:
        if style != before:
            parts.append(f"\x1b[0m\x1b[{style}m" if style else "\x1b[0m")
            before = style
        parts.append(char)
    if before:
        parts.append("\x1b[0m")
    return "".join(parts)
