"""Names of hosts: which ones a capture holds, what may pass for one, how they are shown.

A name comes from a DNS answer, and whoever answers may write anything. Only what looks like a
host name is taken (RFC 952, RFC 1123 2.1, and the underscore that hosts use all the same):
no blank, no bracket, nothing that could be read as another address.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from capture.facts import CaptureFacts

__all__ = ["by_name", "host_name", "host_of", "hosts_of", "is_address", "names_in", "with_name"]

MOST_LETTERS: Final = 253
"""Longest host name (RFC 1035, 2.3.4: 255 octets with the lengths of the labels)."""

_LABEL: Final = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_NAME: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_NUMBER: Final = re.compile(r"\d+|0[xX][0-9a-fA-F]*")
"""A last label like that makes an address of the whole (WHATWG URL, "ends in a number")."""


def host_name(text: str) -> str:
    """``text`` without its final dot if it can be a host's name, else nothing."""
    name = text.removesuffix(".")
    if len(name) > MOST_LETTERS or not _NAME.fullmatch(name):
        return ""
    return "" if _NUMBER.fullmatch(name.rpartition(".")[2]) else name


def host_of(endpoint: str) -> str:
    """``fd10::1`` of ``[fd10::1]:3128``."""
    return endpoint.rpartition(":")[0].removeprefix("[").removesuffix("]")


def is_address(host: str) -> bool:
    """Whether a host is given by its address (IPv4 or IPv6), and not by a name."""
    from ipaddress import ip_address

    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def names_in(capture: CaptureFacts) -> dict[str, str]:
    """Names by address, of all DNS answers in the capture; of several the first."""
    from capture.judging.scene import address_text

    found: dict[str, str] = {}
    for message in capture.dns:
        if message.response and message.answers and (name := host_name(message.name)):
            for number in message.answers:
                found.setdefault(address_text(number, capture), name)
    return found


def by_name(endpoint: str, names: Mapping[str, str] | None) -> str:
    """``client.lab:4711``; the endpoint as it is where no name is known."""
    name = names.get(host_of(endpoint)) if names else None
    return f"{name}:{endpoint.rpartition(':')[2]}" if name else endpoint


def with_name(endpoint: str, names: Mapping[str, str] | None) -> str:
    """``client.lab (10.0.0.7:4711)``; the endpoint as it is where no name is known."""
    name = names.get(host_of(endpoint)) if names else None
    return f"{name} ({endpoint})" if name else endpoint


def hosts_of(endpoints: Iterable[str]) -> dict[str, None]:
    """The addresses among the hosts of ``endpoints``, each once, in order."""
    return {host: None for host in dict.fromkeys(map(host_of, endpoints)) if is_address(host)}
