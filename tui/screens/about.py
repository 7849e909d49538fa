"""What is known of the capture itself: its warnings, its span, what fails in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widget import Widget
from textual.widgets import Static

from capture.protocols.text import printable
from capture.report.about import AboutFact
from tui.footline import Footline
from tui.screens.base import PaneScreen
from widgets.fact_list import FactList
from widgets.glyphs import Glyphs

__all__ = ["AboutScreen"]


class AboutScreen(PaneScreen):
    """A form about a capture, as it was when the screen was opened."""

    AUTO_FOCUS = "#facts"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "copy", "Copy value", id="about.copy"),
        Binding("escape,q,I", "back", "Back", id="about.back"),
    ]

    def __init__(self, title: str, facts: Sequence[AboutFact], *, glyphs: Glyphs) -> None:
        """Prepare the screen.

        Args:
            title: Name of the capture.
            facts: What is known of it.
            glyphs: Signs to draw with.
        """
        super().__init__()
        self._called = title
        self._known = facts
        self._title = Static(id="title", markup=False)
        self._facts = FactList(glyphs=glyphs, id="facts", classes="closer")
        self._footline = Footline(ascii_only=glyphs.done.isascii(), id="footline")

    def compose(self) -> ComposeResult:
        yield self._title
        yield self._facts
        yield self._footline

    def on_mount(self) -> None:
        self._title.update(f"About {printable(self._called, 300)}")
        self._facts.border_title = "Capture"
        self._facts.show(self._known)

    def panes(self) -> list[tuple[str, Widget]]:
        return [("Capture", self._facts)]

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
