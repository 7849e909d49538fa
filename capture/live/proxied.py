"""Finds which local addresses talk to a proxy, from the kernel's table of TCP sockets.

Format: proc_net_tcp.txt of the Linux kernel's documentation. Elsewhere nothing is known.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from sys import byteorder
from typing import Final

USUAL_PORTS: Final = frozenset(
    {3128, 3129, 8000, 8001, 8008, 8080, 8081, 8090, 8118, 8888, 9090, 9400, 9480}
)
"""Ports that mark a connection as one to a proxy, by nothing but its number: those that
``capture.judging.select`` knows, without 80 and its kin, which say too little."""

_SYN_SENT, _ESTABLISHED, _LISTEN = 2, 1, 10
_LIVE: Final = (_ESTABLISHED, _SYN_SENT)
_MOST_LINES: Final = 20_000
"""Sockets looked at; a box with more is a proxy itself, and the first ones show it."""

TABLES: Final = ("/proc/thread-self/net/tcp", "/proc/thread-self/net/tcp6")
"""``thread-self`` follows the thread's network namespace; ``/proc/net`` the process'."""


@dataclass(frozen=True, slots=True)
class Connection:
    """One TCP socket."""

    local: str
    local_port: int
    remote: str
    remote_port: int
    state: int
    """As in the kernel's ``tcp_states.h``."""


def read_connections(tables: Iterable[str] = TABLES) -> Iterator[Connection]:
    """The sockets of the kernel's tables; those that cannot be read are left out."""
    for table in tables:
        try:
            with Path(table).open(encoding="ascii", errors="replace") as lines:
                next(lines, None)
                for number, line in enumerate(lines):
                    if number >= _MOST_LINES:
                        break
                    if (connection := parse_line(line)) is not None:
                        yield connection
        except OSError:
            continue


def parse_line(line: str) -> Connection | None:
    """One line of the table, or None where it is not one."""
    fields = line.split()
    if len(fields) < 4:
        return None
    try:
        local, local_port = _endpoint(fields[1])
        remote, remote_port = _endpoint(fields[2])
        return Connection(local, local_port, remote, remote_port, int(fields[3], 16))
    except ValueError:
        return None


def _endpoint(text: str) -> tuple[str, int]:
    """``0100007F:0C38``: words in host order, the port in hexadecimal."""
    address, colon, port = text.partition(":")
    words = bytes.fromhex(address)
    if not colon or len(words) not in (4, 16):
        raise ValueError(text)
    if byteorder == "little":
        words = b"".join(words[at : at + 4][::-1] for at in range(0, len(words), 4))
    if len(words) == 4:
        return str(IPv4Address(words)), int(port, 16)
    six = IPv6Address(words)
    return str(six.ipv4_mapped or six), int(port, 16)


@dataclass(frozen=True, slots=True)
class Proxied:
    """A proxy that somebody on this machine talks to, or that runs here."""

    local: str
    """Address of this machine; a wildcard where the proxy listens on all."""
    peer: str
    """The other end; empty where the proxy only listens."""
    proxy: str
    """``10.10.10.1:3128``."""


def find_proxied(
    connections: Iterable[Connection], proxies: Iterable[tuple[str, int | None]] = ()
) -> list[Proxied]:
    """The connections to proxies among ``connections``, each pair once.

    Args:
        connections: Of this machine.
        proxies: Hosts told to be proxies, with a port or None for any.
    """
    told = set(proxies)
    found: dict[Proxied, None] = {}
    for one in connections:
        here = _is_proxy(one.local, one.local_port, told)
        if one.state == _LISTEN and here:
            found[Proxied(one.local, "", _joined(one.local, one.local_port))] = None
        elif one.state in _LIVE and _is_proxy(one.remote, one.remote_port, told):
            found[Proxied(one.local, one.remote, _joined(one.remote, one.remote_port))] = None
        elif one.state in _LIVE and here:
            found[Proxied(one.local, one.remote, _joined(one.local, one.local_port))] = None
    return list(found)


def _is_proxy(address: str, port: int, told: set[tuple[str, int | None]]) -> bool:
    return port in USUAL_PORTS or (address, port) in told or (address, None) in told


def _joined(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
