"""Labels with their values under headings: a form to read, whatever it is about."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import Final, Protocol

from textual.message import Message

from widgets.cells import fit, wrap
from widgets.line_list import LineList

__all__ = ["Fact", "FactList"]

LABEL: Final = 18
"""Cells of the labels."""
NARROW: Final = 60
"""Below so many cells values go under their labels."""


class Fact(Protocol):
    """One line of the form. Without a value it is a heading."""

    @property
    def label(self) -> str: ...

    @property
    def value(self) -> str: ...

    @property
    def tone(self) -> str:
        """Part of a ``LineList`` that the value is drawn as; may be empty."""
        ...

    @property
    def row(self) -> int:
        """Row of the packet that shows it; -1 for none."""
        ...


class FactList(LineList):
    """A form whose values are broken where the screen ends."""

    DEFAULT_CSS = """
    FactList { height: 1fr; }
    """

    class Opened(Message):
        """Enter on a fact that a packet shows."""

        def __init__(self, view: FactList, row: int) -> None:
            super().__init__()
            self.view = view
            self.row = row

        @property
        def control(self) -> FactList:
            return self.view

    _facts: Sequence[Fact] = ()
    _lines: tuple[tuple[int, int, str], ...] = ()
    """Fact, line of it, and the line's text."""

    def show(self, facts: Sequence[Fact]) -> None:
        """Take the facts."""
        self._facts = facts
        self._lay_out()
        self.cursor = 0
        self.scroll_to_row(0)
        self.refresh_bindings()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "open":
            return any(fact.row >= 0 for fact in self._facts)  # else no hint promises it
        return super().check_action(action, parameters)

    @property
    def selected(self) -> Fact | None:
        """The fact under the cursor."""
        return self._facts[self._lines[self.cursor][0]] if self._lines else None

    def _lay_out(self) -> None:
        lines: list[tuple[int, int, str]] = []
        room = max(16, self.line_width - self._indent)
        for place, fact in enumerate(self._facts):
            if not fact.value:
                if lines:
                    lines.append((place, -1, ""))
                lines.append((place, 0, self.clean(fact.label)))
                continue
            parts = wrap(self.clean(fact.value), room)
            lines += [(place, number, text) for number, text in enumerate(parts)]
        self._lines = tuple(lines)
        self.rows_changed(at_once=True)
        self.clear_strips()

    @property
    def _indent(self) -> int:
        return 4 + (LABEL if self.line_width >= NARROW else LABEL // 2 + 3)

    def resized(self) -> None:
        self._lay_out()
        self.move_cursor(self.cursor, tell=False)

    def row_opened(self) -> None:
        fact = self.selected
        if fact is not None and fact.row >= 0:
            self.post_message(self.Opened(self, fact.row))

    def row_count(self) -> int:
        return len(self._lines)

    def row_key(self, row: int) -> Hashable:
        return (row, self._lines[row], id(self._facts))

    def row_segments(self, row: int, width: int, selected: bool) -> Iterable[tuple[str, str]]:
        place, number, text = self._lines[row]
        fact = self._facts[place]
        if not fact.value:
            yield text, fact.tone or "strong"
            return
        room = self._indent - 4
        label = self.clean(fact.label) if number == 0 else ""
        yield "  ", ""
        yield fit(label, room, self.glyphs.ellipsis), "dim"
        yield "  ", ""
        yield text, fact.tone
