"""The list of packets, of one flow or of all: drawn from columns, a million as a hundred."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Mapping
from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.reactive import var

from capture.facts import CLIENT
from capture.packets.index import EMPTY, PacketView
from capture.packets.lines import PacketText
from capture.report.model import Severity
from capture.units import count
from widgets.cells import fit
from widgets.columns import Column, Placed, place
from widgets.glyphs import UNICODE, Glyphs
from widgets.line_list import LineList
from widgets.times import TimeFormat

Describe = Callable[[int], PacketText]
"""Describes the packet in a row of the ``PacketView`` (``capture.packets.lines.Describer``)."""

_NO_HITS: Final = np.zeros(0, np.int64)

_PART: Final[dict[Severity | None, str]] = {
    Severity.PROBLEM: "failed",
    Severity.WARNING: "warning",
}


def _undescribed(row: int) -> PacketText:
    return PacketText("", "")


class PacketList(LineList):
    """Packets in capture order, with a cursor, search hits and a tail that can be followed."""

    DEFAULT_CSS = """
    PacketList { height: 1fr; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("t", "time_format", "Time format", show=False, id="packets.time-format"),
    ]

    following: var[bool] = var(False)
    """Keep the newest packet on screen, until the user scrolls away from it."""
    time_format: var[TimeFormat] = var(TimeFormat.ABSOLUTE)

    class Highlighted(Message):
        """Another packet is under the cursor."""

        def __init__(self, packet_list: PacketList, number: int) -> None:
            super().__init__()
            self.packet_list = packet_list
            self.number = number

        @property
        def control(self) -> PacketList:
            return self.packet_list

    class Opened(Highlighted):
        """Enter or a double click on a packet."""

    def __init__(
        self, *, glyphs: Glyphs = UNICODE, id: str | None = None, classes: str | None = None
    ) -> None:
        super().__init__(glyphs=glyphs, id=id, classes=classes)
        self.set_reactive(PacketList.empty_text, "No packets")
        self._view: PacketView = EMPTY
        self._index: NDArray[np.int64] | None = None
        self._describe: Describe = _undescribed
        self._labels: Mapping[int, str] = {}
        self._hits: NDArray[np.int64] = _NO_HITS
        self._texts: dict[int, PacketText] = {}
        self._held_at: int | None = None
        self._placing: tuple[object, ...] = ()
        self._layout: tuple[Placed, ...] = ()

    # Data

    def show(
        self,
        view: PacketView,
        rows: NDArray[np.int64] | None = None,
        describe: Describe | None = None,
        labels: Mapping[int, str] | None = None,
    ) -> None:
        """Take the packets of a new snapshot, or of another flow.

        The packet under the cursor stays, if it is among the new ones; else the cursor goes
        to the packet nearest to it.

        Args:
            view: The packet index.
            rows: Rows of it to show, ascending; None for all.
            describe: Describes a row of ``view``.
            labels: When all packets are shown: what to call each flow, by flow number.
        """
        number = self.selected_number
        grown = self._is_grown(view, rows)
        before = self.row_count()
        self._view, self._index = view, rows
        self._describe = describe or _undescribed
        self._labels = labels or {}
        if grown:
            self._refresh_texts()
            self.refresh_rows(before, self.row_count())
            self._placed()
        else:
            self._texts.clear()
            self._held_at = None
            self.clear_strips()
            self.cursor = 0
        self.rows_changed(at_once=not grown)
        if not self.row_count():
            return
        if self.following:
            if not grown or self.virtual_size.height == self.row_count():
                self._to_tail()  # else when the scroll bar has followed
        elif not grown:
            at = 0 if number is None else self._row_near(number)
            self.cursor = at
            if at or self.scroll_offset.y:
                self.scroll_to_row(max(0, at - self.page_rows // 2))
        if self._held_at is not None:
            self.refresh_overlay()

    def _is_grown(self, view: PacketView, rows: NDArray[np.int64] | None) -> bool:
        """Whether the new rows only continue the old ones."""
        before = self.row_count()
        after = len(view) if rows is None else len(rows)
        if not before:
            return not after
        if after < before or (rows is None) != (self._index is None):
            return False
        # Numbers ascend, so equal ends of the old part prove it the same packets'.
        ends = (0, before - 1)
        places = ends if rows is None else [int(rows[end]) for end in ends]
        return [view.number(place) for place in places] == [self._number(end) for end in ends]

    def _refresh_texts(self) -> None:
        """Forget the texts; draw the rows on screen again whose text became another."""
        old, self._texts = self._texts, {}
        top = self.top_row
        for row in range(top, min(top + self.page_rows, self.row_count())):
            at = self._view_row(row)
            if at in old and self._text(at) != old[at]:
                self.refresh_row(row)

    def row_count(self) -> int:
        return len(self._view) if self._index is None else len(self._index)

    def _number(self, row: int) -> int:
        """Frame number of a row."""
        return self._view.number(self._view_row(row))

    def _view_row(self, row: int) -> int:
        return row if self._index is None else int(self._index[row])

    def _text(self, at: int) -> PacketText:
        text = self._texts.get(at)
        if text is None:
            if len(self._texts) > 4 * self.page_rows + 256:
                self._texts.clear()
            text = self._texts[at] = self._describe(at)
        return text

    def _time(self, row: int) -> int:
        return int(self._view.rows["time_ns"][self._view_row(row)])

    # Cursor

    @property
    def selected_number(self) -> int | None:
        """Number of the packet under the cursor."""
        return self._number(self.cursor) if self.cursor < self.row_count() else None

    def go_to(self, number: int) -> bool:
        """Put the cursor on a packet, or on the nearest one shown.

        Returns:
            Whether the packet itself is among those shown.
        """
        if not self.row_count():
            return False
        row = self._row_near(number)
        self._hold()
        self.move_cursor(row, center=True)
        return self._number(row) == number

    def _row_near(self, number: int) -> int:
        at = self._view.row_from(number)
        row = at if self._index is None else int(np.searchsorted(self._index, at))
        row = min(row, self.row_count() - 1)
        if row and self._number(row) - number > number - self._number(row - 1):
            row -= 1
        return row

    def cursor_moved(self) -> None:
        if self.cursor < self.row_count() - 1:
            self._hold()
        number = self.selected_number
        if number is not None:
            self.post_message(self.Highlighted(self, number))

    def row_opened(self) -> None:
        number = self.selected_number
        if number is not None:
            self.post_message(self.Opened(self, number))

    # Search hits

    def set_hits(self, numbers: Collection[int] | NDArray[np.int64]) -> None:
        """Mark the packets that a search found."""
        if not isinstance(numbers, np.ndarray):
            numbers = np.fromiter(numbers, np.int64, len(numbers))
        self._hits = np.unique(numbers)
        self.clear_strips()

    def _is_hit(self, number: int) -> bool:
        at = int(np.searchsorted(self._hits, number))
        return at < len(self._hits) and bool(self._hits[at] == number)

    # The tail

    def _hold(self) -> None:
        if self.following:
            self.following = False

    def watch_following(self, following: bool) -> None:
        if following:
            self._held_at = None
            self._to_tail()
        else:
            self._held_at = self.row_count()
        if self.is_running:
            self.refresh_overlay()

    def _to_tail(self) -> None:
        if self.row_count():
            last = self.row_count() - 1
            self.move_cursor(last, tell=False)
            self.scroll_to_row(last - self.page_rows + 1)

    def size_followed(self) -> None:
        self.catch_up()

    def catch_up(self) -> None:
        """Show the newest packet now, if the tail is followed; else the scroll bar may be awaited,
        which spares what packets that come by themselves would send."""
        if self.following:
            self._to_tail()

    def action_last(self) -> None:
        super().action_last()
        if self._held_at is not None:
            self.following = True

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        if new_value < old_value and new_value < self.max_scroll_y:
            self._hold()
        elif self._held_at is not None and new_value >= self.max_scroll_y:
            self.following = True

    def overlay(self) -> str:
        if self._held_at is None:
            return ""
        waiting = self.row_count() - self._held_at
        return f"+{count(waiting)}" if waiting > 0 else ""

    # Rows

    def action_time_format(self) -> None:
        self.time_format = self.time_format.following

    def watch_time_format(self) -> None:
        self.clear_strips()

    def _placed(self) -> tuple[Placed, ...]:
        """The columns; drawn anew when the numbers or the width outgrow them."""
        digits = len(str(self._number(self.row_count() - 1))) if self.row_count() else 1
        labelled = max((len(label) for label in self._labels.values()), default=0)
        placing = (self.line_width, self.time_format, max(digits, 3), min(labelled, 8))
        if placing != self._placing:
            self._placing = placing
            self._layout = place(_columns(*placing[1:]), placing[0])
            self.clear_strips()
        return self._layout

    def row_key(self, row: int) -> Hashable:
        at = self._view_row(row)
        first = self._time(0) if self.time_format is TimeFormat.RELATIVE else 0
        label = self._labels.get(int(self._view.rows["flow"][at])) if self._labels else None
        number = self._view.number(at)
        return (number, self.time_format, first, self._text(at), self._is_hit(number), label)

    def row_segments(self, row: int, width: int, selected: bool) -> Iterable[tuple[str, str]]:
        at = self._view_row(row)
        text = self._text(at)
        end = 0
        for placed in self._placed():
            yield " " * (placed.start - end), ""
            content, part = self._cell(placed.column.key, row, at, text, selected)
            right = placed.column.right
            yield fit(self.clean(content), placed.width, self.glyphs.ellipsis, right=right), part
            end = placed.start + placed.width

    def _cell(
        self, key: str, row: int, at: int, text: PacketText, selected: bool
    ) -> tuple[str, str]:
        packet, number = self._view.rows[at], self._view.number(at)
        if key == "mark":
            sign = self.glyphs.hit if self._is_hit(number) else " "
            return (self.glyphs.cursor if selected else sign), "accent"
        if key == "number":
            return str(number), "dim"
        if key == "time":
            before = self._time(row - 1) if row else None
            return self.time_format.text(int(packet["time_ns"]), self._time(0), before), ""
        if key == "flow":
            return self._labels.get(int(packet["flow"]), ""), "dim"
        if key == "direction":
            if not packet["flow"]:
                return " ", ""
            client = packet["sender"] == CLIENT
            return (self.glyphs.right if client else self.glyphs.left), "accent"
        if key == "length":
            return f"{packet['length' if packet['flow'] else 'wirelen']} B", "dim"
        part = _PART.get(text.severity, "")
        if key == "proto":
            return text.proto, part
        return text.info, "hit" if self._is_hit(number) else part


def _columns(time_format: TimeFormat, digits: int, label: int) -> tuple[Column, ...]:
    flow = (Column("flow", "", label, label, 6, right=True),) if label else ()
    time = time_format.width
    return (
        Column("mark", "", 1, 1, 0, pinned=True),
        Column("number", "", digits, digits, 1, right=True, pinned=True),
        Column("time", "", time, time, 4, right=True),
        *flow,
        Column("direction", "", 1, 1, 2, pinned=True),
        Column("proto", "", 6, 6, 5),
        Column("info", "", 20, 400, 9, pinned=True),
        Column("length", "", 7, 7, 8, right=True),
    )
