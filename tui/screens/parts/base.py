"""What every part of the main screen may rely on."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType

from tui.keys.bindings import REPLAY
from tui.screens.base import PaneScreen

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from textual.widget import Widget
    from textual.widgets import Static

    from capture.packets.lines import Describer
    from capture.report.model import FlowReport
    from capture.snapshot import Snapshot
    from tui.engine_bridge import EngineBridge
    from tui.finding.finder import Finder
    from tui.footline import Footline
    from tui.link.budget import LinkBudget
    from widgets.glyphs import Glyphs
    from widgets.header import CaptureHeader
    from widgets.issue_panel import IssuePanel
    from widgets.packet_list import PacketList
    from widgets.timeline import Timeline
    from widgets.tunnel_list import TunnelList


class MainPart(PaneScreen):
    """Base of the parts: names what ``MainScreen`` makes, and hooks that a part may extend.

    A part holds the bindings and actions of one subject. Its hooks call ``super()``.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("p,space", "pause", "Play or pause", id="main.pause", group=REPLAY),
    ]

    _bridge: EngineBridge
    _budget: LinkBudget
    _glyphs: Glyphs
    _header: CaptureHeader
    _tunnels: TunnelList
    _timeline: Timeline
    _packets: PacketList
    _issue: IssuePanel
    _brief: IssuePanel
    _banner: Static
    _footline: Footline
    _finder: Finder
    _describer: Describer
    _snapshot: Snapshot | None
    """The newest snapshot shown."""
    _every_packet: bool
    """The packet pane shows those of all tunnels."""
    _shown: FlowReport | None
    """The tunnel that the panes show."""

    def started(self) -> None:
        """Called once, when the screen is drawn and the engine has been started."""

    def rests(self) -> bool:
        """Whether nothing new is to be looked for yet: keys come first."""
        return False

    def holds(self, snapshot: Snapshot) -> bool:
        """Whether a snapshot that has come must not be shown now; ``took`` is not called."""
        return False

    def taking(self, snapshot: Snapshot) -> None:
        """Called before a snapshot is shown: what is to be left out of it is settled now."""

    def took(self, snapshot: Snapshot) -> None:
        """Called after a snapshot has been shown."""

    def narrowed(self, rows: NDArray[np.int64] | None) -> NDArray[np.int64] | None:
        """Those of the rows of the packet index (None: of all) that are to be shown."""
        return rows

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "pause":
            return False  # until a part has something to stop
        return super().check_action(action, parameters)

    @property
    def below_is_start(self) -> bool:
        """Whether this capture was opened on the start screen."""
        return self.app.screen_stack[0] is not self

    def may_slip_out(self) -> bool:
        """Whether Escape, which is pressed lightly, may leave the capture."""
        return True

    def action_pause(self) -> None:
        """Stop what moves, or let it go on: a live view, a replay's clock. One key for both:
        a part that has nothing to stop passes it on."""

    def say_trouble(self, words: str) -> None:
        """Show one line across the screen, until it is empty again."""
        raise NotImplementedError

    def _pull(self) -> None:
        """Look for a newer snapshot and show it."""
        raise NotImplementedError

    def take(self, snapshot: Snapshot) -> None:
        """Show a snapshot."""
        raise NotImplementedError

    def filled(self) -> None:
        """Called after the other panes show the selected tunnel."""

    def fill(self) -> None:
        """Show the selected tunnel in the other panes, from the newest snapshot."""
        raise NotImplementedError

    def _keep_focus(self, target: Widget | None = None) -> None:
        """Focus a pane that is displayed: this one, or the one it was, or the first."""
        raise NotImplementedError

    def go_to_packet(self, number: int) -> None:
        """Show a packet (1-based number) in the packet pane."""
        raise NotImplementedError
