"""Fetches any frame of a capture again, by its position and captured length.

A plain file is read where it lies. What cannot be read twice (a pipe, a packed file, a
text) is spooled to a temporary file that has no name and so leaves nothing behind.
"""

from __future__ import annotations

import contextlib
import os
import threading
from typing import Final, Protocol

_LENGTH_BEFORE: Final = 8
"""In pcap records and pcapng packet blocks alike the captured length stands this many bytes
before the frame."""
_MAX_FRAME: Final = 64 << 20


class FrameGone(LookupError):
    """The frame cannot be fetched any more: its file was changed or it was never kept."""


class PacketStore(Protocol):
    """Frames by position; safe to use from any thread, also while the file is still read."""

    def frame(self, position: int, caplen: int) -> bytes:
        """The bytes of one frame.

        Args:
            position: As in ``FrameBlock.position``.
            caplen: Its captured length in bytes.

        Raises:
            FrameGone: The file was cut or replaced meanwhile, or the frame was not kept, or
                not for so long.
        """
        ...

    def span(self, position: int, length: int) -> bytes:
        """The bytes from a position on: many frames at once, with what lies between them.

        Raises:
            FrameGone: As ``frame``.
        """
        ...

    def close(self) -> None:
        """Release the file; idempotent."""
        ...


class FileStore:
    """Frames of one file.

    Args:
        fd: Descriptor of the file or spool; the store makes its own duplicate.
        checked: The captured length stands in front of each frame, so that a file that was
            written anew can be told from one that only grew.
    """

    def __init__(self, fd: int, checked: bool = False) -> None:
        self._fd = os.dup(fd)
        self._checked = checked
        self._lock = threading.Lock()
        self._closed = False
        status = os.fstat(self._fd)
        self._as_opened = status.st_mtime_ns, status.st_size

    def frame(self, position: int, caplen: int) -> bytes:
        """See ``PacketStore``."""
        if position < 0:
            raise FrameGone("the packet was not kept: no room for temporary data")
        if not 0 <= caplen <= _MAX_FRAME:
            raise FrameGone("the packet's length makes no sense")
        before = _LENGTH_BEFORE if self._checked and position >= _LENGTH_BEFORE else 0
        try:
            with self._lock:
                if self._closed:
                    raise FrameGone("the capture file is closed")
                data = os.pread(self._fd, before + caplen, position - before)
                status = os.fstat(self._fd)
        except OSError as error:
            raise FrameGone(f"the capture file cannot be read ({error.strerror})") from None
        if len(data) != before + caplen:
            raise FrameGone("the capture file was cut since it was read")
        if before and (status.st_mtime_ns, status.st_size) != self._as_opened:
            stated = data[:4]
            if caplen not in (int.from_bytes(stated, "little"), int.from_bytes(stated, "big")):
                raise FrameGone("the capture file was changed since it was read")
        return data[before:]

    def span(self, position: int, length: int) -> bytes:
        """See ``PacketStore``."""
        if position < 0:
            raise FrameGone("the packets were not kept: no room for temporary data")
        try:
            with self._lock:
                if self._closed:
                    raise FrameGone("the capture file is closed")
                data = os.pread(self._fd, length, position)
        except OSError as error:
            raise FrameGone(f"the capture file cannot be read ({error.strerror})") from None
        if len(data) != length:
            raise FrameGone("the capture file was cut since it was read")
        return data

    def close(self) -> None:
        """See ``PacketStore``."""
        with self._lock:
            if not self._closed:
                self._closed = True
                with contextlib.suppress(OSError):
                    os.close(self._fd)


class Spool(Protocol):
    """Keeps frames that cannot be read again where they came from."""

    def store(self) -> PacketStore:
        """A store that reads the spool; stays usable when the spool is closed."""
        ...

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Append bytes; returns where they begin, or -1 when they could not be written."""
        ...

    @property
    def failed(self) -> bool:
        """Whether the last write failed."""
        ...

    def close(self) -> None:
        """Release the spool; its stores live on."""
        ...


class FileSpool:
    """A temporary file without a name, which keeps all.

    Raises:
        OSError: There is nowhere to write to.
    """

    def __init__(self) -> None:
        import tempfile  # which imports much, and most captures need no spool

        self._file = tempfile.TemporaryFile(prefix="tunnelscope-", buffering=0)  # noqa: SIM115
        self._end = 0
        self._failed = False

    def store(self) -> FileStore:
        """A store that reads the spool; stays usable when the spool is closed."""
        return FileStore(self._file.fileno())

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Append bytes.

        Returns:
            Where they begin, or -1 when the disk is full: nothing is kept from then on.
        """
        if self._failed:
            return -1
        start = self._end
        view = memoryview(data)
        try:
            while view:
                count = os.pwrite(self._file.fileno(), view, self._end)
                self._end += count
                view = view[count:]
        except OSError:
            self._failed = True
            return -1
        return start

    @property
    def failed(self) -> bool:
        """Whether a write failed."""
        return self._failed

    def close(self) -> None:
        """Release the spool; its stores live on."""
        self._file.close()
