"""The dialog that asks where to write something, of what, and writes it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from threading import Event
from typing import ClassVar, Final

from rich.text import Text
from textual import events, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.message import Message
from textual.screen import ModalScreen
from textual.widgets import Checkbox, Input, RadioButton, RadioSet, Static

from capture.protocols.text import printable
from tui.keys.bindings import key_for
from tui.lines.line_input import LineInput
from tui.screens.answering import AnsweringScreen
from tui.writing import AlreadyThere, CannotWrite

__all__ = ["Choice", "Option", "WriteScreen", "Writing"]

REPLACE: Final = "there is such a file: Enter again replaces it"


@dataclass(frozen=True, slots=True)
class Option:
    """One thing that can be chosen."""

    name: str
    label: str
    on: bool = False
    stem: str = ""
    """Name of the file, without its suffix, that suits it; empty: any does."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What the user wants."""

    path: str
    scope: str
    """Name of the chosen scope; empty where there was nothing to choose."""
    options: frozenset[str]
    """Names of the options that are on."""
    replace: bool
    """The file may take the place of another one."""


Writing = Callable[[Choice, Callable[[float], None], Event], str]
"""Writes: takes the choice, a function to tell the part done (0 to 1), and an event that is
set when the user gives up. Returns a line to show; raises ``CannotWrite``. Runs in a thread."""


class _Tick(Checkbox):
    """A box that shows without colour whether it is ticked."""

    BUTTON_LEFT = ""
    BUTTON_RIGHT = ""

    @property
    def BUTTON_INNER(self) -> str:  # type: ignore[override]
        return "[x]" if self.value else "[ ]"


class _Dot(RadioButton):
    """The same, where one of several is chosen."""

    BUTTON_LEFT = ""
    BUTTON_RIGHT = ""

    @property
    def BUTTON_INNER(self) -> str:  # type: ignore[override]
        return "(*)" if self.value else "( )"


class _OneOf(RadioSet):
    """Choices of which the one under the cursor is chosen: Enter writes what is seen lit."""

    def action_next_button(self) -> None:
        super().action_next_button()
        self._choose()

    def action_previous_button(self) -> None:
        super().action_previous_button()
        self._choose()

    def _choose(self) -> None:
        if self.pressed_button is not None:  # else it is just being made
            for button in self.query(".-selected").results(RadioButton):
                button.value = True


class NameInput(LineInput):
    """The file's name: what is typed ahead and the Enter behind it are obeyed in turn."""

    class Accepted(Message):
        """Enter."""

    def accepted(self) -> None:
        self.post_message(self.Accepted())


class WriteScreen(AnsweringScreen, ModalScreen[str | None]):
    """Asks and writes. Ends with the line to show, or None when the user gave up."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "Cancel", id="write.cancel"),
    ]
    DEFAULT_CSS = """
    WriteScreen {
        align: center middle;
        & > #write {
            width: 72;
            max-width: 100%;
            height: auto;
            max-height: 100%;
            border: heavy $border;
            border-title-color: $foreground;
            border-title-style: bold;
            border-subtitle-color: $foreground;
            background: $surface;
            padding: 0 1;
            & > Input { border: none; height: 1; padding: 0; background: $boost; }
            & > RadioSet { border: none; padding: 0; background: $surface; width: 100%; }
            & > Checkbox { border: none; padding: 0; background: $surface; width: 100%; }
            & .toggle--button { color: $foreground; background: $surface; }
            & > .label { color: $text-muted; }
            & > #said { color: $text-error; text-style: bold; min-height: 1; height: auto; }
        }
    }
    """

    def __init__(
        self,
        title: str,
        *,
        path: str,
        hint: str,
        writing: Writing,
        scopes: Sequence[Option] = (),
        options: Sequence[Option] = (),
        ascii_only: bool = False,
    ) -> None:
        """Prepare the dialog.

        Args:
            title: What is done, shown in the frame.
            path: Suggested name.
            hint: One line under the name: what names are understood. The suffixes in it are
                those that take the place of the suggested one when they are typed before it.
            writing: Does it.
            scopes: Of these exactly one is chosen.
            options: Of these any.
            ascii_only: Draw with ASCII only.
        """
        super().__init__()
        self._title = title
        self._path = path
        self._suggested = path
        self._hint = hint
        self._suffixes = tuple(re.findall(r"\.[a-z]+", hint))
        self._writing = writing
        self._scopes = scopes
        self._options = options
        self._ascii = ascii_only
        self._asked_to_replace = ""
        self._given_up = Event()
        self._busy = False

    def compose(self) -> ComposeResult:
        with Vertical(id="write"):
            yield Static("File", classes="label")
            yield NameInput(self._path, id="path", compact=True)
            yield Static(self._hint, classes="label", markup=False)
            if self._scopes:
                with _OneOf(id="scope", compact=True):
                    for scope in self._scopes:
                        yield _Dot(scope.label, value=scope.on, name=scope.name)
            for option in self._options:
                yield _Tick(option.label, value=option.on, name=option.name, compact=True)
            yield Static("", id="said", markup=False)

    def on_mount(self) -> None:
        panel = self.query_one("#write")
        panel.border_title = self._title
        cancel = key_for("write.cancel", self, self.app)
        ticks = "Space ticks, " if self._options else ""
        panel.border_subtitle = f"Enter writes, Tab moves, {ticks}{cancel} cancels"
        if self._ascii:
            panel.styles.border = ("ascii", panel.styles.border_top[1])
        field = self.query_one("#path", Input)
        field.focus()
        # The name is selected, its suffix stays: whoever types names another report.
        dot = self._path.rfind(".")
        field.selection = type(field.selection)(0, dot if dot > 0 else len(self._path))

    def on_key(self, event: events.Key) -> None:
        if event.key == "enter" and not self._busy:
            event.stop()
            event.prevent_default()
            self._go()

    def on_input_changed(self, message: Input.Changed) -> None:
        message.stop()
        self._drop_kept_suffix(message.input)
        if self._asked_to_replace and message.value != self._asked_to_replace:
            self._asked_to_replace = ""
            self._say("")

    def _drop_kept_suffix(self, field: Input) -> None:
        """Who types a whole name does not see that the suggested suffix is still behind it."""
        typed = field.value.removesuffix(PurePath(self._path).suffix)
        if typed != field.value and typed.lower().endswith(self._suffixes):
            field.value = typed

    def on_radio_set_changed(self, message: RadioSet.Changed) -> None:
        """A name that nobody has touched goes with what is chosen."""
        message.stop()
        stem, field = self._scopes[message.index].stem, self.query_one("#path", Input)
        if stem and field.value == self._suggested:
            self._suggested = stem + PurePath(self._path).suffix
            field.value = self._suggested

    def on_name_input_accepted(self, message: NameInput.Accepted) -> None:
        message.stop()
        if not self._busy:
            self._go()

    def action_cancel(self) -> None:
        """Give up; what is being written is left unfinished and leaves nothing behind."""
        self._given_up.set()
        if not self._busy:
            self.dismiss(None)

    def _say(self, text: str) -> None:
        self.query_one("#said", Static).update(Text(printable(text, 300)))

    def _go(self) -> None:
        path = self.query_one("#path", Input).value.strip()
        if not path:
            self._say("a name, please")
            return
        scope = ""
        if self._scopes:
            pressed = self.query_one("#scope", RadioSet).pressed_button
            scope = (pressed.name or "") if pressed is not None else ""
        chosen = frozenset(box.name or "" for box in self.query(Checkbox) if box.value)
        self._busy = True
        self._say("")
        self._write(Choice(path, scope, chosen, replace=path == self._asked_to_replace))

    @work(thread=True, exclusive=True)
    def _write(self, choice: Choice) -> None:
        call = self.app.call_from_thread
        last = -1

        def told(part: float) -> None:
            nonlocal last
            percent = int(part * 100)
            if percent != last:
                last = percent
                call(self._say, f"{percent} %")

        try:
            said = self._writing(choice, told, self._given_up)
        except AlreadyThere:
            call(self._failed, REPLACE, choice.path)
        except CannotWrite as error:
            call(self._failed, str(error), "")
        except Exception as error:  # a thread must not die without a word
            call(self._failed, f"{type(error).__name__}: {error}", "")
        else:
            call(self.dismiss, said)

    def _failed(self, reason: str, replaceable: str) -> None:
        self._busy = False
        if self._given_up.is_set():
            self.dismiss(None)
            return
        self._asked_to_replace = replaceable
        self._say(reason)
