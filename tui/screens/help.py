"""Every key of the screen below, read from the bindings themselves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Final

from rich.cells import cell_len
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.dom import DOMNode
from textual.screen import ModalScreen, Screen
from textual.widgets import Static

from tui.keys.bindings import SUBJECTS, BoundAction, actions_of, key_for
from tui.screens.answering import AnsweringScreen
from tui.screens.base import PaneScreen

__all__ = ["HelpScreen"]

Section = tuple[str, list[BoundAction]]
"""A title, and the actions under it."""

WIDE: Final = 116
"""Columns from which on sections stand side by side."""
PANEL: Final = 78
PANEL_WIDE: Final = 150
"""Columns of the panel where there is room, as in the style sheet, and with two columns of text."""
FRAME: Final = 5
"""Columns of the frame, its padding and a scroll bar."""


class HelpScreen(AnsweringScreen, ModalScreen[None]):
    """Sections of keys: what works anywhere, subject by subject, then pane by pane."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark,f1", "dismiss", "Close", id="help.close"),
        Binding("j", "scroll(1)", "Down", show=False, id="help.down"),
        Binding("k", "scroll(-1)", "Up", show=False, id="help.up"),
    ]

    def __init__(self, below: Screen[Any], *, ascii_only: bool = False) -> None:
        super().__init__()
        self._below = below
        self._ascii = ascii_only
        self._filled = 0
        """Columns of the screen that the sections were written for."""

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="help"), Horizontal(id="help-columns"):
            yield Static(id="help-text")
            yield Static(id="help-more")

    def on_mount(self) -> None:
        panel = self.query_one("#help", VerticalScroll)
        panel.border_title = "Keys"
        panel.border_subtitle = f"{key_for('help.close', self, self.app)} closes"
        panel.focus()
        self._fill(self.app.size.width)  # now: to lay out and draw an empty panel takes as long

    def on_resize(self, event: events.Resize) -> None:
        self._fill(event.size.width)

    def action_scroll(self, lines: int) -> None:
        self.query_one("#help", VerticalScroll).scroll_relative(y=lines, animate=False)

    def sections(self) -> list[Section]:
        """Titles with the actions under them; an id is listed once, where it first stands."""
        below = self._below
        seen: set[str] = set()

        def unseen(nodes: Iterable[DOMNode]) -> list[BoundAction]:
            found = []
            for node in nodes:
                for action in actions_of(node, self.app, ascii_only=self._ascii):
                    if action.id and action.id not in seen:
                        seen.add(action.id)
                        found.append(action)
            return found

        anywhere = unseen((below, self.app))
        subjects = [subject.description for subject in SUBJECTS]
        sections = [
            (title, [action for action in anywhere if action.subject == title])
            for title in (*subjects, "")
        ]
        sections = [(title or "Anywhere", actions) for title, actions in sections]
        panes = below.panes() if isinstance(below, PaneScreen) else []
        sections += [(title, unseen((node,))) for title, node in panes]
        return [(title, actions) for title, actions in sections if actions]

    def _fill(self, width: int) -> None:
        """Write the sections as they fit a screen of so many columns."""
        if width == self._filled:
            return
        self._filled = width
        # Not by Textual's breakpoints, which it minds once the screen has been drawn.
        self.set_class(width < WIDE, "-one")
        self.set_class(width >= WIDE, "-two")
        sections = self.sections()
        first: Sequence[Section] = sections
        second: Sequence[Section] = ()
        room = min(width, PANEL) - FRAME
        if width >= WIDE:
            first, second = _halves(sections)
            room = (min(width, PANEL_WIDE) - FRAME) // 2 - 2
        self.query_one("#help-text", Static).update(self._text(first, room))
        self.query_one("#help-more", Static).update(self._text(second, room))

    def _text(self, sections: Sequence[Section], room: int) -> Content:
        keys = {action.id: " ".join(action.keys) for _, actions in sections for action in actions}
        width = max(map(cell_len, keys.values()), default=0)
        lines = []
        for title, actions in sections:
            lines.append(Content.styled(title, "bold"))
            for action in actions:
                key = keys[action.id]
                pad = " " * (width - cell_len(key))
                line = Content.assemble(
                    "  ", (key, "bold $text-accent"), pad, f"  {action.description}"
                )
                more = f"  {action.tooltip}"
                if action.tooltip and line.cell_length + cell_len(more) <= room:
                    line = Content.assemble(line, (more, "$foreground 70%"))
                lines.append(line)
            lines.append(Content(""))
        return Content("\n").join(lines[:-1])


def _halves(sections: Sequence[Section]) -> tuple[Sequence[Section], Sequence[Section]]:
    """Sections in order as two columns, of which the longer one is as short as it can be."""
    sizes = [len(actions) + 2 for _, actions in sections]
    cut = min(range(len(sizes) + 1), key=lambda at: max(sum(sizes[:at]), sum(sizes[at:])))
    return sections[:cut], sections[cut:]
