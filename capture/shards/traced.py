"""Numbers that remember how they came about, and what was decided by them.

A function is run once with numbers that are traced. Every comparison of such a number is noted,
with how it came out. For other numbers of which all these comparisons come out the same, the
function would have gone the same way: its result is the same, but for the numbers in it that follow
from them, and these are worked out for many at once by ``Trace.values``.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from capture.frames import Ints
from capture.shards.bounds import NONE, Bounds, Linear

Code: TypeAlias = Linear | tuple[Any, ...]
"""How a number comes about: a ``Linear``, or the name of an operator and the codes of what it
takes, or ``("number", value)`` of a float."""


class Untraceable(Exception):
    """Something was done with a number that cannot be done with many at once."""


class Trace:
    """What was decided in one run."""

    def __init__(self) -> None:
        self._bounds = Bounds()
        self._decided: dict[Code, bool] = {}
        """Comparisons of which no bound tells."""

    def given(self, value: int, place: int) -> int:
        """A number that is traced.

        Args:
            value: What it is in this run.
            place: Its place: a column of what ``holds`` and ``values`` are given.
        """
        return _Whole(value, Linear(place, NONE, 0), self)

    def ranked(self, value: int, place: int) -> int:
        """A number that is traced, but for how it compares with others that are ranked: they are
        known to come in the same order in all runs."""
        return _Ranked(value, Linear(place, NONE, 0), self)

    def decide(self, name: str, left: Code, right: Code, outcome: bool) -> bool:
        """Note what came of a comparison."""
        if not self._bounded(name, left, right, outcome):
            self._decided[name, left, right] = outcome
        return outcome

    def _bounded(self, name: str, left: Code, right: Code, outcome: bool) -> bool:
        if not isinstance(left, Linear):
            return False
        if isinstance(right, Linear):
            apart = left.less(right)
            return apart is not None and self._bounds.note(apart, name, 0, outcome)
        return right[0] == "number" and self._bounds.note(left, name, right[1], outcome)

    def holds(self, numbers: Ints) -> NDArray[np.bool_]:
        """With which of many given numbers every comparison comes out as in this run.

        Args:
            numbers: One row a run, shape ``(n, places)``.
        """
        found = self._bounds.hold(numbers)
        known: dict[Code, Any] = {}
        for code, outcome in self._decided.items():
            found &= _worked_out(code, numbers, known) == outcome
        return found

    @staticmethod
    def values(result: Any, numbers: Ints) -> list[Any] | None:
        """What a result of this run is with many given numbers (see ``holds``); None for one
        that does not follow from them."""
        if not isinstance(result, _Whole | _Real):
            return None
        values: list[Any] = _worked_out(result.code, numbers, {}).tolist()
        return values


class _Whole(int):
    """A traced integer."""

    code: Code
    trace: Trace

    def __new__(cls, value: int, code: Code, trace: Trace) -> _Whole:
        self = super().__new__(cls, value)
        self.code, self.trace = code, trace
        return self

    def __hash__(self) -> int:
        raise Untraceable


class _Ranked(_Whole):
    """A traced integer of which is known how it compares with others of its kind, and with 0."""

    def __hash__(self) -> int:
        return int.__hash__(self)

    def __bool__(self) -> bool:
        return int.__bool__(self)


class _Real(float):
    """A traced float. ``float()`` makes a plain one of it, for texts."""

    code: Code
    trace: Trace

    def __new__(cls, value: float, code: Code, trace: Trace) -> _Real:
        self = super().__new__(cls, value)
        self.code, self.trace = code, trace
        return self

    def __hash__(self) -> int:
        raise Untraceable


def _worked_out(code: Code, numbers: Ints, known: dict[Code, Any]) -> Any:
    """The value of a code for each row of given numbers, or for all."""
    if code[0] == "number":
        return code[1]
    value = known.get(code)
    if value is None:
        if isinstance(code, Linear):
            value = code.of(numbers)
        else:
            taken = [_worked_out(part, numbers, known) for part in code[1:]]
            value = _OPERATORS[code[0]](*taken)
        known[code] = value
    return value


_ARITHMETIC: Final = ("add", "sub", "mul", "truediv", "floordiv", "neg", "abs")
_COMPARING: Final = ("lt", "le", "gt", "ge", "eq", "ne")
_OPERATORS: Final[dict[str, Callable[..., Any]]] = {
    name: getattr(operator, name) for name in (*_ARITHMETIC, *_COMPARING)
}
_REFUSED: Final = (
    "mod", "rmod", "divmod", "rdivmod", "pow", "rpow", "lshift", "rshift", "and", "or", "xor",
    "int", "round", "trunc", "floor", "ceil",
)  # fmt: skip


def _code_of(value: Any) -> Code:
    if isinstance(value, _Whole | _Real):
        return value.code
    return ("number", value) if isinstance(value, float) else Linear(NONE, NONE, int(value))


def _linear(name: str, codes: Sequence[Code]) -> Linear | None:
    """The code of a sum or difference of whole numbers; None if it is not as simple."""
    if name not in ("add", "sub", "neg"):
        return None
    left, right = codes if len(codes) == 2 else (Linear(NONE, NONE, 0), codes[0])
    if not (isinstance(left, Linear) and isinstance(right, Linear)):
        return None
    if name == "add":
        right = Linear(right.minus, right.plus, -right.more)
    return left.less(right)


def _plain(value: Any) -> Any:
    """The number without its trace."""
    if isinstance(value, _Whole):
        return int.__index__(value)
    return float.__float__(value) if isinstance(value, _Real) else value


def _calculates(name: str, *, turned: bool = False) -> Callable[..., Any]:
    """A method that traces an operation; ``turned``: with the operands exchanged."""
    work_out = _OPERATORS[name]

    def method(self: Any, *others: Any) -> Any:
        if not all(isinstance(other, int | float) for other in others):
            return NotImplemented
        operands = (*others, self) if turned else (self, *others)
        value = work_out(*map(_plain, operands))
        codes = [_code_of(operand) for operand in operands]
        if isinstance(value, float):
            return _Real(value, (name, *codes), self.trace)
        return _Whole(value, _linear(name, codes) or (name, *codes), self.trace)

    return method


def _compares(name: str) -> Callable[..., Any]:
    """A method that notes what came of a comparison."""
    work_out = _OPERATORS[name]

    def method(self: Any, other: Any) -> Any:
        if not isinstance(other, int | float):
            return NotImplemented
        outcome = bool(work_out(_plain(self), _plain(other)))
        if isinstance(self, _Ranked) and isinstance(other, _Ranked):
            return outcome
        return self.trace.decide(name, self.code, _code_of(other), outcome)

    return method


def _refuses(self: Any, *_: Any) -> Any:
    raise Untraceable


def _is_true(self: Any) -> bool:
    return bool(self != 0)


for _kind in (_Whole, _Real):
    for _name in _ARITHMETIC:
        setattr(_kind, f"__{_name}__", _calculates(_name))
    for _name in ("add", "sub", "mul", "truediv", "floordiv"):
        setattr(_kind, f"__r{_name}__", _calculates(_name, turned=True))
    for _name in _COMPARING:
        setattr(_kind, f"__{_name}__", _compares(_name))
    for _name in _REFUSED:
        setattr(_kind, f"__{_name}__", _refuses)
    setattr(_kind, "__bool__", _is_true)  # noqa: B010
