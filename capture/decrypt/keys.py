"""All secrets that open a capture's TLS: a key log file, and those the capture carries."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib.util import find_spec
from typing import Final

from capture.decrypt.keylog import KeyLog, KeyLogError, KeyLogFile

__all__ = ["NEEDED", "TlsKeys", "can_decrypt"]

NEEDED: Final = "cryptography"
"""The package that deciphers; all else goes without it."""


def can_decrypt() -> bool:
    """Whether the package that deciphers is installed."""
    return find_spec(NEEDED) is not None


class TlsKeys:
    """Gives all secrets known by now. For one thread."""

    def __init__(self, path: str, carried: Callable[[], Sequence[bytes]]) -> None:
        """Prepare; nothing is read.

        Args:
            path: A key log file, which may grow; empty for none.
            carried: Gives the key logs inside of the capture, as far as it is read; a
                sequence that only grows.
        """
        self._path = path
        self._carried = carried
        self._taken = 0
        self._log: KeyLog | None = None

    def __call__(self) -> KeyLog | None:
        """The secrets, read again where they grew; None where there are none to look for, or
        nothing to decipher with. A file that cannot be read (any more) adds nothing."""
        carried = self._carried()
        if not (self._path or carried) or not can_decrypt():
            return None
        if self._log is None:
            self._log = KeyLogFile(self._path) if self._path else KeyLog()
        with suppress(KeyLogError):  # it may be yet to come
            self._log.refresh()
        for data in carried[self._taken :]:
            self._log.add(data)
        self._taken = len(carried)
        return self._log
