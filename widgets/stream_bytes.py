"""A tunnel's conversation as bytes in hex, or packet by packet as sizes; any part at once.

Both views know where every row lies from columns alone and read only what is on screen.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import Final

import numpy as np
from textual.cache import LRUCache
from textual.message import Message

from capture.facts import CLIENT, SENDERS
from capture.packets.index import PacketView
from capture.stream.layout import BYTES, HOLE, TURN, Blocks
from capture.stream.reading import Chunk
from capture.units import octets, relative_seconds
from widgets.glyphs import UNICODE, Glyphs
from widgets.line_list import LineList

__all__ = ["ReadStream", "StreamBlocks", "StreamHexView", "StreamSizesView"]

PAGE: Final = 4096
"""Bytes that are read at a time: some screens."""
KEPT_PAGES: Final = 64

ReadStream = Callable[[int, int, int], list[Chunk]]
"""Reads a range (side, first offset, offset behind the last), safe to show."""

_NONE: Final = Blocks(*[np.zeros(0, np.int64)] * 5)


class StreamBlocks(LineList):
    """Rows of blocks; what a row shows is up to the subclass."""

    class Opened(Message):
        """Enter on a row: the packet it came in."""

        def __init__(self, view: StreamBlocks, side: int, offset: int) -> None:
            super().__init__()
            self.view = view
            self.side = side
            self.offset = offset

        @property
        def control(self) -> StreamBlocks:
            return self.view

    def __init__(
        self, *, glyphs: Glyphs = UNICODE, id: str | None = None, classes: str | None = None
    ) -> None:
        super().__init__(glyphs=glyphs, id=id, classes=classes)
        self.set_reactive(StreamBlocks.empty_text, "Nothing was said")
        self._blocks = _NONE
        self._rows_at = np.zeros(1, np.int64)
        self._view: PacketView | None = None
        self._first_ns = 0
        self._version = 0

    def show(self, blocks: Blocks, view: PacketView, first_ns: int) -> None:
        """Take a conversation.

        Args:
            blocks: Its parts, in order.
            view: The packet index.
            first_ns: Time from which times are counted.
        """
        self._blocks, self._view, self._first_ns = blocks, view, first_ns
        self._version += 1
        self._lay_out()
        self.cursor = 0
        self.clear_strips()
        self.scroll_to_row(0)

    @property
    def bytes_per_row(self) -> int:
        """Bytes a row of a block takes; 0: the whole block."""
        return 0

    def _lay_out(self) -> None:
        self._rows_at = self._blocks.rows_at(self.bytes_per_row)
        self.rows_changed(at_once=True)

    def row_count(self) -> int:
        return int(self._rows_at[-1])

    def block_of(self, row: int) -> tuple[int, int]:
        """The block that a row belongs to, and the row's place in it."""
        block = int(np.searchsorted(self._rows_at, row, side="right")) - 1
        return block, row - int(self._rows_at[block])

    def place_of(self, row: int) -> tuple[int, int] | None:
        """Side and offset of a row's first byte."""
        if not 0 <= row < self.row_count():
            return None
        block, within = self.block_of(row)
        start = int(self._blocks.start[block]) + within * self.bytes_per_row
        return int(self._blocks.side[block]), start

    @property
    def place(self) -> tuple[int, int] | None:
        """Side and offset under the cursor."""
        return self.place_of(self.cursor)

    def go_to_offset(self, side: int, offset: int) -> None:
        """Put the cursor on the row that holds a byte."""
        block = self._blocks.holding(side, offset)
        if block is not None:
            within = offset - int(self._blocks.start[block])
            rows = within // self.bytes_per_row if self.bytes_per_row else 0
            if self._blocks.kind[block] != BYTES:
                rows = 0
            self.move_cursor(int(self._rows_at[block]) + rows, center=True)

    def go_to_turn(self, direction: int) -> bool:
        """Go to the next turn of the conversation, or the one before."""
        rows = self._rows_at[:-1][self._blocks.kind == TURN]
        wanted = rows[rows > self.cursor] if direction > 0 else rows[rows < self.cursor][::-1]
        if len(wanted):
            self.move_cursor(int(wanted[0]), center=True)
        return bool(len(wanted))

    def row_opened(self) -> None:
        place = self.place
        if place is not None:
            self.post_message(self.Opened(self, *place))

    def turn_segments(self, block: int) -> Iterable[tuple[str, str]]:
        """Who speaks, how much, and when."""
        blocks = self._blocks
        side, row = int(blocks.side[block]), int(blocks.row[block])
        sign = self.glyphs.right if side == CLIENT else self.glyphs.left
        count = octets(int(blocks.end[block] - blocks.start[block]))
        number = self._number(row)
        yield f"{sign} {SENDERS[side]}, {count}, #{number} at {self._time(row)} s", "accent"

    def _number(self, row: int) -> int:
        assert self._view is not None
        return self._view.number(row)

    def _time(self, row: int) -> str:
        assert self._view is not None
        return relative_seconds(int(self._view.rows["time_ns"][row]) - self._first_ns)


class StreamHexView(StreamBlocks):
    """The bytes of a conversation."""

    DEFAULT_CSS = """
    StreamHexView { height: 1fr; }
    """

    def __init__(
        self,
        read: ReadStream,
        *,
        glyphs: Glyphs = UNICODE,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        super().__init__(glyphs=glyphs, id=id, classes=classes)
        self._read = read
        self._pages: LRUCache[tuple[int, int], list[int]] = LRUCache(KEPT_PAGES)
        self._hit: tuple[int, int, int] | None = None

    def show(self, blocks: Blocks, view: PacketView, first_ns: int) -> None:
        self._pages.clear()
        self._hit = None
        super().show(blocks, view, first_ns)

    @property
    def bytes_per_row(self) -> int:
        """16 where they fit, else 8, else 4."""
        for number in (16, 8):
            if 8 + 2 + 4 * number + number // 8 + 1 <= self.line_width:
                return number
        return 4

    def resized(self) -> None:
        place = self.place
        self._lay_out()
        if place is not None:
            self.go_to_offset(*place)

    def mark(self, side: int, start: int, end: int) -> None:
        """Mark a range of bytes and go to it."""
        self._hit = (side, start, end)
        self.clear_strips()
        self.go_to_offset(side, start)

    def row_key(self, row: int) -> Hashable:
        return (self._version, self.bytes_per_row, row, self._hit)

    def _bytes(self, side: int, start: int, end: int) -> list[int]:
        """A short range of a block; -1 stands for a byte that cannot be had."""
        found: list[int] = []
        for page in range(start // PAGE, (end - 1) // PAGE + 1):
            key = (side, page)
            values = self._pages.get(key)
            if values is None:
                values = _values(self._read(side, page * PAGE, (page + 1) * PAGE))
                self._pages[key] = values
            found += values
        first = start // PAGE * PAGE
        return found[start - first : end - first]

    def row_segments(self, row: int, width: int, selected: bool) -> Iterable[tuple[str, str]]:
        block, within = self.block_of(row)
        blocks, per_row = self._blocks, self.bytes_per_row
        kind = int(blocks.kind[block])
        side, first, last = (int(c[block]) for c in (blocks.side, blocks.start, blocks.end))
        if kind == TURN:
            yield from self.turn_segments(block)
            return
        if kind == HOLE:
            yield f"  [{octets(last - first)} not captured]", "warning"
            return
        start = first + within * per_row
        part = self._bytes(side, start, min(last, start + per_row))
        yield f"{start:08x}  ", "dim"
        for place in range(per_row):
            if place and not place % 8:
                yield " ", ""
            octet = part[place] if place < len(part) else None
            yield _digits(octet), self._mark_of(side, start + place)
        yield " ", ""
        for place, octet in enumerate(part):
            blank = " " if octet < 0 else self.glyphs.dot
            shown = chr(octet) if 0x20 <= octet < 0x7F else blank
            yield shown, self._mark_of(side, start + place)

    def _mark_of(self, side: int, offset: int) -> str:
        if self._hit is None or self._hit[0] != side:
            return ""
        return "hit" if self._hit[1] <= offset < self._hit[2] else ""


class StreamSizesView(StreamBlocks):
    """The packets that carried a conversation, with what each of them brought."""

    DEFAULT_CSS = """
    StreamSizesView { height: 1fr; }
    """

    def __init__(
        self, *, glyphs: Glyphs = UNICODE, id: str | None = None, classes: str | None = None
    ) -> None:
        super().__init__(glyphs=glyphs, id=id, classes=classes)
        self.set_reactive(StreamSizesView.head_lines, 1)

    def head_segments(self, line: int, width: int) -> Iterable[tuple[str, str]]:
        yield f"    {'packet':>10}  {'seconds':>12}  {'offset':>14}  {'bytes':>8}", ""

    def row_key(self, row: int) -> Hashable:
        return (self._version, row)

    def row_segments(self, row: int, width: int, selected: bool) -> Iterable[tuple[str, str]]:
        block, _ = self.block_of(row)
        blocks = self._blocks
        kind, side, packet = (int(c[block]) for c in (blocks.kind, blocks.side, blocks.row))
        start, end = int(blocks.start[block]), int(blocks.end[block])
        if kind == TURN:
            yield from self.turn_segments(block)
            return
        sign = self.glyphs.right if side == CLIENT else self.glyphs.left
        if kind == HOLE:
            yield f"  {sign} {'':>10}  {'':>12}  {start:>14,}  {end - start:>8,}", "warning"
            yield "  not captured", "warning"
            return
        number = f"#{self._number(packet)}"
        yield f"  {sign} ", "dim"
        yield f"{number:>10}  {self._time(packet):>12}  {start:>14,}  {end - start:>8,}", ""


def _values(chunks: list[Chunk]) -> list[int]:
    values: list[int] = []
    for chunk in chunks:
        values += chunk.data or [-1] * chunk.missing
    return values


def _digits(octet: int | None) -> str:
    """A byte in hex; dashes where a snap length cut it off, blanks behind the end."""
    if octet is None:
        return "   "
    return f"{octet:02x} " if octet >= 0 else "-- "
