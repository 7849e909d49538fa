"""Payload of kept segments: copied out of its block, or left where it lies.

Of a plain file that is read once more where needed, only the places are noted: then kept
segments take next to no memory, of which most are dropped unread.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import compress
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from capture.frames import Bytes, Ints


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


class Spots:
    """Places of payload in a file that stays open."""

    __slots__ = ("_at", "_fd", "_size")

    def __init__(self, fd: int, at: Ints, size: Ints) -> None:
        self._fd = fd
        self._at = at
        self._size = size

    def __len__(self) -> int:
        return len(self._at)

    def take(self, which: Ints) -> list[bytes]:
        """See ``Payloads``; what the file does not hold any more is missing."""
        fd, read = self._fd, os.pread
        return [
            read(fd, size, at)
            for size, at in zip(self._size[which].tolist(), self._at[which].tolist(), strict=True)
        ]

    def some(self, stay: NDArray[np.bool_]) -> Spots:
        """See ``Payloads``."""
        return Spots(self._fd, self._at[stay], self._size[stay])

    @classmethod
    def joined(cls, parts: Sequence[Spots]) -> Spots:
        """Several of one file as one."""
        return cls(
            parts[0]._fd,
            np.concatenate([part._at for part in parts]),
            np.concatenate([part._size for part in parts]),
        )


def joined(parts: Sequence[Payloads]) -> Payloads:
    """Payload of several lots of segments as one."""
    spots = [part for part in parts if isinstance(part, Spots)]
    if len(spots) == len(parts):
        return Spots.joined(spots)
    return Copied([item for part in parts for item in part.take(np.arange(len(part)))])
