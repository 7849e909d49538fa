"""Byte streams a capture is read from: files, pipes and what gzip, xz or zstd packed.

Nothing here knows a capture format. A stream counts what it took from the file, so that
progress is honest for compressed input too.
"""

from __future__ import annotations

import contextlib
import os
import select
import stat
import sys
import threading
from typing import TYPE_CHECKING, Final, Protocol

from capture.frames import UnreadableInput

if TYPE_CHECKING:
    from collections.abc import Callable

_POLL_SECONDS: Final = 0.25
"""How often a read that waits on a pipe looks whether it was closed meanwhile."""
_PACKED_CHUNK: Final = 256 * 1024
"""Compressed bytes asked of the file at a time."""
_PACKED_STEP: Final = 4096
"""Compressed bytes unpacked at a time: what one step made is lost when it meets damage."""
_UNPACKED_LIMIT: Final = 1 << 20
"""Bytes unpacked in one step at most: a decompression bomb costs time, never memory."""
_MEMORY_LIMIT: Final = 256 << 20
"""Dictionary (xz) or window (zstd) that a stream may ask for."""

_MAGIC: Final = (
    (b"\x1f\x8b", "gzip"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
)
_ZSTD_SKIPPABLE: Final = b"\x2a\x4d\x18"
"""Bytes 1-3 of a zstd skippable frame, whose first byte is 0x50-0x5f (RFC 8878 3.1.2)."""


class Stream(Protocol):
    """Bytes in order, read once."""

    total: int | None
    """Size of the file in bytes; None for a pipe."""

    @property
    def damage(self) -> str | None:
        """Why the stream ended before its time; None when it did not."""
        ...

    def readinto(self, view: memoryview) -> int:
        """Fill ``view`` from the front; returns the bytes read, 0 only at the end."""
        ...

    def ready(self, timeout: float) -> bool:
        """Whether ``readinto`` would return at once, waiting up to ``timeout`` seconds."""
        ...

    def consumed(self) -> int:
        """Bytes taken from the file so far; safe to call from another thread."""
        ...

    def close(self) -> None:
        """Release the file; idempotent."""
        ...


class FileStream:
    """A file or pipe by descriptor, unbuffered.

    Args:
        fd: Open for reading; owned by the stream from now on.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._lock = threading.Lock()
        status = os.fstat(fd)
        self.regular = stat.S_ISREG(status.st_mode)
        self.rereadable = self.regular
        """What was read lies in a file and can be read again."""
        self.start = 0
        """Offset of the first byte in a regular file (stdin may stand in its middle)."""
        if self.regular:
            self.start = os.lseek(fd, 0, os.SEEK_CUR)
        self.total: int | None = max(0, status.st_size - self.start) if self.regular else None
        self._taken = 0
        self._closed = False

    def peek(self, size: int) -> bytes:
        """First bytes of a regular file, without taking them."""
        return os.pread(self._fd, size, self.start)

    @property
    def damage(self) -> str | None:
        """See ``Stream``; a file ends where it ends."""
        return None

    @property
    def fd(self) -> int:
        """The descriptor, for a store that wants its own duplicate."""
        return self._fd

    def readinto(self, view: memoryview) -> int:
        """See ``Stream``; a pipe that is closed from another thread reads as ended."""
        while not self.ready(_POLL_SECONDS):
            pass
        with self._lock:
            # Closed meanwhile, the descriptor's number may belong to another file by now.
            count = 0 if self._closed else os.readv(self._fd, [view])
        self._taken += count
        return count

    def ready(self, timeout: float) -> bool:
        """See ``Stream``; a regular file is always ready."""
        if self.regular or self._closed:
            return True
        try:
            return bool(select.select([self._fd], [], [], timeout)[0])
        except (OSError, ValueError):
            # A kind of file that cannot be waited for: reading it blocks, which is all
            # that is left.
            return True

    def consumed(self) -> int:
        """See ``Stream``."""
        return self._taken

    def took(self, count: int) -> None:
        """Count bytes of a regular file that were read another way."""
        self._taken += count

    def prefetch(self, offset: int, size: int) -> None:
        """Let the system read a part of a regular file that is needed soon."""
        if hasattr(os, "posix_fadvise"):
            with contextlib.suppress(OSError):
                os.posix_fadvise(self._fd, offset, size, os.POSIX_FADV_WILLNEED)

    def close(self) -> None:
        """See ``Stream``."""
        with self._lock:
            if not self._closed:
                self._closed = True
                with contextlib.suppress(OSError):
                    os.close(self._fd)


class Rewound:
    """A stream with the bytes that were read to recognise it put back in front."""

    def __init__(self, head: bytes, stream: Stream) -> None:
        self._head = memoryview(head)
        self._stream = stream
        self.total = stream.total

    @property
    def damage(self) -> str | None:
        """See ``Stream``."""
        return self._stream.damage

    def readinto(self, view: memoryview) -> int:
        """See ``Stream``."""
        if not self._head:
            return self._stream.readinto(view)
        count = min(len(view), len(self._head))
        view[:count] = self._head[:count]
        self._head = self._head[count:]
        return count

    def ready(self, timeout: float) -> bool:
        """See ``Stream``."""
        return bool(self._head) or self._stream.ready(timeout)

    def consumed(self) -> int:
        """See ``Stream``."""
        return max(0, self._stream.consumed() - len(self._head))

    def close(self) -> None:
        """See ``Stream``."""
        self._stream.close()


class _Decompressor(Protocol):
    """What lzma's and compression.zstd's decompressors have in common."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


class _Gzip:
    """zlib's decompressor of one gzip member, with the interface of the others."""

    def __init__(self) -> None:
        import zlib

        self._inner = zlib.decompressobj(wbits=31)

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def needs_input(self) -> bool:
        return not self._inner.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        return self._inner.decompress(self._inner.unconsumed_tail + data, max(0, max_length))


def _decompressor(compression: str) -> Callable[[], _Decompressor]:
    if compression == "gzip":
        return _Gzip
    if compression == "xz":
        import lzma

        return lambda: lzma.LZMADecompressor(memlimit=_MEMORY_LIMIT)
    if sys.version_info >= (3, 14):
        from compression import zstd

        return zstd.ZstdDecompressor
    raise ValueError(compression)


class UnpackedStream:
    """What a gzip, xz or zstd stream holds; several members or frames read as one.

    A damaged or cut tail ends the stream; ``damage`` then says why.
    """

    def __init__(self, stream: Stream, compression: str) -> None:
        self._stream = stream
        self._new = _decompressor(compression)
        self._unit: _Decompressor | None = None
        self._packed = memoryview(b"")
        self._unused = b""
        self._made = memoryview(b"")
        self._chunk = bytearray(_PACKED_CHUNK)
        self._compression = compression
        self._ended = False
        self.total = stream.total
        self.damage: str | None = None

    def readinto(self, view: memoryview) -> int:
        """See ``Stream``."""
        while not self._made and not self._ended:
            self._step()
        count = min(len(view), len(self._made))
        view[:count] = self._made[:count]
        self._made = self._made[count:]
        return count

    def _step(self) -> None:
        """Unpack a bounded piece, fetching packed bytes when they are needed."""
        unit = self._unit
        packed = b""
        if unit is None or unit.needs_input:
            packed = self._next_packed()
            if not packed:
                self._ended = True
                if unit is not None:
                    self.damage = f"the {self._compression} stream is cut off"
                return
        if unit is None:
            # Zero padding between xz streams and after gzip members is allowed.
            packed = packed.lstrip(b"\0")
            if not packed:
                return
            unit = self._unit = self._new()
        try:
            self._made = memoryview(unit.decompress(packed, _UNPACKED_LIMIT))
        except Exception as error:  # zlib, lzma and zstd each raise their own
            self._ended = True
            self.damage = f"the {self._compression} stream is damaged ({_one_line(error)})"
            return
        if unit.eof:
            self._unused = unit.unused_data
            self._unit = None

    def _next_packed(self) -> bytes:
        """The next packed bytes, a few at a time; empty at the end."""
        if self._unused:
            unused, self._unused = self._unused, b""
            return unused
        if not self._packed:
            count = self._stream.readinto(memoryview(self._chunk))
            self._packed = memoryview(bytes(self._chunk[:count]))
        step = bytes(self._packed[:_PACKED_STEP])
        self._packed = self._packed[_PACKED_STEP:]
        return step

    def ready(self, timeout: float) -> bool:
        """See ``Stream``."""
        return bool(self._made or self._ended) or self._stream.ready(timeout)

    def consumed(self) -> int:
        """See ``Stream``."""
        return self._stream.consumed()

    def close(self) -> None:
        """See ``Stream``."""
        self._stream.close()


class ZstandardStream:
    """The same for zstd with the zstandard package (Python before 3.14).

    The package tells no frame's end while it reads across frames, so a stream cut between
    two blocks is only noticed by the capture record that it cuts.
    """

    def __init__(self, stream: Stream) -> None:
        try:
            import zstandard
        except ImportError:
            raise UnreadableInput(
                "compressed with zstd: install the Python package zstandard, or unpack it first"
            ) from None
        self._stream = stream
        self._chunk = bytearray(_PACKED_CHUNK)
        # The decompressor's own decompressobj() has no bound on what one call returns; the
        # reader fills no more than the buffer it is given.
        self._reader = zstandard.ZstdDecompressor(max_window_size=_MEMORY_LIMIT).stream_reader(
            self,  # type: ignore[arg-type]  # all it needs is read()
            read_size=_PACKED_CHUNK,
            read_across_frames=True,
            closefd=False,
        )
        self._full = False
        """The last read gave all that it was asked for: there may be more unpacked already."""
        self.total = stream.total
        self.damage: str | None = None

    def read(self, size: int = -1) -> bytes:
        """Packed bytes for the reader, at most ``size``."""
        count = self._stream.readinto(memoryview(self._chunk)[: size if size > 0 else None])
        return bytes(self._chunk[:count])

    def readinto(self, view: memoryview) -> int:
        """See ``Stream``."""
        if self.damage:
            return 0
        view = view[:_UNPACKED_LIMIT]
        try:
            count = int(self._reader.readinto(view))
        except Exception as error:
            self.damage = f"the zstd stream is damaged ({_one_line(error)})"
            return 0
        self._full = count == len(view)
        return count

    def ready(self, timeout: float) -> bool:
        """See ``Stream``."""
        return self._full or self.damage is not None or self._stream.ready(timeout)

    def consumed(self) -> int:
        """See ``Stream``."""
        return self._stream.consumed()

    def close(self) -> None:
        """See ``Stream``."""
        self._stream.close()


def unpack(stream: Stream, compression: str) -> UnpackedStream | ZstandardStream:
    """What a packed stream holds.

    Args:
        stream: Standing at the first packed byte.
        compression: As ``compression_of`` names it.

    Raises:
        UnreadableInput: The library for it is missing.
    """
    if compression == "zstd" and sys.version_info < (3, 14):
        return ZstandardStream(stream)
    return UnpackedStream(stream, compression)


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 80 else text[:79] + "…"


def compression_of(head: bytes) -> str:
    """Name of the compression that a file's first bytes show, or an empty string."""
    for magic, name in _MAGIC:
        if head.startswith(magic):
            return name
    if head[1:4] == _ZSTD_SKIPPABLE and head[0] & 0xF0 == 0x50:
        return "zstd"
    return ""


def open_stream(path: str) -> FileStream:
    """Open a file, a FIFO or (``-``) the standard input for reading.

    Raises:
        UnreadableInput: There is no such file, it may not be read, or it is a directory.
    """
    try:
        if path == "-":
            if os.isatty(0):
                raise UnreadableInput("standard input is a terminal: pipe a capture into it")
            return FileStream(os.dup(0))
        fd = _open(path)
    except ValueError as error:  # a NUL in the name
        raise UnreadableInput(f"not a file name ({_one_line(error)})") from None
    except OSError as error:
        raise UnreadableInput(_reason(error)) from None
    if stat.S_ISDIR(os.fstat(fd).st_mode):
        os.close(fd)
        raise UnreadableInput("is a directory")
    return FileStream(fd)


def _open(path: str) -> int:
    """Open a path for reading. A FIFO that nobody writes to yet is opened all the same, so
    that what waits for it can be interrupted."""
    flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOCTTY", 0)
    if sys.platform != "linux" or not stat.S_ISFIFO(os.stat(path).st_mode):
        return os.open(path, flags)
    fd = os.open(path, flags | os.O_NONBLOCK)
    os.set_blocking(fd, True)
    return fd


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


def read_exactly(stream: Stream, size: int) -> bytes:
    """Read ``size`` bytes, fewer only at the stream's end."""
    buffer = bytearray(size)
    have = 0
    view = memoryview(buffer)
    while have < size:
        count = stream.readinto(view[have:])
        if not count:
            break
        have += count
    return bytes(view[:have])
