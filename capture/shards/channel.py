"""Messages between the workers, and to the process that started them, over a pair of pipes."""

from __future__ import annotations

import os
import pickle
import struct
from contextlib import suppress
from enum import Enum
from typing import Any, Final

_HEAD: Final = struct.Struct("<BQ")


class Kind(Enum):
    """What a message is."""

    PROGRESS = 0
    """Bytes of the file that were read."""
    TOLD = 1
    """What a worker tells another of a window."""
    SHOWN = 2
    """What it shows all at the same point."""
    DONE = 3
    """A worker's result."""


class Lost(Exception):
    """The other end is gone."""


class Channel:
    """One end of two pipes.

    Args:
        read: Descriptor of the pipe to read from; owned from now on.
        write: Of the pipe to write to.
    """

    def __init__(self, read: int, write: int) -> None:
        self._read = open(read, "rb")  # noqa: SIM115 (closed by close)
        self._write = open(write, "wb", buffering=0)  # noqa: SIM115

    @classmethod
    def pair(cls) -> tuple[Channel, Channel]:
        """Two channels that are each other's ends."""
        mine, theirs = os.pipe(), os.pipe()
        return cls(mine[0], theirs[1]), cls(theirs[0], mine[1])

    def send(self, kind: Kind, data: bytes) -> None:
        """Send a message.

        Raises:
            Lost: Nobody will read it.
        """
        try:
            for part in (_HEAD.pack(kind.value, len(data)), data):
                view = memoryview(part)
                while view:
                    view = view[self._write.write(view) :]
        except (OSError, ValueError):
            raise Lost from None

    def receive(self) -> tuple[Kind, bytes]:
        """Wait for a message.

        Raises:
            Lost: None will come.
        """
        kind, size = _HEAD.unpack(self._exactly(_HEAD.size))
        return Kind(kind), self._exactly(size)

    def _exactly(self, size: int) -> bytes:
        try:
            data = self._read.read(size)
        except (OSError, ValueError):
            raise Lost from None
        if len(data) < size:
            raise Lost
        return data

    def close(self) -> None:
        """Close both pipes; idempotent."""
        for end in (self._read, self._write):
            with suppress(OSError):
                end.close()


def pack(value: Any) -> bytes:
    """A value as bytes, for the same program in another process."""
    return pickle.dumps(value, pickle.HIGHEST_PROTOCOL)


def unpack(data: bytes) -> Any:
    """What ``pack`` was given. Only ever read from our own workers."""
    return pickle.loads(data)
