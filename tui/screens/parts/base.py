"""What every part of the main screen may rely on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui.screens.base import PaneScreen

if TYPE_CHECKING:
    from textual.widgets import Static

    from capture.describe import Describer
    from capture.report.model import FlowReport
    from capture.snapshot import Snapshot
    from tui.engine_bridge import EngineBridge
    from tui.finder import Finder
    from tui.footline import Footline
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

    _bridge: EngineBridge
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
    _shown: FlowReport | None
    """The tunnel that the panes show."""

    def started(self) -> None:
        """Called once, when the screen is drawn and the engine has been started."""

    def took(self, snapshot: Snapshot) -> None:
        """Called after a snapshot has been shown."""

    def fill(self) -> None:
        """Show the selected tunnel in the other panes, from the newest snapshot."""
        raise NotImplementedError

    def go_to_packet(self, number: int) -> None:
        """Show a packet (1-based number) in the packet pane."""
        raise NotImplementedError
