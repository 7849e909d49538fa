"""Gives the hosts and ports that a text prints by name an address and a number."""

from __future__ import annotations

import socket
import zlib
from collections.abc import Iterator
from typing import Final

from capture.frames import SourceInfo

_POOLS: Final = (("192.0.2.", 254), ("198.51.100.", 254), ("203.0.113.", 254), ("198.18.", 65_534))
"""Networks that never occur on a wire (RFC 5737, RFC 2544), and how many hosts they have."""
_POOL6: Final = "2001:db8:6e61:6d65::"
_MOST_NAMES: Final = 65_000

_PORTS: Final = {
    "ftp": 21, "ssh": 22, "domain": 53, "http": 80, "www": 80, "https": 443, "socks": 1080,
    "squid": 3128, "ndl-aas": 3128, "icpv2": 3130, "irdmi": 8000, "http-alt": 8080,
    "webcache": 8080, "http-proxy": 8080, "tproxy": 8081, "us-cli": 8082, "us-srv": 8083,
    "privoxy": 8118, "intermapper": 8181, "pcsync-https": 8443, "sun-answerbook": 8888,
    "ddi-tcp-1": 8888, "tor-socks": 9050,
}  # fmt: skip
"""Service names of proxies that not every system's /etc/services has, or that differ."""


class Hosts:
    """Addresses and ports of the words in a text.

    Args:
        info: ``names`` is filled with the names, ``assumed`` with what was guessed.
        sample: The text's beginning; networks that occur in it are not made up again.
    """

    def __init__(self, info: SourceInfo, sample: str) -> None:
        self._info = info
        self._free = _made_up([pool for pool in _POOLS if pool[0] not in sample])
        self._known: dict[tuple[str, int], bytes] = {}
        self._made: set[bytes] = set()
        self._real: set[bytes] = set()
        self._numbers: dict[str, int] = {}

    def address(self, host: str, version: int) -> bytes | None:
        """The packed address of a printed host; None when it cannot be one.

        A name gets a made-up address, always the same one, recorded in ``info.names``.
        """
        key = host, version
        known = self._known.get(key)
        if known is None:
            found = packed(host, version)
            if found is None or found in self._made:
                # A real address that was already given to a name gets an alias likewise.
                found = self._make(host, version)
            else:
                self._real.add(found)
            if found is None:
                return None
            if len(self._known) >= 4 * _MOST_NAMES:
                return found  # real addresses need no memory; names are bounded below
            known = self._known[key] = found
        return known

    def learn(self, host: str, address: bytes) -> None:
        """A hex dump showed the address of a name."""
        version = 4 if len(address) == 4 else 6
        if packed(host, version) is None and (host, version) not in self._known:
            self._known[host, version] = address
            self._info.names.setdefault(_text(address), host)

    def _make(self, host: str, version: int) -> bytes | None:
        if len(self._made) >= _MOST_NAMES:
            return None
        if version == 6:
            address = packed(f"{_POOL6}{len(self._made) + 1:x}", 6)
        else:
            address = next((made for made in self._free if made not in self._real), None)
        if address is not None:
            self._made.add(address)
            self._info.names[_text(address)] = host
        return address

    def port(self, name: str) -> int:
        """The number of a printed port; an unknown service name gets one of its own."""
        if name.isdecimal() and len(name) <= 5:
            return int(name) & 0xFFFF
        number = self._numbers.get(name)
        if number is None:
            number = _PORTS.get(name) or _service(name)
            if number is None:
                number = 49_152 + zlib.crc32(name.encode()) % 16_384
                taken = set(self._numbers.values())
                while number in taken and len(taken) < 16_000:
                    number = 49_152 + (number - 49_151) % 16_384
                self._info.assumed.append(f"the port {name} is not known here: shown as {number}")
            if len(self._numbers) < _MOST_NAMES:
                self._numbers[name] = number
        return number


def packed(host: str, version: int) -> bytes | None:
    """The bytes of a printed address; None for a name."""
    family = socket.AF_INET6 if version == 6 else socket.AF_INET
    try:
        return socket.inet_pton(family, host.partition("%")[0])
    except (OSError, ValueError):
        return None


def split_port(word: str) -> tuple[str, str]:
    """``10.0.0.1.80`` -> ``10.0.0.1`` and ``80``: tcpdump puts a dot before the port."""
    host, _, port = word.rpartition(".")
    return host, port


def _made_up(pools: list[tuple[str, int]]) -> Iterator[bytes]:
    for prefix, size in pools or [("198.19.", 65_534)]:
        for number in range(1, size + 1):
            tail = f"{number >> 8}.{number & 255}" if size > 254 else str(number)
            yield socket.inet_aton(prefix + tail)


def _service(name: str) -> int | None:
    try:
        return socket.getservbyname(name, "tcp")
    except (OSError, ValueError):
        return None


def _text(address: bytes) -> str:
    return socket.inet_ntop(socket.AF_INET if len(address) == 4 else socket.AF_INET6, address)
