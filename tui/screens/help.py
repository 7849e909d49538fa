"""Every key of the screen below, read from the bindings themselves."""

from __future__ import annotations

from typing import Any, ClassVar

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.dom import DOMNode
from textual.screen import ModalScreen, Screen
from textual.widgets import Static

from tui.keys import BoundAction, actions_of
from tui.screens.base import PaneScreen

__all__ = ["HelpScreen"]


class HelpScreen(ModalScreen[None]):
    """Sections of keys: what works anywhere, then pane by pane."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark,f1", "dismiss", "Close", id="help.close"),
        Binding("j", "scroll(1)", "Down", show=False, id="help.down"),
        Binding("k", "scroll(-1)", "Up", show=False, id="help.up"),
    ]

    def __init__(self, below: Screen[Any], *, ascii_only: bool = False) -> None:
        super().__init__()
        self._below = below
        self._ascii = ascii_only

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="help"):
            yield Static(self._text(), id="help-text")

    def on_mount(self) -> None:
        panel = self.query_one("#help", VerticalScroll)
        panel.border_title = "Keys"
        panel.border_subtitle = "Esc closes"
        panel.focus()

    def action_scroll(self, lines: int) -> None:
        self.query_one("#help", VerticalScroll).scroll_relative(y=lines, animate=False)

    def sections(self) -> list[tuple[str, list[BoundAction]]]:
        """Titles with the actions under them; an id is listed once, where it first stands."""
        below = self._below
        panes = below.panes() if isinstance(below, PaneScreen) else []
        nodes: list[tuple[str, DOMNode]] = [("Anywhere", below), ("", self.app), *panes]
        sections: list[tuple[str, list[BoundAction]]] = []
        seen: set[str] = set()
        for title, node in nodes:
            actions = []
            for action in actions_of(node, self.app, ascii_only=self._ascii):
                if action.id and action.id not in seen:
                    seen.add(action.id)
                    actions.append(action)
            if not actions:
                continue
            if title or not sections:
                sections.append((title, actions))
            else:
                sections[-1][1].extend(actions)
        return sections

    def _text(self) -> Content:
        sections = self.sections()
        keys = {action.id: " ".join(action.keys) for _, actions in sections for action in actions}
        width = max(map(cell_len, keys.values()), default=0)
        lines = []
        for title, actions in sections:
            lines.append(Content.styled(title, "bold"))
            for action in actions:
                key = keys[action.id]
                pad = " " * (width - cell_len(key))
                lines.append(
                    Content.assemble(
                        "  ", (key, "bold $text-accent"), pad, f"  {action.description}"
                    )
                )
            lines.append(Content(""))
        return Content("\n").join(lines[:-1])
