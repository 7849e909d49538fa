"""Equal things get the same number, which is compared in no time."""

from __future__ import annotations

from collections.abc import Hashable
from itertools import count
from typing import Final

MOST: Final = 1024
"""Different things remembered; then all are forgotten."""


class Numbers:
    """Numbers things. Unequal ones never get the same number; equal ones do, as long as there are
    not many others."""

    def __init__(self) -> None:
        self._next = count(1)
        self._known: dict[Hashable, int] = {}

    def of(self, thing: Hashable) -> int:
        """The number of a thing, from 1."""
        number = self._known.get(thing)
        if number is None:
            if len(self._known) >= MOST:
                self._known.clear()
            number = self._known[thing] = next(self._next)
        return number
