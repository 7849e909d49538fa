"""Opens the screen for a capture and says how it ended: ``run``.

This module is thin on purpose. Textual reads its settings when it is imported, and what
cannot be read or captured is told before any screen appears; both come first here.
"""

from __future__ import annotations

import sys
import threading
from functools import partial
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from capture.judging import Catalogue
    from capture.live.settings import CaptureSettings
    from capture.options import AnalysisOptions
    from tui.config import Config
    from tui.feeds import Feed

__all__ = ["run"]

EXIT_USAGE: Final = 2
EXIT_CANNOT_CAPTURE: Final = 3
EXIT_UNREADABLE: Final = 4
EXIT_INTERRUPTED: Final = 130

PERIOD_S: Final = 0.25
SLOW_PERIOD_S: Final = 1.0
"""Time between two pulls of a snapshot, and between two snapshots of the engine."""

BYTES_PER_S: Final = 15_000
"""What may be sent to the terminal that nobody asked for."""
SLOW_BYTES_PER_S: Final = 2_000
"""What may be sent to a terminal behind a slow link at all."""
SLOW_PATIENCE_S: Final = 6.0
"""A full repaint keeps a slow link busy for so long: nothing is put on top of it."""


def run(
    feed: Feed | None,
    *,
    options: AnalysisOptions,
    settings: CaptureSettings | None = None,
    ascii: bool = False,
    mouse: bool = True,
    theme: str | None = None,
    slow_link: bool = False,
    looks: Config | None = None,
    other: str = "",
) -> int:
    """Show captures on the terminal until the user leaves.

    Args:
        feed: What to show; None for the start screen, where the user chooses.
        options: Choices that reach the analysis; packets are always kept here.
        settings: How the start screen captures on the interface that is chosen there.
        ascii: Draw with ASCII only; also chosen when the terminal's encoding is not UTF-8.
        mouse: Let Textual take the mouse.
        theme: Name of a theme; None to go by the terminal.
        slow_link: Draw once a second, without animation, within 2 kB/s.
        looks: Keys and columns of the user's configuration.
        other: A second capture, to compare a tunnel of the first with; empty for none.

    Returns:
        The process's exit code: 0; 2 for a wrong option or no terminal; 3 when it could not
        capture and 4 when the input could not be read, said in one line on standard error;
        128 + N after signal N.
    """
    from tui import terminal

    terminal.prepare_environment(slow_link=slow_link)
    terminal.draw_on_terminal()
    from tui.feeds import FeedFailed, FileFeed
    from tui.sessions import Setup, open_bridge
    from tui.themes import UnknownTheme, choose_theme

    try:
        theme_name = choose_theme(theme)
        catalogue = _catalogue(options)
        if looks is not None and looks.keys:
            from tui.keys.key_map import check_keys

            check_keys(looks.keys)
        if looks is not None and (looks.columns or looks.sort):
            from widgets.tunnel_columns import check_columns

            check_columns((*looks.columns, *filter(None, [looks.sort.removeprefix("-")])))
    except (UnknownTheme, ValueError) as error:
        return _complain(str(error), EXIT_USAGE)
    period_s = SLOW_PERIOD_S if slow_link else PERIOD_S
    opener = partial(open_bridge, setup=Setup(options, catalogue, period_s))
    try:
        bridge = None if feed is None else opener(feed)
    except FeedFailed as error:
        return _complain(str(error), error.code)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    from capture import collector
    from tui.application import TunnelscopeApp
    from tui.link.budget import LinkBudget
    from tui.link.canvas import Canvas
    from tui.link.pen import erases_in_colour
    from tui.strips import without_circles

    app = TunnelscopeApp(
        bridge,
        title="" if feed is None else feed.title,
        ascii_only=ascii or not terminal.speaks_utf8(),
        theme=theme_name,
        period_s=period_s,
        budget=(
            LinkBudget(SLOW_BYTES_PER_S, strict=True, patience_s=SLOW_PATIENCE_S)
            if slow_link
            else LinkBudget(BYTES_PER_S)
        ),
        canvas=Canvas(split=True, erasing=erases_in_colour()) if slow_link else Canvas(),
        opener=opener,
        settings=settings,
        proxies=options.proxies,
        looks=looks,
        display_filter=options.display_filter,
        other=other,
    )
    collector.work_rarely()
    without_circles()
    # A thread that dies has its word in the banner and at the end, not across the screen.
    threading.excepthook = app.thread_died
    try:
        app.run(mouse=mouse)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    finally:
        shown = app.bridge
        if shown is not None:
            shown.stop()
        threading.excepthook = threading.__excepthook__
    if shown is not None and shown.failure is not None and app.return_code == 0:
        code = EXIT_CANNOT_CAPTURE if shown.live else EXIT_UNREADABLE
        named = feed.file if isinstance(feed, FileFeed) else ""
        return _complain(f"{named or app.capture_title}: {shown.failure}", code)
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
