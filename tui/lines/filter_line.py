"""The line that ``f`` opens: a display filter, judged while it is typed, and completed."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Final

from rich.highlighter import Highlighter
from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input, Static

from capture.filtering import FilterError, Material, compile_filter
from capture.filtering.completion import Completion, complete
from capture.report.model import FlowReport
from tui.keys.bindings import key_for
from tui.lines.filter_history import FilterHistory
from tui.lines.line_input import LineInput
from widgets.cells import cut
from widgets.glyphs import Glyphs

__all__ = ["FilterBar"]

_SIGNS: Final[dict[str, Callable[[Glyphs], str]]] = {
    "right": lambda glyphs: glyphs.done,
    "doubtful": lambda glyphs: glyphs.warning,
    "wrong": lambda glyphs: glyphs.failed,
}
"""What a filter can be, with its sign: colour only repeats it."""

_PLACEHOLDER: Final = "status == 403 and target contains cisco   (empty: no filter)"


class FilterBar(Vertical):
    """Two lines: what is to be said of the filter, and the filter.

    Enter applies it, Escape leaves it as it was, Tab completes, up and down go through the
    filters used before.
    """

    DEFAULT_CSS = """
    FilterBar {
        dock: bottom;
        height: 2;
        display: none;
        background: $panel;
        &.-open { display: block; }
        & #filter-said { height: 1; padding: 0 1; text-wrap: nowrap; text-overflow: ellipsis; }
        & Horizontal { height: 1; }
        & #filter-label { width: 9; padding: 0 1; color: $text-muted; }
        & FilterInput { width: 1fr; height: 1; border: none; padding: 0; }
        & FilterInput:focus { border: none; }
        &.-right FilterInput { background: $success-muted; color: $text-success; }
        &.-doubtful FilterInput { background: $warning-muted; color: $text-warning; }
        &.-wrong FilterInput { background: $error-muted; color: $text-error; }
        &.-right #filter-said { color: $text-success; }
        &.-doubtful #filter-said { color: $text-warning; }
        &.-wrong #filter-said { color: $text-error; }
    }
    """

    class Closed(Message):
        """The line was left; ``text`` is None when it was left without applying it."""

        def __init__(self, bar: FilterBar, text: str | None) -> None:
            super().__init__()
            self.bar = bar
            self.text = text

        @property
        def control(self) -> FilterBar:
            return self.bar

    def __init__(
        self,
        material: Callable[[], Material | None],
        likely: Callable[[], FlowReport | None],
        *,
        glyphs: Glyphs,
        id: str | None = None,
    ) -> None:
        """Prepare the line.

        Args:
            material: Whose values are offered.
            likely: Gives the tunnel whose values come first.
            glyphs: Signs to draw.
            id: Of the widget.
        """
        super().__init__(id=id)
        self._material = material
        self._likely = likely
        self._glyphs = glyphs
        self._said = Static(id="filter-said", markup=False)
        self._input = FilterInput(self)
        self._history = FilterHistory()
        self._offered: list[Completion] = []
        self._chosen = -1
        self._typed = ("", 0)
        self._back_to: Widget | None = None

    def compose(self) -> ComposeResult:
        yield self._said
        with Horizontal():
            yield Static("Filter", id="filter-label")
            yield self._input

    @property
    def is_open(self) -> bool:
        """Whether the line takes the keys."""
        return self.has_class("-open")

    def open(self, text: str) -> None:
        """Show the line with a filter, and take the keys from now on."""
        self.add_class("-open")
        self._history.begin()
        self._back_to = self.screen.focused
        # Not self.focus(), which waits a turn: the first letters may be on their way.
        self.screen.set_focus(self._input)
        self.put(text)
        if not text:
            self.judge()

    def close(self, text: str | None) -> None:
        """Hide the line, give the keys back, and tell what is to be applied."""
        if self.is_open:
            self.remove_class("-open")
            if self.screen.focused in (None, self._input):
                self.screen.set_focus(self._back_to)
            self.post_message(self.Closed(self, text))

    # What is typed

    def put(self, text: str) -> None:
        """Let the line hold something else; the cursor goes to its end."""
        self._input.value = text
        self._input.cursor_position = len(text)

    def enter(self) -> None:
        """Apply the filter, unless it is wrong: then go to where it is."""
        text = self._input.value.strip()
        if text:
            try:
                compile_filter(text)
            except FilterError as error:
                self._set_state("wrong")
                self._tell("wrong", str(error))
                self.app.bell()
                return
            self._history.add(text)
        self.close(text)

    def recall(self, older: bool) -> None:
        """Show a filter used before."""
        found = self._history.step(older, self._input.value)
        if found is not None:
            self.put(found)

    def judge(self) -> None:
        """Say whether the filter is right so far, and how it may go on."""
        text, cursor = self._input.value, self._input.cursor_position
        self._chosen = -1
        self._typed = (text, cursor)
        self._offered = complete(text, cursor, self._material(), self._likely())
        state, words, place = _judged(text)
        if not text.strip() and self._history.older:
            words += f"   {self._key('filter.older')} filters used before"
        if state == "wrong" and self._half_a_word():
            state, words, place = "", "", (0, 0)  # no mistake yet
        self._input.pointing.place = place
        self._set_state(state)
        self._tell(state, words)

    def _key(self, name: str) -> str:
        """The key that an action of the line has now."""
        return key_for(name, self._input, self.app)

    def _set_state(self, state: str) -> None:
        for name in _SIGNS:
            self.set_class(name == state, f"-{name}")

    def _tell(self, state: str, words: str) -> None:
        """What is wrong, and beside it the words that may come next."""
        sign = _SIGNS[state](self._glyphs) if state else ""
        said = f"{sign} {words}".strip()
        room = max(20, (self.size.width or self.app.size.width) - 2)  # 0: not laid out yet
        names = self._names(room - len(said) - 3)
        gap = "   " if said and names else ""
        self._said.update(Content(cut(f"{said}{gap}{names}", room, self._glyphs.ellipsis)))

    def _half_a_word(self) -> bool:
        """Whether the word at the cursor may yet become one that is offered."""
        text, cursor = self._typed
        return any(
            item.text.casefold().startswith(text[item.start : cursor].casefold())
            for item in self._offered
        )

    def _names(self, room: int) -> str:
        """As many of the words that may come next as there is room for."""
        words: list[str] = []
        key = self._key("filter.complete")
        left = room - len(key) - 2
        text, cursor = self._typed
        for item in self._offered:
            if item.text == text[item.start : cursor]:
                continue  # it stands there already
            left -= len(item.text) + 2
            if left < 0:
                break
            words.append(item.text)
        return f"{key}: {'  '.join(words)}" if words else ""

    def complete(self, step: int) -> None:
        """Put the next of the words that may come here into the line."""
        if not self._input.is_quiet and self._input.value != self._typed[0]:
            self.judge()  # the news of the last letters is still on its way
        if not self._offered:
            return
        if self._chosen < 0 and step > 0:
            if self._extend():
                return
            first = self._offered[0]
            if len(self._offered) > 1 and first.text == self._typed[0][first.start :]:
                self._chosen = 0  # it stands there already
        self._chosen = (self._chosen + step) % len(self._offered)
        item = self._offered[self._chosen]
        text, cursor = self._typed
        lead = text[: item.start] + item.text
        self._input.replace_quietly(lead + text[cursor:], len(lead))
        place = f"{self._chosen + 1} of {len(self._offered)}"
        self._said.update(Content(f"{place}: {item.text}   {item.help}"))
        if len(self._offered) == 1:
            self._typed = (self._input.value, self._input.cursor_position)
            self._offered = []

    def _extend(self) -> bool:
        """Complete what all the words have in common; False if that is typed already."""
        text, cursor = self._typed
        start = self._offered[0].start
        typed = text[start:cursor]
        words = [item.text for item in self._offered if item.text.startswith(typed)]
        common = _common(words)
        if len(words) < 2 or len(common) <= len(typed):
            return False
        self._input.value = text[:start] + common + text[cursor:]
        self._input.cursor_position = start + len(common)
        return True


class _Pointing(Highlighter):
    """Underlines the characters that are wrong."""

    place = (0, 0)

    def highlight(self, text: Text) -> None:
        start, end = self.place
        if end > start:
            text.stylize("underline bold", start, end)


class FilterInput(LineInput):
    """The filter itself; its keys are the bar's affair."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "Cancel", id="filter.cancel"),
        Binding("tab", "complete(1)", "Complete", id="filter.complete"),
        Binding("shift+tab", "complete(-1)", "Completion before", show=False,
                id="filter.complete-back"),
        Binding("up", "recall(True)", "Filter before", show=False, id="filter.older"),
        Binding("down", "recall(False)", "Filter after", show=False, id="filter.newer"),
    ]  # fmt: skip

    def __init__(self, bar: FilterBar) -> None:
        self.pointing = _Pointing()
        """Knows which characters are wrong."""
        super().__init__(
            placeholder=_PLACEHOLDER,
            highlighter=self.pointing,
            id="filter-input",
            compact=True,
            select_on_focus=False,
        )
        self._bar = bar
        self._quiet = ""

    @property
    def is_open(self) -> bool:
        return self._bar.is_open

    def accepted(self) -> None:
        self._bar.enter()

    def on_blur(self, event: events.Blur) -> None:
        """Whoever clicks elsewhere has left the line."""
        self._bar.close(None)

    def on_input_changed(self, message: Input.Changed) -> None:
        message.stop()
        if message.value == self.value and message.value != self._quiet:
            self._quiet = ""
            self._bar.judge()

    @property
    def is_quiet(self) -> bool:
        """Whether the line holds a completion that was not judged."""
        return bool(self._quiet) and self.value == self._quiet

    def replace_quietly(self, text: str, cursor: int) -> None:
        """Hold another text that is not to be judged: a completion among several."""
        self._quiet = text
        self.value = text
        self.cursor_position = cursor

    def action_leave(self) -> None:
        self._bar.close(None)

    def action_complete(self, step: int) -> None:
        self._bar.complete(step)

    def action_recall(self, older: bool) -> None:
        self._bar.recall(older)


def _judged(text: str) -> tuple[str, str, tuple[int, int]]:
    """``right``, ``doubtful``, ``wrong`` or nothing, one line why, and which characters."""
    if not text.strip():
        return "", "empty: everything is shown", (0, 0)
    try:
        compiled = compile_filter(text)
    except FilterError as error:
        return "wrong", str(error), (error.start, error.end)
    if compiled.hints:
        return "doubtful", compiled.hints[0], (0, 0)
    return "right", "", (0, 0)


def _common(words: list[str]) -> str:
    """What all words begin with."""
    if not words:
        return ""
    first, last = min(words), max(words)
    length = next((i for i, char in enumerate(first) if last[i : i + 1] != char), len(first))
    return first[:length]
