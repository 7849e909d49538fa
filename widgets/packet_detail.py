"""One packet in full: its layers as a tree, and its bytes in hex, in step with each other.

The layers come as plain data (``LayerField``); who took the packet apart is not known here.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar, Final

from textual.binding import Binding, BindingType
from textual.message import Message

from widgets.cells import cut
from widgets.glyphs import UNICODE, Glyphs
from widgets.line_list import LineList

_INDENT: Final = 2


@dataclass(frozen=True, slots=True)
class LayerField:
    """A layer or a field of a packet."""

    label: str
    value: str
    start: int
    """First byte of it in the frame; -1 where it has no bytes of its own."""
    end: int
    """Byte after its last."""
    children: tuple[LayerField, ...] = ()


@dataclass(frozen=True, slots=True)
class _Node:
    """A field with its place in the tree."""

    field: LayerField
    depth: int
    path: tuple[int, ...]


class LayerTree(LineList):
    """The layers of a packet, folded or open; the cursor tells which bytes are meant."""

    DEFAULT_CSS = """
    LayerTree { height: 1fr; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "fold", "Fold", show=False, id="layers.fold"),
        Binding("right,l", "unfold", "Unfold", show=False, id="layers.unfold"),
        Binding("space", "toggle_fold", "Fold or unfold", show=False, id="layers.toggle"),
    ]

    class Highlighted(Message):
        """Another field is under the cursor."""

        def __init__(self, tree: LayerTree, field: LayerField) -> None:
            super().__init__()
            self.tree = tree
            self.field = field

        @property
        def control(self) -> LayerTree:
            return self.tree

    def __init__(
        self, *, glyphs: Glyphs = UNICODE, id: str | None = None, classes: str | None = None
    ) -> None:
        super().__init__(glyphs=glyphs, id=id, classes=classes)
        self.set_reactive(LayerTree.empty_text, "No layers")
        self._layers: tuple[LayerField, ...] = ()
        self._open: set[tuple[int, ...]] = set()
        self._shown: list[_Node] = []

    def show(self, layers: tuple[LayerField, ...]) -> None:
        """Take a packet's layers; the last one is open, and so are those that were."""
        kept = {path for path in self._open if len(path) == 1 and path[0] < len(layers)}
        self._layers = layers
        self._open = kept | {(len(layers) - 1,)}
        self._flatten()
        self.cursor = min(self.cursor, max(0, len(self._shown) - 1))
        self._tell()

    @property
    def selected(self) -> LayerField | None:
        """The field under the cursor."""
        return self._shown[self.cursor].field if self.cursor < len(self._shown) else None

    def select_at(self, offset: int) -> bool:
        """Put the cursor on the smallest field that holds a byte, opening what hides it."""
        path = self._path_to(self._layers, offset, ())
        if not path:
            return False
        self._open |= {path[:length] for length in range(1, len(path))}
        self._flatten()
        row = next(row for row, node in enumerate(self._shown) if node.path == path)
        self.move_cursor(row, center=True)
        return True

    def _path_to(
        self, fields: tuple[LayerField, ...], offset: int, path: tuple[int, ...]
    ) -> tuple[int, ...]:
        # The last layer that holds the byte is the innermost: layers may nest by range.
        for place in range(len(fields) - 1, -1, -1):
            field = fields[place]
            if field.start <= offset < field.end:
                return self._path_to(field.children, offset, (*path, place)) or (*path, place)
        return path

    def _flatten(self) -> None:
        self._shown = list(self._walk(self._layers, ()))
        self.rows_changed(at_once=True)
        self.clear_strips()

    def _walk(self, fields: tuple[LayerField, ...], above: tuple[int, ...]) -> Iterator[_Node]:
        for place, field in enumerate(fields):
            path = (*above, place)
            yield _Node(field, len(above), path)
            if path in self._open:
                yield from self._walk(field.children, path)

    def _tell(self) -> None:
        field = self.selected
        if field is not None:
            self.post_message(self.Highlighted(self, field))

    def cursor_moved(self) -> None:
        self._tell()

    def row_opened(self) -> None:
        self.action_toggle_fold()

    def action_toggle_fold(self) -> None:
        if self._shown:
            node = self._shown[self.cursor]
            if node.field.children:
                self._open ^= {node.path}
                self._flatten()

    def action_unfold(self) -> None:
        """Open the field; of an open one go to its first child."""
        if not self._shown:
            return
        node = self._shown[self.cursor]
        if node.field.children and node.path in self._open:
            self.move_cursor(self.cursor + 1)
        else:
            self._open |= {node.path}
            self._flatten()

    def action_fold(self) -> None:
        """Fold the field; of a folded one go to its parent."""
        if not self._shown:
            return
        node = self._shown[self.cursor]
        if node.path in self._open and node.field.children:
            self._open -= {node.path}
            self._flatten()
        elif node.depth:
            parent = node.path[:-1]
            self.move_cursor(next(r for r, n in enumerate(self._shown) if n.path == parent))

    def row_count(self) -> int:
        return len(self._shown)

    def row_key(self, row: int) -> Hashable:
        node = self._shown[row]
        field = node.field
        return (node.path, field.label, field.value, node.path in self._open)

    def row_segments(self, row: int, width: int, selected: bool) -> Iterable[tuple[str, str]]:
        node = self._shown[row]
        field = node.field
        sign = " "
        if field.children:
            opened = node.path in self._open
            sign = self.glyphs.expanded if opened else self.glyphs.collapsed
        lead = f"{' ' * (_INDENT * node.depth)}{sign} "
        label = cut(self.clean(field.label), width - len(lead), self.glyphs.ellipsis)
        yield lead, "dim"
        yield label, "strong" if not node.depth else "accent"
        room = width - len(lead) - len(label) - 2
        if field.value and room > 0:
            yield "  ", ""
            yield cut(self.clean(field.value), room, self.glyphs.ellipsis), ""


class HexView(LineList):
    """Bytes in hex and as ASCII, with a range of them marked."""

    DEFAULT_CSS = """
    HexView { height: 1fr; }
    """

    class ByteSelected(Message):
        """A click on a byte."""

        def __init__(self, view: HexView, offset: int) -> None:
            super().__init__()
            self.view = view
            self.offset = offset

        @property
        def control(self) -> HexView:
            return self.view

    def __init__(
        self, *, glyphs: Glyphs = UNICODE, id: str | None = None, classes: str | None = None
    ) -> None:
        super().__init__(glyphs=glyphs, id=id, classes=classes)
        self.set_reactive(HexView.empty_text, "No bytes")
        self._data = b""
        self._range = (0, 0)
        self._version = 0

    def show(self, data: bytes) -> None:
        """Take a packet's bytes; nothing is marked."""
        self._data, self._range = data, (0, 0)
        self._version += 1
        self.cursor = 0
        self.rows_changed(at_once=True)
        self.clear_strips()
        self.scroll_to_row(0)

    def highlight(self, start: int, end: int) -> None:
        """Mark the bytes from ``start`` to before ``end`` and bring them on screen.

        A range that is empty or outside marks nothing.
        """
        size = len(self._data)
        start, end = max(0, min(start, size)), max(0, min(end, size))
        old, self._range = self._range, (start, end)
        if old == self._range:
            return
        per_row = self.bytes_per_row
        for first, last in (old, self._range):
            if first < last:
                self.refresh_rows(first // per_row, (last - 1) // per_row + 1)
        if start < end:
            self.move_cursor(start // per_row)

    @property
    def bytes_per_row(self) -> int:
        """16 where they fit, else 8, else 4."""
        for number in (16, 8):
            if self._offset_width + 2 + 4 * number + number // 8 + 1 <= self.line_width:
                return number
        return 4

    @property
    def _offset_width(self) -> int:
        return max(4, len(f"{max(0, len(self._data) - 1):x}"))

    def resized(self) -> None:
        self.rows_changed(at_once=True)
        start, end = self._range
        if start < end:
            self.move_cursor(start // self.bytes_per_row)

    def cursor_shown(self, row: int) -> bool:
        return False

    def row_count(self) -> int:
        return -(-len(self._data) // self.bytes_per_row)

    def row_key(self, row: int) -> Hashable:
        per_row = self.bytes_per_row
        start, end = self._range
        low = max(0, min(start - row * per_row, per_row))
        high = max(0, min(end - row * per_row, per_row))
        return (self._version, per_row, row, low, high)

    def row_segments(self, row: int, width: int, selected: bool) -> Iterable[tuple[str, str]]:
        per_row = self.bytes_per_row
        first = row * per_row
        part = self._data[first : first + per_row]
        yield f"{first:0{self._offset_width}x}  ", "dim"
        for place in range(per_row):
            if place and not place % 8:
                yield " ", ""
            digits = f"{part[place]:02x}" if place < len(part) else "  "
            yield digits, self._mark(first + place)
            yield " ", self._mark(first + place) if self._goes_on(first + place, per_row) else ""
        yield " ", ""
        for place, octet in enumerate(part):
            shown = chr(octet) if 0x20 <= octet < 0x7F else self.glyphs.dot
            yield shown, self._mark(first + place)

    def _mark(self, offset: int) -> str:
        return "overlay" if self._range[0] <= offset < self._range[1] else ""

    def _goes_on(self, offset: int, per_row: int) -> bool:
        """Whether the marked range goes on behind a byte, on its row and group."""
        return (offset + 1) % 8 != 0 and (offset + 1) % per_row != 0 and offset + 1 < self._range[1]

    def row_clicked(self, row: int, x: int, *, double: bool) -> None:
        place = self._place_at(x)
        if place is not None:
            at = row * self.bytes_per_row + place
            if at < len(self._data):
                self.post_message(self.ByteSelected(self, at))

    def _place_at(self, x: int) -> int | None:
        """Which byte of a row is drawn at a cell, in hex or as ASCII."""
        per_row = self.bytes_per_row
        x -= self._offset_width + 2
        ascii_start = 3 * per_row + (per_row - 1) // 8 + 1
        if ascii_start <= x < ascii_start + per_row:
            return x - ascii_start
        if 0 <= x < ascii_start - 1:
            return min((x - x // 25) // 3, per_row - 1)
        return None
