"""What the sources of binary captures share: numbering, spooling, warnings, progress."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from capture.frames import Bytes, FrameBlock, SourceInfo, no_frames
from capture.sources.streams import FileStream, Stream
from capture.sources.windows import MappedWindows, Window, Windows

if TYPE_CHECKING:
    from capture.keeping.store import PacketStore, Spool

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


class Spot(NamedTuple):
    """How far a source got: all that it must know to go on, where nothing but packets follows."""

    position: int
    """Offset in the file of the first byte that was not looked at."""
    number: int
    """Number of the next packet."""
    mean: int
    """Mean bytes a record, as known so far."""


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
        self.live = False
        """The stream is known to give packets as they are captured."""
        self._mean = 512
        """Mean bytes a record, as known so far."""
        self.mapped = False
        """Map the file instead of reading it; see ``MappedWindows``."""

    @property
    def mappable(self) -> bool:
        """Whether the records lie in a regular file as they are."""
        return isinstance(self._stream, FileStream) and self._stream.regular

    @property
    def fd(self) -> int | None:
        """Descriptor of the file that blocks' positions refer to; None where there is none."""
        return self._stream.fd if isinstance(self._stream, FileStream) and self.mappable else None

    def blocks(self) -> Iterator[FrameBlock]:
        """See ``capture.frames.Source``."""
        clock = None
        if self._stream.total is None:
            from capture.sources.feed_clock import FeedClock

            clock = FeedClock(self.info, self.live)
        try:
            for window in self._windows() if not self._ended else ():
                if window.quiet and clock is not None:
                    clock.idle(whole=window.start == window.end)
                    yield no_frames(self._number)
                    continue
                for block in self._take(window):
                    block.first_number = self._number
                    self._number += len(block)
                    if self._spool is not None:
                        keep(self._spool, block, self.info)
                    if clock is not None:
                        clock.heard(block)
                    yield block
                if self._ended:
                    return
                if window.final:
                    self._finish(window)
        except OSError as error:
            if self.mapped:
                raise  # it cannot be mapped, but perhaps read
            self.info.warn(
                "read-error",
                f"reading failed after packet {self._number - 1}: {error.strerror or error}",
            )

    def look(self) -> tuple[FrameBlock | None, bool]:
        """Map the next window of the file and find the frames in it.

        Who looks at windows in turn with others goes from one ``spot`` to the next; so does
        ``blocks``, which begins there.

        Returns:
            The frames, None where not one is whole in the window; and whether these are all that
            the window holds: nothing that later ones rest on, nothing to warn of, no end.
        """
        window = next(iter(self._windows()))
        if window.final:
            return None, False
        before, blocks = self._told(), []
        for block in self._take(window):
            block.first_number = self._number
            self._number += len(block)
            blocks.append(block)
        self._position = window.position + window.used
        return blocks[0] if blocks else None, len(blocks) == 1 and self._told() == before

    def mapped_bytes(self, start: int, end: int) -> Bytes:
        """A part of the file, mapped; ``start`` is where a window's buffer began."""
        from mmap import ACCESS_READ, mmap

        assert self.fd is not None
        buffer = mmap(self.fd, end - start, access=ACCESS_READ, offset=start)
        return np.frombuffer(buffer, np.uint8)

    def _told(self) -> tuple[object, ...]:
        """What else than packets was read so far, as far as it grows."""
        info = self.info
        return (
            len(info.interfaces), len(info.warnings), len(info.comments), len(info.tls_secrets),
            info.lost_kernel, info.times_known, self._ended,
        )  # fmt: skip

    @property
    def spot(self) -> Spot:
        """Where ``look`` goes on."""
        return Spot(self._position, self._number, self._mean)

    def go_to(self, spot: Spot) -> None:
        """Let ``look`` or ``blocks`` go on elsewhere."""
        self._position, self._number, self._mean = spot

    def _windows(self) -> Iterable[Window]:
        stream, expected = self._stream, self._stream.total
        if self.mapped and isinstance(stream, FileStream):
            return MappedWindows(
                stream, self._position, lambda: self._mean if self._number > 1 else 0
            )
        if expected is not None and not self.mappable:
            expected *= _UNPACKED_RATIO
        return Windows(stream, self._position, expected, ahead=self.mappable)

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
