"""Finding things: the line that a query is typed in, and its hits."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.widgets import Input

from tui.keys.bindings import FIND
from tui.screens.parts.base import MainPart

if TYPE_CHECKING:
    from tui.lines.find_line import FindLine


class FindPart(MainPart):
    """Finding things: the line that a query is typed in, and its hits."""

    BINDINGS: ClassVar[list[BindingType]] = [
        # With priority, and so before any pane: the line has the focus before the next key.
        Binding("slash", "find", "Find", priority=True, id="main.find", group=FIND),
        Binding("n", "hit(1)", "Next hit", show=False, id="main.next-hit", group=FIND),
        Binding("N", "hit(-1)", "Previous hit", show=False, id="main.previous-hit", group=FIND),
    ]  # fmt: skip

    _find_line: FindLine | None = None
    _typed: str | None = None
    """What was typed and is not looked for yet."""

    async def mount_find_line(self) -> None:
        """Make the line; done once, when the first screen stands."""
        from tui.lines.find_line import FindLine

        self._find_line = FindLine(id="find")
        await self.mount(self._find_line)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        # In a line that is being typed a slash is a letter.
        if action == "find" and isinstance(self.focused, Input):
            return False
        return super().check_action(action, parameters)

    def action_find(self) -> None:
        if self._find_line is not None:
            self._finder.begin(in_packets=self.focused is self._packets)
            self._find_line.open()

    def on_find_line_typed(self, message: FindLine.Typed) -> None:
        message.stop()
        if not message.query.startswith("#"):
            self._typed = message.query
            # A letter is seen before it is looked for, and letters that come at once are
            # looked for together: among 54,000 tunnels that takes longer than typing.
            self.call_after_refresh(self._look_for_typed)

    def _look_for_typed(self) -> None:
        query, self._typed = self._typed, None
        if query is not None:
            self._finder.typed(query)
            self.refresh_bindings()

    def on_find_line_closed(self, message: FindLine.Closed) -> None:
        message.stop()
        self._keep_focus()
        query = message.query
        if query is None:
            self._typed = None
            self._finder.give_up()
            self._footline.clear()
            self.refresh_bindings()
            return
        self._look_for_typed()
        if query[0] == "#" and query[1:].isdecimal() and len(query) < 12:
            self._finder.give_up()
            self.go_to_packet(int(query[1:]))
        else:
            self._finder.settle(query)
        self.refresh_bindings()

    def action_hit(self, direction: int) -> None:
        self._finder.step(direction, in_packets=self.focused is self._packets)

    def _tell_found(self, text: str, stay: bool) -> None:
        self.tell(text, stay=stay)
