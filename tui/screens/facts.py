"""What is known of something, as a list of facts on a screen of its own."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.widget import Widget
from textual.widgets import Static

from capture.protocols.text import printable
from tui.footline import Footline
from tui.screens.base import PaneScreen
from widgets.fact_list import Fact, FactList
from widgets.glyphs import Glyphs

__all__ = ["FactScreen"]


class FactScreen(PaneScreen):
    """A title, and facts whose values can be copied. Who derives from it binds the keys."""

    AUTO_FOCUS = "#facts"

    def __init__(
        self, title: Sequence[str], pane: str, facts: Sequence[Fact], *, glyphs: Glyphs
    ) -> None:
        """Prepare the screen.

        Args:
            title: What the facts are about, in parts.
            pane: Name of the pane that holds them.
            facts: What is known.
            glyphs: Signs to draw with.
        """
        super().__init__()
        words = f" {glyphs.separator} ".join([printable(part, 300) for part in title])
        self._title = Static(words, id="title", markup=False)
        self._facts = FactList(glyphs=glyphs, id="facts", classes="closer")
        self._facts.border_title = pane
        self._pane = pane
        self._known = facts
        self._footline = Footline(ascii_only=glyphs.done.isascii(), id="footline")

    def compose(self) -> ComposeResult:
        yield self._title
        yield self._facts
        yield self._footline

    def on_mount(self) -> None:
        self._facts.show(self._known)

    def panes(self) -> list[tuple[str, Widget]]:
        return [(self._pane, self._facts)]

    def action_copy(self) -> None:
        fact = self._facts.selected
        if fact is None or not fact.value:
            self.tell("nothing to copy here")
            return
        text = printable(fact.value, 4000)
        self.app.copy_to_clipboard(text)
        self.tell(f"copied: {text}")

    def action_back(self) -> None:
        self.dismiss(None)
