"""Screens that draw the answer to a key at once, rather than on Textual's next beat."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from textual.reactive import Reactive
from textual.screen import Screen
from textual.widget import Widget

if TYPE_CHECKING:
    from tui.link.budget import LinkBudget

__all__ = ["AnsweringScreen"]

ANSWER_S: Final = 0.1
"""What changes so soon after a key belongs to its answer."""
GATHER_S: Final = 0.002
"""Widgets tell one after another that they have changed; what does so within this time is drawn
in one go."""


class AnsweringScreen(Screen[Any]):
    """Draws at once what changes right after a key.

    Textual draws 60 times a second at most, and its timer, when it went on after a rest, lets
    the next beat go by: a key that comes right behind an update of the screen is answered one
    or two beats later. Measured while a capture plays: 8 to 33 ms, more than all else together.
    """

    # Textual draws the whole screen again; but panes draw themselves as they lose or get the focus.
    focused: Reactive[Widget | None] = Reactive(None, repaint=False)
    _drawing: asyncio.TimerHandle | None = None

    def on_idle(self) -> None:
        # Runs before Textual's own handler, which makes the timer go on.
        budget: LinkBudget | None = getattr(self.app, "budget", None)
        if self._drawing is None and budget is not None and budget.asked_within(ANSWER_S):
            self._drawing = asyncio.get_running_loop().call_later(GATHER_S, self._draw_now)

    def _draw_now(self) -> None:
        self._drawing = None
        if self.is_attached and self.is_current:
            self._on_timer_update()
