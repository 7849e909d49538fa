"""What is known of the capture itself: its warnings, its span, what fails in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType

from capture.report.about import AboutFact
from tui.screens.facts import FactScreen
from widgets.glyphs import Glyphs

__all__ = ["AboutScreen"]


class AboutScreen(FactScreen):
    """A form about a capture, as it was when the screen was opened."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "copy", "Copy value", id="about.copy"),
        Binding("escape,q,I", "back", "Back", id="about.back"),
    ]

    def __init__(self, name: str, facts: Sequence[AboutFact], *, glyphs: Glyphs) -> None:
        """Prepare the screen.

        Args:
            name: Of the capture.
            facts: What is known of it.
            glyphs: Signs to draw with.
        """
        super().__init__([f"About {name}"], "Capture", facts, glyphs=glyphs)
