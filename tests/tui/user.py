"""A user at the screen, for the tests: presses keys, waits, and reads what is there."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from textual.pilot import Pilot

from tui.application import TunnelscopeApp
from tui.footline import Footline
from tui.screens.main import MainScreen
from widgets.issue_panel import IssuePanel
from widgets.packet_list import PacketList
from widgets.timeline import Timeline
from widgets.tunnel_list import TunnelList

SIZES = [(80, 24), (120, 36), (200, 50)]


class User:
    """A pilot that waits until the screen has come to rest."""

    def __init__(self, app: TunnelscopeApp, pilot: Pilot[int]) -> None:
        self.app = app
        self.pilot = pilot

    @property
    def screen(self) -> MainScreen:
        screen = self.app.screen_stack[0]
        assert isinstance(screen, MainScreen)
        return screen

    async def until(self, holds: Callable[[], object]) -> None:
        for _ in range(300):
            if holds():
                return
            await self.pilot.pause(0.01)
        assert holds(), self.text()

    async def press(self, *keys: str) -> None:
        for key in keys:
            await self.pilot.press(key)
            await self.pilot.pause(0.05)

    def tunnels(self) -> TunnelList:
        return self.screen.query_one(TunnelList)

    def timeline(self) -> Timeline:
        return self.screen.query_one(Timeline)

    def packets(self) -> PacketList:
        return self.screen.query_one(PacketList)

    def issue(self) -> IssuePanel:
        return self.screen.query_one("#issue", IssuePanel)

    def said(self) -> str:
        return self.screen.query_one(Footline).message

    def focus(self) -> str:
        return (self.app.focused.id or "") if self.app.focused else ""

    def shown(self) -> set[str]:
        names = ("tunnels", "timeline", "packets", "issue", "brief")
        return {
            name
            for name in names
            if (widget := self.screen.query_one(f"#{name}")).region.area and widget.display
        }

    def text(self) -> str:
        """What is on the terminal."""
        lines = self.app.screen._compositor.render_strips()
        return "\n".join("".join(segment.text for segment in line) for line in lines)


@asynccontextmanager
async def using(
    app: TunnelscopeApp, size: tuple[int, int] = (120, 36), *, loaded: bool = True
) -> AsyncIterator[User]:
    async with app.run_test(size=size) as pilot:
        user = User(app, pilot)
        if loaded:
            await user.until(lambda: user.packets().row_count() > 0)
        yield user
