"""A source of frames that are made from text: tcpdump's lines, or a packet list's."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING, Final

import numpy as np

from capture.frames import FrameBlock, Interface, SourceInfo, UnreadableInput, no_frames
from capture.keeping.store import PacketStore, Spool
from capture.sources.recorded import keep
from capture.sources.streams import Stream
from capture.sources.text import frames
from capture.sources.text.assembler import Assembler
from capture.sources.text.clock import Clock, are_differences
from capture.sources.text.frames import TextFrame
from capture.sources.text.hosts import Hosts
from capture.sources.text.lines import LineReader, unquote
from capture.sources.text.packet_line import Stamp, parse_packet_line
from capture.sources.text.wireshark.columns import Columns
from capture.sources.text.wireshark.reader import Reader

if TYPE_CHECKING:
    from capture.sources.feed_clock import FeedClock

_SEARCHED: Final = 1 << 20
"""Characters in which the first packet line must come."""
_TIMES_LOOKED_AT: Final = 500
_MOST_FRAMES: Final = 4096
"""Frames in a block at most."""
_SILENCES: Final = 3
"""A packet's lines come at once; after such a pause (of as many silent moments of the line
reader) no more of them will."""
_MOST_INTERFACES: Final = 1000

_NAMED_FORMATS: Final = (("{", "JSON"), ("<", "HTML or XML"))


class TextSource:
    """What ``tcpdump``, ``tshark`` or Wireshark's packet list printed, as frames.

    Every packet becomes a raw IP packet with the headers that are printed and as much
    payload as is known; the rest looks as if a snaplen had cut it off.

    Args:
        info: Filled in while reading.
        stream: Standing at the text's first byte.

    Raises:
        UnreadableInput: There is no line of theirs in the text.
    """

    def __init__(self, info: SourceInfo, stream: Stream) -> None:
        self.info = info
        self.spool: Spool | None = None
        """Where frames are kept to be fetched again; set before reading, or never."""
        self.store: PacketStore | None = None
        """Fetches them; belongs to the source's user."""
        self._stream = stream
        self._lines = LineReader(stream)
        self._batches = self._lines.batches()
        self._head: list[str] = []
        listed = self._search()
        info.format = "wireshark-text" if listed else "tcpdump-text"
        info.contents_known = False
        hosts = Hosts(info, "\n".join(self._head))
        clock = Clock(info, are_differences(_stamps(self._head, listed)))
        make = Reader if listed else Assembler
        self._assembler: Reader | Assembler = make(info, hosts, clock)
        self._number = 1
        self._interfaces: dict[str, int] = {}

    def _search(self) -> bool:
        """Read on to the first packet line; returns whether it is a packet list's, or raises."""
        columns = Columns()
        size = 0
        for batch in self._batches:
            self._head.extend(batch)
            size += sum(map(len, batch))
            for line in batch:
                if _is_ip(line):
                    return False
                row = columns.read(line)
                if row is not None and row.sure:
                    return True
            if size > _SEARCHED:
                break
        first = next((line.strip() for line in self._head if line.strip()), "")
        for start, name in _NAMED_FORMATS:
            if first.startswith(start):
                raise UnreadableInput(f"is {name}, not a capture")
        raise UnreadableInput("is text without a packet line as tcpdump or tshark print them")

    def blocks(self) -> Iterator[FrameBlock]:
        """See ``capture.frames.Source``."""
        assembler = self._assembler
        clock = None
        if self._stream.total is None:
            from capture.sources.feed_clock import FeedClock

            clock = FeedClock(self.info)
        silent = 0
        try:
            for batch in chain([self._head], self._batches):
                silent = 0 if batch else silent + 1
                if silent == _SILENCES:
                    # Of a live text the latest packet is shown, too.
                    assembler.flush()
                    yield from self._made(clock)
                if clock is not None and not batch:
                    clock.idle(whole=self._lines.whole)
                    yield no_frames(self._number)
                for first in range(0, len(batch), _MOST_FRAMES):
                    for line in batch[first : first + _MOST_FRAMES]:
                        assembler.feed(line)
                    yield from self._made(clock)
        except OSError as error:
            self.info.warn("read-error", f"reading failed: {error.strerror or error}")
        assembler.finish()
        yield from self._made(clock)
        if self._stream.damage:
            self.info.warn(
                "truncated-file",
                f"{self._stream.damage}: packets after number {self._number - 1} are lost",
            )

    def _made(self, clock: FeedClock | None) -> Iterator[FrameBlock]:
        made = self._assembler.take()
        if not made:
            return
        block = self._block(made)
        self._number += len(made)
        if self.spool is not None:
            keep(self.spool, block, self.info)
        if clock is not None:
            clock.heard(block)
        yield block

    def _block(self, made: list[TextFrame]) -> FrameBlock:
        caplen = np.array([len(item.frame.data) for item in made], np.int64)
        offset = np.cumsum(caplen) - caplen
        return FrameBlock(
            data=np.frombuffer(b"".join(item.frame.data for item in made), np.uint8),
            offset=offset,
            time_ns=np.array([item.time_ns for item in made], np.int64),
            caplen=caplen,
            wirelen=np.array([item.frame.wirelen for item in made], np.int64),
            linktype=np.array([item.frame.linktype for item in made], np.uint16),
            interface=np.array([self._interface(item.interface) for item in made], np.int32),
            position=offset,
            first_number=self._number,
        )

    def _interface(self, name: str) -> int:
        index = self._interfaces.get(name)
        if index is None:
            if len(self._interfaces) >= _MOST_INTERFACES:
                return 0
            index = self._interfaces[name] = len(self.info.interfaces)
            self.info.interfaces.append(Interface(frames.RAW, name))
        return index

    def progress(self) -> tuple[int, int | None]:
        """See ``capture.frames.Source``."""
        return self._stream.consumed(), self._stream.total

    def close(self) -> None:
        """See ``capture.frames.Source``; ``store`` stays usable and is closed on its own."""
        self._stream.close()
        if self.spool is not None:
            self.spool.close()
            self.spool = None


def _is_ip(line: str) -> bool:
    packet = parse_packet_line(unquote(line)[1]) if line.strip() else None
    return packet is not None and (packet.version != 0 or packet.arp)


def _stamps(lines: list[str], listed: bool) -> list[Stamp | None]:
    """Times of the first packet lines."""
    columns = Columns()
    found: list[Stamp | None] = []
    for line in lines:
        packet = columns.read(line) if listed else parse_packet_line(unquote(line)[1])
        if packet is not None:
            found.append(packet.stamp)
            if len(found) == _TIMES_LOOKED_AT:
                break
    return found
