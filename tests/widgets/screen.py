"""An app that holds one widget, and what can be read off it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Generic, TypeVar

from rich.cells import cell_len
from textual.app import App, ComposeResult
from textual.message import Message
from textual.pilot import Pilot
from textual.widget import Widget

from tests.rest import at_rest

W = TypeVar("W", bound=Widget)


class Stage(App[None], Generic[W]):
    """Shows one widget on the whole screen and keeps the messages that reach it."""

    def __init__(self, widget: W, theme: str | None = None) -> None:
        super().__init__()
        self.widget = widget
        self.heard: list[Message] = []
        self.pilot: Pilot[None]
        if theme:
            self.theme = theme

    def compose(self) -> ComposeResult:
        yield self.widget

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await at_rest(self)

    async def settle(self) -> None:
        await at_rest(self)

    async def until(self, holds: Callable[[], object]) -> None:
        """Wait for something that comes by and by."""
        await at_rest(self, lambda: "" if holds() else "it does not come")

    async def click(self, x: int, y: int, *, times: int = 1) -> None:
        """Click on a cell of the widget."""
        await at_rest(self)
        assert await self.pilot.click(self.widget, offset=(x, y), times=times)
        await at_rest(self)

    async def resize(self, width: int, height: int) -> None:
        await self.pilot.resize_terminal(width, height)
        await at_rest(self)

    def lines(self) -> list[str]:
        """The widget's lines as text, without blanks at the right."""
        height = self.widget.size.height
        return [self.widget.render_line(y).text.rstrip() for y in range(height)]

    def full_lines(self) -> list[str]:
        """The same with their blanks: each must be as wide as the widget."""
        return [self.widget.render_line(y).text for y in range(self.widget.size.height)]

    def fits(self) -> bool:
        """Whether every line takes exactly the cells there are, inside the scroll bar."""
        width = self.widget.scrollable_content_region.width
        return all(cell_len(line) == width for line in self.full_lines())


@asynccontextmanager
async def staged(
    widget: W, width: int = 80, height: int = 12, *, theme: str | None = None, focus: bool = True
) -> AsyncIterator[Stage[W]]:
    """Run a widget on a screen of its own; messages it posts are in ``heard``."""
    stage = Stage(widget, theme)
    own = type(widget)

    def hear(message: Message) -> None:
        # The hook sees a message at every pump that it passes.
        mine = type(message).__qualname__.split(".")[0] in {base.__name__ for base in own.__mro__}
        if mine and not any(message is other for other in stage.heard):
            stage.heard.append(message)

    async with stage.run_test(size=(width, height), message_hook=hear) as pilot:
        stage.pilot = pilot
        if focus and widget.can_focus:
            widget.focus()
        await at_rest(stage)
        yield stage


HOSTILE = (
    "\x1b[31mred\x1b]52;c;ZXZpbA==\x07",
    "a\u202egnp.exe",
    "\u0645\u0648\u0642\u0639.example",
    "漢字漢字漢字漢字.example",
    "e\u0301" * 40,
    "[bold]not markup[/bold]",
    "x" * 5000,
    "\x9b2Jcsi\x85nel\u2028sep",
    "\ud800lone",
)
"""Names as an enemy would choose them."""

STEERING = {*map(chr, range(0x20)), *map(chr, range(0x7F, 0xA0)), "\u202e", "\u2028", "\ud800"}


def steers(lines: list[str]) -> bool:
    """Whether a character that steers a terminal is among what would be drawn."""
    return any(STEERING & set(line) for line in lines)
