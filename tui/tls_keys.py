"""The secrets that open TLS: a key log named by the user, and those a capture carries."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from capture.decrypt.keylog import KeyLog

__all__ = ["VARIABLE", "BadKeyLog", "TlsKeys", "can_decrypt", "chosen_keylog"]

VARIABLE: Final = "SSLKEYLOGFILE"
_NEEDED: Final = "cryptography"


class BadKeyLog(Exception):
    """A key log cannot be used. ``str()`` is one line."""


def can_decrypt() -> bool:
    """Whether the package that deciphers is installed."""
    return find_spec(_NEEDED) is not None


def chosen_keylog(named: str | None, *, may_come: bool = False) -> str:
    """The key log to read; empty for none.

    Args:
        named: As the user named it; None: that of ``$SSLKEYLOGFILE``, if there is such a file.
        may_come: It need not exist yet: the client is still to be started.

    Raises:
        BadKeyLog: The one that was named cannot be used.
    """
    if named is None:
        path = os.environ.get(VARIABLE, "")
        return path if path and os.path.isfile(path) and _readable(path) and can_decrypt() else ""
    if not can_decrypt():
        hint = f"pip install {_NEEDED}, or install tunnelscope[decrypt]"
        raise BadKeyLog(f"decrypting needs the package {_NEEDED}: {hint}")
    if may_come and not os.path.exists(named):
        return named
    from capture.decrypt.keylog import KeyLogError, KeyLogFile

    try:
        KeyLogFile(named).check()
    except KeyLogError as error:
        raise BadKeyLog(f"{named or repr(named)}: {error}") from None
    return named


def _readable(path: str) -> bool:
    return os.access(path, os.R_OK)


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
        from capture.decrypt.keylog import KeyLog, KeyLogError, KeyLogFile

        if self._log is None:
            self._log = KeyLogFile(self._path) if self._path else KeyLog()
        with suppress(KeyLogError):  # it may be yet to come
            self._log.refresh()
        for data in carried[self._taken :]:
            self._log.add(data)
        self._taken = len(carried)
        return self._log
