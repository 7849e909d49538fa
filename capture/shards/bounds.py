"""What comparisons say of given numbers: between which bounds they lie, and how far apart two of
them are. So hundreds of comparisons are a few, decided for many runs at once; and exactly, where
columns of floats would not hold a time in nanoseconds."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from capture.frames import Ints

NONE: Final = -1
_LEAST: Final = -(1 << 63)
_MOST: Final = (1 << 63) - 1

_NEGATED: Final = {"lt": "ge", "ge": "lt", "gt": "le", "le": "gt", "eq": "ne", "ne": "eq"}
_TURNED: Final = {"lt": "gt", "gt": "lt", "ge": "le", "le": "ge", "eq": "eq", "ne": "ne"}


class Linear(NamedTuple):
    """A given number less another one, and a constant more; without both, a constant."""

    plus: int
    """Place of the first; ``NONE`` without it."""
    minus: int
    """Place of the second; ``NONE`` without it."""
    more: int

    def less(self, other: Linear) -> Linear | None:
        """The difference; None if that is not as simple."""
        if other.plus == other.minus == NONE:
            return Linear(self.plus, self.minus, self.more - other.more)
        plus = [place for place in (self.plus, other.minus) if place != NONE]
        minus = [place for place in (self.minus, other.plus) if place != NONE]
        for place in set(plus).intersection(minus):
            plus.remove(place)
            minus.remove(place)
        if len(plus) > 1 or len(minus) > 1:
            return None
        return Linear((*plus, NONE)[0], (*minus, NONE)[0], self.more - other.more)

    def of(self, numbers: Ints) -> Ints | int:
        """Its value for each row of given numbers, or for all."""
        value: Ints | int = self.more
        if self.plus != NONE:
            value = value + numbers[:, self.plus]
        if self.minus != NONE:
            value = value - numbers[:, self.minus]
        return value


class Bounds:
    """What is known of given numbers."""

    def __init__(self) -> None:
        self._pairs: dict[tuple[int, int], int] = {}
        """Numbers and differences of two, in order."""
        self._least: list[int] = []
        self._most: list[int] = []
        self._apart: set[tuple[int, int]] = set()
        """Which of them is not equal to what."""

    def note(self, what: Linear, name: str, limit: float, outcome: bool) -> bool:
        """Note what came of a comparison with a constant.

        Args:
            what: What was compared.
            name: How: the name of an operator.
            limit: The constant.
            outcome: What came of it.

        Returns:
            False for one that no bound can tell.
        """
        if not outcome:
            name = _NEGATED[name]
        if not -math.inf < limit < math.inf:
            return False
        # What is whole and less than 2.5 is less than 3; what is more than 2.5 is more than 2.
        whole = math.ceil(limit) if name in ("lt", "ge") else math.floor(limit)
        if name in ("eq", "ne") and whole != limit:
            return name == "ne"
        plus, minus, border = what.plus, what.minus, whole - what.more
        if plus == NONE or NONE != minus < plus:
            plus, minus, border, name = minus, plus, -border, _TURNED[name]
        if plus == NONE:
            return True  # a constant is always the same
        at = self._pairs.setdefault((plus, minus), len(self._pairs))
        if at == len(self._least):
            self._least.append(_LEAST)
            self._most.append(_MOST)
        if name == "ne" and _LEAST <= border <= _MOST:
            self._apart.add((at, border))
        if name in ("gt", "ge", "eq"):
            self._least[at] = max(self._least[at], border + (name == "gt"))
        if name in ("lt", "le", "eq"):
            self._most[at] = min(self._most[at], border - (name == "lt"))
        return True

    def hold(self, numbers: Ints) -> NDArray[np.bool_]:
        """Of which rows of given numbers all of it is true."""
        if not self._pairs:
            return np.ones(len(numbers), np.bool_)
        plus, minus = np.array(list(self._pairs)).T
        values = numbers[:, plus]
        two = minus != NONE
        values[:, two] -= numbers[:, minus[two]]
        within = (values >= np.array(self._least)) & (values <= np.array(self._most))
        found: NDArray[np.bool_] = np.all(within, axis=1)
        if self._apart:
            at, unlike = np.array(list(self._apart)).T
            found &= np.all(values[:, at] != unlike, axis=1)
        return found
