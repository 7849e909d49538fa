"""What is used of scapy, loaded so that it neither writes on the terminal nor into a home.

The only module of ``capture`` that knows scapy; to import it takes a sixth of a second.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

__all__ = ["AsyncSniffer", "DefaultSession", "L2ListenSocket", "Scapy_Exception", "conf"]

_HOMES: Final = ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME")
_NOWHERE: Final = "/dev/null/none"
"""Can neither exist nor be made: scapy goes without a cache then."""


@contextmanager
def _without_traces() -> Iterator[None]:
    """Let root leave no files in a home, which may be another user's (sudo)."""
    before = {name: os.environ.get(name) for name in _HOMES}
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        os.environ.update(dict.fromkeys(_HOMES, _NOWHERE))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _quiet() -> None:
    """Keep warnings off the terminal: scapy's handler writes where the screen draws."""
    logger = logging.getLogger("scapy")
    logger.handlers[:] = [logging.NullHandler()]
    logger.propagate = False


_quiet()
with _without_traces():
    from scapy.config import conf
    from scapy.error import Scapy_Exception
    from scapy.sendrecv import AsyncSniffer
    from scapy.sessions import DefaultSession

    if sys.platform == "linux":
        from scapy.arch.linux import L2ListenSocket
    else:
        from scapy.supersocket import SuperSocket as L2ListenSocket
_quiet()  # loading it has put its handler there
