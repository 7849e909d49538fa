"""What every full screen here shares: a last line, panes with names, a way back."""

from __future__ import annotations

from textual.widget import Widget

from tui.footline import Footline
from tui.keys.bindings import BoundAction
from tui.screens.answering import AnsweringScreen

__all__ = ["PaneScreen"]


class PaneScreen(AnsweringScreen, inherit_bindings=False):
    """A screen made of named panes above a ``Footline``."""

    ALLOW_SELECT = False
    ESCAPE_TO_MINIMIZE = False

    def panes(self) -> list[tuple[str, Widget]]:
        """The panes that have keys of their own, with their names, in the order of Tab."""
        raise NotImplementedError

    def hint(self, action: BoundAction) -> str:
        """What the last line says of an action."""
        return action.description.lower()

    def tell(self, message: str, *, error: bool = False, stay: bool = False) -> None:
        """Say something in the last line (see ``Footline.tell``)."""
        self.query_one(Footline).tell(message, error=error, stay=stay)
