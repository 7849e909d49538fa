"""Where the packets on the screen come from: a file, a pipe, interfaces, another machine.

A feed is what the user named; opening it gives a source, or one line that says why not.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from capture.frames import Source
    from capture.live.settings import CaptureSettings

__all__ = [
    "Feed",
    "FeedFailed",
    "FileFeed",
    "LiveFeed",
    "Opened",
    "interfaces_here",
    "may_come_late",
]

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

    @property
    def file(self) -> str:
        """A capture file that can be opened again some day; empty: there is none."""
        ...

    def open(self) -> Opened:
        """Open it; may take a while.

        Raises:
            FeedFailed: It cannot be.
        """
        ...


@dataclass(frozen=True, slots=True)
class FileFeed:
    """A capture file, or ``-`` for packets on standard input."""

    path: str
    name: str = ""
    """What to call it instead of the path's last part."""
    follow: bool = False
    """The file still grows."""
    screen: bool = True
    """Frames are fetched again, and where packets come on standard input the keys come from
    the controlling terminal; False: for a report, which needs neither."""

    @property
    def title(self) -> str:
        if self.name:
            return self.name
        return "standard input" if self.path == STDIN else os.path.basename(self.path)

    @property
    def file(self) -> str:
        return "" if self.name or self.path == STDIN else self.path

    def open(self) -> Opened:
        with failing_plainly(self.file or self.title):
            if self.follow:
                from capture.sources.follow import open_growing

                return Opened(open_growing(self.path), live=True)
            return Opened(self._open(), live=may_come_late(self.path))

    def _open(self) -> Source:
        from capture.sources import open_source
        from tui.terminal import open_terminal, read_keys_from

        if self.path != STDIN or not self.screen:
            return open_source(self.path, spool=self.screen)
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

    @property
    def file(self) -> str:
        settings = self.settings
        return settings.write if settings.write is not None and settings.ring is None else ""

    def open(self) -> Opened:
        with _capturing_plainly(self.settings):
            if self.settings.ssh is not None:
                from capture.live.ssh import SshSource

                return Opened(SshSource(self.settings), live=True)
            from capture.live.source import LiveSource

            return Opened(LiveSource(self.settings), live=True)


@contextmanager
def failing_plainly(title: str) -> Iterator[None]:
    """Turn what opening a file raises into ``FeedFailed``."""
    from capture.frames import UnreadableInput
    from tui.terminal import NoTerminal

    try:
        yield
    except NoTerminal as error:
        raise FeedFailed(str(error), EXIT_USAGE) from None
    except UnreadableInput as error:
        raise FeedFailed(f"{title}: {error}", EXIT_UNREADABLE) from None


@contextmanager
def _capturing_plainly(settings: CaptureSettings) -> Iterator[None]:
    """Turn what beginning a capture raises into ``FeedFailed``."""
    from capture.frames import UnreadableInput

    try:
        yield
    except UnreadableInput as error:
        code = EXIT_USAGE if _is_bad_filter(settings) else EXIT_CANNOT_CAPTURE
        raise FeedFailed(str(error), code) from None


def _is_bad_filter(settings: CaptureSettings) -> bool:
    """Whether a capture that did not begin has a filter that is none."""
    from capture.live.bpf import FilterError
    from capture.live.filters import compile_filter
    from capture.live.ring import ETHERNET

    if settings.ssh is not None:
        return False  # what a filter means there is that machine's affair
    try:
        compile_filter(settings.filter, ETHERNET)
    except FilterError:
        return True
    return False


def interfaces_here(settings: CaptureSettings) -> CaptureSettings:
    """The settings with numbers of the list (``-D``) turned into names.

    Raises:
        FeedFailed: There is no such interface on this machine; near ones are named.
    """
    from dataclasses import replace

    if settings.ssh is not None or all(map(_exists, settings.interfaces)):
        return settings
    from capture.live.interfaces import list_interfaces

    known = [one.name for one in list_interfaces()]
    names = tuple(dict.fromkeys(_named(text, known) for text in settings.interfaces))
    return replace(settings, interfaces=names)


def _exists(name: str) -> bool:
    import socket

    try:
        return bool(socket.if_nametoindex(name))
    except (OSError, ValueError):
        return False


def _named(text: str, known: Sequence[str]) -> str:
    if text in known or _exists(text):
        return text
    if text.isascii() and text.isdecimal() and 0 < int(text[:6]) <= len(known):
        return known[int(text) - 1]
    from difflib import get_close_matches

    near = get_close_matches(text, known, n=3, cutoff=0.4)
    hint = f"did you mean {', '.join(near)}?" if near else f"there are {', '.join(known)}"
    raise FeedFailed(f"no interface {text!r}: {hint}", EXIT_USAGE)


def may_come_late(path: str) -> bool:
    """Whether it is no plain file: packets may still be on their way there."""
    try:
        mode = os.fstat(0).st_mode if path == STDIN else os.stat(path).st_mode
    except OSError:
        return False
    return not stat.S_ISREG(mode)
