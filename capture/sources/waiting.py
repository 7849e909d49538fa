"""A source of which nothing has come yet: a pipe whose other end is silent, a file still empty."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

from capture.frames import FileSource, FrameBlock, SourceInfo, no_frames
from capture.sources.streams import FileStream
from capture.sources.windows import QUIET_SECONDS

if TYPE_CHECKING:
    from capture.keeping.store import PacketStore


class Opener(Protocol):
    """Opens what a stream holds; see ``capture.sources.opening.open_from``."""

    def __call__(self, stream: FileStream, info: SourceInfo, *, spool: bool) -> FileSource: ...


class WaitingSource:
    """Opens its stream when something comes; until then it yields empty blocks.

    What cannot be read is only known then: ``blocks`` raises ``UnreadableInput``.

    Args:
        stream: Nothing was read of it yet.
        info: Filled in once it is open.
        opener: Opens the stream then.
    """

    def __init__(self, stream: FileStream, info: SourceInfo, opener: Opener) -> None:
        self.info = info
        self._opener = opener
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
        while not self._stream.ready(QUIET_SECONDS):
            yield no_frames(1)
        if self._closed:
            return
        inner = self._opener(self._stream, self.info, spool=True)
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
