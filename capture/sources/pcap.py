"""The pcap file format (draft-ietf-opsawg-pcap) and the variants that exist of it."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import numpy as np

from capture.frames import FrameBlock, Interface, Ints, SourceInfo
from capture.record import record
from capture.sources.recorded import RecordedSource
from capture.sources.streams import Stream
from capture.sources.walk import MAX_RECORD, Guess, Layout, Walk, walk
from capture.sources.windows import Window

if TYPE_CHECKING:
    from capture.keeping.store import PacketStore, Spool
    from capture.sources.walk import Buffer

HEADER: Final = 24
"""Bytes of the file header."""

_MICRO, _NANO = 1_000_000, 1_000_000_000

_MAGIC: Final = {
    0xA1B2C3D4: (_MICRO, 16),  # libpcap
    0xA1B23C4D: (_NANO, 16),  # libpcap with nanoseconds
    0xA1B2CD34: (_MICRO, 24),  # Kuznetzov's patch: interface, protocol, packet type
    0xA12B3C4D: (_NANO, 16),  # Navtel
    0x1C0001AC: (_NANO, 16),  # Ixia, hardware
    0x1C0001AB: (_NANO, 16),  # Ixia, software
}
"""Magic number -> (ticks a second, bytes of a record header). Sources: libpcap savefile.c,
Wireshark wiretap/libpcap.c."""
_IXIA: Final = (0x1C0001AC, 0x1C0001AB)

_PLAUSIBLE_LENGTH: Final = 262_144
"""tcpdump's largest snaplen; only guesses and the wording of warnings rest on it."""
_LONG_AGO: Final = 315_532_800
"""1980, before the format was."""
_NEAR_SECONDS: Final = 1 << 17
_TRIES: Final = 64


Walks: TypeAlias = Mapping[tuple[int, int], Walk]
"""Walks through windows, by where these begin and end in the file; offsets in a walk count from
the beginning of the window."""


@record
class PcapHeader:
    """The file header, as far as the records need it."""

    order: str
    """``<`` or ``>``."""
    ticks: int
    """Ticks of the time stamps a second."""
    record: int
    """Bytes of a record header."""
    linktype: int
    snaplen: int
    swapped_lengths: bool
    """Original length before captured length (version 2.2 and older)."""
    size: int
    """Bytes of the file header."""

    @property
    def layout(self) -> Layout:
        return Layout(self.order, self.record, 12 if self.swapped_lengths else 8, self.record)


def is_pcap(head: bytes) -> bool:
    """Whether a file that begins so is a pcap file."""
    if len(head) < 4:
        return False
    return any(int.from_bytes(head[:4], order) in _MAGIC for order in ("little", "big"))


def parse_header(head: bytes) -> PcapHeader:
    """Read the file header; ``head`` also holds the first records, as far as they were read.

    Raises:
        ValueError: ``head`` is shorter than a file header or no pcap.
    """
    if len(head) < HEADER:
        raise ValueError("cut inside the file header")
    order = "<" if int.from_bytes(head[:4], "little") in _MAGIC else ">"
    magic, major, minor, _, _, snaplen, network = struct.unpack_from(f"{order}IHHiIII", head)
    ticks, record = _MAGIC[magic]
    header = PcapHeader(
        order,
        ticks,
        record,
        # The upper bits hold the length of a frame check sequence and the like.
        network & 0xFFFF,
        snaplen,
        (major, minor) < (2, 3) or major == 543,
        HEADER + 4 if magic in _IXIA else HEADER,
    )
    return _variant(header, minor, head)


def _variant(header: PcapHeader, minor: int, head: bytes) -> PcapHeader:
    """Some writers changed the record and kept the magic: believe the first records.

    Only when the regular layout makes no sense of them and another one does.
    """
    if _believable(header, head):
        return header
    variants = [replace(header, swapped_lengths=True)] if minor == 3 else []
    for size in (20, 24, 28) if header.record == 16 else (28,):  # Nokia; ss990417; ss990915
        variants.append(replace(header, record=size))
    return next((item for item in variants if _compelling(item, head)), header)


def _believable(header: PcapHeader, head: bytes) -> bool:
    """Whether nothing speaks against the first records."""
    size_of = _judge(header, None)
    at = header.size
    for _ in range(3):
        if at + header.record > len(head):
            break
        size = size_of(head, at)
        if not size:
            return False
        at += size
    return True


def _compelling(header: PcapHeader, head: bytes) -> bool:
    """Whether two records in a row hold frames of about the same time, in no distant past."""
    at = header.size
    if at + header.record > len(head):
        return False
    (seconds,) = struct.unpack_from(f"{header.order}I", head, at)
    size_of = _judge(header, seconds)
    first = size_of(head, at)
    if seconds < _LONG_AGO or first <= header.record or at + first + header.record > len(head):
        return False
    return size_of(head, at + first) > header.record


def _judge(header: PcapHeader, near: int | None) -> Callable[[bytes | Buffer, int], int]:
    """A function that tells the size of the record at an offset, 0 if it can be none.

    Args:
        header: Of the file.
        near: Seconds that the record's time should be about; None for any time.
    """
    unpack = struct.Struct(f"{header.order}IIII").unpack_from

    def size(buffer: bytes | Buffer, at: int) -> int:
        seconds, fraction, captured, original = unpack(buffer, at)
        if header.swapped_lengths:
            captured, original = original, captured
        if (
            fraction >= header.ticks
            or captured > original
            or original > _PLAUSIBLE_LENGTH
            or (near is not None and abs(seconds - near) > _NEAR_SECONDS)
        ):
            return 0
        return int(captured) + header.record

    return size


class PcapSource(RecordedSource):
    """A pcap file or stream.

    Args:
        info: Filled in while reading.
        stream: Standing at the first byte behind the file header.
        header: The file header.
        position: Offset of the stream's next byte in the file.
        spool: Where frames are kept when the stream cannot be read twice.
        store: Fetches frames again; belongs to the source's user.
    """

    def __init__(
        self,
        info: SourceInfo,
        stream: Stream,
        header: PcapHeader,
        position: int,
        spool: Spool | None = None,
        store: PacketStore | None = None,
    ) -> None:
        super().__init__(info, stream, position, spool, store)
        self._header = header
        self._layout = header.layout
        self.known: Walks = {}
        """What need not be walked."""
        info.interfaces.append(Interface(header.linktype, snaplen=header.snaplen))

    def walks(self) -> Iterator[tuple[Window, Walk]]:
        """Find the records of all windows, as far as they are whole and none is longer than its
        window."""
        for window in self._windows():
            found = self._find(window)
            if not len(found.starts):
                return
            self._number += len(found.starts)
            yield window, found

    def _take(self, window: Window) -> Iterator[FrameBlock]:
        found = self._find(window)
        if len(found.starts):
            yield self._block(window, found.starts)
        if window.end - found.stop >= self._header.record:
            self._look_at(window, found.stop)

    def _find(self, window: Window) -> Walk:
        """Find the records of a window and set ``window.used``."""
        buffer, start = window.buffer, window.start
        known = self.known.get((window.position + start, window.position + window.end))
        if known is not None:
            found = Walk(known.starts + np.int64(start), known.stop + start)
        else:
            guess = self._guess_from(buffer, start) if window.end - start > HEADER else None
            found = walk(buffer, start, window.end, self._layout, guess, self._mean)
        window.used = found.stop
        if len(found.starts):
            self._mean = (found.stop - start) // len(found.starts)
        return found

    def _guess_from(self, buffer: Buffer, at: int) -> Guess:
        """A guess for records whose time is about that of the one at ``at``.

        The upper half of the seconds stays the same for 18 hours, so looking for those two
        bytes leaves few places to judge.
        """
        order: Literal["little", "big"] = "little" if self._header.order == "<" else "big"
        near = int.from_bytes(buffer[at : at + 4], order)
        half = (near >> 16).to_bytes(2, order)
        shift = 2 if order == "little" else 0
        size_of = _judge(self._header, near)

        def guess(buffer: Buffer, low: int, high: int) -> int:
            last = len(buffer) - HEADER
            at = low - 1
            for _ in range(_TRIES):
                at = buffer.find(half, at + 1 + shift, high + shift) - shift
                if at < low or at > last:
                    break
                size = size_of(buffer, at)
                if size and (at + size > last or size_of(buffer, at + size)):
                    return at
            return -1

        return guess

    def _block(self, window: Window, starts: Ints) -> FrameBlock:
        header = self._header
        buffer = window.buffer
        raw = np.ndarray((window.end - 15,), "V16", buffer, 0, (1,))[starts]
        fields = raw.view(f"{header.order}u4").reshape(-1, 4)
        # A column each, not parts of rows: all that follows takes half as long.
        seconds, fraction, caplen, wirelen = fields.T.astype(np.int64, order="C")
        if header.swapped_lengths:
            caplen, wirelen = wirelen, caplen
        offset = starts + header.record
        return FrameBlock(
            data=np.frombuffer(buffer, np.uint8),
            offset=offset,
            time_ns=seconds * _NANO + fraction * (_NANO // header.ticks),
            caplen=caplen,
            wirelen=np.maximum(wirelen, caplen),
            linktype=np.full(len(starts), header.linktype, np.uint16),
            interface=np.zeros(len(starts), np.int32),
            position=offset + window.position,
            first_number=0,
        )

    def _look_at(self, window: Window, at: int) -> None:
        """Judge the record that the walk stopped at: cut off, or out of its mind?"""
        header = self._header
        fields = struct.unpack_from(f"{header.order}4I", window.buffer, at)
        captured = fields[3 if header.swapped_lengths else 2]
        limit = MAX_RECORD
        if window.final:
            limit = max(_PLAUSIBLE_LENGTH, header.snaplen)
        if captured > min(limit, MAX_RECORD):
            self._corrupt(window, at, f"claims to hold {captured} bytes")
