"""Writes cells to a terminal in few bytes: where the cursor stands and the style are remembered."""

from __future__ import annotations

import os
import re
from typing import Final

from tui.link.thrift import PLAIN, Style, behind, change

__all__ = ["Pen", "erases_in_colour"]

_MANY_BLANKS: Final = re.compile("( {8,})")
"""So many cost more than to erase them and to go on behind."""


def erases_in_colour() -> bool:
    """Whether cells of this terminal that are erased take on the colour behind the text, as far
    as its description says (terminfo: ``bce``)."""
    try:
        import curses
    except ImportError:
        return False
    try:
        curses.setupterm(os.environ.get("TERM", ""), 1)
        return curses.tigetflag("bce") == 1 and curses.tigetstr("ech") == b"\x1b[%p1%dX"
    except (curses.error, OSError, ValueError):
        return False


class Pen:
    """Collects what is to be written, and remembers what the terminal makes of it.

    Args:
        erasing: Blanks may be erased rather than written: the terminal knows ECH, and cells
            that are erased take on the colour behind the text.
    """

    def __init__(self, *, erasing: bool = False) -> None:
        self.at: tuple[int, int] | None = None
        """Where the cursor stands behind what was written, line and column from 1; None: not
        known."""
        self.octets = 0
        """Length of what waits to be taken, in UTF-8."""
        self._erasing = erasing
        self._style = PLAIN
        self._parts: list[str] = []

    def go(self, y: int, x: int) -> None:
        """Move the cursor."""
        if self.at == (y, x):
            return
        if self.at is not None and self.at[0] == y and self.at[1] < x:
            self._add(f"\x1b[{x - self.at[1]}C")
        else:
            self._add(f"\x1b[{y};{x}H")
        self.at = (y, x)

    def write(self, y: int, x: int, text: str, style: Style) -> None:
        """Write characters that take a cell each."""
        erasing = self._erasing and not style.attributes
        for part in filter(None, _MANY_BLANKS.split(text) if erasing else [text]):
            self.go(y, x)
            self._set(style, blank=part.isspace())
            if erasing and _MANY_BLANKS.fullmatch(part):
                self._add(f"\x1b[{len(part)}X")  # the cursor stays
            else:
                self._add(part)
                self.at = (y, x + len(part))
            x += len(part)

    def write_odd(self, y: int, x: int, text: str, style: Style) -> None:
        """Write one character that may take any width, and all that combine with it."""
        if not text:
            return
        self.go(y, x)
        self._set(style, blank=False)
        self._add(text)
        self.at = (y, x + 1) if text.isascii() else None

    def reset(self) -> None:
        """Go back to the style with which a terminal begins."""
        self._set(PLAIN, blank=False)

    def take(self) -> str:
        """What was written since the last time."""
        text = "".join(self._parts)
        self._parts.clear()
        self.octets = 0
        return text

    def _set(self, style: Style, *, blank: bool) -> None:
        if blank and behind(self._style) == behind(style):
            return
        self._add(change(self._style, style))
        self._style = style

    def _add(self, text: str) -> None:
        self._parts.append(text)
        self.octets += len(text) if text.isascii() else len(text.encode("utf-8", "replace"))
