"""A progress bar on stderr, for people who wait."""

from __future__ import annotations

import os
import sys
import time
from typing import TextIO

_QUIET_S = 0.3
"""Not drawn before: most captures are read by then, and a flash tells nobody anything."""
_PERIOD_S = 0.1
_BAR = 24


class ProgressBar:
    """One line that is redrawn, and erased before anything else is written.

    Silent unless the stream is a terminal.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream if stream is not None else sys.stderr
        self._on = _is_terminal(self._stream) and os.environ.get("TERM") != "dumb"
        self._next = time.monotonic() + _QUIET_S
        self._drawn = False

    @property
    def enabled(self) -> bool:
        return self._on

    def __call__(self, part: float | None, label: str) -> None:
        """Show that ``part`` (0 to 1, None: unknown) of the work is done."""
        now = time.monotonic()
        if not self._on or now < self._next:
            return
        self._next = now + _PERIOD_S
        if part is None:
            line = "reading  "
        else:
            filled = round(max(0.0, min(1.0, part)) * _BAR)
            line = f"[{'#' * filled}{'.' * (_BAR - filled)}] {int(part * 100):3d} %  "
        line += label
        self._write(f"\r{line[: self._columns() - 1]}\x1b[K")
        self._drawn = True

    def clear(self) -> None:
        """Erase the bar, if there is one."""
        if self._drawn:
            self._drawn = False
            self._write("\r\x1b[K")

    def _columns(self) -> int:
        try:
            return max(20, os.get_terminal_size(self._stream.fileno()).columns)
        except (OSError, ValueError):
            return 80

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):
            self._on = self._drawn = False


def _is_terminal(stream: TextIO | None) -> bool:
    try:
        return stream is not None and stream.isatty()
    except ValueError:
        return False
