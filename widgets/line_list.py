"""The base of every list here: a million rows behind one screenful of cached strips.

Nothing is rendered but the rows on screen, and a rendered row is kept under everything
that can be seen of it. The cursor is a row index only inside; subclasses translate it to
an identity (a uid, a packet number) so that it survives sorting and growth.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import ClassVar, Final

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.cache import FIFOCache
from textual.geometry import Region, Size
from textual.reactive import var
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.timer import Timer

from widgets.cells import fit, joined, safe
from widgets.glyphs import UNICODE, Glyphs

GROWTH_PERIOD_S: Final = 0.5
"""How often the scroll bar follows rows that come by themselves."""

CACHED_STRIPS: Final = 1024


class LineList(ScrollView, can_focus=True, inherit_bindings=False):
    """Rows under an optional fixed head, with a cursor. Subclasses fill in the rows."""

    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "line-list--row",
        "line-list--cursor",
        "line-list--head",
        "line-list--dim",
        "line-list--done",
        "line-list--failed",
        "line-list--warning",
        "line-list--accent",
        "line-list--strong",
        "line-list--key",
        "line-list--hit",
        "line-list--overlay",
    }
    DEFAULT_CSS = """
    LineList {
        overflow-x: hidden;
        overflow-y: auto;
        scrollbar-size-vertical: 1;
        scrollbar-gutter: stable;
        background: $surface;
        color: $foreground;
        & > .line-list--head { color: $text-muted; text-style: bold; }
        & > .line-list--dim { color: $text-muted; }
        & > .line-list--done { color: $text-success; }
        & > .line-list--failed { color: $text-error; text-style: bold; }
        & > .line-list--warning { color: $text-warning; }
        & > .line-list--accent { color: $text-accent; }
        & > .line-list--strong { text-style: bold; }
        & > .line-list--key { color: $text-accent; text-style: bold; }
        & > .line-list--hit { color: $text-warning; text-style: bold underline; }
        & > .line-list--overlay { text-style: bold reverse; }
        & > .line-list--cursor { text-style: bold; background: $block-cursor-blurred-background; }
        &:focus > .line-list--cursor {
            color: $block-cursor-foreground;
            background: $block-cursor-background;
            text-style: bold;
        }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "cursor(-1)", "Up", show=False, id="list.up"),
        Binding("down,j", "cursor(1)", "Down", show=False, id="list.down"),
        Binding("pageup,ctrl+b", "page(-1)", "Page up", show=False, id="list.page-up"),
        Binding("pagedown,ctrl+f", "page(1)", "Page down", show=False, id="list.page-down"),
        Binding("home,g", "first", "First row", show=False, id="list.first"),
        Binding("end,G", "last", "Last row", show=False, id="list.last"),
        Binding("enter", "open", "Open", show=False, id="list.open"),
    ]

    cursor: var[int] = var(0)
    """Row under the cursor; meaningless while there are no rows."""
    head_lines: var[int] = var(0)
    """Fixed lines on top that do not scroll."""
    empty_text: var[str] = var("")
    """Shown instead of rows while there are none; may hold several lines."""

    def __init__(
        self,
        *,
        glyphs: Glyphs = UNICODE,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        super().__init__(id=id, classes=classes)
        self.glyphs = glyphs
        # Not an LRUCache: that is a ring of lists, which only the collector of garbage undoes.
        self._strips: FIFOCache[Hashable, Strip] = FIFOCache(CACHED_STRIPS)
        self._styles_memo: dict[tuple[str, ...], Style] = {}
        self._growth_timer: Timer | None = None
        self._keeping_view = False

    # What a subclass provides

    def row_count(self) -> int:
        """Rows there are."""
        raise NotImplementedError

    def row_key(self, row: int) -> Hashable:
        """Everything visible of a row except width, cursor and focus."""
        raise NotImplementedError

    def row_segments(self, row: int, width: int, selected: bool) -> Iterable[tuple[str, str]]:
        """The row as (safe text, part) pairs; a part is a component class without its
        ``line-list--`` prefix, or empty."""
        raise NotImplementedError

    def head_segments(self, line: int, width: int) -> Iterable[tuple[str, str]]:
        """A fixed line on top, as ``row_segments``."""
        return ()

    def cursor_shown(self, row: int) -> bool:
        """Whether the cursor is drawn while it is on a row."""
        return True

    def cursor_moved(self) -> None:
        """The user (or a caller) put the cursor on another row."""

    def row_opened(self) -> None:
        """Enter or a double click on the cursor's row."""

    def overlay(self) -> str:
        """Text over the right end of the last line; empty for none."""
        return ""

    # Geometry

    @property
    def line_width(self) -> int:
        """Cells of a line, without border and scroll bar."""
        return self.scrollable_content_region.width

    @property
    def page_rows(self) -> int:
        """Rows that fit below the head."""
        return max(1, self.scrollable_content_region.height - self.head_lines)

    @property
    def top_row(self) -> int:
        """First row on screen."""
        return self.scroll_offset.y

    def row_at(self, y: int) -> int | None:
        """Row on line ``y`` of the content area; None on the head or below the last row."""
        row = y - self.head_lines + self.scroll_offset.y
        return row if y >= self.head_lines and row < self.row_count() else None

    def rows_changed(self, *, at_once: bool = False) -> None:
        """The number of rows changed: let the scroll bar follow, twice a second at most.

        Args:
            at_once: Do not wait, because somebody is about to scroll there.
        """
        wanted = Size(0, self.row_count() + self.head_lines)
        if wanted.height == self.virtual_size.height:
            return
        # Fewer rows must show at once: beyond the last one there is nothing to scroll to.
        shrunk = wanted.height < self.virtual_size.height
        if at_once or shrunk or self._growth_timer is None or not self.is_running:
            self._apply_size(wanted)

    def _apply_size(self, wanted: Size) -> None:
        height = self.container_size.height
        if height and (wanted.height > height) == (self.virtual_size.height > height):
            # Scroll bar or not: that stays, and so does the layout. Only the bar is drawn
            # again, where the reactive attribute would have laid out and sent the screen.
            self.set_reactive(LineList.virtual_size, wanted)
            self._scroll_update(wanted)
        else:
            self.virtual_size = wanted
        if self._growth_timer is None and self.is_running:
            self._growth_timer = self.set_timer(GROWTH_PERIOD_S, self._growth_due)

    def _growth_due(self) -> None:
        self._growth_timer = None
        self.rows_changed()
        self.size_followed()

    def size_followed(self) -> None:
        """Called when the scroll bar caught up with the rows."""

    # Rendering

    def part_style(self, part: str) -> Style:
        """Style of a component class, on top of the row's."""
        key = (part,)
        style = self._styles_memo.get(key)
        if style is None:
            name = f"line-list--{part}"
            style = self.get_component_rich_style(name)
            if part not in ("row", "cursor", "head", "overlay"):
                # Only the full style has colours like $text-muted worked out against the
                # background; the partial one knows what the class itself sets.
                own = self.get_component_rich_style(name, partial=True)
                style = own + Style(color=style.color if own.color else None)
            self._styles_memo[key] = style
        return style

    def notify_style_update(self) -> None:
        self._styles_memo.clear()
        self._strips.clear()
        super().notify_style_update()

    def clear_strips(self) -> None:
        """Forget every rendered row and draw what is on screen again."""
        self._strips.clear()
        self.refresh()

    def render_line(self, y: int) -> Strip:
        width = self.line_width
        if y < self.head_lines:
            return self._strip(self.head_segments(y, width), "head", width)
        count = self.row_count()
        row = y - self.head_lines + self.scroll_offset.y
        if not count:
            strip = self._empty_line(y - self.head_lines, width)
        elif row >= count:
            strip = Strip.blank(width, self.part_style("row"))
        else:
            strip = self._row_strip(row, width)
        if y == self.scrollable_content_region.height - 1:
            strip = self._with_overlay(strip, width)
        return strip

    def _row_strip(self, row: int, width: int) -> Strip:
        selected = row == self.cursor and self.cursor_shown(row)
        key = (self.row_key(row), width, selected, selected and self.has_focus)
        strip = self._strips.get(key)
        if strip is None:
            base = "cursor" if selected else "row"
            strip = self._strip(self.row_segments(row, width, selected), base, width)
            self._strips[key] = strip
        return strip

    def _strip(self, segments: Iterable[tuple[str, str]], base: str, width: int) -> Strip:
        style = self.part_style(base)
        # On the cursor's own colours no other colour is sure to be readable.
        plain = base == "cursor" and self.has_focus
        styled = (
            (text, style if plain or not part else style + self.part_style(part))
            for text, part in segments
        )
        return Strip(joined(styled)).adjust_cell_length(width, style)

    def _empty_line(self, line: int, width: int) -> Strip:
        text = self.empty_text.split("\n")
        shown = text[line] if line < len(text) else ""
        content = fit(self.clean(shown), max(0, width - 2), self.glyphs.ellipsis)
        return self._strip([("  ", ""), (content, "dim")], "row", width)

    def _with_overlay(self, strip: Strip, width: int) -> Strip:
        text = self.overlay()
        if not text or len(text) + 2 > width:
            return strip
        label = Segment(f" {text} ", self.part_style("overlay"))
        return Strip.join([strip.crop(0, width - len(text) - 2), Strip([label], len(text) + 2)])

    def clean(self, text: str) -> str:
        """Text as it may go to this terminal."""
        return safe(text, self.glyphs.done != UNICODE.done)

    # Partial repaints

    def refresh_row(self, row: int) -> None:
        """Draw one row again, if it is on screen."""
        y = row - self.scroll_offset.y + self.head_lines
        if self.head_lines <= y < self.scrollable_content_region.height:
            self.refresh(Region(0, y, self.size.width, 1))

    def refresh_rows(self, first: int, last: int) -> None:
        """Draw the rows from ``first`` to before ``last`` again, as far as on screen."""
        top = max(first - self.scroll_offset.y, 0) + self.head_lines
        bottom = min(
            last - self.scroll_offset.y + self.head_lines, self.scrollable_content_region.height
        )
        if top < bottom:
            self.refresh(Region(0, top, self.size.width, bottom - top))

    def refresh_head(self) -> None:
        """Draw the fixed lines again."""
        if self.head_lines:
            self.refresh(Region(0, 0, self.size.width, self.head_lines))

    def refresh_overlay(self) -> None:
        """Draw the last line again."""
        self.refresh(Region(0, self.scrollable_content_region.height - 1, self.size.width, 1))

    # Cursor

    def move_cursor(self, row: int, *, center: bool = False, tell: bool = True) -> None:
        """Put the cursor on a row and bring it on screen.

        Args:
            row: Clamped to the rows there are.
            center: Bring a row that is off screen to the middle instead of the edge.
            tell: Call ``cursor_moved`` if it is another row.
        """
        count = self.row_count()
        if not count:
            return
        row = max(0, min(row, count - 1))
        old, self.cursor = self.cursor, row
        if old != row:
            self.refresh_row(old)
            self.refresh_row(row)
        self.bring_on_screen(row, center=center)
        if old != row and tell:
            self.cursor_moved()

    def bring_on_screen(self, row: int, *, center: bool = False) -> None:
        """Scroll as little as possible so that a row shows."""
        page = self.page_rows
        top = self.scroll_offset.y
        if top <= row < top + page:
            return
        nearest = row if row < top else row - page + 1
        self.scroll_to_row(row - page // 2 if center else nearest)

    def scroll_to_row(self, top: int) -> None:
        """Make a row the first on screen, without animation."""
        self.rows_changed(at_once=True)
        self.scroll_to(y=max(0, top), animate=False, force=True)

    def action_cursor(self, rows: int) -> None:
        self.move_cursor(self.cursor + rows)

    def action_page(self, pages: int) -> None:
        self.move_cursor(self.cursor + pages * self.page_rows)

    def action_first(self) -> None:
        self.move_cursor(0)

    def action_last(self) -> None:
        self.move_cursor(self.row_count() - 1)

    def action_open(self) -> None:
        if self.row_count():
            self.row_opened()

    def head_clicked(self, x: int, y: int) -> None:
        """A click on a fixed line, in cells of the content area."""

    def on_click(self, event: events.Click) -> None:
        offset = event.get_content_offset(self)
        if offset is None:
            return
        if offset.y < self.head_lines:
            self.head_clicked(offset.x, offset.y)
            return
        row = self.row_at(offset.y)
        if row is not None:
            self.row_clicked(row, offset.x, double=event.chain == 2)

    def row_clicked(self, row: int, x: int, *, double: bool) -> None:
        """A click on a row, in cells of the content area."""
        self.move_cursor(row)
        if double:
            self.row_opened()

    def watch_has_focus(self, focused: bool) -> None:
        super().watch_has_focus(focused)
        if self.row_count():
            self.refresh_row(self.cursor)

    def watch_empty_text(self) -> None:
        if not self.row_count():
            self.refresh()

    def on_resize(self) -> None:
        # A handler of a subclass would run beside this one: hence the hook.
        self.resized()
        self.clear_strips()

    def resized(self) -> None:
        """The content area has another size."""
