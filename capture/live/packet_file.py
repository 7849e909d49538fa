"""Keeps every packet of a live capture, as it comes: ``-w FILE``, a ring of files, or a spool.

What ``append`` was given is with the kernel when it returns, as whole blocks of a pcapng
file: nothing but the power can take it back. A disk that is full loses packets of the file,
never the capture: what was written stays well-formed, and it goes on when there is room.
Temporary files have no name, so that nobody else reads them: they take the frames as they lie.

Files are changed and named as dumpcap does it.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from capture.frames import Bytes, FrameBlock, Interface, Ints, SourceInfo, rows_of
from capture.keeping.segments import Segments, SegmentStore
from capture.keeping.spool import NO_ROOM, make_unnamed, spool_directory
from capture.live.rotation import limits_of, ring_name, spool_limits
from capture.live.settings import CaptureSettings
from capture.writing import pcapng
from capture.writing.files import UnwritableFile, create, invoking_user, reason, same_file

_RETRY_S: Final = 1.0
"""How often writing is tried again after it failed."""
_STATISTICS_S: Final = 5.0
"""How often drop counters that changed are written: a capture that is killed has them, too."""
_MOST_WARNINGS: Final = 20
_AROUND: Final = 128
"""What lies between frames of a ring at most, headers and padding."""
_Octets = bytes  # which the class has an attribute of
_LEAST: Final = int(pcapng.packet_sizes(np.zeros(1, np.int64))[0])


@dataclass(frozen=True, slots=True)
class _Losses:
    received: int
    kernel: int
    queue: int


class PacketFile:
    """The packets of a live capture on disk.

    For one thread; ``store``, ``trouble``, ``path`` and ``bytes`` for any.

    Args:
        info: Of the source: its interfaces, as they become known, are described in the file;
            what was not kept is told as a warning.
        settings: ``write``, ``ring`` and ``stop`` count here.
        spool_bytes: Bound of the temporary files where there is no ``write``; None: what
            suits the disk.
        owner: User and group id that the files are given to; None: who called sudo.
        reading: Files that the capture is read from: they must not be written.

    Raises:
        UnwritableFile: The first file cannot be made.
    """

    def __init__(
        self,
        info: SourceInfo,
        settings: CaptureSettings,
        *,
        spool_bytes: int | None = None,
        owner: tuple[int, int] | None = None,
        reading: Sequence[str] = (),
    ) -> None:
        self._info = info
        self._target = settings.write
        self._owner = owner or invoking_user()
        self._directory = ""
        if self._target is None:
            self._directory = _spool_directory()
            self._limits = spool_limits(self._directory, spool_bytes)
        else:
            self._limits = limits_of(settings)
            if self._target == "-":
                raise UnwritableFile("packets are not written to standard output: name a file")
            if same_file(self._target, reading):
                raise UnwritableFile(f"{self._target} is the file that is being read")
        self._segments = Segments()
        self._losses: dict[int, _Losses] = {}
        self._start_ns = time.time_ns()
        self._numbers: dict[int, int] = {}
        """Key of an interface and link type -> its number in the current file."""
        self._files = 0
        self._packets = 0
        """Packets in the current file."""
        self._since = 0.0
        self._retry = 0.0
        """No attempt is made to write, or to change the file, before."""
        self._gap = 0
        """Packets that could not be written since the last that could."""
        self._stated = 0.0
        self._unstated = False
        self._closed = False
        self._scratch: Bytes = np.empty(0, np.uint8)
        """Blocks are made here, since fresh memory costs more than that (measured)."""
        self.store = SegmentStore(self._segments)
        """Fetches frames again; it outlives the file and is closed apart."""
        self.trouble = ""
        """One line while packets cannot be kept as wanted, else empty."""
        self.full = False
        """A stop condition (``-a filesize``, ``-a files``) is met: frames with the position
        -1 in the last answer of ``append`` came too late and do not count."""
        self.unkept = 0
        """Packets that are missing because they could not be written."""
        self._path = ""
        self._open()

    # -- what the source calls --------------------------------------------------------

    def append(self, block: FrameBlock) -> Ints:
        """Write the frames of a block; they are with the kernel on return.

        Returns:
            Position of each frame for ``store``; -1 for one that was not kept.
        """
        positions = np.full(len(block), -1, np.int64)
        self._change_by_time()
        done = 0
        while done < len(block) and not (self.full or self._closed):
            count = self._fitting(self._ends(block, done))
            if not count:
                self._change()
                continue
            piece = block if count == len(block) else rows_of(block, slice(done, done + count))
            positions[done : done + count] = self._write(piece)
            done += count
        if len(block) and self._last_file() and not self._fitting(np.array([_LEAST])):
            self.full = True
        self.flush()
        return positions

    def set_losses(
        self, interface: int, received: int, kernel_drops: int, queue_drops: int = 0
    ) -> None:
        """Tell an interface's counters since the capture began.

        Args:
            interface: Index into ``SourceInfo.interfaces``.
            received: Packets that reached it and passed the filter.
            kernel_drops: Packets that the kernel dropped.
            queue_drops: Packets that our own queue dropped.
        """
        known = self._losses.get(interface)
        if known is None or (known.kernel, known.queue) != (kernel_drops, queue_drops):
            self._unstated = True
        self._losses[interface] = _Losses(received, kernel_drops, queue_drops)

    def flush(self) -> None:
        """Change the file when its time has come, and bring its drop counters up to date.

        To be called now and then while no packet comes.
        """
        if self._closed:
            return
        self._change_by_time()
        if self._unstated and time.monotonic() - self._stated >= _STATISTICS_S:
            self._state()

    def close(self) -> None:
        """Complete the file with its statistics; idempotent. ``store`` goes on."""
        if not self._closed:
            self._tell_gap()
            self._state(final=True)
            self._closed = True
            self._scratch = np.empty(0, np.uint8)

    @property
    def path(self) -> str:
        """Name of the file that is being written; empty for a temporary one."""
        return self._path

    @property
    def bytes(self) -> int:
        """Bytes in all files that are kept."""
        return self._segments.size

    # -- files ------------------------------------------------------------------------

    def _open(self) -> None:
        """Begin the next file. Raises ``UnwritableFile`` and writes on in the one before."""
        keep = self._limits.keep
        while keep is not None and len(self._segments) > max(keep - 1, 1):
            self._let_go()  # first, as it may be the room that the next one needs
        numbers: dict[int, int] = {}
        known = [_key(index, item.linktype) for index, item in enumerate(self._info.interfaces)]
        head = pcapng.section() + _descriptions(self._info, numbers, known)
        if self._target is None:
            fd, path = _unnamed(self._directory), ""
        else:
            path = self._target
            if self._limits.rotating:
                path = ring_name(path, self._files + 1)
            fd = create(path, self._owner)
        if self._files:
            self._state(final=True)
        try:
            self._segments.add(fd, path, head)
        except OSError as error:
            os.close(fd)
            with contextlib.suppress(OSError):
                os.unlink(path)
            raise UnwritableFile(f"{path or self._directory}: {reason(error)}") from None
        self._path, self._numbers = path, numbers
        self._files += 1
        self._packets = 0
        self._since = time.monotonic()
        while keep is not None and len(self._segments) > keep:
            self._let_go()

    def _change(self) -> None:
        """Go on in the next file, or here where none can be made just now."""
        if self._last_file():
            self.full = True
            return
        try:
            self._open()
        except UnwritableFile as error:
            self._retry = time.monotonic() + _RETRY_S
            self.trouble = f"no further file can be made: {error}"
        else:
            if not self._gap:
                self.trouble = ""

    def _last_file(self) -> bool:
        most = self._limits.most
        return not self._limits.rotating or (most is not None and self._files >= most)

    def _let_go(self) -> None:
        path = self._segments.drop_oldest()
        if path:
            with contextlib.suppress(OSError):
                os.unlink(path)

    def _change_by_time(self) -> None:
        limit, now = self._limits.duration_s, time.monotonic()
        if (
            limit is None
            or self.full
            or self._closed
            or now < max(self._since + limit, self._retry)
        ):
            return
        if self._packets:
            self._change()
        else:
            self._since = now  # a file without packets is as good as a new one

    def _ends(self, block: FrameBlock, start: int) -> Ints:
        """Bytes that the frames from ``start`` to each of them will take."""
        if self._target is not None:
            return np.cumsum(pcapng.packet_sizes(block.caplen[start:]))
        offset = block.offset[start:]
        ends: Ints = np.maximum.accumulate(offset + block.caplen[start:]) - offset[0]
        return ends

    def _fitting(self, ends: Ints) -> int:
        """How many of the next frames belong into the current file; they end at ``ends``."""
        count = len(ends)
        if time.monotonic() < self._retry:
            return count
        if self._limits.packets is not None:
            count = min(count, self._limits.packets - self._packets)
        if self._limits.bytes is not None and count > 0:
            # The frame that reaches the limit is the last one of its file.
            room = self._limits.bytes - self._segments.newest_size
            count = min(count, int(np.searchsorted(ends[:count], room)) + 1) if room > 0 else 0
        # However small the limits are: a file without a packet takes one.
        return max(count, 0 if self._packets else 1)

    # -- blocks -----------------------------------------------------------------------

    def _write(self, block: FrameBlock) -> Ints:
        """Write one block to the current file; returns the frames' positions."""
        gone = np.full(len(block), -1, np.int64)
        if self._gap and time.monotonic() < self._retry:
            self._miss(len(block))
            return gone
        numbers = dict(self._numbers)
        head, data, frames = self._made(block, numbers)
        start = self._segments.newest_size
        try:
            if head:
                self._put(memoryview(head))
            self._put(data.data)
        except OSError as error:
            self._segments.cut(start)
            self._miss(len(block))
            where = self._path or f"temporary files in {self._directory}"
            self.trouble = f"packets are not kept: {where}: {reason(error)}"
            return gone
        self._numbers = numbers
        self._packets += len(block)
        self._tell_gap()
        return frames + (self._segments.end - len(data))

    def _made(self, block: FrameBlock, numbers: dict[int, int]) -> tuple[_Octets, Bytes, Ints]:
        """What is to be written of a block.

        Args:
            block: The frames.
            numbers: Interfaces of the file; those that are new get theirs.

        Returns:
            Descriptions of new interfaces; the frames' bytes, valid until the next call; where
            in these each frame begins.
        """
        if self._target is None and (lying := _as_it_lies(block)) is not None:
            return b"", *lying
        keys = block.interface.astype(np.int64) << 16 | block.linktype
        kinds = np.unique(keys)
        unknown = [key for key in kinds.tolist() if key not in numbers]
        head = _descriptions(self._info, numbers, unknown)
        of_kind = np.array([numbers[key] for key in kinds.tolist()], np.int64)
        need = pcapng.room_for(block.caplen)
        if len(self._scratch) < need:
            self._scratch = np.empty(need + need // 4, np.uint8)
        numbered = of_kind[np.searchsorted(kinds, keys)]
        return head, *pcapng.packets(block, numbered, into=self._scratch)

    def _put(self, data: memoryview) -> None:
        """Append to the current file; at worst at the cost of the oldest temporary one."""
        while True:
            try:
                self._segments.append(data)
            except OSError as error:
                spare = self._target is None and len(self._segments) > 1
                if not spare or error.errno not in NO_ROOM:
                    raise
                self._let_go()
            else:
                return

    def _miss(self, count: int) -> None:
        now = time.monotonic()
        if now >= self._retry:
            self._retry = now + _RETRY_S
        self._gap += count
        self.unkept += count

    def _tell_gap(self) -> None:
        """Say once what is missing, when writing works again or ends."""
        if not self._gap:
            return
        if len(self._info.warnings) < _MOST_WARNINGS:
            what = f"packets could not be written to {self._path}"
            if self._target is None:
                what = "packets cannot be looked at in detail: no room for temporary files"
            self._info.warn("not-written", f"{self._gap:,} {what}")
        self._gap = 0
        self.trouble = ""

    def _state(self, final: bool = False) -> None:
        """Write the interfaces' counters as they are now, if there is room."""
        self._stated, self._unstated = time.monotonic(), False
        now = time.time_ns()
        comment = f"{self.unkept} packets could not be written" if final and self.unkept else ""
        made: dict[int, bytes] = {}
        for key, number in self._numbers.items():
            losses = self._losses.get(key >> 16)
            if losses is not None and key >> 16 not in made:
                made[key >> 16] = pcapng.statistics(
                    number,
                    now,
                    start_ns=self._start_ns,
                    received=losses.received,
                    if_dropped=losses.kernel,
                    os_dropped=losses.queue,
                    comment=comment,
                )
        if made and self._target is not None:
            with contextlib.suppress(OSError):
                self._segments.append(b"".join(made.values()))


def _as_it_lies(block: FrameBlock) -> tuple[Bytes, Ints] | None:
    """The bytes that the frames span, and where in them each begins.

    None where little of the span is frames: one interface's of several that were merged.
    """
    low = int(block.offset.min())
    high = int((block.offset + block.caplen).max())
    if high - low > 2 * int(block.caplen.sum()) + _AROUND * len(block):
        return None
    return block.data[low:high], block.offset - low


def _descriptions(info: SourceInfo, numbers: dict[int, int], keys: Sequence[int]) -> bytes:
    """Blocks that describe interfaces; they get the next numbers of the file."""
    made = []
    for key in keys:
        index, linktype = key >> 16, key & 0xFFFF
        known = index < len(info.interfaces)
        item = info.interfaces[index] if known else Interface(linktype)
        numbers[key] = len(numbers)
        made.append(pcapng.interface(item, linktype))
    return b"".join(made)


def _spool_directory() -> str:
    try:
        return spool_directory()
    except OSError as error:
        raise UnwritableFile(f"no place for temporary files: {reason(error)}") from None


def _unnamed(directory: str) -> int:
    try:
        return make_unnamed(directory)
    except OSError as error:
        raise UnwritableFile(f"{directory}: {reason(error)}") from None


def _key(interface: int, linktype: int) -> int:
    return interface << 16 | linktype
