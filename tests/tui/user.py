"""A user at the screen, for the tests: presses keys, waits, and reads what is there."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from textual.pilot import Pilot
from textual.widget import Widget

from tests.rest import GIVE_UP_S, LOOK_S, at_rest
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
        """Wait until something holds, and then until nothing moves any more."""
        give_up = time.monotonic() + GIVE_UP_S
        while not holds():
            assert time.monotonic() < give_up, self.text()
            await self.pilot.pause(LOOK_S)
        await self.rest()

    async def rest(self) -> None:
        """Wait until all is obeyed and drawn, and the newest snapshot is shown."""
        await at_rest(self.app, self._awaited)

    def _awaited(self) -> str:
        for screen in self.app.screen_stack:
            if isinstance(screen, MainScreen):
                engine = screen._bridge._engine
                if engine is None or engine.latest() is not screen._bridge._seen:
                    return "the newest snapshot was not looked at"
        return ""

    async def press(self, *keys: str) -> None:
        for key in keys:
            await self.pilot.press(key)
            await self.rest()

    async def click(self, widget: Widget | type[Widget] | str, x: int, y: int = 0) -> None:
        await self.rest()
        assert await self.pilot.click(widget, offset=(x, y)), "something else is there"
        await self.rest()

    async def resize(self, width: int, height: int) -> None:
        await self.pilot.resize_terminal(width, height)
        await self.rest()

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
        else:
            await user.rest()
        yield user
