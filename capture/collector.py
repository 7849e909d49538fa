"""Keeps Python's garbage collector from walking what a capture keeps.

The packets and facts of a large capture are millions of objects, hardly a cycle among them. The
collector would walk all of them time and again, and every thread stands still meanwhile:
measured with 54,000 tunnels, 1.7 s in one go, and as much time in all as reading took.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

__all__ = ["Keeper", "catch_up", "put_off", "set_aside", "take_back", "work_rarely"]

YOUNG: Final = 20_000
"""New objects after which the young ones are walked; a repaint of the screen makes thousands."""

MIDDLE: Final = 3
"""Looks at the young after which what outlived them is walked: after ten, as Python has it, that
stops all threads for 53 ms while 54,000 tunnels are played (measured)."""
OLD: Final = 30
"""And looks at these after which all is walked: as often as ever."""


STARTING: Final = 100_000
"""More objects than are made while a program is imported, of which nearly all stay: to walk them
meanwhile takes 10 ms of 150 (measured)."""


def work_rarely(young: int = YOUNG) -> None:
    """Let the collector look at young objects less often than Python has it (some 700), and at
    those of middle age more often, that it never takes long.

    Args:
        young: How many objects are made between two looks.
    """
    gc.set_threshold(young, MIDDLE, OLD)


def set_aside() -> None:
    """Leave alone all objects there are now; takes no time. They are freed as ever when nothing
    refers to them, but for those in cycles."""
    gc.freeze()


def take_back() -> None:
    """Let the collector look at everything again."""
    gc.unfreeze()


@contextmanager
def put_off() -> Iterator[None]:
    """Collect nothing meanwhile: what is made within is many objects without cycles, and walking
    them again and again stops the other threads, too."""
    working = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if working:
            gc.enable()


def catch_up() -> None:
    """Walk now, at the end of what was put off, what is due. Else whoever makes the next object
    would: most likely the screen, in the midst of the answer to a key (measured with 54,000
    tunnels: 19 ms)."""
    (young, middle, _), (most_young, most_middle, _) = gc.get_count(), gc.get_threshold()
    if young > most_young > 0:
        gc.collect(1 if middle > most_middle else 0)


ASIDE_S: Final = 5.0
"""How often a capture that goes on sets aside what it has come to know. Of what a screen draws,
which is full of cycles, little is as old."""
MANY: Final = 500_000
GROWTH: Final = 1.3
"""When so many objects are set aside, at least, and so many times those that were left at the last
look at them all, cycles among them are looked for, ..."""
ALL_S: Final = 600.0
"""... and after this time all the same: screens that were closed are cycles."""


class Keeper:
    """Keeps the pauses of a capture that goes on short: with 7,000 tunnels in the list, and 100
    new ones a second, all threads stood still for 0.2 to 0.4 s every 14 s (measured).

    Args:
        now: Seconds on a monotonic clock.
    """

    def __init__(self, now: float) -> None:
        self._aside_at = now + ASIDE_S
        self._all_at = now + ALL_S
        self._many = MANY

    def tend(self, now: float) -> None:
        """To be called now and then.

        Args:
            now: Seconds on the same clock.
        """
        if now < self._aside_at:
            return
        self._aside_at = now + ASIDE_S
        if not any(gc.get_count()[1:]):
            return  # nothing has outlived a look since: an idle capture sleeps
        everything = now >= self._all_at or gc.get_freeze_count() > self._many
        if everything:
            take_back()
        gc.collect()  # but for what is set aside
        set_aside()
        if everything:
            self._all_at = now + ALL_S
            self._many = max(MANY, round(gc.get_freeze_count() * GROWTH))
