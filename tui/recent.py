"""Names of the captures that were opened last, for the start screen.

One path a line in ``$XDG_STATE_HOME/tunnelscope/recent``, the newest first. Only names are
kept, and nothing breaks when they cannot be.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

__all__ = ["Recent", "recent_captures", "remember", "state_directory"]

NAME: Final = "tunnelscope"
FILE: Final = "recent"
KEPT: Final = 50
"""Names kept: files come and go, and those that are gone are not shown."""
_BYTES_MAX: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Recent:
    """A capture that still exists."""

    path: str
    size: int
    """Bytes."""
    modified_s: float
    """Seconds since the epoch."""


def state_directory() -> Path | None:
    """Where this program may remember things; None where it had better not.

    Under sudo the directory would be root's, or hold files of root in the user's home: then
    nothing is remembered.
    """
    if os.environ.get("SUDO_UID") and hasattr(os, "geteuid") and os.geteuid() == 0:
        return None
    base = os.environ.get("XDG_STATE_HOME", "")
    # The base directory specification: a relative path is to be ignored.
    if os.path.isabs(base):
        return Path(base) / NAME
    with suppress(RuntimeError):  # no home
        return Path("~/.local/state").expanduser() / NAME
    return None


def remember(path: str) -> None:
    """Put a capture at the head of the list."""
    directory = state_directory()
    with suppress(OSError, ValueError):
        name = os.path.abspath(path)
        if directory is None or not _is_one_line(name):
            return
        names = [name, *(other for other in _names(directory) if other != name)][:KEPT]
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = directory / f".{FILE}.{os.getpid()}"
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with open(descriptor, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.writelines(f"{line}\n" for line in names)
        fresh.replace(directory / FILE)


def recent_captures(most: int) -> list[Recent]:
    """The captures that still exist, the newest first."""
    directory = state_directory()
    if directory is None:
        return []
    return list(_existing(_names(directory), most))


def _names(directory: Path) -> list[str]:
    try:
        with open(directory / FILE, encoding="utf-8", errors="surrogateescape") as file:
            lines = file.read(_BYTES_MAX).split("\n")
    except OSError:
        return []
    return list(dict.fromkeys(line for line in lines if os.path.isabs(line)))[:KEPT]


def _existing(names: Iterable[str], most: int) -> Iterator[Recent]:
    for name in names:
        if most <= 0:
            return
        with suppress(OSError, ValueError):
            status = os.stat(name)
            if stat.S_ISREG(status.st_mode):
                yield Recent(name, status.st_size, status.st_mtime)
                most -= 1


def _is_one_line(name: str) -> bool:
    return "\n" not in name and "\r" not in name and len(name) < 4096
