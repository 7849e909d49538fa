"""Every key of the screen below, read from the bindings themselves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import zip_longest
from typing import Any, ClassVar, Final

from rich.cells import cell_len
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.dom import DOMNode
from textual.screen import ModalScreen, Screen

from tui.keys.bindings import SUBJECTS, BoundAction, actions_of, key_for
from tui.screens.answering import AnsweringScreen
from tui.screens.base import PaneScreen
from widgets.text_view import Line, TextView

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
GAP: Final = 2
"""Columns between two columns of text at least."""


class HelpScreen(AnsweringScreen, ModalScreen[None]):
    """Sections of keys: what works anywhere, subject by subject, then pane by pane."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark,f1", "dismiss", "Close", id="help.close"),
    ]

    def __init__(self, below: Screen[Any], *, ascii_only: bool = False) -> None:
        super().__init__()
        self._below = below
        self._ascii = ascii_only
        self._filled = 0
        """Columns of the screen that the sections were written for."""

    def compose(self) -> ComposeResult:
        # No widget that draws all of its text: only what shows is drawn, in a third of the time.
        yield TextView(id="help")

    def on_mount(self) -> None:
        panel = self.query_one(TextView)
        panel.border_title = "Keys"
        panel.border_subtitle = f"{key_for('help.close', self, self.app)} closes"
        panel.focus()
        self._fill(self.app.size.width)  # now: to lay out and draw an empty panel takes as long

    def on_resize(self, event: events.Resize) -> None:
        self._fill(event.size.width)

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
        self.set_class(width >= WIDE, "-two")
        sections = self.sections()
        if width >= WIDE:
            column = (min(width, PANEL_WIDE) - FRAME) // 2
            left, right = [_text(half, column - GAP) for half in _halves(sections)]
            lines = _side_by_side(left, right, column)
        else:
            lines = _text(sections, min(width, PANEL) - FRAME)
        panel = self.query_one(TextView)
        panel.styles.height = len(lines) + 2
        panel.show(lines)


def _text(sections: Sequence[Section], room: int) -> list[Line]:
    """Sections as lines of at most so many cells; explanations stand where a whole one fits."""
    keys = {action.id: " ".join(action.keys) for _, actions in sections for action in actions}
    width = max(map(cell_len, keys.values()), default=0)
    lines: list[Line] = []
    for title, actions in sections:
        lines.append([(title, "strong")])
        for action in actions:
            key = keys[action.id]
            said = " " * (width - cell_len(key)) + f"  {action.description}"
            more = f"  {action.tooltip}" if action.tooltip else ""
            if 2 + cell_len(key + said + more) > room:
                more = ""
            lines.append([("  ", ""), (key, "key"), (said, ""), (more, "dim")])
        lines.append([])
    return lines[:-1]


def _side_by_side(left: list[Line], right: list[Line], column: int) -> list[Line]:
    """Two columns of so many cells."""
    lines: list[Line] = []
    for one, other in zip_longest(left, right, fillvalue=()):
        used = sum([cell_len(text) for text, _ in one])
        lines.append([*one, (" " * (column - used), ""), *other])
    return lines


def _halves(sections: Sequence[Section]) -> tuple[Sequence[Section], Sequence[Section]]:
    """Sections in order as two columns, of which the longer one is as short as it can be."""
    sizes = [len(actions) + 2 for _, actions in sections]
    cut = min(range(len(sizes) + 1), key=lambda at: max(sum(sizes[:at]), sum(sizes[at:])))
    return sections[:cut], sections[cut:]
