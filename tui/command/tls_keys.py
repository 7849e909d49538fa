"""Which file the secrets that open TLS are read from."""

from __future__ import annotations

import os
from typing import Final

from capture.decrypt.keylog import KeyLogError, KeyLogFile
from capture.decrypt.keys import NEEDED, can_decrypt

__all__ = ["VARIABLE", "BadKeyLog", "chosen_keylog"]

VARIABLE: Final = "SSLKEYLOGFILE"


class BadKeyLog(Exception):
    """A key log cannot be used. ``str()`` is one line."""


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
        hint = f"pip install {NEEDED}, or install tunnelscope[decrypt]"
        raise BadKeyLog(f"decrypting needs the package {NEEDED}: {hint}")
    if may_come and not os.path.exists(named):
        return named
    try:
        KeyLogFile(named).check()
    except KeyLogError as error:
        raise BadKeyLog(f"{named or repr(named)}: {error}") from None
    return named


def _readable(path: str) -> bool:
    return os.access(path, os.R_OK)
