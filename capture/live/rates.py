"""Packets and bytes a second, smoothed so that the figures can be read."""

from __future__ import annotations

import math
from typing import Final

_TIME_CONSTANT_S: Final = 1.0
"""After a change the shown rate has gone two thirds of the way."""
_NOTHING: Final = 0.05
"""A rate that has faded below it is none."""


class Rates:
    """Exponentially weighted means, independent of how often they are looked at."""

    def __init__(self) -> None:
        self.packets_per_s = 0.0
        self.bytes_per_s = 0.0
        self._packets = 0
        self._octets = 0
        self._at: float | None = None

    def add(self, packets: int, octets: int) -> None:
        """Count what has come."""
        self._packets += packets
        self._octets += octets

    def tick(self, now_s: float) -> None:
        """Bring the rates up to date.

        Args:
            now_s: Monotonic seconds.
        """
        if self._at is None:
            self._at = now_s
            return
        passed = now_s - self._at
        if passed <= 0:
            return
        weight = 1 - math.exp(-passed / _TIME_CONSTANT_S)
        self.packets_per_s += weight * (self._packets / passed - self.packets_per_s)
        self.bytes_per_s += weight * (self._octets / passed - self.bytes_per_s)
        if self.packets_per_s < _NOTHING:
            self.packets_per_s = self.bytes_per_s = 0.0
        self._packets = self._octets = 0
        self._at = now_s
