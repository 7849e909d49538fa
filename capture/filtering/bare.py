"""What somebody may mean who typed a value where a condition is wanted: ``403``, ``cisco``."""

from __future__ import annotations

import ipaddress
import re
from typing import Final

from capture.filtering.registry import FIELDS

__all__ = ["condition_with"]

_NAME: Final = re.compile(r"[A-Za-z0-9](?:[.:]?[A-Za-z0-9_-])+")
"""A word that may be a host's name, or part of one, and needs no quotes."""
_STATUS: Final = range(100, 600)
_PORTS: Final = range(1, 1 << 16)


def condition_with(word: str) -> str:
    """The likeliest condition with a value; empty where there is none.

    Args:
        word: One word of a filter, which is no field's name.
    """
    if word.isascii() and word.isdecimal():
        number = int(word[:6])
        if number in _STATUS:
            return f"status == {number}"
        return f"tcp.port == {number}" if number in _PORTS else ""
    try:
        version = ipaddress.ip_address(word).version
    except ValueError:
        pass
    else:
        return f"{'ip' if version == 4 else 'ipv6'}.addr == {word}"
    if word.lower() in FIELDS["verdict"].words:
        return f"verdict == {word.lower()}"
    return f"target contains {word}" if _NAME.fullmatch(word) else ""
