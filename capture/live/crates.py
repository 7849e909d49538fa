"""The bounded queue between a sniffer's thread and the one that analyses.

A crate is a large buffer that copies of ring blocks are put into one behind the other. While
the reader keeps up, each holds a little; when it falls behind, crates fill up, so that it
gets fewer and larger blocks just when there is much to do. Crates are used again, since
fresh memory costs more than the copying.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from capture.frames import Bytes
from capture.live.ring import BLOCK_BYTES, Run

CRATE_BLOCKS: Final = 16
CRATE_BYTES: Final = CRATE_BLOCKS * BLOCK_BYTES
_KEPT: Final = 2
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

    def put(self, span: Bytes, runs: Sequence[Run]) -> bool:
        """Copy blocks of the ring into the queue.

        Numpy lets others compute while it copies. To get the interpreter's lock back then
        takes 5 ms and more, so that many blocks should be copied at once (measured).

        Args:
            span: Bytes in which the blocks lie, at most a crate's worth.
            runs: The blocks, by their places in the span.

        Returns:
            False when the queue is full; nothing was taken then.
        """
        with self._lock:
            # The reader cannot get at the crate while it is written.
            if self._filled and self._filled[-1].used + len(span) <= CRATE_BYTES:
                crate = self._filled.pop()
            elif len(self._filled) + self._out >= self._most:
                return False
            else:
                crate = self._empty.pop() if self._empty else Crate()
        start = crate.used
        crate.data[start : start + len(span)] = span
        crate.runs += [
            Run(start + one.start, start + one.end, start + one.first, one.packets) for one in runs
        ]
        crate.used += len(span)
        with self._lock:
            self._filled.append(crate)
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
