"""The timeline of one tunnel: its step strip, and the ladder of its messages."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping
from typing import ClassVar, Final

from rich.cells import cell_len
from textual.binding import Binding, BindingType
from textual.geometry import Region
from textual.message import Message
from textual.reactive import var

from capture.facts import CLIENT, PROXY
from capture.names import by_name
from capture.report.model import FlowReport, Severity
from capture.timeline.ladder import LadderLine, LineKind
from capture.units import duration
from widgets.cells import cut, fit
from widgets.glyphs import UNICODE, Glyphs
from widgets.line_list import LineList
from widgets.strip import step_strip
from widgets.times import TimeFormat
from widgets.waiting import wait_of

_DELTA_WIDTH: Final = 9
_DELTA_FROM_NS: Final = 1_000_000
_LANE_LEAST: Final = 28
"""Cells between the life lines below which arrows give way to plain direction signs."""
_LANE_MOST: Final = 72
_LANE_BESIDE: Final = 34
"""Cells that each of two lanes needs; with less, the second leg is told within the first."""
_INDENT: Final = 6
_MARK_WIDTH: Final = 2

Segments = Iterator[tuple[str, str]]


class Timeline(LineList):
    """Step strip on top, then the ladder: one line a message, client left, proxy right.

    The server of the second leg, where the capture has it, stands at the far right.
    """

    DEFAULT_CSS = """
    Timeline { height: 1fr; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("t", "time_format", "Time format", show=False, id="timeline.time-format"),
    ]

    time_format: var[TimeFormat] = var(TimeFormat.RELATIVE)

    class LineOpened(Message):
        """Enter or a double click on a line of the ladder."""

        def __init__(self, timeline: Timeline, first_number: int, last_number: int) -> None:
            super().__init__()
            self.timeline = timeline
            self.first_number = first_number
            self.last_number = last_number

        @property
        def control(self) -> Timeline:
            return self.timeline

    def __init__(
        self, *, glyphs: Glyphs = UNICODE, id: str | None = None, classes: str | None = None
    ) -> None:
        super().__init__(glyphs=glyphs, id=id, classes=classes)
        self.set_reactive(Timeline.empty_text, "No tunnel selected")
        self._flow: FlowReport | None = None
        self._given: tuple[LadderLine, ...] = ()
        self._lines: tuple[LadderLine, ...] = ()
        self._clock_ns: int | None = None
        self._names: Mapping[str, str] = {}
        self._second = False
        """The second leg is among the lines."""

    def show(self, flow: FlowReport | None, lines: tuple[LadderLine, ...] = ()) -> None:
        """Take a flow and its ladder (``capture.timeline.ladder.build_ladder``).

        The cursor stays on its line while it is the same flow; of another one it goes to
        the line at which the tunnel broke.
        """
        if flow is self._flow and lines is self._given:
            return
        same = flow is not None and self._flow is not None and flow.uid == self._flow.uid
        head = self._head()
        self._flow, self._given = flow, lines
        old, self._lines = self._lines, self._with_waiting()
        second, self._second = self._second, any(line.second for line in lines)
        if second is not self._second:
            self.clear_strips()  # the lanes move
        self.rows_changed(at_once=not same)
        if same:
            self.cursor = min(self.cursor, max(0, len(self._lines) - 1))
            if self._head() != head:
                self.refresh_head()
            self._refresh_changed(old)
            return
        self.head_lines = 2 if flow is not None else 0
        self.clear_strips()
        self.cursor = next((place for place, line in enumerate(lines) if line.failing), 0)
        self.scroll_to_row(max(0, self.cursor - self.page_rows + 2))

    def name_hosts(self, names: Mapping[str, str]) -> None:
        """Show these names, by address, for the client and the proxy."""
        if names != self._names:
            self._names = names
            self.refresh_head()

    def age(self, clock_ns: int | None) -> None:
        """Show how long the tunnel has been waiting; draws nothing else again.

        Args:
            clock_ns: The moment that a live capture, or a replay, has got to; None: it is over.
        """
        before, self._clock_ns = self._clock_ns, clock_ns
        if wait_of(self._flow, before) is None and wait_of(self._flow, clock_ns) is None:
            return
        self.refresh(Region(0, 0, self.size.width, 1))
        old, self._lines = self._lines, self._with_waiting()
        self.rows_changed()
        self._refresh_changed(old)

    def _with_waiting(self) -> tuple[LadderLine, ...]:
        """The ladder, and below it what has not come yet."""
        wait = wait_of(self._flow, self._clock_ns)
        if wait is None or not wait.hopeful or not self._given:
            return self._given
        lines = self._given
        if lines[-1].kind is LineKind.SILENCE:
            lines = lines[:-1]  # the same, said once
        text = f"{wait.missing}, {wait.age}"
        return (*lines, LadderLine(LineKind.MISSING, wait.sender, text))

    def _refresh_changed(self, old: tuple[LadderLine, ...]) -> None:
        """Draw the lines again that are not what they were."""
        new = self._lines
        for row in range(max(len(old), len(new))):
            if row >= len(old) or row >= len(new) or old[row] != new[row]:
                self.refresh_row(row)

    @property
    def selected_line(self) -> LadderLine | None:
        """The line under the cursor."""
        return self._lines[self.cursor] if self.cursor < len(self._lines) else None

    def row_count(self) -> int:
        return len(self._lines)

    def row_opened(self) -> None:
        line = self.selected_line
        if line is not None and line.first_number:
            self.post_message(self.LineOpened(self, line.first_number, line.last_number))

    def action_time_format(self) -> None:
        self.time_format = self.time_format.following

    def watch_time_format(self) -> None:
        self.clear_strips()

    # The head

    def _head(self) -> list[list[tuple[str, str]]]:
        """The fixed lines as they read now."""
        width = self.line_width
        return [list(self.head_segments(line, width)) for line in range(self.head_lines)]

    def head_segments(self, line: int, width: int) -> Iterable[tuple[str, str]]:
        if self._flow is None:
            return
        if line == 0:
            yield " ", ""
            yield from step_strip(self._flow, width - 1, self.glyphs, self._clock_ns)
            return
        yield from self._participants(self._flow, width)

    def _participants(self, flow: FlowReport, width: int) -> Segments:
        """Who stands at which life line."""
        lane = self._lane(width)
        client = self.clean(f"client {by_name(flow.client, self._names)}")
        proxy = self.clean(f"{by_name(flow.proxy, self._names)} proxy")
        if not lane:
            arrow = self.glyphs.right
            yield cut(f" {client} {arrow} {proxy}", width, self.glyphs.ellipsis), ""
            return
        room = lane + 2
        yield " " * self._before_lane(width), ""
        # Of two names that do not fit, the client's tells less: it has many ports.
        bare = self.clean(f"client {flow.client}"), self.clean(f"{flow.proxy} proxy")
        for pair in ((client, proxy), (bare[0], proxy), bare, ("client", "proxy")):
            client, proxy = pair
            if cell_len(client) + cell_len(proxy) + 2 <= room:
                break
        yield fit(client, room - cell_len(proxy), self.glyphs.ellipsis), ""
        yield proxy, ""
        if self._beside(width):
            yield fit("server", lane + 1, self.glyphs.ellipsis, right=True), ""

    # Geometry

    def _before_lane(self, width: int) -> int:
        delta = _DELTA_WIDTH if self._with_delta(width) else 0
        return 1 + self.time_format.width + delta + 1

    def _with_delta(self, width: int) -> bool:
        return self.time_format is not TimeFormat.DELTA and width >= 72

    def _lane(self, width: int) -> int:
        """Cells between the life lines; 0 where arrows do not fit."""
        room = width - self._before_lane(width) - 2 - _MARK_WIDTH
        if self._beside(width):
            return min((room - 1) // 2, _LANE_MOST)
        return min(room, _LANE_MOST) if room >= _LANE_LEAST else 0

    def _beside(self, width: int) -> bool:
        """Whether there is a second leg, and room for a lane of its own."""
        room = width - self._before_lane(width) - 3 - _MARK_WIDTH
        return self._second and room >= 2 * _LANE_BESIDE

    # Lines

    def row_key(self, row: int) -> Hashable:
        return (self._lines[row], self.time_format, self._reference_times(row))

    def row_segments(self, row: int, width: int, selected: bool) -> Iterable[tuple[str, str]]:
        line = self._lines[row]
        yield (self.glyphs.cursor if selected else " "), "accent"
        yield from self._times(row, line, width)
        yield " ", ""
        lane = self._lane(width)
        part = _part(line)
        if lane:
            yield from self._lanes(line, lane, part, width)
        else:
            mark = _MARK_WIDTH if line.failing else 0
            room = width - 2 - self.time_format.width - mark
            yield cut(self._plain(line), room, self.glyphs.ellipsis), part
        if line.failing:
            yield f" {self.glyphs.failed}", "failed"

    def _times(self, row: int, line: LadderLine, width: int) -> Segments:
        first, previous = self._reference_times(row)
        shown = line.kind is not LineKind.SILENCE
        text = self.time_format.text(line.time_ns, first, previous) if shown else ""
        yield fit(text, self.time_format.width, self.glyphs.ellipsis, right=True), "dim"
        if self._with_delta(width):
            delta = ""
            if shown and previous and line.time_ns - previous >= _DELTA_FROM_NS:
                delta = self.clean("+" + duration((line.time_ns - previous) / 1e9))
            yield fit(delta, _DELTA_WIDTH, self.glyphs.ellipsis, right=True), ""

    def _reference_times(self, row: int) -> tuple[int, int | None]:
        """Times of the ladder's first message, and of what came before a line.

        A run of data ends where its last packet came, unless this line began inside it.
        """
        first = next((line.time_ns for line in self._lines if line.time_ns), 0)
        for line in reversed(self._lines[:row]):
            if line.time_ns:
                inside = self._lines[row].time_ns < line.end_ns
                return first, line.time_ns if inside or not line.end_ns else line.end_ns
        return first, None

    def _plain(self, line: LadderLine) -> str:
        text = self.clean(line.text)
        if line.second:
            return f"  {self._of_server(line)}"
        if line.sender not in (CLIENT, PROXY):
            return f"{self.glyphs.gap} {text}"
        return f"{self.glyphs.right if line.sender == CLIENT else self.glyphs.left} {text}"

    def _of_server(self, line: LadderLine) -> str:
        """A message of the second leg where it has no lane."""
        text = self.clean(line.text)
        if line.sender not in (CLIENT, PROXY):
            return f"{self.glyphs.gap} server  {text}"
        arrow = self.glyphs.right if line.sender == CLIENT else self.glyphs.left
        return f"{arrow} server  {text}"

    def _lanes(self, line: LadderLine, lane: int, part: str, width: int) -> Segments:
        """All life lines and what is between them, ``lane`` cells each."""
        side = self.glyphs.gap if line.kind is LineKind.SILENCE else self.glyphs.lane
        beside = self._beside(width)
        yield side, "dim"
        if not line.second:
            yield from self._arrow(line, lane, part)
        elif beside:
            yield " " * lane, ""
        else:
            text = " " * _INDENT + self._of_server(line)
            yield fit(cut(text, lane, self.glyphs.ellipsis), lane, self.glyphs.ellipsis), part
        yield side, "dim"
        if not beside:
            return
        if line.second:
            yield from self._arrow(line, lane, part)
        else:
            yield " " * lane, ""
        yield self.glyphs.lane, "dim"

    def _arrow(self, line: LadderLine, lane: int, part: str) -> Segments:
        """What is between two life lines, ``lane`` cells."""
        label = cut(self.clean(line.text), lane - 8, self.glyphs.ellipsis)
        if line.sender not in (CLIENT, PROXY):
            left = (lane - cell_len(label)) // 2
            yield " " * left, ""
            yield label, part
            yield " " * (lane - left - cell_len(label)), ""
        else:
            shaft = {
                LineKind.DATA: self.glyphs.heavy,
                LineKind.MISSING: self.glyphs.dashed,
                LineKind.NOTE: self.glyphs.dashed,
            }.get(line.kind, self.glyphs.solid)
            rest = shaft * (lane - 7 - cell_len(label))
            if line.sender == CLIENT:
                yield f"{shaft * 4} ", "dim"
                yield label, part
                yield f" {rest}{self.glyphs.arrow_right}", "dim"
            else:
                yield f"{self.glyphs.arrow_left}{shaft * 3} ", "dim"
                yield label, part
                yield f" {rest}{shaft}", "dim"


def _part(line: LadderLine) -> str:
    """Component class of a line's text."""
    if line.failing or line.severity is Severity.PROBLEM:
        return "failed"
    if line.severity is Severity.WARNING:
        return "warning"
    return "dim" if line.kind in (LineKind.NOTE, LineKind.SILENCE) else ""
