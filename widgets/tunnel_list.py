"""The list of tunnels: one row a flow, failing ones first, each with its six steps."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from itertools import zip_longest
from operator import attrgetter
from typing import ClassVar, Final

from rich.cells import cell_len
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.reactive import var

from capture.names import by_name
from capture.report.model import FlowReport, Severity
from widgets.cells import cut, cut_middle, fit
from widgets.columns import Placed, place
from widgets.glyphs import UNICODE, Glyphs
from widgets.line_list import LineList
from widgets.steps import PART_OF_STATE, STEP_KEYS, StripStep, state_glyph, strip_steps
from widgets.tunnel_columns import (
    CONTENT,
    LARGEST_FIRST,
    MEASURED,
    NAMED_LIMIT,
    SORTED_BY,
    STEP_CELL,
    STEPS_WIDTH,
    arranged,
    check_columns,
    sni,
)
from widgets.tunnel_order import TunnelOrder

_uid = attrgetter("uid")


class TunnelList(LineList):
    """All tunnels of the capture. Give it flows with ``show``; it tells who is selected."""

    DEFAULT_CSS = """
    TunnelList { height: 1fr; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "<", "sort_column(-1)", "Sort by column before", show=False, id="tunnels.sort-left"
        ),
        Binding(">", "sort_column(1)", "Sort by next column", show=False, id="tunnels.sort-right"),
        Binding("z", "reverse", "Reverse order", show=False, id="tunnels.reverse"),
        Binding("m", "mark", "Mark", show=False, id="tunnels.mark"),
        Binding("apostrophe", "next_mark", "Next mark", show=False, id="tunnels.next-mark"),
        Binding("left,h", "shift(-1)", "Columns left", show=False, id="tunnels.columns-left"),
        Binding("right,l", "shift(1)", "Columns right", show=False, id="tunnels.columns-right"),
    ]

    problems_only: var[bool] = var(False)
    """Show only flows with a problem."""

    class Selected(Message):
        """Another tunnel is under the cursor."""

        def __init__(self, tunnel_list: TunnelList, uid: int) -> None:
            super().__init__()
            self.tunnel_list = tunnel_list
            self.uid = uid

        @property
        def control(self) -> TunnelList:
            return self.tunnel_list

    class Opened(Selected):
        """Enter or a double click on a tunnel."""

    class Arranged(Message):
        """The user sorted, or marked: what stands around the list may say so."""

        def __init__(self, tunnel_list: TunnelList) -> None:
            super().__init__()
            self.tunnel_list = tunnel_list

        @property
        def control(self) -> TunnelList:
            return self.tunnel_list

    def __init__(
        self, *, glyphs: Glyphs = UNICODE, id: str | None = None, classes: str | None = None
    ) -> None:
        super().__init__(glyphs=glyphs, id=id, classes=classes)
        self.set_reactive(TunnelList.head_lines, 1)
        self.set_reactive(TunnelList.empty_text, "No tunnels yet")
        self._order: list[FlowReport] = []
        self._uids: list[int] = []
        """Of the rows."""
        self._sorting = TunnelOrder()
        self._marks: dict[int, None] = {}
        self._columns: tuple[str, ...] = ()
        self._versions: dict[int, int] = {}
        """Of each flow there is, which of the snapshots shown changed it last."""
        self._shows = 0
        self._content: dict[str, int] = {}
        self._names: Mapping[str, str] = {}
        self._shift = 0
        self._selected: int | None = None
        self._chosen = False
        self._led = False
        self._layout: tuple[Placed, ...] = ()
        self._layout_width = -1

    # Data

    def show(self, flows: tuple[FlowReport, ...]) -> None:
        """Take the flows of a new snapshot; unchanged flows are the same objects.

        The selected tunnel stays selected and, if it was on screen, on its line. Until the
        user has chosen one, the first failing tunnel is selected.
        """
        if flows is self._sorting.flows:
            return
        changed = self._sorting.take(flows)
        if not changed:
            return
        self._shows += 1
        self._versions.update(dict.fromkeys(map(_uid, changed), self._shows))
        if len(self._versions) > len(flows):
            self._versions = {uid: self._versions[uid] for uid in self._sorting.uids}
        if self._measure(changed):
            self._place_anew()
        self._arrange({flow.uid for flow in changed})

    def name_hosts(self, names: Mapping[str, str]) -> None:
        """Show these names, by address, for clients and proxies."""
        if names == self._names:
            return
        self._names = names
        longest = max(map(len, names.values()), default=0) + len(":65535")
        for key in ("client", "proxy"):
            known = self._content.get(key, 0)
            self._content[key] = max(known, min(longest, NAMED_LIMIT))
        self._place_anew()

    def _measure(self, changed: Sequence[FlowReport]) -> bool:
        """Widen the known content widths; True if the columns must be placed anew."""
        grown = False
        for key, texts_of, limit in MEASURED:
            longest = max(texts_of(changed), key=len, default="")
            known = self._content.get(key, 0)
            if len(longest) > known:
                cells = min(cell_len(self.clean(longest)), limit)
                self._content[key] = max(known, cells)
                grown = grown or cells > known
        return grown

    def _arrange(self, changed: set[int] | None = None) -> None:
        """Put the rows in order again, keeping the selection and the view."""
        old_cursor, old_top = self.cursor, self.scroll_offset.y
        old_order = self._order
        self._order, self._uids = self._sorting.arrange()
        self.rows_changed()
        self._keep_selection(old_cursor, old_top)
        self._refresh_moved(old_order, changed)

    def _keep_selection(self, old_cursor: int, old_top: int) -> None:
        """Find the selected tunnel's new row, or choose one."""
        if not self._order:
            self.cursor = 0
            self._led = False
            self._chosen = self._chosen and bool(self._sorting.flows)  # not when begun afresh
            return
        row = None if self._selected is None else self._row_of(self._selected)
        current = None if row is None else self._order[row]
        first = self._order[0]
        free = not (self._chosen or self._led)
        if free and current is not None and first.failing and not current.failing:
            row = None  # nobody chose the healthy one: the failing one is why we are here
        if row is None:
            gone = self._chosen and self._selected not in self._versions  # not hidden by a filter
            self.cursor = row = min(old_cursor, len(self._order) - 1) if gone else 0
            self._select_row(row)
            self.bring_on_screen(row)
            return
        self.cursor = row
        if old_top <= old_cursor < old_top + self.page_rows and row != old_cursor:
            if old_top == 0 and row < self.page_rows:
                return  # at the top, newcomers must be seen
            self.scroll_to_row(row - (old_cursor - old_top))

    def _refresh_moved(self, old_order: list[FlowReport], changed: set[int] | None) -> None:
        """Draw the rows on screen that hold something else now."""
        if changed is None:
            self.refresh()
            return
        top, page = self.scroll_offset.y, self.page_rows
        before, after = old_order[top : top + page], self._order[top : top + page]
        if not before or not after:
            self.refresh()
            return
        for line, (was, now) in enumerate(zip_longest(before, after)):
            if was is not now and not (was and now and self._reads_alike(was, now)):
                self.refresh_row(top + line)

    def _reads_alike(self, was: FlowReport, now: FlowReport) -> bool:
        """Whether the columns shown say the same of both: much traffic changes but numbers."""
        return list(self._cells(was)) == list(self._cells(now))

    # Selection

    @property
    def selected(self) -> FlowReport | None:
        """The tunnel under the cursor; None while no tunnel is shown."""
        row = None if self._selected is None else self._row_of(self._selected)
        return None if row is None else self._order[row]

    def _row_of(self, uid: int) -> int | None:
        """Row of a flow; None while it is not shown."""
        if self._uids[self.cursor : self.cursor + 1] == [uid]:
            return self.cursor
        return self._uids.index(uid) if uid in self._uids else None

    @property
    def order(self) -> Iterator[FlowReport]:
        """The flows as they are shown, first row first."""
        return iter(self._order)

    @property
    def uids(self) -> Sequence[int]:
        """Of the flows in that order; at hand, where the flows must be fetched from memory."""
        return self._uids

    def select(self, uid: int) -> bool:
        """Put the cursor on a tunnel; False if it is not shown."""
        row = self._row_of(uid)
        if row is None:
            return False
        self._chosen = True
        self.move_cursor(row, center=True)
        return True

    def lead(self, uid: int) -> bool:
        """Put the cursor on a tunnel and keep it there; not when the user has chosen one."""
        row = self._row_of(uid)
        if self._chosen or row is None:
            return False
        self._led = True
        self.move_cursor(row, center=True, tell=False)
        self._select_row(row)
        return True

    def next_problem(self) -> bool:
        """Go to the next failing tunnel, around the end; False if there is none."""
        return self._go_to_next(1, attrgetter("failing"))

    def previous_problem(self) -> bool:
        """Go to the failing tunnel before, around the start; False if there is none."""
        return self._go_to_next(-1, attrgetter("failing"))

    def _go_to_next(self, step: int, wanted: Callable[[FlowReport], bool]) -> bool:
        total = len(self._order)
        for distance in range(1, total + 1):
            row = (self.cursor + step * distance) % total
            if wanted(self._order[row]):
                self._chosen = True
                self.move_cursor(row, center=True)
                return True
        return False

    def _select_row(self, row: int) -> None:
        uid = self._order[row].uid
        if uid != self._selected:
            self._selected = uid
            self.post_message(self.Selected(self, uid))

    def cursor_moved(self) -> None:
        self._chosen = True
        self._select_row(self.cursor)

    def row_opened(self) -> None:
        self._chosen = True
        self.post_message(self.Opened(self, self._order[self.cursor].uid))

    # Marks

    @property
    def marked(self) -> frozenset[int]:
        """Uids of the tunnels that the user marked, as far as they are there."""
        return frozenset(uid for uid in self._marks if uid in self._versions)

    def mark(self, uid: int, marked: bool = True) -> None:
        """Put a tunnel aside, or back."""
        before = bool(self._marks)
        if marked:
            self._marks[uid] = None
        else:
            self._marks.pop(uid, None)
        if before != bool(self._marks):
            self._place_anew()  # the signs need a cell
        elif (row := self._row_of(uid)) is not None:
            self.refresh_row(row)
        self.post_message(self.Arranged(self))

    def action_mark(self) -> None:
        flow = self.selected
        if flow is not None:
            self.mark(flow.uid, flow.uid not in self._marks)
            self.move_cursor(self.cursor + 1)

    def action_next_mark(self) -> None:
        self._go_to_next(1, lambda flow: flow.uid in self._marks)

    # Order

    def allow(self, uids: Collection[int] | None) -> None:
        """Show only these tunnels (a filter's), as long as the data stays; None: all.

        Call it before ``show`` when both change.
        """
        if uids != self._sorting.allowed:
            self._sorting.allowed = uids
            self._arrange()

    @property
    def sort_column(self) -> str:
        """Key of the column that decides the order."""
        return self._sorting.sort

    @property
    def sort_reversed(self) -> bool:
        """Whether the order is turned around."""
        return self._sorting.reverse

    def sort_by(self, key: str, *, reverse: bool = False) -> None:
        """Order the rows by a column.

        Args:
            key: Key of one of ``COLUMNS``.
            reverse: Turn the order around; newest first is ``sort_by("id", reverse=True)``.
        """
        self._sorting.sort_by(key)
        self._sorting.reverse = reverse
        self._place_anew()  # the column must be seen
        self._arrange()
        self.bring_on_screen(self.cursor, center=True)
        self.post_message(self.Arranged(self))

    def watch_problems_only(self) -> None:
        self._sorting.problems_only = self.problems_only
        self._arrange()

    def action_sort_column(self, step: int) -> None:
        keys = list(SORTED_BY)
        if self._columns:
            keys = [key for key in keys if key in {"id", "target", "steps", *self._columns}]
        at = keys.index(self._sorting.sort) if self._sorting.sort in keys else 0
        key = keys[(at + step) % len(keys)]
        self.sort_by(key, reverse=key in LARGEST_FIRST)

    def action_reverse(self) -> None:
        self.sort_by(self._sorting.sort, reverse=not self._sorting.reverse)

    def action_shift(self, step: int) -> None:
        """Show further columns where they do not all fit."""
        columns = arranged(self._columns, self._sorting.sort)
        movable = [column for column in columns if not column.pinned]
        hidden = len(columns) > len(self._placed())
        if step > 0 and not (hidden and self._shift < len(movable) - 1):
            return
        self._shift = max(0, self._shift + step)
        self._place_anew()

    def _place_anew(self) -> None:
        self._layout_width = -1
        self.clear_strips()

    # Columns

    @property
    def columns(self) -> tuple[str, ...]:
        """Keys of the columns that the user chose; empty: as they fit."""
        return self._columns

    def choose_columns(self, keys: Iterable[str]) -> None:
        """Show these columns beside number, target and steps, as far as there is room.

        Args:
            keys: Of ``widgets.tunnel_columns.COLUMNS``, the most wanted first; none: as they
                fit.

        Raises:
            ValueError: There is no such column.
        """
        self._columns = check_columns(keys)
        self._shift = 0
        self._place_anew()

    def head_clicked(self, x: int, y: int) -> None:
        for placed in self._placed():
            key = placed.column.key
            if placed.start <= x <= placed.start + placed.width and key in SORTED_BY:
                again = key == self._sorting.sort
                self.sort_by(
                    key, reverse=not self._sorting.reverse if again else key in LARGEST_FIRST
                )
                return

    # Rows

    def _placed(self) -> tuple[Placed, ...]:
        width = self.line_width
        if width != self._layout_width:
            every = arranged(self._columns, self._sorting.sort)
            skipped = [column for column in every if not column.pinned][: self._shift]
            columns = [column for column in every if column not in skipped]
            content = self._content | {"steps": STEPS_WIDTH, "mark": 2 if self._marks else 1}
            self._layout = place(columns, width, content)
            self._layout_width = width
        return self._layout

    def row_count(self) -> int:
        return len(self._order)

    def row_key(self, row: int) -> Hashable:
        uid = self._order[row].uid
        return (uid, self._versions.get(uid, 0), uid in self._marks)

    def row_segments(self, row: int, width: int, selected: bool) -> Iterable[tuple[str, str]]:
        yield from self._cells(self._order[row], selected)

    def _cells(self, flow: FlowReport, selected: bool = False) -> Iterator[tuple[str, str]]:
        return self._line(lambda placed: self._cell(flow, placed, selected))

    def _line(
        self, cell: Callable[[Placed], Iterable[tuple[str, str]]]
    ) -> Iterator[tuple[str, str]]:
        end = 0
        for placed in self._placed():
            yield " " * (placed.start - end), ""
            yield from cell(placed)
            end = placed.start + placed.width

    def head_segments(self, line: int, width: int) -> Iterable[tuple[str, str]]:
        return self._line(self._head_cell)

    def _head_cell(self, placed: Placed) -> Iterable[tuple[str, str]]:
        column, width = placed.column, placed.width
        title = " ".join(STEP_KEYS) if column.key == "steps" else column.title
        if column.key == self._sorting.sort:
            sign = self.glyphs.descending if self._sorting.reverse else self.glyphs.ascending
            title = f"{cut(title, width - 1, '')}{sign}"
        yield fit(title, width, self.glyphs.ellipsis, right=column.right), ""

    def _cell(self, flow: FlowReport, placed: Placed, selected: bool) -> Iterable[tuple[str, str]]:
        key, width = placed.column.key, placed.width
        if key == "mark":
            sign = self.glyphs.mark if flow.uid in self._marks else " "
            yield f"{self.glyphs.cursor if selected else ' '}{sign}"[:width], "accent"
        elif key == "steps":
            yield from self._steps(flow)
        else:
            text, part = self._text(flow, key, width)
            yield fit(text, width, self.glyphs.ellipsis, right=placed.column.right), part

    def _text(self, flow: FlowReport, key: str, width: int) -> tuple[str, str]:
        """Content of a plain cell, and its part."""
        if key in ("client", "proxy"):
            return self._endpoint(flow.client if key == "client" else flow.proxy, width), ""
        if key == "target":
            if flow.target is None:
                return "(no request)", "dim"
            return cut_middle(self.clean(flow.target), width, self.glyphs.ellipsis), "strong"
        if key == "sni":
            return cut_middle(self.clean(sni(flow)), width, self.glyphs.ellipsis), ""
        if key == "verdict":
            return self.clean(flow.verdict), _VERDICT_PART.get(flow.severity, "done")
        return self.clean(CONTENT[key](flow)), ""

    def _endpoint(self, endpoint: str, width: int) -> str:
        """The name or address, and the port; the port alone where there is no room."""
        text = self.clean(by_name(endpoint, self._names))
        if cell_len(text) <= width:
            return text
        port = f":{text.rpartition(':')[2]}"
        if width < len(port) + 4:
            return cut(port, width, self.glyphs.ellipsis)
        return cut(text[: -len(port)], width - len(port), self.glyphs.ellipsis) + port

    def _steps(self, flow: FlowReport) -> Iterator[tuple[str, str]]:
        for number, step in enumerate(strip_steps(flow)):
            yield (" " if number else ""), ""
            yield self._step_cell(step), PART_OF_STATE[step.state]

    def _step_cell(self, step: StripStep) -> str:
        if step.code:
            return fit(step.code, STEP_CELL, "")
        return fit(f" {state_glyph(step.state, self.glyphs)}", STEP_CELL, "")


_VERDICT_PART: Final[dict[Severity | None, str]] = {
    Severity.PROBLEM: "failed",
    Severity.WARNING: "warning",
}
