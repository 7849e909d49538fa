"""The columns that the list of tunnels can have, to be chosen one by one."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.message import Message

from widgets.columns import Column
from widgets.glyphs import UNICODE, Glyphs
from widgets.line_list import LineList
from widgets.tunnel_columns import COLUMNS, EXPLAINED, LARGEST_FIRST

__all__ = ["ColumnList"]


class ColumnList(LineList):
    """One row a column: whether it is wanted, its title, the sort sign, and what it says.

    Those that are always there have their sign, too, and cannot be taken away.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "choose", "Choose", id="columns.choose"),
        Binding("s", "sort", "Sort", id="columns.sort"),
        Binding("d", "default", "As they fit", id="columns.default"),
    ]

    class Changed(Message):
        """Columns were chosen, or another order."""

        def __init__(self, column_list: ColumnList) -> None:
            super().__init__()
            self.column_list = column_list

        @property
        def control(self) -> ColumnList:
            return self.column_list

    def __init__(
        self,
        chosen: Iterable[str],
        sort: str,
        reverse: bool,
        *,
        glyphs: Glyphs = UNICODE,
        id: str | None = None,
    ) -> None:
        """List all columns.

        Args:
            chosen: Keys of those that the user wants; none: as they fit.
            sort: Key of the one that decides the order.
            reverse: The order is turned around.
            glyphs: Signs to draw.
            id: Of the widget.
        """
        super().__init__(glyphs=glyphs, id=id)
        self.chosen = list(chosen)
        """Keys of the columns wanted, the most wanted first; empty: as they fit."""
        self.sort = sort
        self.reverse = reverse
        self._columns = [column for column in COLUMNS if column.key != "mark"]

    def row_count(self) -> int:
        return len(self._columns)

    def row_key(self, row: int) -> Hashable:
        key = self._columns[row].key
        sorted_by = (self.sort == key, self.reverse)
        return (row, key in self.chosen, bool(self.chosen), sorted_by)

    def row_segments(self, row: int, width: int, selected: bool) -> Iterable[tuple[str, str]]:
        column = self._columns[row]
        wanted = column.pinned or column.key in self.chosen
        sign = self.glyphs.done if wanted else " "
        yield (self.glyphs.cursor if selected else " "), "accent"
        yield f"{sign} ", "dim" if column.pinned else "done"
        yield f"{_title(column):<10}", "strong" if wanted else ""
        arrow = self.glyphs.descending if self.reverse else self.glyphs.ascending
        yield f"{arrow if column.key == self.sort else ' '} ", "accent"
        yield EXPLAINED[column.key], "dim"

    def action_choose(self) -> None:
        column = self._columns[self.cursor]
        if column.pinned:
            return
        if column.key in self.chosen:
            self.chosen.remove(column.key)
        else:
            self.chosen.append(column.key)
        self._changed()

    def row_opened(self) -> None:
        self.action_choose()

    def action_sort(self) -> None:
        key = self._columns[self.cursor].key
        if key == self.sort:
            self.reverse = not self.reverse
        else:
            self.sort, self.reverse = key, key in LARGEST_FIRST
        self._changed()

    def action_default(self) -> None:
        self.chosen.clear()
        self._changed()

    def _changed(self) -> None:
        self.clear_strips()
        self.post_message(self.Changed(self))


def _title(column: Column) -> str:
    return column.title or "steps"
