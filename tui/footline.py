"""The last line: what can be done now, or what has just happened."""

from __future__ import annotations

from typing import ClassVar, Final, Protocol, runtime_checkable

from rich.cells import cell_len
from textual import events
from textual.content import Content
from textual.reactive import reactive
from textual.screen import Screen
from textual.timer import Timer
from textual.widget import Widget

from capture.protocols.text import printable
from tui.keys.bindings import BoundAction, active_actions
from widgets.cells import cut

__all__ = ["Footline"]

MESSAGE_S: Final = 6.0
"""How long a message stays when no key replaces it."""

FIRST: Final = ("list.open", "main.find", "main.pause")
ALSO: Final = (*FIRST, "issue.copy")
"""Hints for what widgets bind without asking for a hint."""
LAST: Final = (
    *("main.leave", "packet.back", "stream.back", "tls.back", "plots.back", "compare.back"),
    *("about.back", "app.help"),
)
"""Hints that keep their place when room is short: how to get out, how to learn the rest."""


@runtime_checkable
class Hinting(Protocol):
    """A screen that words its own hints."""

    def hint(self, action: BoundAction) -> str:
        """What to say of an action."""
        ...


class Footline(Widget, can_focus=False):
    """Key hints that follow the focus and the key map; whole hints or none, never cut ones.

    Hints are the active bindings that ask to be shown. A message takes their place until
    the next key or for a few seconds.
    """

    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "footline--key",
        "footline--text",
        "footline--message",
        "footline--error",
    }
    DEFAULT_CSS = """
    Footline {
        dock: bottom;
        height: 1;
        background: $footer-background;
        color: $footer-foreground;
        & > .footline--key { color: $footer-key-foreground; text-style: bold; }
        & > .footline--text { color: $footer-description-foreground; }
        & > .footline--message { text-style: bold; }
        & > .footline--error { color: $text-error; text-style: bold; }
    }
    """

    message: reactive[str] = reactive("")
    is_error: reactive[bool] = reactive(False)

    def __init__(self, *, ascii_only: bool = False, id: str | None = None) -> None:
        super().__init__(id=id)
        self._ascii = ascii_only
        self._timer: Timer | None = None
        self._spans: list[tuple[int, int, BoundAction]] = []

    def on_mount(self) -> None:
        self.screen.bindings_updated_signal.subscribe(self, self._bindings_changed)

    def _bindings_changed(self, _: Screen[object]) -> None:
        if not self.message:
            self.refresh()

    def tell(self, message: str, *, error: bool = False, stay: bool = False) -> None:
        """Show a message.

        Args:
            message: One line; made printable here.
            error: Something failed.
            stay: Until ``clear`` or another message, not just for a while.
        """
        if self._timer is not None:
            self._timer.stop()
            self._timer = None
        self.is_error = error
        self.message = printable(message, 500)
        if message and not stay:
            self._timer = self.set_timer(MESSAGE_S, self.clear)

    def clear(self) -> None:
        """Go back to the hints."""
        self.tell("")

    def render(self) -> Content:
        width = self.size.width
        self._spans = []
        if self.message:
            part = "footline--error" if self.is_error else "footline--message"
            text = cut(self.message, width - 2, "~" if self._ascii else "…")
            return Content.assemble(" ", (text, self.get_visual_style(part)))
        key_style = self.get_visual_style("footline--key")
        text_style = self.get_visual_style("footline--text")
        content = Content(" ")
        for hint in self._fitting(width - 1):
            start = content.cell_length
            content = content + Content.assemble(
                (hint.keys[0], key_style), " ", (self._words(hint), text_style), "  "
            )
            self._spans.append((start, content.cell_length, hint))
        return content

    def _fitting(self, width: int) -> list[BoundAction]:
        """The hints that fit, in order; the last ones have their room reserved."""
        hints = [
            action
            for action in active_actions(self.screen, ascii_only=self._ascii)
            if action.show or action.id in ALSO
        ]
        hints.sort(key=lambda hint: hint.id not in FIRST)
        last = [hint for hint in hints if hint.id in LAST]
        room = width - sum(map(self._cells, last))
        chosen = []
        for hint in hints:
            if hint.id in LAST:
                continue
            room -= self._cells(hint)
            if room < 0:
                break
            chosen.append(hint)
        return chosen + last

    def _words(self, hint: BoundAction) -> str:
        screen = self.screen
        if isinstance(screen, Hinting):
            return screen.hint(hint)
        return hint.description.lower()

    def _cells(self, hint: BoundAction) -> int:
        return cell_len(hint.keys[0]) + 1 + cell_len(self._words(hint)) + 2

    async def on_click(self, event: events.Click) -> None:
        for start, end, hint in self._spans:
            if start <= event.x < end:
                await self.app.run_action(hint.action, default_namespace=hint.node)
                return
