"""What workers say to each other while they read: short messages, and columns in shared memory."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from mmap import mmap
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from capture.shards.channel import Channel, Kind, pack, unpack
from capture.sources.windows import MOST_MAPPED

T = TypeVar("T")

ROOM: Final = MOST_MAPPED + (MOST_MAPPED >> 2)
"""Bytes of a slot: the headers of a window take no more than the window, other frames' columns
can. What is never written to takes no memory."""
SLOTS: Final = 2
"""Slots a worker: one is written while others may still need the one before (``looks``)."""
_ALIGNED: Final = 16


class Exchange:
    """The means of all workers; made before the first of them is forked.

    Args:
        count: How many there are.
    """

    def __init__(self, count: int) -> None:
        self._memory = [mmap(-1, SLOTS * ROOM) for _ in range(count)]
        self._channels: list[dict[int, Channel]] = [{} for _ in range(count)]
        for one, other in combinations(range(count), 2):
            self._channels[one][other], self._channels[other][one] = Channel.pair()

    def of(self, index: int) -> Peers:
        """In a worker: what is its own. The others' ends are closed, or nobody would notice that
        one of them is gone."""
        for number, channels in enumerate(self._channels):
            if number != index:
                for channel in channels.values():
                    channel.close()
        return Peers(index, self._channels[index], self._memory)

    def close(self) -> None:
        """In the parent: leave it to the workers; idempotent."""
        for channels in self._channels:
            for channel in channels.values():
                channel.close()
        for memory in self._memory:
            memory.close()


class Peers:
    """The other workers, as one of them sees them.

    Args:
        index: Which one, from 0.
        channels: To each of the others.
        memory: Of every worker.
    """

    def __init__(self, index: int, channels: dict[int, Channel], memory: Sequence[mmap]) -> None:
        self.index = index
        self.count = len(memory)
        self.others = tuple(channels)
        self._channels = channels
        self._memory = memory

    def tell(self, other: int, value: Any) -> None:
        """Tell another worker a little of a window.

        Raises:
            Lost: It is gone.
        """
        self._channels[other].send(Kind.TOLD, pack(value))

    def hear(self, other: int) -> Any:
        """What another worker tells next.

        Raises:
            Lost: It is gone.
        """
        return unpack(self._channels[other].receive()[1])

    def show(self, value: T) -> list[T]:
        """Show all workers a value, which all do at this point; what each showed, this one's own
        as it is.

        Raises:
            Lost: One of them is gone.
        """
        shown = pack(value)
        heard: dict[int, bytes] = {}
        # No two wait for each other to read: the lower speaks first, and everybody meets the
        # others in order, so that of all meetings to come the first can always be held.
        for other in sorted(self.others):
            if self.index < other:
                self._channels[other].send(Kind.SHOWN, shown)
            heard[other] = self._shown(other)
            if self.index > other:
                self._channels[other].send(Kind.SHOWN, shown)
        # Nobody waits for us any more.
        return [unpack(heard[worker]) if worker in heard else value for worker in range(self.count)]

    def _shown(self, other: int) -> bytes:
        kind, data = self._channels[other].receive()
        while kind is not Kind.SHOWN:  # of a window that nobody took any more
            kind, data = self._channels[other].receive()
        return data

    def part(self) -> None:
        """Give up the shared memory: nobody will look at more."""
        for memory in self._memory:
            memory.close()

    def slot(self, worker: int, turn: int) -> Slot:
        """Where a worker puts what it saw in its window number ``turn``."""
        return Slot(self._memory[worker], turn % SLOTS * ROOM)


class Slot:
    """Room for columns, one after the other.

    Args:
        memory: Shared by all workers.
        start: Where the slot begins.
    """

    def __init__(self, memory: mmap, start: int) -> None:
        self._memory = memory
        self._at = start
        self._end = start + ROOM

    def column(self, dtype: Any, count: int) -> NDArray[Any]:
        """The next column, not copied.

        Raises:
            NoRoom: The slot is too small for it.
        """
        dtype = np.dtype(dtype)
        at = self._at
        self._at += -(-dtype.itemsize * count // _ALIGNED) * _ALIGNED
        if self._at > self._end:
            raise NoRoom
        return np.ndarray((count,), dtype, self._memory, at)


class NoRoom(Exception):
    """A slot is too small for what should be in it."""
