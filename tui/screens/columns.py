"""Chooses the columns of the tunnels; the list behind follows at once."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.screen import ModalScreen

from tui.keys.bindings import actions_of
from tui.screens.answering import AnsweringScreen
from widgets.column_list import ColumnList
from widgets.glyphs import Glyphs
from widgets.tunnel_list import TunnelList

__all__ = ["ColumnScreen"]


class ColumnScreen(AnsweringScreen, ModalScreen[None]):
    """A list of the columns over the screen they belong to."""

    AUTO_FOCUS = "#columns"
    DEFAULT_CSS = """
    ColumnScreen {
        align: center middle;
        & #columns {
            width: 66;
            max-width: 100%;
            height: 20;
            max-height: 100%;
            border: heavy $border;
            border-title-color: $foreground;
            border-title-style: bold;
            border-subtitle-color: $foreground;
        }
    }
    .-ascii ColumnScreen #columns { border: ascii $border; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,C", "close", "Close", id="columns.close"),
    ]

    def __init__(self, tunnels: TunnelList, *, glyphs: Glyphs) -> None:
        """Open over a list.

        Args:
            tunnels: The list whose columns are chosen.
            glyphs: Signs to draw.
        """
        super().__init__()
        self._tunnels = tunnels
        self._columns = ColumnList(
            tunnels.columns,
            tunnels.sort_column,
            tunnels.sort_reversed,
            glyphs=glyphs,
            id="columns",
        )

    def compose(self) -> ComposeResult:
        yield self._columns

    def on_mount(self) -> None:
        self._columns.border_title = "Columns"
        ascii_only = self.app.has_class("-ascii")
        own = [*actions_of(self._columns, self.app, ascii_only=ascii_only)]
        own += actions_of(self, self.app, ascii_only=ascii_only)
        shown = [action for action in own if action.show]
        hints = (f"{action.keys[0]} {action.description.lower()}" for action in shown)
        self._columns.border_subtitle = Content("  ".join(hints))

    def on_column_list_changed(self, message: ColumnList.Changed) -> None:
        message.stop()
        chosen = message.column_list
        self._tunnels.choose_columns(chosen.chosen)
        self._tunnels.sort_by(chosen.sort, reverse=chosen.reverse)

    def action_close(self) -> None:
        self.dismiss(None)
