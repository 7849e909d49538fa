"""Temporary files for packets that cannot be read again where they came from.

They have no name, so nothing is left behind whatever happens to us, and there are several of
them, so that the oldest packets can be let go of.
"""

from __future__ import annotations

import contextlib
import errno
import os
from typing import Final

from capture.keeping.segments import Segments, SegmentStore

SPOOL_BYTES: Final = 1 << 30
"""Bytes that the temporary files of a capture take at most."""
LEAST_SPOOL: Final = 16 << 20
SPOOL_FILES: Final = 16
"""Files that it is divided into."""
_PART_OF_FREE: Final = 4
"""The spool leaves three quarters of the disk's room to others."""
NO_ROOM: Final = (errno.ENOSPC, errno.EDQUOT)


def spool_directory() -> str:
    """Where temporary files lie: ``$TMPDIR``, else ``/var/tmp``, since ``/tmp`` often is in
    memory.

    Raises:
        OSError: There is no place for them.
    """
    import tempfile  # which imports much

    if not os.environ.get("TMPDIR") and os.access("/var/tmp", os.W_OK | os.X_OK):
        return "/var/tmp"
    return tempfile.gettempdir()


def spool_bytes(directory: str) -> int:
    """Bytes that suit the disk a directory is on."""
    most = SPOOL_BYTES
    if hasattr(os, "statvfs"):
        with contextlib.suppress(OSError):
            disk = os.statvfs(directory)
            most = min(most, disk.f_bavail * disk.f_frsize // _PART_OF_FREE)
    return max(most, LEAST_SPOOL)


def make_unnamed(directory: str) -> int:
    """A temporary file that ends with its last descriptor.

    Raises:
        OSError: The directory cannot be written to.
    """
    import tempfile

    with tempfile.TemporaryFile(prefix="tunnelscope-", dir=directory, buffering=0) as file:
        return os.dup(file.fileno())


class RollingSpool:
    """Keeps the newest frames of a feed that may go on for days; see ``store.Spool``.

    Raises:
        OSError: There is nowhere to write to.
    """

    def __init__(self) -> None:
        self._directory = spool_directory()
        self._file_bytes = spool_bytes(self._directory) // SPOOL_FILES
        self._segments = Segments()
        self._failed = False
        self._next()

    def _next(self) -> None:
        self._segments.add(make_unnamed(self._directory), "", b"")
        while len(self._segments) > SPOOL_FILES:
            self._segments.drop_oldest()

    def store(self) -> SegmentStore:
        """A store that reads the spool; stays usable when the spool is closed."""
        return SegmentStore(self._segments)

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Append bytes, at worst at the cost of the oldest.

        Returns:
            Where they begin, or -1 while they cannot be written.
        """
        try:
            if self._segments.newest_size >= self._file_bytes:
                self._next()
            self._append(memoryview(data))
        except OSError:
            self._failed = True
            return -1
        self._failed = False
        return self._segments.end - len(data)

    def _append(self, data: memoryview) -> None:
        while True:
            try:
                self._segments.append(data)
            except OSError as error:
                if error.errno not in NO_ROOM or len(self._segments) < 2:
                    raise
                self._segments.drop_oldest()
            else:
                return

    @property
    def failed(self) -> bool:
        """Whether the last write failed."""
        return self._failed

    def close(self) -> None:
        """Write no more; the stores live on."""
