"""The bounded queue between a sniffer's thread and the one that analyses.

A crate is a large buffer that copies of ring blocks are put into one behind the other. While
the reader keeps up, each holds a little; when it falls behind, crates fill up, so that it
gets fewer and larger blocks just when there is much to do. Crates are used again, since
fresh memory costs more than the copying.
"""

from __future__ import annotations

import mmap
import threading
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from capture.frames import Bytes
from capture.live.ring import BLOCK_BYTES, Run

CRATE_BLOCKS: Final = 16
CRATE_BYTES: Final = CRATE_BLOCKS * BLOCK_BYTES
_USUAL: Final = 3
"""Crates that are kept for use: one is written, one waits, one is read. More are for a burst."""


@dataclass(slots=True)
class Crate:
    """Copies of ring blocks."""

    data: Bytes = field(default_factory=lambda: _memory(CRATE_BYTES))
    runs: list[Run] = field(default_factory=list)
    used: int = 0
    view: memoryview = field(init=False)

    def __post_init__(self) -> None:
        self.view = self.data.data

    def add(self, span: Bytes, runs: Sequence[Run], base: int = 0) -> None:
        """Copy bytes behind those there are.

        Args:
            span: They fit.
            runs: The blocks in them.
            base: The place from which those of the blocks count, at which the span begins.
        """
        self.data[self.used : self.used + len(span)] = span
        by = self.used - base
        self.runs += [
            Run(by + one.start, by + one.end, by + one.first, one.packets) for one in runs
        ]
        self.used += len(span)


def _memory(size: int) -> Bytes:
    """Memory of our own, in small pages.

    Large ones, which numpy asks for, took a guest two to three times as long to get (measured):
    free memory in large pieces is what it had given back to its host.
    """
    area = mmap.mmap(-1, size)
    if hasattr(mmap, "MADV_NOHUGEPAGE"):
        with suppress(OSError):  # a kernel without large pages
            area.madvise(mmap.MADV_NOHUGEPAGE)
    return np.frombuffer(area, np.uint8)


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

    def put(self, span: Bytes, runs: Sequence[Run], *, grow: bool = True) -> bool:
        """Copy blocks of the ring into the queue.

        Numpy lets others compute while it copies. To get the interpreter's lock back then
        takes 5 ms and more, so that many blocks should be copied at once (measured).

        Args:
            span: Bytes in which the blocks lie, at most a crate's worth.
            runs: The blocks, by their places in the span, in order.
            grow: More crates than usual may be filled; without, what does not fit waits where
                it is.

        Returns:
            False when the queue is full; nothing was taken then.
        """
        size = sum(run.end - run.start for run in runs)
        sparse = 2 * size < len(span)
        if not sparse:
            size = len(span)
        most = self._most if grow else min(self._most, _USUAL)
        with self._lock:
            # The reader cannot get at the crate while it is written.
            if self._filled and self._filled[-1].used + size <= CRATE_BYTES:
                crate = self._filled.pop()
            elif len(self._filled) + self._out >= most:
                return False
            else:
                crate = self._empty.pop() if self._empty else Crate()
        if sparse:
            for run in runs:
                crate.add(span[run.start : run.end], [run], run.start)
        else:
            crate.add(span, runs)
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
            if len(self._empty) < _USUAL:
                self._empty.append(crate)
