"""The files that hold a live capture's packets, as one run of bytes that loses its oldest.

A position counts on over all files, so that it stays right when files are rotated, and the
store can tell which one a frame is in and whether that is gone.
"""

from __future__ import annotations

import contextlib
import errno
import os
import threading
from bisect import bisect_right
from typing import Final

from capture.keeping.store import FrameGone

_OPEN: Final = 32
"""Files kept open; the others are opened again when somebody looks into them."""
_MAX_FRAME: Final = 64 << 20
_PIECE: Final = 1 << 20
"""Written at once. With more the kernel looks for larger pages, and a guest gave such back to its
host: 16 MiB at once took two to three times as long a packet (measured)."""


class Segment:
    """One file."""

    __slots__ = ("base", "fd", "identity", "path", "size")

    def __init__(self, base: int, fd: int, path: str) -> None:
        self.base = base
        """Position of its first byte."""
        self.fd: int | None = fd
        self.path = path
        """Empty: it has no name, and ends when it is closed."""
        self.size = 0
        """Bytes of whole blocks in it."""
        status = os.fstat(fd)
        self.identity = status.st_dev, status.st_ino


class Segments:
    """All files in order, the newest last; safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._items: list[Segment] = []
        self._bases: list[int] = []
        self._closed = False

    def add(self, fd: int, path: str, head: bytes) -> None:
        """Take over a new, empty file and write its first bytes.

        Raises:
            OSError: They cannot be written; nothing was added.
        """
        if head and os.pwrite(fd, head, 0) != len(head):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        with self._lock:
            last = self._items[-1] if self._items else None
            item = Segment(last.base + last.size if last else 0, fd, path)
            item.size = len(head)
            self._items.append(item)
            self._bases.append(item.base)
            named = [item for item in self._items if item.path and item.fd is not None]
            for old in named[:-_OPEN]:
                self._close(old)

    def drop_oldest(self) -> str:
        """Forget the oldest file; its bytes are gone when it has no name.

        Returns:
            Its name.
        """
        with self._lock:
            item = self._items.pop(0)
            del self._bases[0]
            self._close(item)
        return item.path

    def append(self, data: bytes | memoryview) -> None:
        """Write to the newest file: all of it, or nothing.

        Raises:
            OSError: The disk is full, or worse; nothing was added.
        """
        item = self._items[-1]
        if item.fd is None:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        rest, at = memoryview(data), item.size
        try:
            while rest:
                count = os.pwrite(item.fd, rest[:_PIECE], at)
                at += count
                rest = rest[count:]
        except OSError:
            self.cut(item.size)
            raise
        item.size = at

    def cut(self, size: int) -> None:
        """Shorten the newest file to a size that it had."""
        item = self._items[-1]
        item.size = size
        if item.fd is not None:
            with contextlib.suppress(OSError):
                os.ftruncate(item.fd, size)

    def __len__(self) -> int:
        return len(self._items)

    @property
    def newest_size(self) -> int:
        """Bytes in the newest file."""
        return self._items[-1].size

    @property
    def end(self) -> int:
        """Position of the next byte."""
        return self._items[-1].base + self._items[-1].size

    @property
    def size(self) -> int:
        """Bytes in all files."""
        with self._lock:
            if not self._items:
                return 0
            return self._items[-1].base + self._items[-1].size - self._items[0].base

    def read(self, position: int, size: int) -> bytes:
        """Bytes from a position on.

        Raises:
            FrameGone: Their file was let go of, removed or cut.
        """
        with self._lock:
            if self._closed:
                raise FrameGone("the capture's packets are closed")
            index = bisect_right(self._bases, position) - 1
            if index < 0:
                raise FrameGone("the packet is gone: only the newest are kept")
            pieces = []
            try:
                for item in self._items[index:]:
                    at = max(0, position - item.base)
                    pieces.append(self._pread(item, at, max(0, min(size, item.size - at))))
                    size -= len(pieces[-1])
                    if size <= 0:
                        break
            except OSError as error:
                raise FrameGone(f"the packet cannot be read ({error.strerror})") from None
        if size:
            raise FrameGone("the packet was not kept")
        return b"".join(pieces)

    def _pread(self, item: Segment, at: int, size: int) -> bytes:
        fd = item.fd
        if fd is not None:
            return os.pread(fd, size, at)
        fd = os.open(item.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            status = os.fstat(fd)
            if (status.st_dev, status.st_ino) != item.identity:
                raise FrameGone(f"the packet is gone: {item.path} is another file by now")
            return os.pread(fd, size, at)
        finally:
            os.close(fd)

    def close(self) -> None:
        """Close all files; idempotent."""
        with self._lock:
            self._closed = True
            for item in self._items:
                self._close(item)

    @staticmethod
    def _close(item: Segment) -> None:
        if item.fd is not None:
            with contextlib.suppress(OSError):
                os.close(item.fd)
            item.fd = None


class SegmentStore:
    """Fetches frames from the files; see ``capture.keeping.store.PacketStore``."""

    def __init__(self, segments: Segments) -> None:
        self._segments = segments

    def frame(self, position: int, caplen: int) -> bytes:
        """See ``PacketStore``."""
        if position < 0:
            raise FrameGone("the packet was not kept: no room on the disk")
        if not 0 <= caplen <= _MAX_FRAME:
            raise FrameGone("the packet's length makes no sense")
        return self._segments.read(position, caplen)

    def span(self, position: int, length: int) -> bytes:
        """See ``PacketStore``; it may reach from one file into the next."""
        if position < 0:
            raise FrameGone("the packets were not kept: no room on the disk")
        return self._segments.read(position, length)

    def close(self) -> None:
        """See ``PacketStore``."""
        self._segments.close()
