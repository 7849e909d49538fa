"""Reads a stream in blocks, carrying the record that a block's end cuts over to the next.

A plain file is read ahead by a thread: while one block is judged the next one is read
(``readv`` releases the GIL; measured: a fifth off reading and decoding). Two buffers are
all that is ever held, unless one record is larger than a block.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from capture.sources.streams import Stream

BLOCK: Final = 8 << 20
"""Bytes read at a time."""
_SMALLEST: Final = 4096
_HEADROOM: Final = 320 << 10
"""Room in front of a block for the record carried over: tcpdump's largest one fits."""
_GATHER_SECONDS: Final = 0.1
"""A pipe's bytes are gathered this long at most: a live stream is seen at once, a fast one
still comes in large blocks."""


@dataclass(slots=True)
class Window:
    """Bytes to be looked at: ``buffer[start:end]``. Valid until the next one is asked for."""

    buffer: bytearray
    start: int
    end: int
    position: int
    """Where ``buffer[0]`` would stand in the stream (may be negative)."""
    final: bool
    """Nothing follows: what is not whole now is cut off."""
    used: int = 0
    """Set by the consumer: the offset up to which it needs the bytes no more."""


class Windows:
    """The windows of a stream.

    Args:
        stream: Standing at the first byte that is of interest.
        position: What to call that byte's position.
        expected: Bytes that the stream will about give, None when nobody knows; a small file
            gets small buffers.
        ahead: Read ahead in a thread (only where a read never waits for long).
    """

    def __init__(
        self,
        stream: Stream,
        position: int = 0,
        expected: int | None = None,
        ahead: bool = False,
    ) -> None:
        self._stream = stream
        self._position = position
        block = BLOCK
        if expected is not None:
            # A byte more than the file holds, so that its end is seen in the first read.
            block = max(_SMALLEST, min(block, expected + 1))
        self._block = block
        self._headroom = min(_HEADROOM, block)
        self._ahead = ahead and expected is not None and expected > 2 * block

    def __iter__(self) -> Iterator[Window]:
        """All windows; the last one is ``final`` and holds what no window before used up."""
        rest = b""
        position = self._position
        filled = self._read_ahead() if self._ahead else self._read()
        for buffer, count in filled:
            start = self._headroom - len(rest)
            end = self._headroom + count
            if start < 0:
                # A record larger than the headroom: a buffer of its own for it.
                buffer = bytearray(rest) + buffer[self._headroom : end]
                start, end = 0, len(buffer)
            else:
                buffer[start : self._headroom] = rest
            window = Window(buffer, start, end, position - len(rest) - start, not count, start)
            yield window
            rest = bytes(memoryview(buffer)[window.used : end])
            position += count

    def _fill(self, buffer: bytearray) -> int:
        """Read a block behind the headroom; returns its size, 0 only at the end."""
        stream = self._stream
        have = self._headroom
        with memoryview(buffer) as view:
            deadline = 0.0
            while have < len(buffer):
                if deadline and not stream.ready(max(0.0, deadline - time.monotonic())):
                    break
                count = stream.readinto(view[have:])
                if not count:
                    break
                have += count
                if stream.total is None and not deadline:
                    deadline = time.monotonic() + _GATHER_SECONDS
        return have - self._headroom

    def _read(self) -> Iterator[tuple[bytearray, int]]:
        buffer = bytearray(self._headroom + self._block)
        count = 1
        while count:
            count = self._fill(buffer)
            yield buffer, count

    def _read_ahead(self) -> Iterator[tuple[bytearray, int]]:
        import queue  # not needed for a small file

        free: queue.SimpleQueue[bytearray | None] = queue.SimpleQueue()
        full: queue.SimpleQueue[tuple[bytearray, int] | BaseException] = queue.SimpleQueue()

        def read() -> None:
            try:
                while (buffer := free.get()) is not None:
                    count = self._fill(buffer)
                    full.put((buffer, count))
                    if not count:
                        return
            except BaseException as error:
                full.put(error)

        for _ in range(2):
            free.put(bytearray(self._headroom + self._block))
        reader = threading.Thread(target=read, name="read-ahead", daemon=True)
        reader.start()
        try:
            while True:
                item = full.get()
                if isinstance(item, BaseException):
                    raise item
                yield item
                if not item[1]:
                    return
                free.put(item[0])
        finally:
            free.put(None)
            reader.join()
