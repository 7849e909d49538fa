"""The Textual application: themes, signals, output guards, and the one line it dies with."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final, cast

from rich.text import Text
from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.command import Provider
from textual.driver import Driver
from textual.filter import LineFilter
from textual.screen import Screen

from capture.protocols.text import printable
from tui.config import Config
from tui.engine_bridge import EngineBridge
from tui.guard import AsciiFilter, ControlFilter
from tui.keys.bindings import lost_keys
from tui.link.budget import LinkBudget
from tui.link.canvas import Canvas
from tui.link.driver import paced
from tui.screens.base import PaneScreen
from tui.screens.main import MainScreen
from tui.themes import DARK, OWN_THEMES

if TYPE_CHECKING:
    from capture.live.settings import CaptureSettings
    from tui.screens.start import StartScreen
    from tui.sessions import Opener

__all__ = ["TunnelscopeApp"]

LAST_RESORT_S: Final = 3.0
"""After a signal: how long an orderly exit may take. A terminal that is gone can block the
writer for good, and a process must not outlive its session."""


def _action_provider() -> type[Provider]:
    from tui.keys.palette import ActionProvider

    return ActionProvider


class TunnelscopeApp(App[int]):
    """Shows what an engine finds."""

    TITLE = "tunnelscope"
    CSS_PATH = "app.tcss"
    ENABLE_COMMAND_PALETTE = True
    ESCAPE_TO_MINIMIZE = False
    COMMAND_PALETTE_BINDING = "ctrl+p"
    COMMANDS: ClassVar[set[type[Provider] | Callable[[], type[Provider]]]] = {_action_provider}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark,f1", "help", "Help", id="app.help"),
        Binding("ctrl+p", "command_palette", "Commands", show=False, id="app.palette"),
        Binding("ctrl+t", "change_theme", "Theme", show=False, id="app.theme"),
        Binding("ctrl+s", "picture", "Screenshot", show=False, id="app.screenshot",
                tooltip="Save the screen as an SVG picture"),
        Binding("ctrl+z", "suspend_process", "Suspend", show=False, id="app.suspend"),
        Binding("ctrl+c,ctrl+q", "leave", "Quit", show=False, priority=True, id="app.quit"),
    ]  # fmt: skip

    def __init__(
        self,
        bridge: EngineBridge | None,
        *,
        title: str,
        ascii_only: bool = False,
        theme: str = DARK.name,
        period_s: float = 0.25,
        budget: LinkBudget | None = None,
        canvas: Canvas | None = None,
        opener: Opener | None = None,
        settings: CaptureSettings | None = None,
        proxies: Sequence[tuple[str, int | None]] = (),
        looks: Config | None = None,
        display_filter: str = "",
        other: str = "",
    ) -> None:
        """Prepare the application; nothing runs yet.

        Args:
            bridge: Gives snapshots and frames; started when the first screen is drawn. None:
                the start screen comes first.
            title: Name of the capture.
            ascii_only: Draw with ASCII only.
            theme: A registered theme's name (see ``tui.themes``).
            period_s: Seconds between two looks for a new snapshot.
            budget: What the screen may send to the terminal; None: no limit.
            canvas: Knows what the terminal shows; None: one that suits any.
            opener: Opens what is chosen on the start screen.
            settings: How captures are made that are started there.
            proxies: Hosts told to be proxies, with a port or None for any.
            looks: Keys and columns of the user's configuration.
            display_filter: One that compiles; empty: none.
            other: A second capture, to compare a tunnel of the first with; empty for none.
        """
        self.budget = budget or LinkBudget(None)
        self.canvas = canvas or Canvas()
        # NO_COLOR: leave the terminal its own colours, rather than shades of grey.
        super().__init__(ansi_color=True if "NO_COLOR" in os.environ else None)
        self.bridge = bridge
        self.capture_title = printable(title, 200)
        self.ascii_only = ascii_only
        self.period_s = period_s
        self._opener = opener
        self._settings = settings
        self._proxies = proxies
        self.looks = looks or Config()
        self.other = other
        self.display_filter = display_filter
        self._guards: list[LineFilter] = [ControlFilter()]
        if ascii_only:
            self._guards.append(AsciiFilter())
        for own in OWN_THEMES:
            self.register_theme(own)
        self.theme = theme
        self.set_keymap({**self.looks.keys})
        if ascii_only:
            self.add_class("-ascii")

    def _tell_lost_keys(self) -> None:
        """Say which actions the user's key map left without a key: textual takes it silently."""
        screen = self.screen_stack[-1] if self.screen_stack else None
        if not isinstance(screen, PaneScreen):
            return
        lost = lost_keys(self, self, screen, *(pane for _, pane in screen.panes()))
        if lost:
            screen.tell(f"the key map left these without a key: {', '.join(lost)}", error=True)

    # Screens

    def get_default_screen(self) -> Screen[Any]:
        if self.bridge is not None:
            return self._main_screen(self.bridge)
        from tui.screens.start import StartScreen

        return StartScreen(
            self._opener, self._settings, proxies=self._proxies, ascii_only=self.ascii_only
        )

    @property
    def opener(self) -> Opener | None:
        """Opens another capture."""
        return self._opener

    def _main_screen(self, bridge: EngineBridge) -> MainScreen:
        return MainScreen(
            bridge,
            title=self.capture_title,
            ascii_only=self.ascii_only,
            period_s=self.period_s,
            budget=self.budget,
        )

    def on_start_screen_opened(self, message: StartScreen.Opened) -> None:
        """Show what was opened on the start screen, on top of it."""
        message.stop()
        self.bridge = message.bridge
        self.capture_title = printable(message.title, 200)
        self.push_screen(self._main_screen(message.bridge))

    async def on_main_screen_left(self, message: MainScreen.Left) -> None:
        """The user is done with a capture: back to the start screen, or out."""
        message.stop()
        if len(self.screen_stack) < 2:
            self.exit(return_code=0)
            return
        bridge, self.bridge = self.bridge, None
        self.pop_screen()
        if bridge is not None:
            # The engine may take a moment to end; the screen need not wait for it.
            await asyncio.to_thread(bridge.stop)

    def thread_died(self, args: threading.ExceptHookArgs) -> None:
        """Note, as ``threading.excepthook``, what ended a thread."""
        if self.bridge is not None:
            self.bridge.thread_died(args)

    def get_driver_class(self) -> type[Driver]:
        """The terminal's driver, within the budget."""
        return paced(super().get_driver_class(), self.budget, self.canvas)

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Textual's filters, then ours: nothing is drawn around them."""
        return [*super().get_line_filters(), *self._guards]

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """None: the palette lists this program's actions instead."""
        return ()

    # Leaving

    def on_mount(self) -> None:
        # After Ctrl+Z and fg the terminal is blank, and Textual waits for a change.
        self.app_resume_signal.subscribe(self, self._drawn_over)
        if self.looks.keys:
            self.set_timer(1.0, self._tell_lost_keys)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            try:
                loop.add_signal_handler(number, self._terminate, number)
            except (NotImplementedError, RuntimeError, ValueError):
                return  # not the main thread: whoever runs us there minds the signals

    def _drawn_over(self, _: object = None) -> None:
        """Draw everything again: another program had the terminal."""
        self.forget_terminal()
        self.refresh(layout=True)

    def on_resize(self) -> None:
        self.forget_terminal()

    def forget_terminal(self) -> None:
        """Nobody knows what the terminal shows now."""
        self.canvas.forget()

    def _terminate(self, number: signal.Signals) -> None:
        """Restore the terminal and go, at once."""
        code = 128 + number
        timer = threading.Timer(LAST_RESORT_S, os._exit, (code,))
        timer.daemon = True
        timer.start()
        self.exit(return_code=code)

    def action_leave(self) -> None:
        self.exit(return_code=0)

    def _fatal_error(self) -> None:
        """Textual's last word, in one line: a traceback with locals could tell secrets.

        With ``TEXTUAL=debug`` in the environment, developers get the traceback.
        """
        if "debug" in self.features:
            super()._fatal_error()
            return
        error = self._exception
        said = printable(f"{type(error).__name__}: {error}", 200)
        self._exit_renderables.append(Text(f"tunnelscope: internal error: {said}"))
        self._close_messages_no_wait()

    # Actions

    def action_help(self) -> None:
        from tui.screens.help import HelpScreen

        self.push_screen(HelpScreen(self.screen, ascii_only=self.ascii_only))

    def action_command_palette(self) -> None:
        from tui.keys.palette import Palette

        if self.use_command_palette and not Palette.is_open(cast("App[object]", self)):
            self.push_screen(Palette(id="--command-palette"))

    def search_themes(self) -> None:
        from textual.theme import ThemeProvider

        from tui.keys.palette import Palette

        self.push_screen(Palette(providers=[ThemeProvider], placeholder="Search for themes…"))

    def action_picture(self) -> None:
        """Save the screen as it is, whichever it is."""
        from tui.picture import save_picture
        from tui.writing import CannotWrite

        below = (screen for screen in reversed(self.screen_stack) if isinstance(screen, PaneScreen))
        screen = next(below, None)
        try:
            said, failed = f"screen saved: {save_picture(self.export_screenshot())}", False
        except CannotWrite as error:
            said, failed = str(error), True
        if screen is not None:
            screen.tell(said, error=failed)
