"""Finds the records of a large file while this process still imports what to do with them.

Importing keeps one processor busy for a while, and another one idle: a process forked as soon as
the file is open walks it meanwhile. What it found by then the workers need not find again.
"""

from __future__ import annotations

import os
import struct
from mmap import mmap
from typing import Final

import numpy as np

from capture.shards.forking import end, fork
from capture.sources.pcap import PcapSource, Walks
from capture.sources.walk import Walk

ROOM: Final = 16 << 20
"""Bytes for where records begin, four a record: more than are ever found so soon."""
_FOUND: Final = struct.Struct("<QQQQ")
"""Offsets in the file of a window and its end, bytes of its whole records, number of these."""


class Ahead:
    """A process that walks a file.

    Args:
        source: The file; nothing was read of it yet.
    """

    def __init__(self, source: PcapSource) -> None:
        self._starts = mmap(-1, ROOM)
        self._found, told = os.pipe()
        self._stopped = False
        parent = os.getpid()
        try:
            self._pid = fork(lambda: self._walk(source, told, parent))
        except OSError:
            os.close(self._found)
            raise
        finally:
            os.close(told)

    def _walk(self, source: PcapSource, told: int, parent: int) -> None:
        source.mapped = True
        at = 0
        for window, found in source.walks():
            count = len(found.starts)
            if at + 4 * count > ROOM or os.getppid() != parent:
                return
            starts = np.ndarray((count,), np.uint32, self._starts, at)
            starts[:] = found.starts - window.start
            at += 4 * count
            begin = window.position + window.start
            size = found.stop - window.start
            # A system call: who reads of it also sees what was written before.
            os.write(told, _FOUND.pack(begin, window.position + window.end, size, count))

    def stop(self) -> Walks:
        """Let it walk no further; idempotent.

        Returns:
            What it found; nothing the second time.
        """
        if self._stopped:
            return {}
        self._stopped = True
        end(self._pid)
        with open(self._found, "rb") as stream:
            found = stream.read()
        known: dict[tuple[int, int], Walk] = {}
        at = 0
        for begin, until, size, count in _FOUND.iter_unpack(found):
            starts = np.ndarray((count,), np.uint32, self._starts, at)
            known[begin, until] = Walk(starts, size)
            at += 4 * count
        return known
