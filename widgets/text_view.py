"""Lines of text that scroll: no cursor, and drawn only where they show."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence

from widgets.line_list import LineList

Line = Sequence[tuple[str, str]]
"""(text, part) pairs; a part as ``LineList.row_segments`` has it."""


class TextView(LineList):
    """Shows lines; keys scroll them."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._lines: Sequence[Line] = ()

    def show(self, lines: Sequence[Line]) -> None:
        """Take lines. The text of each is safe, and none is longer than there is room."""
        self._lines = lines
        self.rows_changed(at_once=True)
        self.clear_strips()

    def row_count(self) -> int:
        return len(self._lines)

    def row_key(self, row: int) -> Hashable:
        return row

    def row_segments(self, row: int, width: int, selected: bool) -> Iterable[tuple[str, str]]:
        return self._lines[row]

    def cursor_shown(self, row: int) -> bool:
        return False

    def action_cursor(self, rows: int) -> None:
        self.scroll_relative(y=rows, animate=False)

    def action_page(self, pages: int) -> None:
        self.scroll_relative(y=pages * self.page_rows, animate=False)

    def action_first(self) -> None:
        self.scroll_to_row(0)

    def action_last(self) -> None:
        self.scroll_to_row(self.row_count() - self.page_rows)
