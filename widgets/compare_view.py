"""Two tunnels side by side, the differences marked."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from itertools import zip_longest
from typing import Final

from capture.comparing.compare import CompareRow, Comparison, Gravity
from widgets.cells import fit, wrap
from widgets.line_list import LineList

__all__ = ["CompareView"]

NAME: Final = 28
"""Cells of the names; less where the screen is narrow."""
MAX_PARTS: Final = 6
"""Lines that a long value takes; what is beyond is cut."""

_PARTS: Final = {
    Gravity.SAME: "",
    Gravity.MINOR: "accent",
    Gravity.NOTABLE: "warning",
    Gravity.GRAVE: "failed",
}


class CompareView(LineList):
    """Rows of two values under the parts of a tunnel's life."""

    DEFAULT_CSS = """
    CompareView { height: 1fr; }
    """

    _comparison = Comparison(())
    _titles = ("", "")
    _only_differences = False
    _lines: tuple[tuple[int, str, str, str], ...] = ()
    """Row of the comparison (-1: a heading), and the texts of its columns."""

    def on_mount(self) -> None:
        self.head_lines = 1

    def show(self, comparison: Comparison, titles: tuple[str, str]) -> None:
        """Take a comparison; the cursor goes to where the two part ways.

        Args:
            comparison: The rows.
            titles: What the columns are.
        """
        self._comparison, self._titles = comparison, titles
        self._lay_out()
        self.cursor = 0
        self.scroll_to_row(0)
        if comparison.first is not None:
            self.call_after_refresh(self.go_to, comparison.first)

    @property
    def only_differences(self) -> bool:
        """Leave out what is the same."""
        return self._only_differences

    @only_differences.setter
    def only_differences(self, only: bool) -> None:
        selected = self._place
        self._only_differences = only
        self._lay_out()
        self.go_to(selected)

    @property
    def selected(self) -> CompareRow | None:
        """The row under the cursor."""
        place = self._place
        return self._comparison.rows[place] if place >= 0 else None

    @property
    def _place(self) -> int:
        return self._lines[self.cursor][0] if self._lines else -1

    def go_to(self, place: int) -> None:
        """Put the cursor on a row of the comparison, or the next one that is shown."""
        for line, (row, *_) in enumerate(self._lines):
            if row >= max(0, place):
                self.move_cursor(line, center=True)
                return

    def next_difference(self, direction: int) -> bool:
        """Go to the next row that differs, or the one before."""
        rows = self._comparison.rows
        here = self._place
        line = self.cursor + direction
        while 0 <= line < len(self._lines):
            row = self._lines[line][0]
            if row >= 0 and row != here and rows[row].differs:
                self.go_to(row)
                return True
            line += direction
        return False

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        # There is nothing in a row to open.
        return action != "open" and super().check_action(action, parameters)

    # -- layout -----------------------------------------------------------------------

    @property
    def _widths(self) -> tuple[int, int]:
        """Cells of the names, and of each value."""
        width = max(30, self.line_width)
        name = min(NAME + 4, width // 4)
        return name, (width - name - 5) // 2

    def _lay_out(self) -> None:
        names, room = self._widths
        lines: list[tuple[int, str, str, str]] = []
        step = ""
        for place, row in enumerate(self._comparison.rows):
            if self._only_differences and not row.differs:
                continue
            if row.step != step:
                step = row.step
                lines.append((-1, step, "", ""))
            name = wrap(self.clean(row.name), names - 1)[:MAX_PARTS]
            left, right = (wrap(self.clean(text), room)[:MAX_PARTS] for text in row[2:4])
            for parts in zip_longest(name, left, right, fillvalue=""):
                lines.append((place, *parts))
        self._lines = tuple(lines)
        self.rows_changed(at_once=True)
        self.clear_strips()

    def resized(self) -> None:
        place = self._place
        self._lay_out()
        self.go_to(place)

    def row_count(self) -> int:
        return len(self._lines)

    def row_key(self, row: int) -> Hashable:
        place = self._lines[row][0]
        gravity = self._comparison.rows[place].gravity if place >= 0 else None
        return (*self._lines[row], gravity, place == self._comparison.first)

    def head_segments(self, line: int, width: int) -> Iterable[tuple[str, str]]:
        name, room = self._widths
        yield " " * (name + 3), ""
        for title in self._titles:
            yield f"{fit(self.clean(title), room, self.glyphs.ellipsis)}  ", ""

    def row_segments(self, row: int, width: int, selected: bool) -> Iterable[tuple[str, str]]:
        place, name, left, right = self._lines[row]
        if place < 0:
            yield name, "strong"
            return
        gravity = self._comparison.rows[place].gravity
        part, (names, room) = _PARTS[gravity], self._widths
        first = place == self._comparison.first
        begins = not row or self._lines[row - 1][0] != place
        sign = self._sign(gravity) if begins else " "
        yield f"{self.glyphs.cursor if first and begins else ' '}{sign} ", part or "dim"
        yield f"{fit(name, names - 1, self.glyphs.ellipsis)} ", part or "dim"
        yield f"{fit(left, room, self.glyphs.ellipsis)}  ", part
        yield fit(right, room, self.glyphs.ellipsis), part

    def _sign(self, gravity: Gravity) -> str:
        if gravity is Gravity.GRAVE:
            return self.glyphs.failed
        if gravity is Gravity.NOTABLE:
            return self.glyphs.warning
        return self.glyphs.bullet if gravity is Gravity.MINOR else " "
