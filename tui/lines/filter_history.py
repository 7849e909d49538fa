"""The filters that were used last, kept for the next time.

One a line in ``$XDG_STATE_HOME/tunnelscope/filters``, the newest first. A filter that holds
what looks like a secret is not kept.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Final

from capture.protocols.masking import mask_payload
from capture.protocols.text import mask_urls, printable
from tui.recent import state_directory

__all__ = ["FilterHistory"]

FILE: Final = "filters"
KEPT: Final = 100
_BYTES_MAX: Final = 1 << 20


class FilterHistory:
    """A short list of filters, and the place in it that the user is at."""

    def __init__(self) -> None:
        self._filters = _read()
        self._at = -1
        self._draft = ""

    @property
    def older(self) -> bool:
        """Whether there is any."""
        return bool(self._filters)

    def begin(self) -> None:
        """The line was opened: go back from the newest one."""
        self._at, self._draft = -1, ""

    def step(self, older: bool, typed: str) -> str | None:
        """The filter before (or behind) the one that was shown; None at either end.

        Args:
            older: Further back.
            typed: What the line holds: it is found again behind the newest one.
        """
        at = self._at + (1 if older else -1)
        if not -1 <= at < len(self._filters):
            return None
        if self._at == -1:
            self._draft = typed
        self._at = at
        return self._draft if at == -1 else self._filters[at]

    def add(self, text: str) -> None:
        """Remember a filter that was applied."""
        if not text or _secret(text):
            return
        others = _read() or self._filters
        self._filters = [text, *(other for other in others if other != text)][:KEPT]
        directory = state_directory()
        with suppress(OSError, ValueError):
            if directory is None:
                return
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            fresh = directory / f".{FILE}.{os.getpid()}"
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
            with open(os.open(fresh, flags, 0o600), "w", encoding="utf-8") as file:
                file.writelines(f"{line}\n" for line in self._filters)
            fresh.replace(directory / FILE)


def _secret(text: str) -> bool:
    """Whether something in it would be masked anywhere else."""
    octets = text.encode("utf-8", "replace")
    spaced = octets.replace(b'"', b" ")
    return (
        printable(text, len(text) + 1) != text
        or mask_urls(text) != text
        or mask_payload(octets) != octets
        or mask_payload(spaced) != spaced
    )


def _read() -> list[str]:
    directory = state_directory()
    try:
        if directory is None:
            return []
        with open(directory / FILE, encoding="utf-8", errors="replace") as file:
            lines = file.read(_BYTES_MAX).split("\n")
    except OSError:
        return []
    return [line for line in lines if line and printable(line, len(line) + 1) == line][:KEPT]
