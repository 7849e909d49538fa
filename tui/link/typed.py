"""Reads what a terminal sends: keys, the mouse, pastes and answers.

As Textual's own reader does (``LinuxDriver.run_input_thread``), but for three things:

* A lone Escape is known after `LONE_ESCAPE_S`. Textual waits for the rest of a sequence for
  100 ms, and looks whether these have passed ten times a second: 120 to 135 ms from key to
  screen were measured, where other keys take 10.
* A byte that is no UTF-8 is a character nobody can read, not the end of the program.
* A terminal that is gone is a hang-up, not an error.
"""

from __future__ import annotations

import codecs
import os
import select
from typing import TYPE_CHECKING, Final

from textual._parser import ParseError, Read1
from textual._xterm_parser import XTermParser

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from textual.message import Message

__all__ = ["LONE_ESCAPE_S", "InputParser", "TypedReader"]

LONE_ESCAPE_S: Final = 0.01
"""How long after an Escape the rest of a sequence may come. Terminals write a sequence at once, and
a serial line of 9600 baud takes 1 ms a byte; tmux waits as long (``escape-time``, 3.5)."""

_LOOK_S: Final = 0.1
"""How often a reader that has nothing to read looks whether it is to end."""

_READ_BYTES: Final = 4096
_AT_ONCE_S: Final = 0.001
"""Behind a time limit, so that it has passed for certain."""


class InputParser(XTermParser):
    """Textual's parser, which waits less for what follows a lone Escape.

    Who sets ``ESCDELAY`` (milliseconds, see ncurses(3X)) waits that long, as everywhere.
    """

    waits_s: float | None = None
    """How long it waits for the next character; None: as long as it takes."""
    _in_sequence = False

    def read1(self, timeout: float | None = None) -> Read1:  # type: ignore[override]
        """What the parser asks for: a character, within so many seconds."""
        if timeout is not None and not self._in_sequence and "ESCDELAY" not in os.environ:
            timeout = min(timeout, LONE_ESCAPE_S)
        # Escape and a bracket is no key that anybody presses: there the whole time is waited.
        self._in_sequence = timeout is not None
        self.waits_s = timeout
        return Read1(timeout)


class TypedReader:
    """Reads a terminal in a thread of its own.

    Args:
        fileno: The terminal, which need not block.
        take: Takes each message, in the thread.
        begun: Called when a key has begun to arrive that may be an Escape.
        debug: Textual's log of keys.
    """

    def __init__(
        self,
        fileno: int,
        take: Callable[[Message], None],
        begun: Callable[[], None],
        *,
        debug: bool,
    ) -> None:
        self._fileno = fileno
        self._take = take
        self._begun = begun
        self._parser = InputParser(debug)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def read_until(self, ended: threading.Event) -> bool:
        """Read until told to end.

        Returns:
            Whether the terminal is still there.
        """
        try:
            while not ended.is_set():
                if not self._read():
                    return False
            return True
        finally:
            self._close()

    def _read(self) -> bool:
        """Wait for something to read, or until it is clear that nothing follows."""
        waits_s = self._parser.waits_s
        wait_s = _LOOK_S if waits_s is None else waits_s + _AT_ONCE_S
        if select.select([self._fileno], [], [], wait_s)[0]:
            try:
                data = os.read(self._fileno, _READ_BYTES)
            except OSError:  # EIO: the other end of a pseudo-terminal is closed
                return False
            if not data:
                return False
            text = self._decoder.decode(data)
            for message in self._parser.feed(text) if text else ():  # half a character: wait
                self._take(message)
            if self._parser.waits_s is not None:
                self._begun()
        for message in self._parser.tick():
            self._take(message)
        return True

    def _close(self) -> None:
        try:
            for _ in self._parser.feed(""):
                pass  # half a sequence
        except (EOFError, ParseError):
            pass
