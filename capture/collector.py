"""Keeps Python's garbage collector from walking what a capture keeps.

The packets and facts of a large capture are millions of objects, hardly a cycle among them. The
collector would walk all of them time and again, and every thread stands still meanwhile:
measured with 54,000 tunnels, 1.7 s in one go, and as much time in all as reading took.
"""

from __future__ import annotations

import gc
from typing import Final

__all__ = ["set_aside", "take_back", "work_rarely"]

YOUNG: Final = 20_000
"""New objects after which the young ones are walked; a repaint of the screen makes thousands."""


def work_rarely() -> None:
    """Let the collector look at young objects less often than Python has it (some 700)."""
    gc.set_threshold(YOUNG, *gc.get_threshold()[1:])


def set_aside() -> None:
    """Leave alone all objects there are now; takes no time. They are freed as ever when nothing
    refers to them, but for those in cycles."""
    gc.freeze()


def take_back() -> None:
    """Let the collector look at everything again."""
    gc.unfreeze()
