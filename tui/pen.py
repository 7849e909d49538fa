"""Writes cells to a terminal in few bytes: where the cursor stands and the style are remembered."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from tui.thrift import PLAIN, Style, behind, change

__all__ = ["NO_SHORTCUTS", "Pen", "Shortcuts", "shortcuts_of"]

_LEAST: Final = 8
"""So many bytes of equal characters cost more than saying how often they come."""
_RUN: Final = re.compile(r"([ -~])\1{7,}|([^\x00-\x7f])\2{3,}")


class Shortcuts(NamedTuple):
    """What a terminal knows of control functions that stand for many cells."""

    erase: bool = False
    """ECH takes on the colour behind the text (terminfo: ``ech`` and ``bce``)."""
    repeat: bool = False
    """REP (terminfo: ``rep``)."""


NO_SHORTCUTS: Final = Shortcuts()


def shortcuts_of(terminal: str | None = None) -> Shortcuts:
    """What the terminal's description says of it.

    Args:
        terminal: Its name; None: that in the environment.
    """
    try:
        import curses

        curses.setupterm(terminal or os.environ.get("TERM", ""), 1)
        return Shortcuts(
            erase=curses.tigetstr("ech") == b"\x1b[%p1%dX" and curses.tigetflag("bce") == 1,
            repeat=curses.tigetstr("rep") == b"%p1%c\x1b[%p2%{1}%-%db",
        )
    except (ImportError, OSError, ValueError, curses.error):
        return NO_SHORTCUTS


class Pen:
    """Collects what is to be written.

    Args:
        at: Where the cursor stands, line and column from 1; None: not known.
        shortcuts: What the terminal knows.
    """

    def __init__(self, at: tuple[int, int] | None, shortcuts: Shortcuts = NO_SHORTCUTS) -> None:
        self.at = at
        """Where the cursor stands behind what was written."""
        self.octets = 0
        """Length of what was written, in UTF-8."""
        self._shortcuts = shortcuts
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
        for one in self._runs(text):
            count = len(one)
            self.go(y, x)
            self._set(style, blank=one.isspace())
            if self._shortcuts.erase and not style.attributes and _is_run(one, " "):
                self._add(f"\x1b[{count}X")  # the cursor stays
            elif self._shortcuts.repeat and _is_run(one, one[0]):
                self._add(f"{one[0]}\x1b[{count - 1}b")
                self.at = (y, x + count)
            else:
                self._add(one)
                self.at = (y, x + count)
            x += count

    def _runs(self, text: str) -> Iterator[str]:
        """A text in parts, each of which is said in one way."""
        if not any(self._shortcuts):
            yield text
            return
        at = 0
        for found in _RUN.finditer(text):
            if found.start() > at:
                yield text[at : found.start()]
            yield found[0]
            at = found.end()
        if at < len(text):
            yield text[at:]

    def write_odd(self, y: int, x: int, text: str, style: Style) -> None:
        """Write one character that may take any width, and all that combine with it."""
        if not text:
            return
        self.go(y, x)
        self._set(style, blank=False)
        self._add(text)
        self.at = (y, x + 1) if text.isascii() else None

    def _set(self, style: Style, *, blank: bool) -> None:
        if blank and behind(self._style) == behind(style):
            return
        self._add(change(self._style, style))
        self._style = style

    def _add(self, text: str) -> None:
        self._parts.append(text)
        self.octets += len(text) if text.isascii() else len(text.encode("utf-8", "replace"))

    def lifted(self) -> str:
        """All that was written; the style is reset at its end, as at its beginning."""
        self._add(change(self._style, PLAIN))
        self._style = PLAIN
        return "".join(self._parts)


def _is_run(text: str, char: str) -> bool:
    """Whether a text is one character over and over, and worth saying so."""
    return len(text) > 3 and (len(text) >= _LEAST or not char.isascii()) and not text.strip(char)
