"""Payload of kept segments: copied out of its block, or left where it lies.

Of a plain file that is read once more where needed, only the places are noted: then kept
segments take next to no memory, of which most are dropped unread.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import compress
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from capture.frames import Bytes, Ints

LOOSE: Final = 4
HEADERS: Final = 80
"""A stretch of the file is read at once unless it is so many times larger than the segments that
are wanted of it, each with its headers."""


class Payloads(Protocol):
    """Payload of some segments, in order; never changed."""

    def __len__(self) -> int: ...

    def take(self, which: Ints) -> list[bytes]:
        """Payload of the segments at these places."""
        ...

    def some(self, stay: NDArray[np.bool_]) -> Payloads:
        """Without the segments that are False."""
        ...


class Copied:
    """Payload as bytes of its own."""

    __slots__ = ("_items",)

    def __init__(self, items: list[bytes]) -> None:
        self._items = items

    @classmethod
    def of(cls, data: Bytes, at: Ints, end: Ints) -> Copied:
        """Copy ``data[at:end]`` of each segment."""
        view = memoryview(data.data)
        return cls([view[i:j].tobytes() for i, j in zip(at.tolist(), end.tolist(), strict=True)])

    def __len__(self) -> int:
        return len(self._items)

    def take(self, which: Ints) -> list[bytes]:
        """See ``Payloads``."""
        return [self._items[place] for place in which.tolist()]

    def some(self, stay: NDArray[np.bool_]) -> Copied:
        """See ``Payloads``."""
        return Copied(list(compress(self._items, stay.tolist())))


class File:
    """A file that can be read again, of which a part is in memory.

    Args:
        far: Reads so many bytes from a position on; fewer, or none, where they are gone.
    """

    def __init__(self, far: Callable[[int, int], bytes]) -> None:
        self._far = far
        self.base = 0
        """Where the part begins in the file."""
        self._end = 0
        self._view = memoryview(b"")

    def show(self, base: int, data: Bytes) -> None:
        """Look into this part until another one is shown."""
        self._view = memoryview(data.data)
        self.base, self._end = base, base + len(data)

    def hide(self) -> None:
        """The part is not in memory any more."""
        self._view, self._end = memoryview(b""), 0

    def read(self, at: Ints, size: Ints) -> list[bytes]:
        """Bytes at several places; what the file does not hold any more is missing."""
        if not len(at):
            return []
        base, view, far = self.base, self._view, self._far
        first, last = int(at.min()), int((at + size).max())
        apart = last <= base or first >= self._end
        if apart and last - first <= LOOSE * (int(size.sum()) + HEADERS * len(at)):
            data, at = far(last - first, first), at - first
            return [data[i:j] for i, j in zip(at.tolist(), (at + size).tolist(), strict=True)]
        end = base + len(view)
        return [
            view[i - base : i - base + n].tobytes() if base <= i < end else far(n, i)
            for i, n in zip(at.tolist(), size.tolist(), strict=True)
        ]


class Spots:
    """Places of payload in a file."""

    __slots__ = ("_at", "_file", "_size")

    def __init__(self, file: File, at: Ints, size: Ints) -> None:
        self._file = file
        self._at = at
        self._size = size

    def __len__(self) -> int:
        return len(self._at)

    def take(self, which: Ints) -> list[bytes]:
        """See ``Payloads``."""
        return self._file.read(self._at[which], self._size[which])

    def some(self, stay: NDArray[np.bool_]) -> Spots:
        """See ``Payloads``."""
        return Spots(self._file, self._at[stay], self._size[stay])

    @classmethod
    def joined(cls, parts: Sequence[Spots]) -> Spots:
        """Several of one file as one."""
        return cls(
            parts[0]._file,
            np.concatenate([part._at for part in parts]),
            np.concatenate([part._size for part in parts]),
        )


def joined(parts: Sequence[Payloads]) -> Payloads:
    """Payload of several lots of segments as one."""
    spots = [part for part in parts if isinstance(part, Spots)]
    if len(spots) == len(parts):
        return Spots.joined(spots)
    return Copied([item for part in parts for item in part.take(np.arange(len(part)))])
