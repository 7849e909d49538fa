"""Turns the times that a text prints into nanoseconds since the epoch."""

from __future__ import annotations

import itertools
from typing import Final

from capture.frames import SourceInfo
from capture.sources.text.packet_line import Stamp

_DAY: Final = 86_400 * 10**9
_LATEST: Final = (1 << 63) - 1
"""The year 2262: nanoseconds are kept in 64 bits."""


class Clock:
    """Times of packets in the order of the text.

    Args:
        info: ``assumed`` and ``times_known`` are kept up to date.
        differences: The text has ``-ttt``'s times since the packet before.
    """

    def __init__(self, info: SourceInfo, differences: bool) -> None:
        self._info = info
        self._differences = differences
        self._now = 0
        self._midnights = 0
        self._started = False
        info.times_known = False

    @property
    def now(self) -> int:
        """Time of the latest packet."""
        return self._now

    def at(self, stamp: Stamp | None) -> int:
        """Time of the next packet; one without a time of its own has that of the last."""
        if stamp is None:
            return self._now
        self._info.times_known = True
        if stamp.dated:
            self._now = stamp.nanoseconds
        elif self._differences:
            self._now += stamp.nanoseconds
        else:
            time = stamp.nanoseconds + self._midnights
            if self._started and time < self._now - _DAY // 2:
                self._midnights += _DAY
                time += _DAY
            self._now = time
        self._now = max(-_LATEST, min(self._now, _LATEST))
        if not self._started:
            self._started = True
            self._say(stamp)
        return self._now

    def _say(self, stamp: Stamp) -> None:
        if not stamp.dated:
            self._info.assumed.append("the text has no dates: its first day is shown as 1970-01-01")


def are_differences(stamps: list[Stamp | None]) -> bool:
    """Whether the first times of a text are ``-ttt``'s differences.

    They begin at zero, as do ``-ttttt``'s times since the first packet; but those never
    fall, and differences soon do.
    """
    times = [stamp.nanoseconds for stamp in stamps if stamp is not None and not stamp.dated]
    if not times or times[0] != 0:
        return False
    return any(later < earlier for earlier, later in itertools.pairwise(times))
