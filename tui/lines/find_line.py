"""The line that ``/`` opens: it takes a query and goes away."""

from __future__ import annotations

from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input

from tui.lines.line_input import LineInput

__all__ = ["FindLine"]


class FindLine(LineInput):
    """The line that takes the query, above the last line, which tells what is found meanwhile."""

    DEFAULT_CSS = """
    FindLine {
        dock: bottom;
        layer: find;
        height: 1;
        margin-bottom: 1;
        border: none;
        display: none;
        &.-textual-compact { padding: 0 1; }
        &.-open { display: block; }
        &:focus { border: none; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "Cancel", id="find.cancel"),
    ]

    class Typed(Message):
        """The query has become another one."""

        def __init__(self, line: FindLine, query: str) -> None:
            super().__init__()
            self.line = line
            self.query = query

        @property
        def control(self) -> FindLine:
            return self.line

    class Closed(Message):
        """The line was left; ``query`` is None when it was left without one."""

        def __init__(self, line: FindLine, query: str | None) -> None:
            super().__init__()
            self.line = line
            self.query = query

        @property
        def control(self) -> FindLine:
            return self.line

    def __init__(
        self,
        *,
        placeholder: str = "host, SNI, target, verdict, words of a packet, or #number",
        id: str | None = None,
    ) -> None:
        super().__init__(placeholder=placeholder, id=id, compact=True)
        self._back_to: Widget | None = None
        self._before = ""

    @property
    def is_open(self) -> bool:
        return self.has_class("-open")

    def accepted(self) -> None:
        self.close(self.value.strip() or None)

    def on_input_changed(self, message: Input.Changed) -> None:
        message.stop()
        if self.is_open and message.value == self.value:
            self.post_message(self.Typed(self, self.value.strip()))

    def action_cancel(self) -> None:
        self.close(None)

    def on_blur(self, event: events.Blur) -> None:
        """Whoever clicks elsewhere has left the line."""
        self.close(None)

    def open(self) -> None:
        """Show the line, its last query selected, and take the keys from now on."""
        self.add_class("-open")
        self._before = self.value
        self.select_all()
        self._back_to = self.screen.focused
        # Not self.focus(), which waits a turn: the first letters may be on their way.
        self.screen.set_focus(self)

    def close(self, query: str | None) -> None:
        """Hide the line, give the keys back, and tell what was asked for."""
        if self.is_open:
            self.remove_class("-open")
            if query is None:
                self.value = self._before
            if self.screen.focused in (None, self):
                self.screen.set_focus(self._back_to)
            self.post_message(self.Closed(self, query))
