"""What the sources of binary captures share: numbering, spooling, warnings, progress."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import numpy as np

from capture.frames import FrameBlock, SourceInfo
from capture.sources.streams import FileStream, Stream
from capture.sources.windows import Window, Windows

if TYPE_CHECKING:
    from capture.store import PacketStore, Spool

_UNPACKED_RATIO: Final = 16
"""Bytes that a packed byte may become; only the size of a buffer depends on it."""


def keep(spool: Spool, block: FrameBlock, info: SourceInfo) -> None:
    """Copy a block's frames to the spool and let their positions point there."""
    start = int(block.offset.min())
    end = int((block.offset + block.caplen).max())
    failed = spool.failed
    base = spool.write(block.data[start:end].data)
    if base >= 0:
        block.position = block.offset + (base - start)
        return
    block.position = np.full(len(block), -1, np.int64)
    if not failed:
        info.warn(
            "spool-full",
            f"no room for temporary data: packets from number {block.first_number} on cannot be"
            " looked at in detail",
        )


class RecordedSource:
    """A source whose stream consists of records; ``_take`` finds them.

    Args:
        info: Filled in while reading.
        stream: Standing at the first record.
        position: Offset of the stream's next byte in the file.
        spool: Where frames are kept when the stream cannot be read twice.
        store: Fetches frames again; None when nobody asked for it.
    """

    def __init__(
        self,
        info: SourceInfo,
        stream: Stream,
        position: int,
        spool: Spool | None = None,
        store: PacketStore | None = None,
    ) -> None:
        self.info = info
        self.store = store
        self._stream = stream
        self._spool = spool
        self._position = position
        self._number = 1
        self._ended = False

    def blocks(self) -> Iterator[FrameBlock]:
        """See ``capture.frames.Source``."""
        plain_file = isinstance(self._stream, FileStream) and self._stream.regular
        expected = self._stream.total
        if expected is not None and not plain_file:
            expected *= _UNPACKED_RATIO
        windows = Windows(self._stream, self._position, expected, ahead=plain_file)
        try:
            for window in windows:
                for block in self._take(window):
                    block.first_number = self._number
                    self._number += len(block)
                    if self._spool is not None:
                        keep(self._spool, block, self.info)
                    yield block
                if self._ended:
                    return
                if window.final:
                    self._finish(window)
        except OSError as error:
            self.info.warn(
                "read-error",
                f"reading failed after packet {self._number - 1}: {error.strerror or error}",
            )

    def _take(self, window: Window) -> Iterator[FrameBlock]:
        """Yield the blocks of a window and set ``window.used``."""
        raise NotImplementedError

    def _finish(self, window: Window) -> None:
        """Say what is wrong with the end of the stream, if anything."""
        rest = window.end - window.used
        damage = self._stream.damage
        at = window.position + window.used
        if damage:
            self.info.warn(
                "truncated-file", f"{damage}: packets after number {self._number - 1} are lost"
            )
        elif rest:
            self.info.warn(
                "truncated-file",
                f"the file ends inside packet {self._number}: {rest} bytes of it from offset {at}",
            )

    def _corrupt(self, window: Window, at: int, why: str) -> None:
        """End the source at a record that cannot be believed."""
        self._ended = True
        self.info.warn(
            "corrupt-record",
            f"the record after packet {self._number - 1}, at offset {window.position + at}, {why}:"
            " nothing after it was read",
        )

    def progress(self) -> tuple[int, int | None]:
        """See ``capture.frames.Source``."""
        return self._stream.consumed(), self._stream.total

    def close(self) -> None:
        """See ``capture.frames.Source``; ``store`` stays usable and is closed on its own."""
        self._stream.close()
        if self._spool is not None:
            self._spool.close()
            self._spool = None
