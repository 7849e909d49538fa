"""The list of what can be copied of a tunnel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from capture.protocols.text import printable
from tui.keys.bindings import key_for
from tui.screens.answering import AnsweringScreen

__all__ = ["CopyScreen"]


class _Texts(OptionList):
    """A list that can be paged through also where there is no room for a line of it."""

    def _move_page(self, direction: Literal[-1, 1]) -> None:
        if self.scrollable_content_region:
            super()._move_page(direction)  # without a line, Textual's raises KeyError


class CopyScreen(AnsweringScreen, ModalScreen[str | None]):
    """Ends with the text to copy, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "dismiss", "Close", id="copy.close"),
        Binding("j", "move(1)", "Down", show=False, id="copy.down"),
        Binding("k", "move(-1)", "Up", show=False, id="copy.up"),
    ]
    DEFAULT_CSS = """
    CopyScreen {
        align: center middle;
        & > OptionList {
            width: 76;
            max-width: 100%;
            height: auto;
            max-height: 100%;
            &, &:focus { border: heavy $border; }
            border-title-color: $foreground;
            border-title-style: bold;
            border-subtitle-color: $foreground;
            background: $surface;
            text-overflow: ellipsis;
            text-wrap: nowrap;
        }
    }
    """

    def __init__(self, texts: Sequence[tuple[str, str]], *, ascii_only: bool = False) -> None:
        """Prepare the list.

        Args:
            texts: What it is, and the text.
            ascii_only: Draw with ASCII only.
        """
        super().__init__()
        self._texts = texts
        self._ascii = ascii_only

    def compose(self) -> ComposeResult:
        width = max((len(label) for label, _ in self._texts), default=0)
        yield _Texts(
            *(
                Option(
                    Content.assemble(
                        (f"{label:<{width}}", "bold"), "  ", printable(text.partition("\n")[0], 200)
                    )
                )
                for label, text in self._texts
            )
        )

    def on_mount(self) -> None:
        panel = self.query_one(OptionList)
        panel.border_title = "Copy"
        panel.border_subtitle = f"Enter copies, {key_for('copy.close', self, self.app)} closes"
        if self._ascii:
            panel.styles.border = ("ascii", panel.styles.border_top[1])
        panel.focus()

    def action_move(self, step: int) -> None:
        panel = self.query_one(OptionList)
        (panel.action_cursor_down if step > 0 else panel.action_cursor_up)()

    def on_option_list_option_selected(self, message: OptionList.OptionSelected) -> None:
        message.stop()
        self.dismiss(self._texts[message.option_index][1])
