"""Knows what a terminal shows and what it should show, and sends the difference bit by bit.

Textual sends a changed line whole, and while a screen is built, or panes change places, it
draws the whole screen several times within a moment. Most cells are what they were, and what was
replaced before it could be sent need not be sent at all: on a link of 2 kB/s both cost seconds.
Here what is drawn is put down, and what differs is written as far as there is room: first what
the user asked for, then what has waited longest, from the top.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from itertools import compress, count, groupby
from operator import itemgetter, ne
from typing import Final, NamedTuple

from rich.cells import cell_len

from tui.link.pen import Pen
from tui.link.thrift import PLAIN, Style, UnknownStyle, after, behind

__all__ = ["Canvas"]

TRUSTED_S: Final = 30.0
"""How long a terminal is trusted to show what was written on a line: others may write there (a
message to all users), and what is drawn later must mend that."""
TOGETHER: Final = 40
"""Cells that are written whatever room there is."""
KNOWN_STYLES: Final = 256
KNOWN_CELLS: Final = 1024
"""Styles, and characters in each of them, whose cells are kept for the next time."""
GAP: Final = 4
"""So many equal cells are sent again rather than skipped: going on behind costs as much."""

_PLACE: Final = re.compile(r"\x1b\[(\d+);(\d+)H")
_STYLE: Final = re.compile(r"\x1b\[([\d;]*)m")
_ELSEWHERE: Final = re.compile(
    r"(?:\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)"  # a title, the clipboard
    r"|\x1b\[\?(?!(?:47|1047|1049)[hl])\d+(?:\$p|[hl])"  # a mode other than the second screen
    r"|\x1b\[[<>=][\d;]*[a-z]|\x07)*"  # how keys are told; the bell
)
"""Says something to the terminal that changes no cell and moves no cursor."""
_OTHER_SCREEN: Final = "\x1b[?1049"
_SYNCHRONISED: Final = ("\x1b[?2026h", "\x1b[?2026l")

Cell = tuple[str, Style]
"""A character, with those that combine with it, and its style; behind one that takes two cells
comes an empty one."""
_text_of: Callable[[Cell], str] = itemgetter(0)
_style_of: Callable[[Cell], Style] = itemgetter(1)


class _Piece(NamedTuple):
    """What goes to one place."""

    y: int
    x: int
    """Line and column, from 1."""
    cells: list[Cell]


class _Line:
    """A line of the terminal."""

    __slots__ = ("odd", "shown", "since_s", "wanted")

    def __init__(self, now_s: float) -> None:
        self.wanted: list[Cell | None] = []
        self.shown: list[Cell | None] = []
        """As long as ``wanted``; None: not known."""
        self.since_s = now_s
        """When what is shown was known last to be so."""
        self.odd = False
        """Holds characters of another width than one, now or when it was written last: where
        they stand is the terminal's affair, and the line is written whole."""

    def draw(self, piece: _Piece) -> bool:
        """Put cells down; returns whether they differ from what is shown."""
        start, end = piece.x - 1, piece.x - 1 + len(piece.cells)
        missing = [None] * (end - len(self.wanted))  # empty where the line is long enough
        self.wanted += missing
        self.shown += missing
        self.wanted[start:end] = piece.cells
        self.odd = self.odd or _is_odd(piece.cells)
        return self.shown[start:end] != piece.cells

    def differing(self) -> Iterator[tuple[int, int]]:
        """Runs of cells that are not what is shown, with the small gaps between them."""
        if self.odd:
            if self.shown != self.wanted:
                yield from _known_runs(self.wanted)
            return
        start = end = -1
        for place in compress(count(), map(ne, self.shown, self.wanted)):
            if self.wanted[place] is None:
                continue
            if start >= 0 and (place - end > GAP or None in self.wanted[end:place]):
                yield start, end
                start = place
            elif start < 0:
                start = place
            end = place + 1
        if start >= 0:
            yield start, end


class Canvas:
    """The cells of one terminal, as they are and as they should be.

    Args:
        clock: Seconds, never going back.
        split: What is drawn at once may be sent in several parts, so that telling the terminal
            to show it at once makes no sense.
        erasing: Cells that are erased take on the colour behind the text.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        *,
        split: bool = False,
        erasing: bool = False,
    ) -> None:
        self._clock = clock
        self._split = split
        self._pen = Pen(erasing=erasing)
        self._lines: dict[int, _Line] = {}
        self._asked: dict[int, None] = {}
        self._due: dict[int, None] = {}
        """Numbers of the lines that differ, in the order in which they are sent; those that the
        user asked for come before."""
        self._wanted_at: tuple[int, int] | None = None

    @property
    def behind(self) -> bool:
        """Whether the terminal does not show yet what was drawn."""
        return bool(self._asked or self._due)

    def forget(self) -> None:
        """The terminal may show anything now: it has another size, or another program had it.
        What was drawn before will be drawn again."""
        self._lines.clear()
        self._asked.clear()
        self._due.clear()
        self._pen.at = self._wanted_at = None

    def put_off(self) -> None:
        """The user asks for something new: what he asked for before has lost its precedence."""
        self._due = self._asked | self._due
        self._asked = {}

    def draw(self, data: str, *, asked: bool = False) -> str:
        """Put down what is to be shown.

        Args:
            data: Pieces of lines, each behind its place and with whole styles, or anything else.
            asked: The user asked for it.

        Returns:
            What must be written at once, since it is no text on a place.
        """
        if _ELSEWHERE.fullmatch(data):
            return "" if self._split and data in _SYNCHRONISED else data
        pieces = _pieces(data)
        if pieces is None:
            return self._passed_on(data)
        for piece in pieces:
            self._put(piece, asked)
        return ""

    def _passed_on(self, data: str) -> str:
        """Output of which it is not known what it makes of the screen: it goes on behind all
        that was drawn before, unless it leads to another screen."""
        if _OTHER_SCREEN not in data:
            self._write_due(math.inf, math.inf)
        self._pen.reset()
        before = self._pen.take()
        self.forget()
        return before + data

    def _put(self, piece: _Piece, asked: bool) -> None:
        self._wanted_at = (piece.y, piece.x + len(piece.cells))
        if not piece.cells:
            return
        now_s = self._clock()
        line = self._lines.get(piece.y)
        if line is None:
            line = self._lines[piece.y] = _Line(now_s)
        elif now_s - line.since_s >= TRUSTED_S:
            line.since_s = now_s
            line.shown = [None] * len(line.shown)
        if not line.draw(piece):
            return
        if asked:
            self._due.pop(piece.y, None)
            self._asked[piece.y] = None
        elif piece.y not in self._asked:
            self._due[piece.y] = None

    def portion(self, octets: float, asked: float | None = None) -> str:
        """What is to be written next.

        Args:
            octets: When it has become so long, it ends. It gets longer by a few cells, or by a
                line whose characters must be written together.
            asked: The same for what the user asked for; None: no other length.
        """
        self._write_due(octets, octets if asked is None else asked)
        return self._pen.take()

    def _write_due(self, octets: float, asked: float) -> None:
        for lines, most in ((self._asked, asked), (self._due, octets)):
            for y in list(lines):
                if not self._write_line(y, most):
                    return
                del lines[y]
        if self._wanted_at is not None:
            self._pen.go(*self._wanted_at)

    def _write_line(self, y: int, octets: float) -> bool:
        """Write what differs in a line; returns whether there was room for all of it."""
        line, pen = self._lines[y], self._pen
        for start, end in line.differing():
            at = start
            run = [cell for cell in line.wanted[start:end] if cell is not None]  # none is
            for style, cells in _pieces_of(run):
                if pen.octets >= octets and not line.odd:
                    return False
                if line.odd:
                    for place, (text, _) in enumerate(cells, at):
                        pen.write_odd(y, place + 1, text, style)
                else:
                    pen.write(y, at + 1, "".join(map(_text_of, cells)), style)
                line.shown[at : at + len(cells)] = cells
                at += len(cells)
        if line.odd:
            line.odd = _is_odd(cell for cell in line.wanted if cell is not None)
        return True


def _is_odd(cells: Iterable[Cell]) -> bool:
    return not {1}.issuperset(map(len, map(_text_of, cells)))


def _pieces_of(run: list[Cell]) -> Iterator[tuple[Style, list[Cell]]]:
    """Cells by their style, not very many at once."""
    for style, group in groupby(run, _style_of):
        cells = list(group)
        for at in range(0, len(cells), TOGETHER):
            yield style, cells[at : at + TOGETHER]


def _known_runs(cells: list[Cell | None]) -> Iterator[tuple[int, int]]:
    at = 0
    for known, group in groupby(cells, lambda cell: cell is not None):
        end = at + len(list(group))
        if known:
            yield at, end
        at = end


def _pieces(data: str) -> list[_Piece] | None:
    """The pieces of an output; None when there is anything else in it."""
    before, *rest = _PLACE.split(data)
    if before:
        return None
    pieces = []
    try:
        for y, x, text in zip(rest[::3], rest[1::3], rest[2::3], strict=True):
            # A line that is followed by a place needs no end of its own.
            pieces.append(_Piece(int(y), int(x), _cells(text.removesuffix("\n"))))
    except (UnknownStyle, _NoText):
        return None
    return pieces


class _NoText(Exception):
    """Something that is no character in a cell."""


def _cells(text: str) -> list[Cell]:
    """The characters of a piece, which begins with the style reset."""
    style = PLAIN
    cells: list[Cell] = []
    for place, part in enumerate(_STYLE.split(text)):
        if place % 2:
            style = after(style, part)
        elif part:
            known = _narrow(style)
            try:
                cells += [known[char] for char in part]
            except _NotNarrow:
                for char in part:
                    _add(cells, char, style)
    return cells


class _NotNarrow(Exception):
    """A character that does not take one cell."""


class _Narrow(dict[str, Cell]):
    """The cells of one style by their character, each made once: equal ones are mostly the same
    object, which is how lists are compared fast, and the collector of garbage has less to do.
    Measured with full screens: put down and compared in 60 % of the time."""

    def __init__(self, style: Style) -> None:
        self._style = style

    def __missing__(self, char: str) -> Cell:
        if cell_len(char) != 1:
            raise _NotNarrow
        if len(self) >= KNOWN_CELLS:
            self.clear()
        cell = self[char] = (char, behind(self._style) if char == " " else self._style)
        return cell


_narrow = lru_cache(KNOWN_STYLES)(_Narrow)


def _add(cells: list[Cell], char: str, style: Style) -> None:
    width = cell_len(char)
    if width == 1:
        cells.append(_narrow(style)[char])
    elif width == 2:
        cells += (char, style), ("", style)
    elif not cells or not char.isprintable():
        raise _NoText
    else:
        before = -2 if cells[-1][0] == "" else -1
        cells[before] = (cells[before][0] + char, cells[before][1])
