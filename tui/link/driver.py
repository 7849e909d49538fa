"""A terminal's driver that writes what differs, when the link has room for it.

And reads keys its own way, see `tui.link.typed`.
"""

from __future__ import annotations

import asyncio
import math
import os
import signal
from typing import TYPE_CHECKING, Final

from textual import events

from tui.link.typed import TypedReader

if TYPE_CHECKING:
    from textual.driver import Driver
    from textual.message import Message

    from tui.link.budget import LinkBudget
    from tui.link.canvas import Canvas

__all__ = ["paced"]

GATHER_S: Final = 0.04
"""Where every byte counts: what is drawn within so short a time is sent together, since some of
it is drawn over at once."""

_ASKING: Final = (events.Key, events.Paste, events.MouseDown, events.MouseUp, events.MouseScrollUp,
                  events.MouseScrollDown)  # fmt: skip


def paced(base: type[Driver], budget: LinkBudget, canvas: Canvas) -> type[Driver]:
    """A driver class that puts down what it is to write, and writes it as the budget allows.

    Args:
        base: The driver of the terminal.
        budget: Pays for what is written.
        canvas: Knows what the terminal shows.
    """

    class PacedDriver(base):  # type: ignore[misc, valid-type]
        _timer: asyncio.TimerHandle | None = None
        _news = False
        """A key was pressed since something was drawn."""

        def process_message(self, message: Message) -> None:
            # In the thread that reads keys.
            if isinstance(message, _ASKING):
                self._news = True
                budget.ask()
            super().process_message(message)

        def run_input_thread(self) -> None:
            """Read keys until told to end; a terminal that is gone hangs up."""
            # What gives way to keys does so while it is not clear yet whether it was Escape.
            reader = TypedReader(self.fileno, self.process_message, budget.ask, debug=self._debug)
            if not reader.read_until(self.exit_event):
                # The kernel tells the session's leader, and not everybody below it.
                os.kill(os.getpid(), signal.SIGHUP)

        def write(self, data: str) -> None:
            if self._news:
                self._news = False
                canvas.put_off()
            self._put(canvas.draw(data, asked=budget.asked))
            if not budget.strict:
                self._go_on()
            elif self._timer is None:
                self._wait(GATHER_S)

        def _go_on(self) -> None:
            """Write as much as there is room for, and come back for the rest."""
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            room = budget.room()
            if room >= 1 or not budget.strict:
                self._put(canvas.portion(room, asked=room if budget.strict else math.inf))
            budget.keep_up(canvas.behind)
            if canvas.behind:
                self._wait(budget.wait_s())

        def _wait(self, seconds: float) -> None:
            self._timer = asyncio.get_running_loop().call_later(seconds, self._go_on)

        def _put(self, data: str) -> None:
            if data:
                budget.spend(len(data.encode("utf-8", "replace")))
                super().write(data)

    return PacedDriver
