"""Values that are worked out when they are asked for first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar, overload

T = TypeVar("T")


class lazy(Generic[T]):
    """A property that keeps its value in the instance.

    ``functools.cached_property`` takes a lock in Python 3.11 each time it works a value out:
    a microsecond, several times for each of many thousand flows.
    """

    def __init__(self, work_out: Callable[[Any], T]) -> None:
        self._work_out = work_out
        self._name = work_out.__name__
        self.__doc__ = work_out.__doc__

    @overload
    def __get__(self, instance: None, owner: type | None = None) -> lazy[T]: ...

    @overload
    def __get__(self, instance: object, owner: type | None = None) -> T: ...

    def __get__(self, instance: object | None, owner: type | None = None) -> T | lazy[T]:
        if instance is None:
            return self
        # From now on the instance's own entry is found first, and this is not called again.
        value = instance.__dict__[self._name] = self._work_out(instance)
        return value
