"""Where the packets on the screen come from: a file, a pipe, interfaces, another machine.

A feed is what the user named; opening it gives a source, or one line that says why not.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from capture.frames import Source
    from capture.live.settings import CaptureSettings
    from capture.store import PacketStore

__all__ = ["Feed", "FeedFailed", "FileFeed", "LiveFeed", "Opened", "failing_plainly"]

EXIT_USAGE: Final = 2
EXIT_CANNOT_CAPTURE: Final = 3
EXIT_UNREADABLE: Final = 4

STDIN: Final = "-"


class FeedFailed(Exception):
    """A feed cannot be opened. ``str()`` is one line."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code
        """The process's exit code, should this end it."""


class ScreenSource(Protocol):
    """A source whose frames can be fetched again."""

    @property
    def store(self) -> PacketStore | None: ...

    def progress(self) -> tuple[int, int | None]: ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Opened:
    """A feed that delivers."""

    source: Source
    live: bool
    """Packets come as they are captured, and there is no end to wait for."""

    def close(self) -> None:
        """Release the source and what fetches its frames."""
        self.source.close()
        store = getattr(self.source, "store", None)
        if store is not None:
            store.close()


class Feed(Protocol):
    """Something that packets come from."""

    @property
    def title(self) -> str:
        """What the screen calls it; may hold anything a file name can."""
        ...

    def open(self) -> Opened:
        """Open it; may take a while.

        Raises:
            FeedFailed: It cannot be.
        """
        ...


@dataclass(frozen=True, slots=True)
class FileFeed:
    """A capture file, or ``-`` for packets on standard input (keys then come from the
    controlling terminal)."""

    path: str
    name: str = ""
    """What to call it instead of the path's last part."""
    follow: bool = False
    """The file still grows."""

    @property
    def title(self) -> str:
        if self.name:
            return self.name
        return "standard input" if self.path == STDIN else os.path.basename(self.path)

    def open(self) -> Opened:
        with failing_plainly(self.title):
            if self.follow:
                from capture.sources.follow import open_growing

                return Opened(open_growing(self.path), live=True)
            return Opened(self._open(), live=_is_pipe(self.path))

    def _open(self) -> Source:
        from capture.sources import open_source
        from tui.terminal import open_terminal, read_keys_from

        if self.path != STDIN:
            return open_source(self.path, spool=True)
        terminal = open_terminal()
        source = open_source(self.path, spool=True)
        read_keys_from(terminal)
        return source


@dataclass(frozen=True, slots=True)
class LiveFeed:
    """Interfaces of this machine, or of another one that is reached by ssh."""

    settings: CaptureSettings

    @property
    def title(self) -> str:
        settings = self.settings
        names = "+".join(settings.interfaces)
        where = f"{settings.ssh} {names}" if settings.ssh is not None else names
        return f"{where}  {settings.filter}" if settings.filter else where

    def open(self) -> Opened:
        with failing_plainly(" ".join(self.settings.interfaces)):
            if self.settings.ssh is not None:
                from capture.live.ssh import SshSource

                return Opened(SshSource(self.settings), live=True)
            from capture.live.source import LiveSource

            return Opened(LiveSource(self.settings), live=True)


@contextmanager
def failing_plainly(what: str) -> Iterator[None]:
    """Turn what opening a source raises into ``FeedFailed``.

    Args:
        what: Named in front of a message that does not begin with it.
    """
    from capture.frames import UnreadableInput
    from tui.terminal import NoTerminal

    try:
        yield
    except NoTerminal as error:
        raise FeedFailed(str(error), EXIT_USAGE) from None
    except UnreadableInput as error:
        raise FeedFailed(f"{what}: {error}", EXIT_UNREADABLE) from None


def _is_pipe(path: str) -> bool:
    """Whether packets may still be on their way there."""
    try:
        mode = os.fstat(0).st_mode if path == STDIN else os.stat(path).st_mode
    except OSError:
        return False
    return not stat.S_ISREG(mode)
