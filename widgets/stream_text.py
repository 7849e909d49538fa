"""A tunnel's conversation as lines: heads, text, and the sizes of what is encrypted."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import Final

from rich.cells import cell_len
from textual.message import Message

from capture.facts import CLIENT
from capture.stream.text import LineKind, StreamLine
from widgets.cells import wrap
from widgets.glyphs import UNICODE, Glyphs
from widgets.line_list import LineList

__all__ = ["StreamTextView"]

AHEAD: Final = 3
"""Pages of lines behind the cursor that ought to be there before the user is."""
USUAL_WIDTH: Final = 77
_INDENT: Final = 2

_PARTS: Final = {
    LineKind.TURN: "accent",
    LineKind.FIRST: "strong",
    LineKind.BINARY: "dim",
    LineKind.GAP: "warning",
    LineKind.NOTE: "dim",
}


class StreamTextView(LineList):
    """Lines of a conversation, broken where the screen ends; more are asked for in time."""

    DEFAULT_CSS = """
    StreamTextView { height: 1fr; }
    """

    class MoreWanted(Message):
        """The cursor comes near the end of the lines that there are."""

        def __init__(self, view: StreamTextView, *, all_of_it: bool = False) -> None:
            super().__init__()
            self.view = view
            self.all_of_it = all_of_it
            """The user wants to go to the very end."""

        @property
        def control(self) -> StreamTextView:
            return self.view

    class Opened(Message):
        """Enter on a line."""

        def __init__(self, view: StreamTextView, line: StreamLine) -> None:
            super().__init__()
            self.view = view
            self.line = line

        @property
        def control(self) -> StreamTextView:
            return self.view

    def __init__(
        self, *, glyphs: Glyphs = UNICODE, id: str | None = None, classes: str | None = None
    ) -> None:
        super().__init__(glyphs=glyphs, id=id, classes=classes)
        self.set_reactive(StreamTextView.empty_text, "Nothing was said")
        self._lines: Sequence[StreamLine] = ()
        self._side: int | None = None
        self._taken = 0
        self._complete = True
        self._rows: list[tuple[int, int]] = []
        """Line and part of it, of each row."""
        self._wrapped = 0
        self._query = ""

    def show(self, lines: Sequence[StreamLine], *, complete: bool, side: int | None = None) -> None:
        """Take the lines made so far.

        Args:
            lines: All of them; when it is the list shown before, only longer, what is on
                screen stays.
            complete: No more will come.
            side: Only this side's lines; None for both.
        """
        line = self._rows[self.cursor][0] if self.cursor < len(self._rows) else 0
        anew = lines is not self._lines or side != self._side
        if anew:
            self._lines, self._side = lines, side
            self._restart()
        self._complete = complete
        self._take_new()
        if anew:
            self.go_to_line(line)

    def _restart(self) -> None:
        self._rows, self._taken = [], 0
        # While it is not displayed it has no width: it keeps the one it had.
        self._wrapped = self.line_width or self._wrapped or USUAL_WIDTH
        self.clear_strips()

    def _take_new(self) -> None:
        for place in range(self._taken, len(self._lines)):
            line = self._lines[place]
            if self._side in (None, line.side):
                self._rows += [(place, part) for part in range(len(self._parts_of(line)))]
        first = self._taken == 0
        self._taken = len(self._lines)
        self.rows_changed(at_once=True)
        if first:
            self.clear_strips()
        else:
            self.refresh()

    def _parts_of(self, line: StreamLine) -> list[str]:
        text = self.clean(line.text)
        room = max(8, self._wrapped - _INDENT)
        if cell_len(text) <= room:
            return [text]
        return wrap(text, room)

    def resized(self) -> None:
        if self.line_width and self.line_width != self._wrapped:
            line = self._rows[self.cursor][0] if self.cursor < len(self._rows) else 0
            self._restart()
            self._take_new()
            self.go_to_line(line)

    # -- cursor -----------------------------------------------------------------------

    @property
    def selected(self) -> StreamLine | None:
        """The line under the cursor."""
        if self.cursor >= len(self._rows):
            return None
        return self._lines[self._rows[self.cursor][0]]

    @property
    def place(self) -> tuple[int, int] | None:
        """Side and offset under the cursor."""
        line = self.selected
        return None if line is None else (line.side, line.start)

    def go_to_line(self, place: int) -> None:
        """Put the cursor on a line by its index; on the next one where it is not shown."""
        low, high = 0, len(self._rows)
        while low < high:
            middle = (low + high) // 2
            if self._rows[middle][0] < place:
                low = middle + 1
            else:
                high = middle
        self.move_cursor(low, center=True)

    def go_to_offset(self, side: int, offset: int) -> None:
        """Put the cursor on the last line of a side that begins at or before an offset."""
        best = None
        for place, line in enumerate(self._lines):
            if line.side == side and line.start <= offset and line.kind is not LineKind.TURN:
                best = place
            elif line.side == side and line.start > offset:
                break
        if best is not None:
            self.go_to_line(best)

    def find(self, query: str, direction: int) -> bool:
        """Go to the next line that holds a text, in either case.

        Args:
            query: What to look for; marked wherever it is on screen.
            direction: 1 for the next, -1 for the one before.
        """
        self._query = query.casefold()
        self.clear_strips()
        place = self._rows[self.cursor][0] if self.cursor < len(self._rows) else -1
        places = range(place + 1, len(self._lines)) if direction > 0 else range(place - 1, -1, -1)
        for at in places:
            line = self._lines[at]
            if self._side in (None, line.side) and self._query in line.text.casefold():
                self.go_to_line(at)
                return True
        return False

    def go_to_turn(self, direction: int) -> bool:
        """Go to the next turn of the conversation, or the one before."""
        row = self.cursor + direction
        while 0 <= row < len(self._rows):
            place, part = self._rows[row]
            if not part and self._lines[place].kind is LineKind.TURN:
                self.move_cursor(row, center=True)
                return True
            row += direction
        return False

    def cursor_moved(self) -> None:
        if not self._complete and self.cursor + AHEAD * self.page_rows > len(self._rows):
            self.post_message(self.MoreWanted(self))

    def action_last(self) -> None:
        super().action_last()
        if not self._complete:
            self.post_message(self.MoreWanted(self, all_of_it=True))

    def row_opened(self) -> None:
        line = self.selected
        if line is not None:
            self.post_message(self.Opened(self, line))

    # -- drawing ----------------------------------------------------------------------

    def row_count(self) -> int:
        return len(self._rows)

    def row_key(self, row: int) -> Hashable:
        place, part = self._rows[row]
        return (place, part, self._query)

    def row_segments(self, row: int, width: int, selected: bool) -> Iterable[tuple[str, str]]:
        place, part = self._rows[row]
        line = self._lines[place]
        texts = self._parts_of(line)
        text = texts[part] if part < len(texts) else ""
        style = _PARTS.get(line.kind, "")
        if line.kind is LineKind.TURN:
            sign = self.glyphs.right if line.side == CLIENT else self.glyphs.left
            yield f"{sign} ", "accent"
        else:
            yield " " * _INDENT, ""
        if self._query and self._query in line.text.casefold():
            yield text, "hit"
        elif line.kind is LineKind.FIELD and not part:
            name, colon, value = text.partition(":")
            yield name + colon, "accent"
            yield value, ""
        else:
            yield text, style
