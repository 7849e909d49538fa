"""The pcapng file format (draft-ietf-opsawg-pcapng).

Packet blocks are turned into columns all at once; what describes them (sections,
interfaces, statistics) is rare and read one by one.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
from numpy.typing import NDArray

from capture.frames import FrameBlock, Interface, Ints, SourceInfo, UnreadableInput
from capture.sources.recorded import RecordedSource
from capture.sources.streams import Stream
from capture.sources.walk import MAX_RECORD, Guess, Layout, walk
from capture.sources.windows import Window

if TYPE_CHECKING:
    from capture.keeping.store import PacketStore, Spool
    from capture.sources.walk import Buffer

Words = NDArray[np.uint32]

_SECTION: Final = 0x0A0D0D0A
_INTERFACE, _PACKET, _SIMPLE, _STATISTICS, _ENHANCED = 1, 2, 3, 5, 6
_SECRETS: Final = 10
_TLS_KEY_LOG: Final = 0x544C534B
"""Type of a Decryption Secrets Block's secrets: the text of a key log."""
_MAX_SECRETS: Final = 64 << 20
"""Bytes of secrets that are kept of a capture."""
_BYTE_ORDER_MAGIC: Final = 0x1A2B3C4D

_OPT_COMMENT: Final = 1
_IF_NAME, _IF_TSRESOL, _IF_FILTER, _IF_TSOFFSET = 2, 9, 11, 14
_ISB_IFDROP, _ISB_OSDROP = 5, 7

_DATA_AT: Final = {_ENHANCED: 28, _PACKET: 28, _SIMPLE: 12}
"""Where a packet block's frame begins."""
_AROUND: Final = {_ENHANCED: 32, _PACKET: 32, _SIMPLE: 16}
"""Bytes of a packet block that are not frame, padding or options."""

_UNKNOWN_LINKTYPE: Final = 0xFFFF
_PLAUSIBLE_LENGTH: Final = 262_144 + 4096
_TRIES: Final = 64
_MAX_COMMENTS: Final = 100
_NANO: Final = 1_000_000_000
_SHORTEST: Final = 12
_NEAR: Final = 4096
_FAR: Final = 1 << 40
"""Bytes walked at once. Behind a section that ended soon they are few at first: the next one
may end as soon, and blocks of another section would be walked in vain, again and again."""


@dataclass(frozen=True, slots=True)
class _Clock:
    """How an interface counts time (if_tsresol, if_tsoffset)."""

    binary: bool = False
    exponent: int = 6
    """A tick is 10 or 2 to the power of minus this many seconds."""
    offset: int = 0
    """Seconds to add."""

    def nanoseconds(self, ticks: NDArray[np.uint64]) -> Ints:
        """Time since the epoch; absurd stamps wrap around, as they have no right value."""
        if not self.binary:
            if self.exponent <= 9:
                result = ticks * np.uint64(10 ** (9 - self.exponent))
            else:
                result = ticks // np.uint64(10 ** min(19, self.exponent - 9))
        elif self.exponent >= 64:
            result = np.zeros_like(ticks)
        else:
            bits = self.exponent
            seconds = ticks >> np.uint64(bits)
            fraction = ticks & np.uint64((1 << bits) - 1)
            if bits > 32:  # so that the product below fits into 64 bits
                fraction = fraction >> np.uint64(bits - 32)
                bits = 32
            result = seconds * np.uint64(_NANO) + ((fraction * np.uint64(_NANO)) >> np.uint64(bits))
        shift = (self.offset * _NANO) % (1 << 64)
        return (result + np.uint64(shift)).view(np.int64)


@dataclass(slots=True)
class _Section:
    """State of the section that is being read."""

    order: str
    first: int
    """Index of the section's first interface in ``SourceInfo.interfaces``."""
    clocks: list[_Clock]
    dropped: dict[int, int]
    """Interface -> packets it dropped, from its latest statistics block."""

    @property
    def layout(self) -> Layout:
        return Layout(self.order, _SHORTEST, 4, 0)


class PcapngSource(RecordedSource):
    """A pcapng file or stream.

    Args:
        info: Filled in while reading.
        stream: Standing at the first section header.
        position: Offset of the stream's next byte in the file.
        spool: Where frames are kept when the stream cannot be read twice.
        store: Fetches frames again; belongs to the source's user.
    """

    def __init__(
        self,
        info: SourceInfo,
        stream: Stream,
        position: int,
        spool: Spool | None = None,
        store: PacketStore | None = None,
    ) -> None:
        super().__init__(info, stream, position, spool, store)
        self._section: _Section | None = None
        self._mean = 512
        self._usual = _ENHANCED
        self._timed = False
        self._reach = _FAR

    def _told(self) -> tuple[object, ...]:
        return (*super()._told(), self._section)

    def _take(self, window: Window) -> Iterator[FrameBlock]:
        # One block for all sections of a window: a file may have thousands of short ones.
        blocks = list(self._sections(window))
        if blocks:
            yield _joined(blocks)

    def _sections(self, window: Window) -> Iterator[FrameBlock]:
        """Yield one block a section and set ``window.used``."""
        window.used = window.start
        while not self._ended and self._begin_section(window):
            section = self._section
            if section is None:
                return
            start = window.used
            end = min(window.end, start + self._reach)
            self._reach = min(2 * self._reach, _FAR)
            found = walk(
                window.buffer, start, end, section.layout, self._guess(section), self._mean
            )
            starts, window.used = found.starts, found.stop
            if not len(starts):
                if end < window.end:
                    continue  # a block longer than the reach
                self._look_at(window, section)
                return
            self._mean = max(_SHORTEST, (found.stop - start) // len(starts))
            heads = _heads(window, starts, section.order)
            keep = self._agreeing(window, starts, heads, section)
            if keep:
                yield from self._blocks_of(window, starts[:keep], heads[:keep], section)

    def _begin_section(self, window: Window) -> bool:
        """Read the section header that stands at ``window.used``, if one does.

        Returns:
            Whether there is anything (more) to walk in the window.
        """
        at, buffer = window.used, window.buffer
        if window.final and self._section is None:
            raise UnreadableInput("is a pcapng file cut inside its first header")
        if window.end - at < _SHORTEST:
            return False
        if int.from_bytes(buffer[at : at + 4], "little") != _SECTION:
            if self._section is None:
                raise UnreadableInput("is no pcapng file")
            return True
        order = next(
            (
                mark
                for mark, name in _ORDERS
                if int.from_bytes(buffer[at + 8 : at + 12], name) == _BYTE_ORDER_MAGIC
            ),
            "",
        )
        size = struct.unpack_from(f"{order}I", buffer, at + 4)[0] if order else 0
        if not order or not 28 <= size <= MAX_RECORD:
            if self._section is None:
                raise UnreadableInput("is a damaged pcapng file: its section header makes no sense")
            self._corrupt(window, at, "is a section header that makes no sense")
            return False
        if at + size > window.end:
            return False
        self._section = _Section(order, len(self.info.interfaces), [], {})
        body = bytes(buffer[at + 24 : at + size - 4])
        self._comments(_options(body, order))
        window.used = at + size
        return True

    def _guess(self, section: _Section) -> Guess:
        """A guess for a block of the usual type whose trailer repeats its length."""
        pattern = struct.pack(f"{section.order}I", self._usual)
        length_of = struct.Struct(f"{section.order}I").unpack_from
        least = _AROUND[self._usual]

        def guess(buffer: Buffer, low: int, high: int) -> int:
            at = low - 1
            last = len(buffer)
            for _ in range(_TRIES):
                at = buffer.find(pattern, at + 1, high)
                if at < 0 or at + least > last:
                    break
                size = length_of(buffer, at + 4)[0]
                if (
                    least <= size <= _PLAUSIBLE_LENGTH
                    and at + size <= last
                    and length_of(buffer, at + size - 4)[0] == size
                ):
                    return at
            return -1

        return guess

    def _agreeing(self, window: Window, starts: Ints, heads: Words, section: _Section) -> int:
        """How many blocks there are before the next section header, or before one whose
        trailer contradicts its header."""
        words: Words = np.ndarray(
            (window.end - 3,), f"{section.order}u4", window.buffer, 0, (1,)
        )  # fmt: skip
        lengths = heads[:, 1]
        wrong = words[starts + lengths - 4] != lengths
        foreign = heads[:, 0] == _SECTION
        # A section header in the other byte order has a length that means nothing here, so
        # the walk ends at it in either case.
        ends = wrong | foreign
        if not ends.any():
            return len(starts)
        first = int(np.argmax(ends))
        window.used = int(starts[first])
        if foreign[first]:
            self._reach = max(_NEAR, 2 * (window.used - int(starts[0])))
        else:
            self._corrupt(window, window.used, "states two different lengths")
        return first

    def _look_at(self, window: Window, section: _Section) -> None:
        """Judge the block that the walk stopped at: cut off, or corrupt?"""
        at = window.used
        if window.end - at < _SHORTEST:
            return  # no whole head of a block is left
        size = struct.unpack_from(f"{section.order}I", window.buffer, at + 4)[0]
        limit = _PLAUSIBLE_LENGTH * 4 if window.final else MAX_RECORD
        if not _SHORTEST <= size <= limit:
            self._corrupt(window, at, f"claims a length of {size} bytes")

    def _blocks_of(
        self, window: Window, starts: Ints, heads: Words, section: _Section
    ) -> Iterator[FrameBlock]:
        """Read the describing blocks among ``starts``; yield the frames of the others."""
        types = heads[:, 0]
        describing = (types == _INTERFACE) | (types == _STATISTICS) | (types == _SECRETS)
        for index in np.flatnonzero(describing).tolist():
            at = int(starts[index])
            body = bytes(window.buffer[at + 8 : at + int(heads[index, 1]) - 4])
            if int(types[index]) == _INTERFACE:
                self._interface(body, section)
            elif int(types[index]) == _SECRETS:
                self._secrets(body, section)
            else:
                self._statistics(body, section)
        packets = (types == _ENHANCED) | (types == _SIMPLE) | (types == _PACKET)
        if not packets.all():
            starts, heads = starts[packets], heads[packets]
        if len(starts):
            self._usual = int(heads[-1, 0])
            yield self._frames(window, starts, heads, section)

    def _frames(self, window: Window, starts: Ints, heads: Words, section: _Section) -> FrameBlock:
        types, lengths, first, high, low = heads.T[:5]
        caplen, wirelen = heads.T[5:7].astype(np.int64)
        interface = first.astype(np.int64)
        ticks = (high.astype(np.uint64) << np.uint64(32)) | low
        room = lengths.astype(np.int64) - _AROUND[_ENHANCED]
        offset = starts + _DATA_AT[_ENHANCED]
        simple = types == _SIMPLE
        if (types != _ENHANCED).any():
            # The obsolete packet block has a shorter interface number (and a drop count),
            # the simple one has neither that nor a time nor a captured length.
            number = interface >> 16 if section.order == ">" else interface & 0xFFFF
            interface = np.where(types == _PACKET, number, np.where(simple, 0, interface))
            room += np.where(simple, _AROUND[_ENHANCED] - _AROUND[_SIMPLE], 0)
            offset = np.where(simple, starts + _DATA_AT[_SIMPLE], offset)
            wirelen = np.where(simple, first, wirelen)
            snaplen = self._snaplen(section) or MAX_RECORD
            caplen = np.where(simple, np.minimum(np.minimum(wirelen, snaplen), room), caplen)
        damaged = caplen > room
        if damaged.any():
            self._damaged(window, starts, damaged | (room < 0))
            caplen = np.where(damaged, np.maximum(room, 0), caplen)
            offset = np.minimum(offset, window.end)
        index, linktype, time_ns = self._described(section, interface, ticks, simple)
        self._packet_comments(window, starts, caplen, room, simple, section)
        return FrameBlock(
            data=np.frombuffer(window.buffer, np.uint8),
            offset=offset,
            time_ns=time_ns,
            caplen=caplen,
            wirelen=np.maximum(wirelen, caplen),
            linktype=linktype,
            interface=index,
            position=offset + window.position,
            first_number=0,
        )

    def _snaplen(self, section: _Section) -> int:
        if not section.clocks:
            return 0
        return self.info.interfaces[section.first].snaplen

    def _described(
        self,
        section: _Section,
        interface: Ints,
        ticks: NDArray[np.uint64],
        simple: NDArray[np.bool_],
    ) -> tuple[NDArray[np.int32], NDArray[np.uint16], Ints]:
        """Interface index, link type and time of each frame, from its interface."""
        known = interface < len(section.clocks)
        if not known.all():
            self.info.warn(
                "corrupt-record",
                f"{int(np.count_nonzero(~known))} packets belong to an interface that the file"
                " does not describe",
            )
            interface = np.where(known, interface, len(section.clocks))
            section.clocks.append(_Clock())
            self.info.interfaces.append(Interface(_UNKNOWN_LINKTYPE))
        linktypes = np.array(
            [item.linktype for item in self.info.interfaces[section.first :]], np.uint16
        )
        if len(section.clocks) == 1 or int(interface.min()) == int(interface.max()):
            time_ns = section.clocks[int(interface[0])].nanoseconds(ticks)
        else:
            time_ns = np.empty(len(ticks), np.int64)
            for number in np.unique(interface).tolist():
                of_it = interface == number
                time_ns[of_it] = section.clocks[number].nanoseconds(ticks[of_it])
        if simple.any():
            time_ns = np.where(simple, 0, time_ns)  # simple packet blocks have no time
        self._timed = self._timed or not simple.all()
        self.info.times_known = self._timed
        index = (interface + section.first).astype(np.int32)
        return index, linktypes[interface], time_ns

    def _damaged(self, window: Window, starts: Ints, damaged: NDArray[np.bool_]) -> None:
        first = int(np.argmax(damaged))
        self.info.warn(
            "corrupt-record",
            f"packet {self._number + first}, at offset {window.position + int(starts[first])},"
            " claims more bytes than its block holds",
        )

    def _interface(self, body: bytes, section: _Section) -> None:
        """Interface description block; its number is its order in the section."""
        if len(body) < 8:
            body = body.ljust(8, b"\0")
        linktype, _, snaplen = struct.unpack_from(f"{section.order}HHI", body)
        item = Interface(linktype, snaplen=snaplen)
        binary, exponent, offset = False, 6, 0
        options = _options(body[8:], section.order)
        for code, value in options:
            if code == _IF_NAME:
                item.name = _text(value)
            elif code == _IF_FILTER and value[:1] == b"\0":
                item.filter = _text(value[1:])
            elif code == _IF_TSRESOL and value:
                binary, exponent = bool(value[0] & 0x80), value[0] & 0x7F
            elif code == _IF_TSOFFSET and len(value) == 8:
                offset = struct.unpack(f"{section.order}q", value)[0]
        section.clocks.append(_Clock(binary, exponent, offset))
        self.info.interfaces.append(item)
        self._comments(options)

    def _secrets(self, body: bytes, section: _Section) -> None:
        """Keep a key log that the capture carries."""
        if len(body) < 8:
            return
        kind, length = struct.unpack_from(f"{section.order}II", body)
        kept = sum(map(len, self.info.tls_secrets))
        if kind == _TLS_KEY_LOG and 8 + length <= len(body) and kept + length <= _MAX_SECRETS:
            self.info.tls_secrets.append(body[8 : 8 + length])

    def _statistics(self, body: bytes, section: _Section) -> None:
        """Interface statistics block: what the interface and the system dropped so far."""
        if len(body) < 12:
            return
        (number,) = struct.unpack_from(f"{section.order}I", body)
        dropped = None
        for code, value in _options(body[12:], section.order):
            if code in (_ISB_IFDROP, _ISB_OSDROP) and len(value) == 8:
                dropped = (dropped or 0) + struct.unpack(f"{section.order}Q", value)[0]
        if dropped is not None and number < len(section.clocks):
            before = section.dropped.get(number, 0)
            section.dropped[number] = dropped
            self.info.lost_kernel = (self.info.lost_kernel or 0) + dropped - before

    def _packet_comments(
        self,
        window: Window,
        starts: Ints,
        caplen: Ints,
        room: Ints,
        simple: NDArray[np.bool_],
        section: _Section,
    ) -> None:
        """Comments on single packets, where they come first among a block's options."""
        padded = (caplen + 3) & ~3
        has = (room - padded >= 8) & ~simple
        if not has.any() or len(self.info.comments) >= _MAX_COMMENTS:
            return
        at = (starts + _DATA_AT[_ENHANCED] + padded)[has]
        ends = at + (room - padded)[has]
        numbers = np.flatnonzero(has) + self._number
        codes: NDArray[np.uint16] = np.ndarray(
            (window.end - 1,), f"{section.order}u2", window.buffer, 0, (1,)
        )
        for index in np.flatnonzero(codes[at] == _OPT_COMMENT)[:_MAX_COMMENTS].tolist():
            options = _options(bytes(window.buffer[at[index] : ends[index]]), section.order)
            self._comments(options, f"packet {numbers[index]}: ")

    def _comments(self, options: list[tuple[int, bytes]], prefix: str = "") -> None:
        for code, value in options:
            if code == _OPT_COMMENT and len(self.info.comments) < _MAX_COMMENTS:
                self.info.comments.append(prefix + _text(value))


_ORDERS: Final[tuple[tuple[str, Literal["little", "big"]], ...]] = (("<", "little"), (">", "big"))


def _joined(blocks: list[FrameBlock]) -> FrameBlock:
    """Blocks of one buffer as one."""
    if len(blocks) == 1:
        return blocks[0]
    columns = ("offset", "time_ns", "caplen", "wirelen", "linktype", "interface", "position")
    return FrameBlock(
        blocks[0].data,
        **{name: np.concatenate([getattr(block, name) for block in blocks]) for name in columns},
        first_number=0,
    )


def _heads(window: Window, starts: Ints, order: str) -> Words:
    """The first eight words of each block, as far as the window goes."""
    size = 32
    inside = np.minimum(starts, window.end - size)  # a window's headroom is larger than that
    raw = np.ndarray((window.end - size + 1,), f"V{size}", window.buffer, 0, (1,))
    words: Words = raw[inside].view(f"{order}u4").reshape(-1, size // 4)
    for index in np.flatnonzero(inside != starts).tolist():
        at = int(starts[index])
        piece = bytes(window.buffer[at : min(at + size, window.end)]).ljust(size, b"\0")
        words[index] = np.frombuffer(piece, f"{order}u4")
    return words


def _options(body: bytes, order: str) -> list[tuple[int, bytes]]:
    """The options of a block, as far as they are whole."""
    found = []
    at = 0
    while at + 4 <= len(body):
        code, size = struct.unpack_from(f"{order}HH", body, at)
        if code == 0 or at + 4 + size > len(body):
            break
        found.append((code, body[at + 4 : at + 4 + size]))
        at += 4 + ((size + 3) & ~3)
    return found


def _text(value: bytes) -> str:
    from capture.protocols.text import printable

    return printable(value.rstrip(b"\0"))
