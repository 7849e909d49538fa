"""Columns that grow by rows, and from which rows are let go.

Rows move up when others are let go; a view of a column shows what is there then.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from capture.frames import Ints

ROOMY: Final = 4
"""Columns with so many times more room than rows are made smaller when rows are let go."""
_LEAST_ROOM: Final = 1024

_HALF: Final = (1 << 31) - 1


class Columns:
    """Growing numpy columns with one row a flow or a direction."""

    def __init__(self, spec: tuple[tuple[str, str, Any], ...], per_flow: int) -> None:
        self._spec = spec
        self.names = tuple([name for name, _, _ in spec])
        """Names of the columns."""
        row: Any = namedtuple("Row", self.names)  # type: ignore[misc]  # names known at run time
        self._make: Callable[[Any], Any] = row._make
        self._per_flow = per_flow
        self._room = self._used = 0
        for name, dtype, _ in spec:
            setattr(self, name, np.zeros(0, dtype))

    def __getattr__(self, name: str) -> NDArray[Any]:  # for type checkers: set in __init__
        raise AttributeError(name)

    def grow(self, flows: int) -> None:
        """Have that many flows; new rows hold the column's initial value."""
        rows = flows * self._per_flow
        if rows <= self._used:
            return
        if rows > self._room:
            self._make_room(max(_LEAST_ROOM, rows, self._room * 5 // 4))
        for name, _, initial in self._spec:
            if initial:
                getattr(self, name)[self._used : rows] = initial
        self._used = rows

    def _make_room(self, room: int) -> None:
        """Have room for that many rows, those in use among them."""
        for name, dtype, _ in self._spec:
            # Zeros take no memory before they are written: a counter of what never happens
            # costs nothing.
            column, before = np.zeros(room, dtype), getattr(self, name)[: self._used]
            if before.any():
                column[: self._used] = before
            setattr(self, name, column)
        self._room = room

    def take(self, rows: Ints) -> list[Any]:
        """Rows as named tuples of Python numbers; a batch costs little more than one."""
        columns = [getattr(self, name)[rows].tolist() for name, _, _ in self._spec]
        return list(map(self._make, zip(*columns, strict=True)))

    def keep(self, flows: Ints) -> None:
        """Keep the rows of these flows only (ascending); they move up."""
        rows = flows
        if self._per_flow > 1:
            rows = (self._per_flow * flows[:, None] + np.arange(self._per_flow)).ravel()
        stay = len(rows)
        for name, _, initial in self._spec:
            column = getattr(self, name)[: self._used]
            if initial or column.any():
                column[:stay] = column[rows]
                column[stay:] = initial
        self._used = stay
        if self._room > ROOMY * max(stay, _LEAST_ROOM):
            self._make_room(stay)

    def save(self, rows: Ints) -> dict[str, NDArray[Any]]:
        """The values of some rows; columns that hold nothing there are left out."""
        saved = {}
        for name, dtype, initial in self._spec:
            values = getattr(self, name)[rows]
            if not (values != initial).any():
                continue
            if dtype == "i8" and values.max() <= _HALF and values.min() >= -_HALF:
                values = values.astype(np.int32)  # most are no times: half the room
            saved[name] = values
        return saved

    def load(self, rows: Ints, saved: dict[str, NDArray[Any]]) -> None:
        """Put saved values into rows that were never written to."""
        for name, values in saved.items():
            getattr(self, name)[rows] = values

    def swap(self, left: int, right: int) -> None:
        """Exchange two rows."""
        for name, _, _ in self._spec:
            column = getattr(self, name)
            column[left], column[right] = column[right], column[left]
