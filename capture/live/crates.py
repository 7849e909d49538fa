"""The bounded queue between a sniffer's thread and the one that analyses.

A crate is a large buffer that copies of ring blocks are put into one behind the other. While
the reader keeps up, each holds a little; when it falls behind, crates fill up, so that it
gets fewer and larger blocks just when there is much to do. Crates are used again, since
fresh memory costs more than the copying.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from capture.frames import Bytes
from capture.live.ring import BLOCK_BYTES, Run

CRATE_BYTES: Final = 4 * BLOCK_BYTES
_KEPT: Final = 3
"""Empty crates kept for use; more than that are left over from a burst."""


@dataclass(slots=True)
class Crate:
    """Copies of ring blocks."""

    data: Bytes = field(default_factory=lambda: np.empty(CRATE_BYTES, np.uint8))
    runs: list[Run] = field(default_factory=list)
    used: int = 0
    view: memoryview = field(init=False)

    def __post_init__(self) -> None:
        self.view = self.data.data


class Crates:
    """A bounded queue of crates, for one writer and one reader.

    Args:
        bound: Bytes that the queue takes at most; two crates at least.
        arrived: Set whenever there is something to take; may be shared by several queues.
    """

    def __init__(self, bound: int, arrived: threading.Event) -> None:
        self._most = max(2, bound // CRATE_BYTES)
        self._arrived = arrived
        self._lock = threading.Lock()
        self._filled: deque[Crate] = deque()
        self._empty: list[Crate] = []
        self._out = 0
        self.lost = 0
        """Packets that were thrown away because the queue was full."""

    def put(self, block: memoryview, first: int, packets: int) -> bool:
        """Copy a block of the ring into the queue.

        The interpreter's lock is kept meanwhile: numpy would let go of it, and to get it back
        takes up to 5 ms a block while others compute, far longer than copying (measured).

        Args:
            block: Its used bytes, at most a crate's worth.
            first: Offset of the first packet's header in it.
            packets: How many there are.

        Returns:
            False when the queue is full; the block was not taken then.
        """
        with self._lock:
            crate = self._filled[-1] if self._filled else None
            if crate is None or crate.used + len(block) > CRATE_BYTES:
                if len(self._filled) + self._out >= self._most:
                    return False
                crate = self._empty.pop() if self._empty else Crate()
                self._filled.append(crate)
            start, end = crate.used, crate.used + len(block)
            crate.view[start:end] = block
            crate.runs.append(Run(start, end, start + first, packets))
            crate.used = end
        self._arrived.set()
        return True

    def take(self) -> Crate | None:
        """The oldest crate, or None. It counts against the bound until it is given back."""
        with self._lock:
            if not self._filled:
                return None
            self._out += 1
            return self._filled.popleft()

    def give_back(self, crate: Crate) -> None:
        """Return a crate that was taken; its bytes may change from now on."""
        crate.runs = []
        crate.used = 0
        with self._lock:
            self._out -= 1
            if len(self._empty) < _KEPT:
                self._empty.append(crate)
