"""Reads a stream in blocks, carrying the record that a block's end cuts over to the next.

A plain file is read ahead by a thread: while one block is judged the next one is read
(``readv`` releases the GIL; measured: a fifth off reading and decoding). Two buffers are
all that is ever held, unless one record is larger than a block.

A file that several processes read at once is mapped instead: they share the page cache, and
nobody copies what nobody looks at.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from capture.sources.streams import FileStream, Stream

if TYPE_CHECKING:
    from capture.sources.walk import Buffer

BLOCK: Final = 8 << 20
"""Bytes read at a time."""
MAPPED: Final = 8 << 20
"""Bytes mapped at a time at least."""
MOST_MAPPED: Final = 24 << 20
RECORDS: Final = 64_000
"""Records that a mapped window should hold: enough to pay for the fixed cost of a block, while
a column of them still fits a processor's cache (measured)."""
_PAGE: Final = 1 << 16
"""What a mapping's offset is a multiple of: the largest page that Linux uses."""
_SMALLEST: Final = 4096
_HEADROOM: Final = 320 << 10
"""Room in front of a block for the record carried over: tcpdump's largest one fits."""
_GATHER_SECONDS: Final = 0.1
"""A pipe's bytes are gathered this long at most: a live stream is seen at once, a fast one
still comes in large blocks."""
QUIET_SECONDS: Final = 0.1
"""A pipe that is silent for so long is said to be, so that its consumer can look at the clock."""
_QUIET: Final = -1
"""In place of a count of bytes: none came."""


@dataclass(slots=True)
class Window:
    """Bytes to be looked at: ``buffer[start:end]``. Valid until the next one is asked for."""

    buffer: Buffer
    start: int
    end: int
    position: int
    """Where ``buffer[0]`` would stand in the stream (may be negative)."""
    final: bool
    """Nothing follows: what is not whole now is cut off."""
    used: int = 0
    """Set by the consumer: the offset up to which it needs the bytes no more."""
    quiet: bool = False
    """Nothing came for a moment; these are the bytes that the windows before left over."""


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
        """All windows; the last one is ``final`` and holds what no window before used up.

        A pipe, or a file that grows, gives a ``quiet`` one now and then while nothing comes.
        """
        rest = b""
        position = self._position
        filled = self._read_ahead() if self._ahead else self._read()
        for buffer, count in filled:
            if count == _QUIET:
                size = len(rest)
                yield Window(bytearray(rest), 0, size, position - size, False, quiet=True)
                continue
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
        stream = self._stream
        count = 1
        while count:
            while stream.total is None and not stream.ready(QUIET_SECONDS):
                yield buffer, _QUIET
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


class MappedWindows:
    """The windows of a regular file that is mapped, a part at a time.

    Who reads a mapping of a file that another program cuts short is killed by SIGBUS, so
    only processes that may die read so.

    Args:
        stream: Of the file; what is read is counted there.
        position: Offset in the file of the first byte that is of interest.
        mean: Tells the mean size of a record, as known by then; 0: not at all.
    """

    def __init__(self, stream: FileStream, position: int, mean: Callable[[], int]) -> None:
        self._stream = stream
        self._position = position
        self._mean = mean

    def __iter__(self) -> Iterator[Window]:
        """All windows; the last one is ``final`` and holds what no window before used up."""
        from mmap import MADV_DONTNEED

        stream, at = self._stream, self._position
        size = self._size()
        limit = stream.start + (stream.total or 0)
        end = at
        while end < limit:
            end = min(limit, at + size)
            stream.prefetch(end, size)
            window = mapped(stream, at, end)
            yield window
            used = window.position + window.used
            stream.took(used - at)
            # A record longer than the window: a larger one for it.
            size = self._size() if used > at else 2 * size
            at = used
            if not isinstance(window.buffer, bytearray):
                # The consumer may still hold the buffer, but needs its bytes no more.
                window.buffer.madvise(MADV_DONTNEED)
        yield mapped(stream, at, limit, final=True)
        stream.took(max(0, limit - at))

    def _size(self) -> int:
        return max(MAPPED, min(MOST_MAPPED, RECORDS * self._mean()))


def mapped(stream: FileStream, at: int, end: int, *, final: bool = False) -> Window:
    """The part of a regular file from ``at`` to ``end``, with some room in front."""
    if at >= end:
        return Window(bytearray(_PAGE), _PAGE, _PAGE, at - _PAGE, final, _PAGE)
    from mmap import ACCESS_READ, mmap

    base = max(0, at // _PAGE - 1) * _PAGE
    buffer = mmap(stream.fd, end - base, access=ACCESS_READ, offset=base)
    return Window(buffer, at - base, end - base, base, final, at - base)
