"""The line of the start screen that takes the capture filter."""

from __future__ import annotations

from typing import ClassVar, Final

from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import Input

__all__ = ["FilterEntry"]

HELP: Final = "for a live capture, such as: port 3128   (empty: every packet)"


class FilterEntry(Input):
    """Always on screen; what stands in it counts for the capture that is started next."""

    DEFAULT_CSS = """
    FilterEntry {
        height: 1;
        border: none;
        padding: 0;
        width: 1fr;
        &:focus { border: none; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "Back", id="filter.cancel"),
    ]

    class Closed(Message):
        """The line was left."""

        def __init__(self, entry: FilterEntry) -> None:
            super().__init__()
            self.entry = entry

        @property
        def control(self) -> FilterEntry:
            return self.entry

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(placeholder=HELP, id=id, compact=True, select_on_focus=False)
        self._before = ""

    def on_focus(self) -> None:
        self._before = self.value

    async def action_submit(self) -> None:
        self.post_message(self.Closed(self))

    def action_cancel(self) -> None:
        """Leave the filter as it was."""
        self.value = self._before
        self.post_message(self.Closed(self))
