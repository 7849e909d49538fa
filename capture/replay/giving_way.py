"""Lets the screen go first while a state is made that nobody asked for.

Python runs one thread at a time: while a state is made, whatever the screen does takes twice as
long, and to look at 54,000 tunnels takes a tenth of a second.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

__all__ = ["GiveWay", "GivingWay", "go_on"]

LOOK_S: Final = 0.002
MOST_S: Final = 0.3
"""For one state; keys that are held down must not stop the clock."""

GiveWay = Callable[[], float]
"""To be called every few milliseconds of work; may wait, and returns how many seconds it did."""


def go_on() -> float:
    """Give way to nobody."""
    return 0.0


class GivingWay:
    """Waits while somebody else is to go first.

    Args:
        busy: Whether somebody is; called from the thread that gives way.
        most_s: Seconds that are waited at most, in all.
    """

    def __init__(self, busy: Callable[[], bool], most_s: float = MOST_S) -> None:
        self._busy = busy
        self._left = most_s
        self.waited_s = 0.0
        """Seconds waited so far."""

    def __call__(self) -> float:
        began = now = time.monotonic()
        while now - began < self._left and self._busy():
            time.sleep(LOOK_S)
            now = time.monotonic()
        self._left -= now - began
        self.waited_s += now - began
        return now - began
