"""The screen of a capture: tunnels, timeline and packets, and the known issue beside them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Static

from capture.packets.index import EMPTY
from capture.packets.lines import Describer
from capture.protocols.text import printable
from capture.report.model import FlowReport
from capture.snapshot import Snapshot
from capture.timeline.ladder import build_ladder
from tui.engine_bridge import EngineBridge
from tui.finding.finder import Finder
from tui.footline import Footline
from tui.keys.bindings import AWAY, FIND, PANES, BoundAction
from tui.link.budget import LinkBudget
from tui.screens.parts.away import AwayPart
from tui.screens.parts.closer import CloserPart
from tui.screens.parts.filtering import FilterPart
from tui.screens.parts.finding import FindPart
from tui.screens.parts.live import LivePart
from tui.screens.parts.replay import ReplayPart
from widgets.empty import empty_text
from widgets.glyphs import glyphs
from widgets.header import CaptureHeader
from widgets.issue_panel import IssuePanel
from widgets.packet_list import PacketList
from widgets.replay_bar import ReplayBar
from widgets.timeline import Timeline
from widgets.tunnel_list import TunnelList

__all__ = ["MainScreen"]

SETTLE_S: Final = 0.03
"""A held cursor key crosses many tunnels; the panes are filled where it comes to rest."""

COPY_LIMIT: Final = 4000
"""Characters that are copied at most."""

MAXIMISED: Final = "The whole screen, or back"


class MainScreen(FindPart, LivePart, ReplayPart, FilterPart, AwayPart, CloserPart):
    """Pulls snapshots, shows them, and carries messages from pane to pane."""

    # Textual declares these as instance variables, though it reads them of the class.
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide")]  # noqa: RUF012
    VERTICAL_BREAKPOINTS = [(0, "-short"), (30, "-tall")]  # noqa: RUF012
    AUTO_FOCUS = "#tunnels"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right_square_bracket", "problem(1)", "Next problem", id="main.next-problem",
                group=FIND),
        Binding("left_square_bracket", "problem(-1)", "Previous problem", show=False,
                id="main.previous-problem", group=FIND),
        Binding("1", "zoom('tunnels')", "Tunnels", show=False, id="main.zoom-tunnels",
                group=PANES, tooltip=MAXIMISED),
        Binding("2", "zoom('timeline')", "Timeline", show=False, id="main.zoom-timeline",
                group=PANES, tooltip=MAXIMISED),
        Binding("3", "zoom('packets')", "Packets", id="main.zoom-packets", group=PANES,
                tooltip=MAXIMISED),
        Binding("4", "zoom('issue')", "Issue", id="main.zoom-issue", group=PANES,
                tooltip=MAXIMISED),
        Binding("tab", "pane(1)", "Next pane", show=False, id="main.next-pane", group=PANES),
        Binding("shift+tab", "pane(-1)", "Previous pane", show=False, id="main.previous-pane",
                group=PANES),
        Binding("t", "time_format", "Time format", show=False, id="main.time-format",
                group=PANES),
        Binding("a", "all_packets", "Packets of all / of the tunnel", show=False,
                id="main.all-packets", group=PANES),
        Binding("y", "copy", "Copy command", id="main.copy", group=AWAY,
                tooltip="What to try next: curl, openssl, ping"),
        Binding("escape", "back", "Back", show=False, id="main.back"),
        Binding("q", "leave", "Quit, or back", id="main.leave"),
    ]  # fmt: skip

    class Left(Message):
        """The user is done with this capture."""

    def __init__(
        self,
        bridge: EngineBridge,
        *,
        title: str,
        ascii_only: bool,
        period_s: float,
        budget: LinkBudget | None = None,
    ) -> None:
        """Prepare the screen.

        Args:
            bridge: Gives snapshots; started when the screen has been drawn once.
            title: Name of the capture, safe to print.
            ascii_only: Draw with ASCII only.
            period_s: Seconds between two looks for a new snapshot.
            budget: Says when the terminal has room for more; None: always.
        """
        super().__init__()
        self._bridge = bridge
        self._budget = budget or LinkBudget(None)
        self._period_s = period_s
        signs = self._glyphs = glyphs(ascii_only)
        self._header = CaptureHeader(title=title, glyphs=signs, id="header")
        self._bar = ReplayBar(glyphs=signs, id="replay")
        self._tunnels = TunnelList(glyphs=signs, id="tunnels")
        self._timeline = Timeline(glyphs=signs, id="timeline")
        self._packets = PacketList(glyphs=signs, id="packets")
        self._issue = IssuePanel(glyphs=signs, id="issue")
        self._brief = IssuePanel(glyphs=signs, id="brief")
        self._banner = Static(id="banner", markup=False)
        self._footline = Footline(ascii_only=ascii_only, id="footline")
        self._finder = Finder(self._tunnels, self._packets, self._tell_found)
        self._snapshot: Snapshot | None = None
        self._describer = Describer(EMPTY, {})
        self._shown: FlowReport | None = None
        self._every_packet = False
        self._shown_rows = -1
        self._opened: FlowReport | None = None
        """The tunnel that the panes show, with what keys open of it."""
        self._packets_shown: NDArray[np.int64] | None = None
        self._settle: Timer | None = None
        self._before_zoom: Widget | None = None
        self._trouble = ""

    def compose(self) -> ComposeResult:
        with Horizontal(id="top"):
            yield self._header
            yield self._bar
        yield self._banner
        with Horizontal(id="body"):
            with Vertical(id="left"):
                yield self._tunnels
                yield self._timeline
                yield self._brief
                yield self._packets
            yield self._issue
        yield self._footline

    def on_mount(self) -> None:
        self._brief.compact = True
        self._tunnels.border_title = "Tunnels"
        self._issue.border_title = "Known issue"
        self._title_panes()
        self._tunnels.empty_text = empty_text(None)
        for pane in (self._timeline, self._packets):
            self.watch(pane, "time_format", self._tell_times, init=False)
        # The first screen is on the terminal before the first byte of the file is read.
        self.call_after_refresh(self._start)

    async def _start(self) -> None:
        self._bridge.start()
        await self.mount_find_line()
        self.set_interval(self._period_s, self._pull)
        self.started()

    def panes(self) -> list[tuple[str, Widget]]:
        return [
            ("Tunnels", self._tunnels),
            ("Timeline", self._timeline),
            ("Packets", self._packets),
            ("Known issue", self._issue),
        ]

    # Snapshots

    def _pull(self) -> None:
        """Take the newest snapshot, if there is one and the terminal has room for it."""
        if self._snapshot is not None and (self.rests() or not self._budget.ready()):
            return
        snapshot = self._bridge.poll()
        failure = self._bridge.failure
        if failure is not None:
            self.say_trouble(failure)
        if snapshot is None:
            if (reading := self._bridge.reading()) is not None:
                self._header.show(reading)
        elif not self.holds(snapshot):
            shown = self._snapshot
            if shown is None or shown.finished != snapshot.finished:
                self._budget.ask()  # what the user waited for
            elif self.is_current:
                self._budget.unasked()
            self.take(snapshot)

    def take(self, snapshot: Snapshot) -> None:
        before, self._snapshot = self._snapshot, snapshot
        with self.app.batch_update():
            if snapshot.capturing is None:
                self._header.show(snapshot)
            self._tunnels.empty_text = empty_text(snapshot)
            if before is None or not snapshot.is_merely_later(before):
                self._show(snapshot)
            self.took(snapshot)

    def _show(self, snapshot: Snapshot) -> None:
        self._describer.update(snapshot.packets, snapshot.facts)
        self.taking(snapshot)
        self._name_hosts(snapshot.report.names)
        self._tunnels.show(tuple(snapshot.report.flows))
        self._finder.tunnels_changed()
        self.fill()

    def _name_hosts(self, names: Mapping[str, str]) -> None:
        self._tunnels.name_hosts(names)
        self._timeline.name_hosts(names)
        self._finder.name_hosts(names)

    def say_trouble(self, words: str) -> None:
        if words and words != self._trouble:
            self._banner.update(printable(words, 300), layout=False)
        self._trouble = words
        self.set_class(bool(words), "-trouble")

    def fill(self) -> None:
        """Show the selected tunnel in the other panes."""
        snapshot = self._snapshot
        if snapshot is None:
            return
        flow = self._tunnels.selected
        facts = snapshot.facts.get(flow.uid) if flow is not None else None
        rows = np.zeros(0, np.int64) if flow is None else snapshot.packets.of_flow(flow.uid)
        legs = () if flow is None else snapshot.legs.get(flow.uid, ())
        drawn = len(rows) + sum(len(snapshot.packets.of_flow(leg.facts.id)) for leg in legs)
        if flow is None or facts is None:
            self._timeline.show(flow)
            self._opened = flow
        elif flow is not self._shown or drawn != self._shown_rows:
            self._opened, inner = self._bridge.opened(flow, snapshot.packets, rows)
            lines = build_ladder(flow, facts, snapshot.packets, rows, legs, inner)
            self._timeline.show(self._opened, lines)
        findings = snapshot.report.findings
        self._issue.show(self._opened, findings, self._explain)
        self._brief.show(self._opened, findings)
        same = flow is not None and self._shown is not None and flow.uid == self._shown.uid
        self._shown, self._shown_rows = flow, drawn
        self._fill_packets(snapshot, rows, same=same)
        self._title_panes()
        self.filled()

    def _explain(self, number: int) -> str:
        """A packet in a few words, beside its number in the evidence."""
        snapshot = self._snapshot
        row = snapshot.packets.row(number) if snapshot is not None else None
        return "" if row is None else self._describer(row).info

    def _fill_packets(self, snapshot: Snapshot, rows: NDArray[np.int64], *, same: bool) -> None:
        every = self._every_packet or self._shown is None
        index = self.narrowed(None if every else rows)
        self._packets_shown = index
        labels = {flow.uid: str(flow.id) for flow in snapshot.report.flows} if every else None
        self._packets.show(snapshot.packets, index, self._describer, labels)
        if not same and not every and not self._packets.following:
            self._packets.move_cursor(0, tell=False)  # another tunnel: from its start
        self._finder.scope(snapshot.packets, index, snapshot.facts, same=same or every)

    def _title_panes(self) -> None:
        flow = self._shown
        number = "" if flow is None else f" {flow.id}"
        every = self._every_packet or flow is None
        for pane, title in (
            (self._timeline, f"Timeline{number}"),
            (self._packets, "Packets" if every else f"Packets of{number}"),
        ):
            if pane.border_title != title:  # set anew, even the same one draws the pane again
                pane.border_title = title

    # Messages from the panes

    def on_tunnel_list_selected(self, message: TunnelList.Selected) -> None:
        message.stop()
        if self._settle is None:
            self._settle = self.set_timer(SETTLE_S, self._settled)
        else:
            self._settle.reset()

    def _settled(self) -> None:
        self._settle = None
        flow, shown = self._tunnels.selected, self._shown
        if flow is None or shown is None or flow.uid != shown.uid:
            self._every_packet = False
            self.fill()

    def on_tunnel_list_opened(self, message: TunnelList.Opened) -> None:
        message.stop()
        self._reveal(self._timeline)

    def on_timeline_line_opened(self, message: Timeline.LineOpened) -> None:
        message.stop()
        self.go_to_packet(message.first_number)

    def on_issue_panel_evidence(self, message: IssuePanel.Evidence) -> None:
        message.stop()
        self.go_to_packet(message.number)

    def on_issue_panel_copy_requested(self, message: IssuePanel.CopyRequested) -> None:
        message.stop()
        # It will be pasted into a shell: no line break or control may be in it.
        text = printable(message.text, COPY_LIMIT)
        self.app.copy_to_clipboard(text)
        self.tell(f"copied: {text}")

    def on_packet_list_opened(self, message: PacketList.Opened) -> None:
        message.stop()
        self._open_packet(message.number)

    # Moving between panes

    def _open_packet(self, number: int) -> None:
        from tui.screens.packet import PacketScreen

        if self._snapshot is None:
            return
        screen = PacketScreen(
            self._bridge,
            self._snapshot,
            number,
            rows=self._packets_shown,
            describer=self._describer,
            glyphs=self._glyphs,
        )

        def follow(_: None) -> None:
            self._packets.go_to(screen.number)

        self.app.push_screen(screen, follow)

    def go_to_packet(self, number: int) -> None:
        """Show a packet in the packet pane; of all packets when it is not the tunnel's."""
        if not self._packets.go_to(number) and not self._every_packet:
            self.action_all_packets()
        self._reveal(self._packets)
        # A pane that was hidden knows only now how many rows it has.
        self.call_after_refresh(self._packets.go_to, number)

    def _reveal(self, pane: Widget) -> None:
        """Focus a pane; where there is no room for it, let it take the screen."""
        if pane in self.focus_chain:
            self.set_focus(pane)
        else:
            self._zoom(pane)

    @property
    def _zoomed(self) -> Widget | None:
        """The pane that has the screen for itself."""
        return next((pane for _, pane in self.panes() if self.has_class(_zoom_class(pane))), None)

    def _zoom(self, pane: Widget | None) -> None:
        """Give the screen to one pane, or (None) to all of them again."""
        if pane is not None and self._zoomed is None:
            self._before_zoom = self.focused
        for _, other in self.panes():
            self.set_class(other is pane, _zoom_class(other))
        self._keep_focus(pane or self._before_zoom)
        self.call_after_refresh(self._keep_cursors)

    def _keep_focus(self, target: Widget | None = None) -> None:
        """Focus a pane that is displayed: this one, or the one it was, or the first."""
        chain = self.focus_chain
        for pane in (target, self.focused, self._zoomed, self._tunnels):
            if pane is not None and pane in chain:
                self.set_focus(pane)
                break
        self.refresh_bindings()

    def _keep_cursors(self) -> None:
        """Bring every cursor on screen, after panes have got another size."""
        for pane in (self._tunnels, self._timeline, self._packets):
            if pane.display:
                pane.bring_on_screen(pane.cursor, center=True)

    def on_resize(self) -> None:
        self.call_after_refresh(self._keep_focus)
        self.call_after_refresh(self._keep_cursors)

    def action_zoom(self, name: str) -> None:
        pane = self.query_one(f"#{name}")
        self._zoom(None if pane is self._zoomed else pane)

    def action_pane(self, step: int) -> None:
        panes = [pane for _, pane in self.panes()]
        zoomed = self._zoomed
        if zoomed is not None:
            self._zoom(panes[(panes.index(zoomed) + step) % len(panes)])
            return
        chain = self.focus_chain
        panes = [pane for pane in panes if pane in chain]
        at = panes.index(self.focused) if self.focused in panes else -step
        self.set_focus(panes[(at + step) % len(panes)])

    @property
    def _inside(self) -> bool:
        """Whether there is something to go back from before leaving."""
        return self._zoomed is not None or bool(self._finder.query)

    def hint(self, action: BoundAction) -> str:
        if action.id == "main.leave":
            return "back" if self._inside else "to the start" if self.below_is_start else "quit"
        return super().hint(action)

    def action_back(self) -> None:
        """One step back: from the search, from a zoomed pane, to the tunnels."""
        if self._finder.query:
            self._finder.clear()
            self._footline.clear()
            self.refresh_bindings()
        elif self._zoomed is not None:
            self._zoom(None)
        else:
            self._footline.clear()
            self.set_focus(self._tunnels)
            if self.below_is_start and self.may_slip_out():
                self.action_leave()

    def action_leave(self) -> None:
        if self._inside:
            self.action_back()
        else:
            self.post_message(self.Left())

    # Other actions

    def action_problem(self, direction: int) -> None:
        found = self._tunnels.next_problem() if direction > 0 else self._tunnels.previous_problem()
        if not found:
            self.tell("no failing tunnel")

    def action_time_format(self) -> None:
        self._timeline.action_time_format()
        self._packets.action_time_format()

    def _tell_times(self) -> None:
        """What times mean cannot be seen of them: proxies log in local time as often as not."""
        ladder, packets = self._timeline.time_format, self._packets.time_format
        self.tell(f"times in the timeline: {ladder.words}; of packets: {packets.words}")

    def action_all_packets(self) -> None:
        self._every_packet = not self._every_packet
        self.fill()

    def action_copy(self) -> None:
        if self._issue.command is not None:
            self._issue.action_copy()
        elif command := self.repeating():
            self.copy_text(command, command)
        else:
            self.tell("no command to copy here")


def _zoom_class(pane: Widget) -> str:
    return f"-zoom-{pane.id}"
