"""The side panel that names the known issue of the selected tunnel."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.message import Message
from textual.reactive import var
from textual.strip import Strip

from capture.report.model import Finding, FlowReport
from widgets.glyphs import UNICODE, Glyphs
from widgets.issue_text import Explain, PanelLine, command_of, compact_lines, panel_lines
from widgets.line_list import LineList
from widgets.waiting import wait_of


class IssuePanel(LineList):
    """What was seen, why, how sure, and what to do; or how healthy the tunnel is.

    The cursor rests on *stops*: packets of the evidence, and next steps.
    """

    DEFAULT_CSS = """
    IssuePanel { height: 1fr; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "copy", "Copy command", show=False, id="issue.copy"),
    ]

    compact: var[bool] = var(False)
    """Folded to two lines without a cursor, for small screens."""

    class Evidence(Message):
        """Enter or a double click on a packet of the evidence."""

        def __init__(self, panel: IssuePanel, number: int) -> None:
            super().__init__()
            self.panel = panel
            self.number = number

        @property
        def control(self) -> IssuePanel:
            return self.panel

    class CopyRequested(Message):
        """The user wants a command on the clipboard."""

        def __init__(self, panel: IssuePanel, text: str) -> None:
            super().__init__()
            self.panel = panel
            self.text = text

        @property
        def control(self) -> IssuePanel:
            return self.panel

    def __init__(
        self, *, glyphs: Glyphs = UNICODE, id: str | None = None, classes: str | None = None
    ) -> None:
        super().__init__(glyphs=glyphs, id=id, classes=classes)
        self._flow: FlowReport | None = None
        self._findings: tuple[Finding, ...] = ()
        self._explain: Explain | None = None
        self._lines: tuple[PanelLine, ...] = ()
        self._built_for: tuple[int, bool] | None = None
        self._clock_ns: int | None = None

    def show(
        self,
        flow: FlowReport | None,
        capture_findings: tuple[Finding, ...] = (),
        explain: Explain | None = None,
    ) -> None:
        """Take the selected flow.

        Args:
            flow: None while none is selected.
            capture_findings: Findings about the capture as a whole.
            explain: Words for a packet by number, shown beside the evidence.
        """
        if flow is self._flow and capture_findings == self._findings:
            return
        same = flow is not None and self._flow is not None and flow.uid == self._flow.uid
        self._flow, self._findings, self._explain = flow, capture_findings, explain
        if same and self._built_for == (self.line_width, self.compact):
            self._lay_out_again()
        else:
            self._built_for = None
            self._build()
        if same and self.cursor < len(self._lines) and self._is_stop(self.cursor):
            return
        self.cursor = next(iter(self._stops()), 0)
        self.scroll_to_row(0)

    # Lines

    def _build(self) -> None:
        """Lay the text out for the width there is."""
        wanted = (self.line_width, self.compact)
        if wanted == self._built_for:
            return
        self._built_for = wanted
        self._lines = self._laid_out()
        self.rows_changed(at_once=True)
        self.clear_strips()

    def _laid_out(self) -> tuple[PanelLine, ...]:
        width = self.line_width
        if self.compact:
            return compact_lines(
                self._flow, self._findings, width, self.glyphs, clock_ns=self._clock_ns
            )
        # One cell for the cursor's sign before each line.
        return panel_lines(
            self._flow, self._findings, width - 1, self.glyphs, self._explain, self._clock_ns
        )

    def age(self, clock_ns: int | None) -> None:
        """Show how long the tunnel has been waiting; draws nothing else again.

        Args:
            clock_ns: The moment that a live capture, or a replay, has got to; None: it is over.
        """
        before, self._clock_ns = self._clock_ns, clock_ns
        if wait_of(self._flow, before) or wait_of(self._flow, clock_ns):
            self._lay_out_again()

    def _lay_out_again(self) -> None:
        """Take the same flow's new text; draw only the lines that read differently."""
        old, self._lines = self._lines, self._laid_out()
        self.rows_changed(at_once=True)
        for row in range(max(len(old), len(self._lines))):
            if old[row : row + 1] != self._lines[row : row + 1]:
                self.refresh_row(row)

    def render_line(self, y: int) -> Strip:
        if self._built_for is not None and self._built_for[0] <= 0 < self.line_width:
            # Shown for the first time, and painted before it was told its size: its text is
            # still wrapped for no room at all.
            return Strip.blank(self.size.width, self.rich_style)
        return super().render_line(y)

    def resized(self) -> None:
        stop = self._stop_ordinal()
        self._build()
        stops = self._stops()
        if stops:
            self.cursor = stops[min(stop, len(stops) - 1)]

    def watch_compact(self, compact: bool) -> None:
        self.can_focus = not compact
        self._build()
        self.cursor = next(iter(self._stops()), 0)
        self.scroll_to_row(0)

    def row_count(self) -> int:
        return len(self._lines)

    def row_key(self, row: int) -> Hashable:
        return (self._lines[row], self.compact)

    def row_segments(self, row: int, width: int, selected: bool) -> Iterable[tuple[str, str]]:
        if not self.compact:
            marked = selected and self._is_stop(row)
            yield (self.glyphs.cursor if marked else " "), "accent"
        yield from self._lines[row].segments

    def cursor_shown(self, row: int) -> bool:
        return not self.compact and self._is_stop(row)

    # Stops

    def _is_stop(self, row: int) -> bool:
        line = self._lines[row]
        return bool(line.evidence or line.step)

    def _stops(self) -> list[int]:
        return [row for row in range(len(self._lines)) if self._is_stop(row)]

    def _stop_ordinal(self) -> int:
        return sum(row < self.cursor for row in self._stops())

    def action_cursor(self, rows: int) -> None:
        """Go to the next stop; scroll where there is none within a page."""
        ahead = [row for row in self._stops() if (row - self.cursor) * rows > 0]
        target = min(ahead, key=lambda row: abs(row - self.cursor), default=None)
        top, page = self.top_row, self.page_rows
        if target is not None and top - page <= target < top + 2 * page:
            self.move_cursor(target)
        else:
            self.scroll_to_row(top + rows)

    def action_page(self, pages: int) -> None:
        self.scroll_to_row(self.top_row + pages * self.page_rows)

    def action_first(self) -> None:
        self.cursor = next(iter(self._stops()), 0)
        self.scroll_to_row(0)
        self.refresh()

    def action_last(self) -> None:
        self.cursor = next(reversed(self._stops()), 0)
        self.scroll_to_row(self.row_count())
        self.refresh()

    def row_opened(self) -> None:
        line = self._lines[self.cursor]
        if line.evidence:
            self.post_message(self.Evidence(self, line.evidence))
        elif line.step:
            self.post_message(self.CopyRequested(self, line.step))

    # Copying

    @property
    def command(self) -> str | None:
        """What ``y`` copies: the step under the cursor, else the first command there is."""
        if not self.compact and self.cursor < len(self._lines) and self._lines[self.cursor].step:
            return self._lines[self.cursor].step
        steps = self._next_steps()
        return next(iter(self.commands()), steps[0] if steps else None)

    def commands(self) -> list[str]:
        """Every command among the next steps, in their order."""
        return [command for step in self._next_steps() if (command := command_of(step))]

    def _next_steps(self) -> list[str]:
        findings = (*(self._flow.findings if self._flow else ()), *self._findings)
        return [step for finding in findings for step in finding.next_steps]

    def action_copy(self) -> None:
        command = self.command
        if command is not None:
            self.post_message(self.CopyRequested(self, command))
