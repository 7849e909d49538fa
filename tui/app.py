"""Opens the screen for a capture and says how it ended: ``run``.

This module is thin on purpose. Textual reads its settings when it is imported, and a file
that is no capture is told before any screen appears; both come first here.
"""

from __future__ import annotations

import os
import sys
import threading
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from capture.engine import Engine
    from capture.judging import Catalogue
    from capture.options import AnalysisOptions
    from capture.sources import FileSource

__all__ = ["run"]

EXIT_USAGE: Final = 2
EXIT_UNREADABLE: Final = 4
EXIT_INTERRUPTED: Final = 130

PERIOD_S: Final = 0.25
SLOW_PERIOD_S: Final = 1.0
"""Time between two pulls of a snapshot, and between two snapshots of the engine."""


def run(
    source_path: str,
    *,
    options: AnalysisOptions,
    title: str | None = None,
    ascii: bool = False,
    mouse: bool = True,
    theme: str | None = None,
    slow_link: bool = False,
) -> int:
    """Show a capture on the terminal until the user leaves.

    Args:
        source_path: A capture file, or ``-`` for packets from standard input (keys then
            come from the controlling terminal).
        options: Choices that reach the analysis; packets are always kept here.
        title: Name to show instead of the path.
        ascii: Draw with ASCII only; also chosen when the terminal's encoding is not UTF-8.
        mouse: Let Textual take the mouse.
        theme: Name of a theme; None to go by the terminal.
        slow_link: Draw once a second, without animation.

    Returns:
        The process's exit code: 0; 2 for an unknown theme or no terminal; 4 when the input
        could not be read, said in one line on standard error; 128 + N after signal N.
    """
    from tui import terminal

    terminal.prepare_environment(slow_link=slow_link)
    terminal.draw_on_terminal()
    from capture.frames import UnreadableInput

    try:
        source = _open(source_path)
    except UnreadableInput as error:
        return _complain(f"{_name(source_path)}: {error}", EXIT_UNREADABLE)
    except terminal.NoTerminal as error:
        return _complain(str(error), EXIT_USAGE)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    try:
        return _show(
            source,
            options,
            title=title or _name(source_path),
            ascii_only=ascii or not terminal.speaks_utf8(),
            mouse=mouse,
            theme=theme,
            period_s=SLOW_PERIOD_S if slow_link else PERIOD_S,
        )
    finally:
        source.close()
        if source.store is not None:
            source.store.close()


def _open(source_path: str) -> FileSource:
    from capture.sources import open_source
    from tui.terminal import open_terminal, read_keys_from

    if source_path != "-":
        return open_source(source_path, spool=True)
    terminal = open_terminal()
    source = open_source(source_path, spool=True)
    read_keys_from(terminal)
    return source


def _name(source_path: str) -> str:
    return "standard input" if source_path == "-" else os.path.basename(source_path)


def _show(
    source: FileSource,
    options: AnalysisOptions,
    *,
    title: str,
    ascii_only: bool,
    mouse: bool,
    theme: str | None,
    period_s: float,
) -> int:
    from tui.application import TunnelscopeApp
    from tui.engine_bridge import EngineBridge
    from tui.themes import UnknownTheme, choose_theme

    try:
        theme_name = choose_theme(theme)
        catalogue = _catalogue(options)
    except (UnknownTheme, ValueError) as error:
        return _complain(str(error), EXIT_USAGE)

    def make_engine() -> Engine:
        from dataclasses import replace

        from capture.engine import Engine

        kept = replace(options, keep_packets=True)
        return Engine(source, kept, period_s=period_s, catalogue=catalogue)

    bridge = EngineBridge(make_engine, source.progress)
    app = TunnelscopeApp(
        bridge, title=title, ascii_only=ascii_only, theme=theme_name, period_s=period_s
    )
    # A thread that dies has its word in the banner and at the end, not across the screen.
    threading.excepthook = bridge.thread_died
    try:
        app.run(mouse=mouse)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    finally:
        bridge.stop()
        threading.excepthook = threading.__excepthook__
    if bridge.failure is not None and app.return_code == 0:
        return _complain(f"{title}: {bridge.failure}", EXIT_UNREADABLE)
    return app.return_code or 0


def _catalogue(options: AnalysisOptions) -> Catalogue | None:
    """The texts of the rules with the user's own; None when there are none (the engine's
    thread then reads the built-in ones, while the screen is drawn).

    Raises:
        ValueError: One of the user's files cannot be read; the message is one line.
    """
    if not options.rules:
        return None
    from capture.judging import Catalogue

    return Catalogue.load(options.rules)


def _complain(message: str, code: int) -> int:
    from capture.protocols.text import printable

    print(f"tunnelscope: {printable(message)}", file=sys.stderr)
    return code
