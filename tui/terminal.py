"""What must be settled with the terminal before Textual is imported.

Textual reads some of its settings from the environment at import, and reads keys from file
descriptor 0. Both are taken care of here, so this module imports neither textual nor rich.
"""

from __future__ import annotations

import os
import sys
from typing import Final

__all__ = ["NoTerminal", "is_remote", "prepare_environment", "speaks_utf8", "take_stdin"]

LOCAL_FPS: Final = 30
REMOTE_FPS: Final = 10
SLOW_FPS: Final = 4
"""Frames a second at most: nobody reads faster, and a slow link carries no more."""


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


def speaks_utf8() -> bool:
    """Whether the stream Textual draws on can carry more than ASCII."""
    encoding = getattr(sys.__stderr__, "encoding", None) or "ascii"
    return encoding.lower().replace("-", "").replace("_", "") in {"utf8", "utf8sig"}


def take_stdin() -> int:
    """Give the packets on standard input a descriptor of their own; keys come from the tty.

    Afterwards descriptor 0 is the controlling terminal, which is where Textual's driver
    looks for keys, and ``sys.stdin`` reads the packets as before.

    Returns:
        The descriptor that carries the packets.

    Raises:
        NoTerminal: The process has no controlling terminal (a service, a build).
    """
    try:
        terminal = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY)
    except OSError as error:
        raise NoTerminal("no terminal to read keys from (/dev/tty)") from error
    packets = os.dup(0)
    os.set_inheritable(packets, False)
    os.dup2(terminal, 0)
    os.close(terminal)
    sys.stdin = os.fdopen(packets, "r", encoding="utf-8", errors="replace", closefd=False)
    return packets
