"""A list of things to choose from, in sections with headings."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from rich.cells import cell_len
from textual.message import Message

from widgets.cells import cut, fit, wrap
from widgets.glyphs import UNICODE, Glyphs
from widgets.line_list import LineList

_GAP: Final = "  "
_INDENT: Final = "    "
"""Before what does not fit beside a heading."""
_CELL_MOST: Final = 28
"""A long name must leave room for what is said of it."""

Cell = tuple[str, str]
"""Text and part (a component class of ``LineList`` without its prefix, or empty)."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One thing to choose."""

    key: Hashable
    """Its identity: what the messages carry and what the cursor stays on."""
    cells: tuple[Cell, ...]
    """Columns; the last one takes the room that is left."""


@dataclass(frozen=True, slots=True)
class Section:
    """Choices of one kind under a heading."""

    title: str
    choices: tuple[Choice, ...] = ()
    remark: str = ""
    """Beside the heading: what is special here."""
    warning: bool = False
    """The remark tells of something that does not work: it is shown whole, on lines of its own
    where need be, since it says what to do."""
    right: frozenset[int] = frozenset()
    """Columns that are aligned to the right."""


class ChoiceList(LineList):
    """Sections of choices. The cursor rests on choices only and stays on its key."""

    DEFAULT_CSS = """
    ChoiceList { height: 1fr; }
    """

    class Chosen(Message):
        """Enter or a double click on a choice."""

        def __init__(self, choice_list: ChoiceList, key: Hashable) -> None:
            super().__init__()
            self.choice_list = choice_list
            self.key = key

        @property
        def control(self) -> ChoiceList:
            return self.choice_list

    def __init__(
        self, *, glyphs: Glyphs = UNICODE, id: str | None = None, classes: str | None = None
    ) -> None:
        super().__init__(glyphs=glyphs, id=id, classes=classes)
        self._sections: tuple[Section, ...] = ()
        self._rows: list[_Row] = []
        self._moved = False
        self._widths: dict[str, tuple[int, ...]] = {}

    # Data

    def show(self, sections: Sequence[Section]) -> None:
        """Take the choices; only rows on screen that read differently are drawn again."""
        sections = tuple(sections)
        if sections == self._sections:
            return
        key = self.selected
        old_widths, old_rows = self._widths, self._rows
        self._sections = sections
        self._rows = list(self._rows_of(sections))
        self._widths = {section.title: self._measure(section) for section in sections}
        self.rows_changed(at_once=True)
        self._keep_cursor(key)
        if self._widths != old_widths or len(old_rows) != len(self._rows):
            self.clear_strips()
            return
        for row, (old, new) in enumerate(zip(old_rows, self._rows, strict=True)):
            if old.visible != new.visible:
                self.refresh_row(row)

    def resized(self) -> None:
        key = self.selected
        self._rows = list(self._rows_of(self._sections))
        self.rows_changed(at_once=True)
        self._keep_cursor(key)
        self.clear_strips()

    def _measure(self, section: Section) -> tuple[int, ...]:
        """Widths of all columns but the last."""
        cells = [choice.cells[:-1] for choice in section.choices]
        columns = max(map(len, cells), default=0)
        return tuple(
            min(
                max(cell_len(self.clean(row[at][0])) for row in cells if at < len(row)),
                _CELL_MOST,
            )
            for at in range(columns)
        )

    def _keep_cursor(self, key: Hashable | None) -> None:
        stops = self._stops()
        at = None
        if not self._moved:
            at = next(iter(stops), None)  # nobody chose: what comes first may still be coming
        elif key is not None:
            at = next((row for row in stops if self._key(row) == key), None)
        if at is None:
            at = min(stops, key=lambda row: abs(row - self.cursor), default=0)
        if at != self.cursor:
            self.cursor = at
            self.clear_strips()

    @property
    def selected(self) -> Hashable | None:
        """Key of the choice under the cursor."""
        return self._key(self.cursor) if self.cursor < len(self._rows) else None

    def select(self, key: Hashable) -> bool:
        """Put the cursor on a choice; False if there is none of that key."""
        row = next((row for row in self._stops() if self._key(row) == key), None)
        if row is None:
            return False
        self.move_cursor(row)
        return True

    def _key(self, row: int) -> Hashable | None:
        choice = self._rows[row].choice
        return choice.key if choice is not None else None

    def _stops(self) -> list[int]:
        return [number for number, row in enumerate(self._rows) if row.choice is not None]

    # Rows

    def row_count(self) -> int:
        return len(self._rows)

    def row_key(self, row: int) -> Hashable:
        shown = self._rows[row]
        return (shown.visible, self._widths[shown.section.title])

    def row_segments(self, row: int, width: int, selected: bool) -> Iterable[Cell]:
        section, choice, words = self._rows[row]
        if choice is None:
            yield from words
            return
        yield (f"{self.glyphs.cursor} " if selected else "  "), "accent"
        room = width - 2
        *columns, (last, last_part) = choice.cells
        widths = self._widths[section.title]
        for at, ((text, part), cells) in enumerate(zip(columns, widths, strict=False)):
            take = min(cells, room)
            right = at in section.right
            yield fit(self.clean(text), take, self.glyphs.ellipsis, right=right), part
            yield _GAP, ""
            room -= take + len(_GAP)
        yield cut(self.clean(last), max(room, 0), self.glyphs.ellipsis), last_part

    def _rows_of(self, sections: Iterable[Section]) -> Iterator[_Row]:
        for number, section in enumerate(sections):
            if number:
                yield _Row(section, None, ())
            for words in self._heading(section, self.line_width):
                yield _Row(section, None, words)
            for choice in section.choices:
                yield _Row(section, choice, ())

    def _heading(self, section: Section, width: int) -> Iterator[tuple[Cell, ...]]:
        """A heading's lines: its remark beside it, a warning also below it."""
        title = cut(self.clean(section.title), width, self.glyphs.ellipsis)
        room = width - cell_len(title) - len(_GAP)
        if not section.remark or room <= 0:
            yield ((title, "head"),)
            return
        remark = self.clean(section.remark)
        if not section.warning:
            words = cut(remark, room, self.glyphs.ellipsis)
            yield (title, "head"), (_GAP, ""), (words, "dim")
            return
        first, *others = wrap(remark, width - len(_INDENT), room)
        yield (title, "head"), (_GAP, ""), (first, "warning")
        for line in others:
            yield (_INDENT, ""), (line, "warning")

    def cursor_shown(self, row: int) -> bool:
        return self._rows[row].choice is not None

    # Cursor

    def cursor_moved(self) -> None:
        self._moved = True

    def action_cursor(self, rows: int) -> None:
        ahead = [row for row in self._stops() if (row - self.cursor) * rows > 0]
        if ahead:
            self.move_cursor(min(ahead, key=lambda row: abs(row - self.cursor)))
        elif rows < 0:
            self.scroll_to_row(0)  # the first heading

    def action_page(self, pages: int) -> None:
        wanted = self.cursor + pages * self.page_rows
        stops = self._stops()
        if stops:
            self.move_cursor(min(stops, key=lambda row: abs(row - wanted)))

    def action_first(self) -> None:
        if stops := self._stops():
            self.move_cursor(stops[0])
        self.scroll_to_row(0)

    def action_last(self) -> None:
        if stops := self._stops():
            self.move_cursor(stops[-1])

    def row_clicked(self, row: int, x: int, *, double: bool) -> None:
        if self._key(row) is not None:
            super().row_clicked(row, x, double=double)

    def row_opened(self) -> None:
        key = self.selected
        if key is not None:
            self.post_message(self.Chosen(self, key))


class _Row(NamedTuple):
    """A line of the list: of a heading, a choice, or a blank one between sections."""

    section: Section
    choice: Choice | None
    words: tuple[Cell, ...]
    """What a line of a heading says."""

    @property
    def visible(self) -> Hashable:
        """Everything that is seen of it."""
        section, choice, words = self
        return words if choice is None else (choice.cells, section.right)
