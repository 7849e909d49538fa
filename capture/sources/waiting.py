"""A source of which nothing has come yet: a pipe whose other end is silent, a file still empty."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

from capture.frames import FrameBlock, SourceInfo, no_frames
from capture.sources.streams import FileStream
from capture.sources.windows import QUIET_SECONDS

if TYPE_CHECKING:
    from capture.keeping.store import PacketStore
    from capture.sources.opening import FileSource


class WaitingSource:
    """Opens its stream when something comes; until then it yields empty blocks.

    What cannot be read is only known then: ``blocks`` raises ``UnreadableInput``.

    Args:
        stream: Nothing was read of it yet.
        info: Filled in once it is open.
    """

    def __init__(self, stream: FileStream, info: SourceInfo) -> None:
        self.info = info
        self._stream = stream
        self._inner: FileSource | None = None
        self._lock = threading.Lock()
        self._closed = False

    @property
    def store(self) -> PacketStore | None:
        """Fetches frames again; None while nothing came."""
        return self._inner.store if self._inner is not None else None

    def blocks(self) -> Iterator[FrameBlock]:
        """See ``capture.frames.Source``."""
        from capture.sources.opening import open_from

        while not self._stream.ready(QUIET_SECONDS):
            yield no_frames(1)
        if self._closed:
            return
        inner = open_from(self._stream, self.info, spool=True)
        with self._lock:
            # Closed meanwhile from another thread, its stream has ended.
            self._inner = inner
        yield from inner.blocks()

    def progress(self) -> tuple[int, int | None]:
        """See ``capture.frames.Source``."""
        return self._stream.consumed(), self._stream.total

    def close(self) -> None:
        """See ``capture.frames.Source``."""
        with self._lock:
            self._closed = True
            (self._inner or self._stream).close()
