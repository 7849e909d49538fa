"""The line that ``/`` opens: it takes a query and goes away."""

from __future__ import annotations

from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import Input

__all__ = ["FindLine"]


class FindLine(Input):
    """The line that takes the query, in the place of the last line."""

    DEFAULT_CSS = """
    FindLine {
        dock: bottom;
        height: 1;
        border: none;
        padding: 0 1;
        &:focus { border: none; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "Cancel", id="find.cancel"),
    ]

    class Closed(Message):
        """The line was left; ``query`` is None when it was left without one."""

        def __init__(self, line: FindLine, query: str | None) -> None:
            super().__init__()
            self.line = line
            self.query = query

        @property
        def control(self) -> FindLine:
            return self.line

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(
            placeholder="host, SNI, target, verdict, words of a packet, or #number",
            id=id,
            compact=True,
        )
        self._was_left = False

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.close(event.value.strip() or None)

    def action_cancel(self) -> None:
        self.close(None)

    def on_blur(self, event: events.Blur) -> None:
        """Whoever clicks elsewhere has left the line."""
        self.close(None)

    def close(self, query: str | None) -> None:
        """Tell what was asked for; whoever opened the line takes it away."""
        if not self._was_left:
            self._was_left = True
            self.post_message(self.Closed(self, query))
