"""A line of text that takes keys in the order in which they were typed."""

from __future__ import annotations

from textual import events
from textual.widgets import Input

__all__ = ["LineInput"]


class LineInput(Input):
    """An ``Input`` whose editing keys neither overtake letters nor are overtaken.

    Textual inserts letters at once, while keys that are bindings (Enter, Backspace, Tab) take
    a turn by way of the application: typed ahead of a busy screen, they come out in another
    order. Here all of them are done in turn, and what was typed behind the Enter goes to
    whoever has the focus by then.
    """

    @property
    def is_open(self) -> bool:
        """Whether the line takes keys at all."""
        return True

    def accepted(self) -> None:
        """Enter: the text is complete."""
        raise NotImplementedError

    async def on_key(self, event: events.Key) -> None:
        if not self.is_open:
            event.stop()
            event.prevent_default()
            if self.screen.focused is not self:
                self.app.post_message(events.Key(event.key, event.character))
            return
        if event.is_printable:
            return
        bindings = self._bindings.copy()
        bindings.apply_keymap(self.app._keymap)
        for binding in bindings.key_to_bindings.get(event.key, ()):
            event.stop()
            event.prevent_default()
            await self.run_action(binding.action)

    async def action_submit(self) -> None:
        self.accepted()
