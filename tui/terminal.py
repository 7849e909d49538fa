"""What must be settled with the terminal before Textual is imported.

Textual reads some of its settings from the environment at import, and reads keys from file
descriptor 0. Both are taken care of here, so this module imports neither textual nor rich.
"""

from __future__ import annotations

import os
import sys
from typing import Final

__all__ = [
    "NoTerminal",
    "draw_on_terminal",
    "is_remote",
    "open_terminal",
    "prepare_environment",
    "read_keys_from",
    "speaks_utf8",
]

LOCAL_FPS: Final = 30
REMOTE_FPS: Final = 10
SLOW_FPS: Final = 4
"""Frames a second at most: nobody reads faster, and a slow link carries no more."""

_TRUE_COLOUR: Final = ("truecolor", "24bit")


class NoTerminal(Exception):
    """There is no terminal to read keys from. ``str()`` is one line."""


def is_remote() -> bool:
    """Whether the screen is drawn over SSH."""
    return bool(os.environ.get("SSH_CONNECTION") or os.environ.get("SSH_TTY"))


def prepare_environment(*, slow_link: bool = False) -> None:
    """Set what Textual reads at import; what the user has set is left alone.

    Args:
        slow_link: The link carries a few kB/s: draw rarely.
    """
    remote = is_remote()
    fps = SLOW_FPS if slow_link else REMOTE_FPS if remote else LOCAL_FPS
    os.environ.setdefault("TEXTUAL_FPS", str(fps))
    if remote or slow_link:
        os.environ.setdefault("TEXTUAL_ANIMATIONS", "none")
        os.environ.setdefault("TEXTUAL_SMOOTH_SCROLL", "0")
    if slow_link and os.environ.get("COLORTERM", "").lower() in _TRUE_COLOUR:
        # Half of what is sent says colours, and one of 256 takes half as long to say.
        os.environ.setdefault("TEXTUAL_COLOR_SYSTEM", "256")


def draw_on_terminal() -> None:
    """Let Textual draw on standard output where standard error is no terminal.

    It always draws on standard error; ``2>errors.txt`` would take the screen away.
    """
    err, out = sys.__stderr__, sys.__stdout__
    if out is not None and out.isatty() and (err is None or not err.isatty()):
        sys.__stderr__ = out  # type: ignore[misc]


def speaks_utf8() -> bool:
    """Whether the stream Textual draws on can carry more than ASCII."""
    encoding = getattr(sys.__stderr__, "encoding", None) or "ascii"
    return encoding.lower().replace("-", "").replace("_", "") in {"utf8", "utf8sig"}


def open_terminal() -> int:
    """Open the controlling terminal, for keys while packets come on standard input.

    Raises:
        NoTerminal: The process has no controlling terminal (a service, a build).
    """
    try:
        return os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY)
    except OSError as error:
        raise NoTerminal("no terminal to read keys from (/dev/tty)") from error


def read_keys_from(terminal: int) -> None:
    """Put a terminal in the place of standard input, where Textual's driver reads keys.

    Whoever reads packets there must hold a duplicate of descriptor 0 already.

    Args:
        terminal: Its descriptor; closed here.
    """
    os.dup2(terminal, 0)
    os.close(terminal)
