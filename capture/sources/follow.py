"""Follows a capture file that still grows, as ``tail -f`` does."""

from __future__ import annotations

import os
import stat
import time
from typing import Final

from capture.frames import FileSource, SourceInfo, UnreadableInput
from capture.sources.opening import open_from
from capture.sources.streams import FileStream, open_stream
from capture.sources.waiting import WaitingSource

_LOOK_SECONDS: Final = 0.05
"""How often the file's size is looked at."""
_CHANGED_SECONDS: Final = 2.0
"""A file of the same name that is another one ends the following, once the old one has not
grown for so long: its writer may have more to say."""


class GrowingStream(FileStream):
    """A regular file whose end is not the end; see ``capture.sources.streams.Stream``.

    It ends when the file is cut short or replaced, which is told as a warning.

    Args:
        fd: Open for reading; owned by the stream from now on.
        info: Of the source; ``path`` is the file's name.
    """

    def __init__(self, fd: int, info: SourceInfo) -> None:
        super().__init__(fd)
        status = os.fstat(fd)
        self.regular = False
        self.total = None
        self._info = info
        self._identity = status.st_dev, status.st_ino
        self._ended = False
        self._grown = time.monotonic()

    def ready(self, timeout: float) -> bool:
        """See ``Stream``; waits for the file to grow."""
        until = time.monotonic() + timeout
        while not self._has_more():
            left = until - time.monotonic()
            if left <= 0:
                return False
            time.sleep(min(left, _LOOK_SECONDS))
        return True

    def _has_more(self) -> bool:
        """Whether a read would give something, the end included."""
        if self._closed or self._ended:
            return True
        size = os.fstat(self._fd).st_size - self.start
        if size > self._taken:
            self._grown = time.monotonic()
            return True
        if size < self._taken:
            self._end("the file was cut short or written anew: what came before was kept")
        elif time.monotonic() - self._grown > _CHANGED_SECONDS and self._replaced():
            self._end("the file was replaced by another one of its name, which is not followed")
        return self._ended

    def _replaced(self) -> bool:
        self._grown = time.monotonic()  # look again after a while
        try:
            status = os.stat(self._info.path)
        except OSError:
            return False  # removed or renamed: its writer may still have it open
        return (status.st_dev, status.st_ino) != self._identity

    def _end(self, why: str) -> None:
        self._ended = True
        self._info.warn("follow-ended", why)

    def readinto(self, view: memoryview) -> int:
        """See ``Stream``."""
        return 0 if self._ended else super().readinto(view)


def open_growing(path: str) -> FileSource:
    """Open a capture file that is still being written; its source never ends by itself.

    The frames can be fetched again through ``source.store``.

    Raises:
        UnreadableInput: It does not exist, may not be read, or is no capture. Of a file that
            is empty so far, ``blocks`` raises that later.
    """
    stream = open_stream(path)
    if not stream.regular:
        kind = "standard input" if path == "-" else stat.filemode(os.fstat(stream.fd).st_mode)[0]
        stream.close()
        raise UnreadableInput(f"cannot be followed: it is no regular file ({kind})")
    fd = os.dup(stream.fd)
    stream.close()
    info = SourceInfo(path, "")
    growing = GrowingStream(fd, info)
    if not growing.ready(0):
        return WaitingSource(growing, info, open_from)
    return open_from(growing, info, spool=True)
