"""Two tunnels side by side, of one capture or of two."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, ClassVar, Final

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Static

from capture.comparing.compare import Comparison, Gravity, Subject, compare, partners
from capture.comparing.subjects import subject_of
from capture.protocols.text import printable
from capture.report.model import FlowReport
from capture.snapshot import Snapshot
from capture.units import size
from tui.engine_bridge import EngineBridge
from tui.footline import Footline
from tui.keys.bindings import key_for
from tui.lines.find_line import FindLine
from tui.screens.base import PaneScreen
from widgets.compare_view import CompareView
from widgets.glyphs import Glyphs

if TYPE_CHECKING:
    from tui.sessions import Opener

__all__ = ["Capture", "CompareScreen"]

POLL_S: Final = 0.25
"""Between two looks at a second capture that is still read."""


class Capture:
    """A capture that tunnels are taken from."""

    def __init__(self, bridge: EngineBridge, snapshot: Snapshot | None, title: str) -> None:
        """Prepare.

        Args:
            bridge: Fetches frames, and gives the snapshot where it is still to come.
            snapshot: Its state.
            title: Its name, safe to print.
        """
        self.bridge = bridge
        self.snapshot = snapshot
        self.title = title

    def subject(self, flow: FlowReport, source: str = "") -> Subject | None:
        """One of its tunnels, with what a comparison needs."""
        snapshot = self.snapshot
        if snapshot is None:
            return None

        def fetch(number: int) -> bytes:
            return self.bridge.frame(snapshot.packets, number)

        return subject_of(snapshot, flow, fetch, source)


class CompareScreen(PaneScreen):
    """Compares a tunnel with another; the best match comes first, others a key away."""

    AUTO_FOCUS = "#compared"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("n", "difference(1)", "Next difference", id="compare.next-difference"),
        Binding("N", "difference(-1)", "Previous difference", show=False,
                id="compare.previous-difference"),
        Binding("x", "only", "Differences only", id="compare.only"),
        Binding("right_square_bracket", "partner(1)", "Next partner", id="compare.next-partner",
                tooltip="Compare with the tunnel that fits next best"),
        Binding("left_square_bracket", "partner(-1)", "Previous partner", show=False,
                id="compare.previous-partner"),
        Binding("w", "other", "With another capture", id="compare.other",
                tooltip="Open a second capture and compare with a tunnel in it"),
        Binding("y", "copy", "Copy", show=False, id="compare.copy"),
        Binding("escape,q,d", "back", "Back", id="compare.back"),
    ]  # fmt: skip

    def __init__(
        self,
        capture: Capture,
        flow: FlowReport,
        partner: FlowReport | None,
        *,
        glyphs: Glyphs,
        opener: Opener | None = None,
        other: str = "",
    ) -> None:
        """Prepare the screen.

        Args:
            capture: The capture on the main screen.
            flow: The tunnel to look at.
            partner: What to compare it with; None for what fits best.
            glyphs: Signs to draw with.
            opener: Opens a second capture; None where there cannot be one.
            other: File to compare with at once.
        """
        super().__init__()
        self._here = capture
        self._there: Capture | None = None
        self._flow = flow
        self._glyphs = glyphs
        self._opener = opener
        self._first_other = other
        self._choices: list[FlowReport] = []
        self._chosen = 0
        self._given = partner
        self._polling: Timer | None = None
        self._title = Static(id="title", markup=False)
        self._view = CompareView(glyphs=glyphs, id="compared", classes="closer")
        self._footline = Footline(ascii_only=glyphs.done.isascii(), id="footline")
        self._file_line = FindLine(placeholder="a capture file to compare with", id="find")

    def compose(self) -> ComposeResult:
        yield self._title
        yield self._view
        yield self._footline
        yield self._file_line

    def on_mount(self) -> None:
        if self._first_other:
            self._open(self._first_other)
        else:
            self._choose()

    async def on_unmount(self) -> None:
        if self._there is not None:
            # Its engine may take a moment to end; the screen need not wait for it.
            await asyncio.to_thread(self._there.bridge.stop)

    def panes(self) -> list[tuple[str, Widget]]:
        return [("Comparison", self._view)]

    # The two

    def _choose(self) -> None:
        """Find whom to compare with in the capture at hand, and show the best."""
        where = self._there or self._here
        flows = where.snapshot.report.flows if where.snapshot is not None else ()
        self._choices = partners(flows, self._flow, same_capture=self._there is None)
        if self._given is not None and self._there is None:
            given = self._given
            self._choices = [given, *(flow for flow in self._choices if flow.uid != given.uid)]
        self._chosen = 0
        self._compare()

    def _compare(self) -> None:
        where = self._there or self._here
        partner = self._choices[self._chosen] if self._choices else None
        sources = ("", "") if self._there is None else (self._here.title, self._there.title)
        left = self._here.subject(self._flow, sources[0])
        right = where.subject(partner, sources[1]) if partner is not None else None
        if left is None or right is None or partner is None:
            key = key_for("compare.other", self, self.app)
            self._view.empty_text = (
                f"There is no other tunnel to compare with; {key} opens another capture."
                if partner is None
                else "What was seen of one of these tunnels is not kept any more."
            )
            self._view.show(Comparison(()), ("", ""))
            self._title.update(f"Tunnel {self._flow.id}, compared with nothing")
            return
        comparison = compare(left, right)
        self._view.show(comparison, (_name(self._flow), _name(partner)))
        self._title.update(self._summary(comparison, partner))
        self._view.border_title = self._counts(comparison)

    def _summary(self, comparison: Comparison, partner: FlowReport) -> str:
        """Where the two part ways, in a line."""
        who = f"{self._flow.id} beside {partner.id}"
        if self._there is not None:
            who += f" of {self._there.title}"
        if comparison.first is None:
            return f"No difference that matters: {who}"
        row = comparison.rows[comparison.first]
        part = row.step if row.step == row.name else f"{row.step}, {row.name}"
        return f"First difference: {part} {self._glyphs.separator} {who}"

    def _counts(self, comparison: Comparison) -> str:
        rows = comparison.rows
        grave = sum(row.gravity is Gravity.GRAVE for row in rows)
        differ = sum(row.differs for row in rows)
        return f"{differ} of {len(rows)} differ, {grave} gravely"

    def action_partner(self, step: int) -> None:
        place = self._chosen + step
        if not 0 <= place < len(self._choices):
            self.tell("no further tunnel" if step > 0 else "this is the best match")
            return
        self._chosen = place
        self._compare()

    # Another capture

    def action_other(self) -> None:
        if self._opener is None:
            self.tell("a second capture cannot be opened here")
        else:
            self._file_line.open()

    def on_find_line_closed(self, message: FindLine.Closed) -> None:
        message.stop()
        if message.query:
            self._open(message.query)

    def _open(self, path: str) -> None:
        from tui.feeds import FeedFailed, FileFeed

        if self._opener is None:
            return
        feed = FileFeed(os.path.expanduser(path))
        try:
            bridge = self._opener(feed)
        except FeedFailed as error:
            self.tell(str(error), error=True, stay=True)
            self._compare() if self._choices else self._choose()
            return
        before, self._there = self._there, Capture(bridge, None, printable(feed.title, 80))
        if before is not None:
            self.run_worker(before.bridge.stop, thread=True)
        bridge.start()
        if self._polling is None:
            self._polling = self.set_interval(POLL_S, self._poll)
        self._poll()

    def _poll(self) -> None:
        """Look whether the second capture is read."""
        there = self._there
        if there is None:
            return
        newest = there.bridge.poll()
        if newest is not None:
            there.snapshot = newest
        failure = there.bridge.failure
        if failure is None and not (there.snapshot is not None and there.snapshot.finished):
            reading = there.bridge.reading() or there.snapshot
            done = size(reading.bytes_done) if reading is not None else "the start"
            self.tell(f"reading {there.title}: {done}", stay=True)
            return
        if self._polling is not None:
            self._polling.stop()
            self._polling = None
        if failure is not None:
            self.tell(f"{there.title}: {failure}", error=True, stay=True)
        else:
            self._footline.clear()
        self._choose()

    # Other actions

    def action_difference(self, direction: int) -> None:
        if not self._view.next_difference(direction):
            self.tell("no further difference" if direction > 0 else "no difference before this one")

    def action_only(self) -> None:
        self._view.only_differences = not self._view.only_differences

    def action_copy(self) -> None:
        row = self._view.selected
        if row is None:
            self.tell("nothing to copy here")
            return
        text = self._view.clean(f"{row.step} {row.name}: {row.left} | {row.right}")
        self.app.copy_to_clipboard(text)
        self.tell(f"copied: {text}")

    def action_back(self) -> None:
        self.dismiss(None)


def _name(flow: FlowReport) -> str:
    return f"{flow.id}  {flow.client}  {flow.verdict}"
