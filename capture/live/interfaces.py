"""The machine's network interfaces: addresses, state, counters, and who talks to a proxy.

Addresses come from netifaces; state and counters from the kernel, where it tells (Linux:
``/proc/net/dev`` and the interface ioctls of netdevice(7)); elsewhere they are not known.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import struct
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from capture.live.proxied import Connection, find_proxied, read_connections
from capture.protocols.text import printable
from capture.report.wrap import cells
from capture.units import count

ANY: Final = "any"
"""Linux's pseudo interface: all of them at once."""

COUNTERS: Final = Path("/proc/thread-self/net/dev")
"""Follows the network namespace of the thread, where ``/proc/net`` follows the process."""

_FLAGS_IOCTL: Final = 0x8913 if sys.platform == "linux" else 0xC0206911
"""SIOCGIFFLAGS of Linux, and of the BSDs and macOS."""
_UP, _LOOPBACK, _RUNNING = 0x1, 0x8, 0x40
_MOST_PROXIES: Final = 3
_WILDCARDS: Final = ("0.0.0.0", "::")


@dataclass(frozen=True, slots=True)
class Counters:
    """What an interface has counted since it exists."""

    packets: int
    """Received and sent; on a loopback, where each is both, counted once."""
    octets: int
    dropped: int
    """Received packets that the interface or the kernel had no room for."""


@dataclass(frozen=True, slots=True)
class NetworkInterface:
    """One interface that can be captured on."""

    name: str
    addresses: tuple[str, ...] = ()
    """``192.0.2.2/24``, ``fd00::2/64``: IPv4 first, link-local last."""
    mac: str = ""
    """Hardware address, or empty."""
    up: bool = True
    """Switched on."""
    running: bool = True
    """Switched on, and there is a carrier."""
    loopback: bool = False
    default_route: bool = False
    """The way to the internet goes out here."""
    proxies: tuple[str, ...] = ()
    """``10.10.10.1:3128``: proxies that connections through here go to right now."""
    counters: Counters | None = None
    """None: not known."""

    @property
    def state(self) -> str:
        """``up``, ``no carrier`` or ``down``."""
        if not self.up:
            return "down"
        return "up" if self.running else "no carrier"


def list_interfaces(proxies: Iterable[tuple[str, int | None]] = ()) -> list[NetworkInterface]:
    """All interfaces, the likeliest to be watched first; ``any`` last, where there is one.

    Args:
        proxies: Hosts (addresses) told to be proxies, with a port or None for any.
    """
    import netifaces

    gateways = _default_interfaces(netifaces)
    counters = read_counters()
    found = []
    for name in dict.fromkeys((*_in_order(), *netifaces.interfaces(), *counters)):
        addresses, mac = _addresses(netifaces, name)
        flags = _flags(name)
        found.append(
            NetworkInterface(
                name=name,
                addresses=addresses,
                mac=mac,
                up=bool(addresses) if flags is None else bool(flags & _UP),
                running=bool(addresses) if flags is None else bool(flags & _RUNNING),
                loopback=_is_loopback(addresses) if flags is None else bool(flags & _LOOPBACK),
                default_route=name in gateways,
                counters=counters.get(name),
            )
        )
    found = mark_proxied(found, read_connections(), proxies)
    found.sort(key=_rank)
    if sys.platform == "linux" and found:
        found.append(NetworkInterface(ANY, default_route=False, counters=_sum(found)))
    return found


def _in_order() -> list[str]:
    """Names in the order of their indexes; netifaces gives them in none."""
    try:
        return [name for _, name in sorted(socket.if_nameindex())]
    except OSError:
        return []


def _rank(one: NetworkInterface) -> tuple[bool, ...]:
    """Sorts as False before True: what carries proxy traffic first, what is down last."""
    return (not one.up, not one.proxies, not one.default_route, not one.addresses, one.loopback)


def _default_interfaces(netifaces: Any) -> set[str]:
    """Names of the interfaces that a default route goes out of."""
    try:
        table = netifaces.gateways()
    except Exception:  # netifaces2 parses /proc and the output of tools: anything may come
        return set()
    return {
        entry[1]
        for family, entries in table.items()
        if isinstance(entries, list)
        for entry in entries
        if isinstance(entry, tuple) and len(entry) > 1
    }


def _addresses(netifaces: Any, name: str) -> tuple[tuple[str, ...], str]:
    """Addresses with their prefix lengths, and the hardware address."""
    try:
        families: dict[int, list[dict[str, str]]] = netifaces.ifaddresses(name)
    except Exception:  # it went between two looks, or the system's answer was not understood
        return (), ""
    found = []
    for family in (socket.AF_INET, socket.AF_INET6):
        for entry in families.get(int(family), []):
            address = entry.get("addr", "").partition("%")[0]
            if address:
                length = _prefix(entry.get("mask") or entry.get("netmask") or "")
                found.append(f"{address}/{length}" if length is not None else address)
    found.sort(key=lambda text: text.lower().startswith("fe80:"))
    link = getattr(socket, "AF_PACKET", getattr(socket, "AF_LINK", -1))
    macs = [entry.get("addr", "") for entry in families.get(int(link), [])]
    mac = macs[0] if macs else ""
    return tuple(found), "" if re.fullmatch("[0:]*", mac) else mac


def _prefix(mask: str) -> int | None:
    """Length of a mask: ``255.255.255.0`` and ``ffff:ffff::`` as ``…/64`` has them."""
    text = mask.rpartition("/")[2]
    if text.isdigit():
        return int(text)
    for family in (socket.AF_INET, socket.AF_INET6):
        with contextlib.suppress(OSError):
            return int.from_bytes(socket.inet_pton(family, text), "big").bit_count()
    return None


def _is_loopback(addresses: Sequence[str]) -> bool:
    return any(address.startswith(("127.", "::1/")) for address in addresses)


def _flags(name: str) -> int | None:
    """Interface flags (netdevice(7)), or None where they cannot be asked."""
    try:
        from fcntl import ioctl

        request = struct.pack("16sH22x", os.fsencode(name)[:15], 0)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
            return int(struct.unpack_from("H", ioctl(asked, _FLAGS_IOCTL, request), 16)[0])
    except (ImportError, OSError):
        return None


def is_up(name: str) -> bool | None:
    """Whether an interface is switched on; None: there is none of that name, or not known."""
    flags = _flags(name)
    return None if flags is None else bool(flags & _UP)


def read_counters(path: Path = COUNTERS) -> dict[str, Counters]:
    """Counters of all interfaces by name; empty where the system does not tell so."""
    try:
        text = path.read_text("utf-8", "replace")
    except OSError:
        return {}
    found = {}
    for line in text.splitlines()[2:]:
        name, colon, rest = line.rpartition(":")
        fields = rest.split()
        if not colon or len(fields) < 16 or not all(field.isdigit() for field in fields[:16]):
            continue
        octets_in, packets_in, _, dropped = map(int, fields[:4])
        octets_out, packets_out = int(fields[8]), int(fields[9])
        name = name.strip()
        if name == "lo":
            octets_out = packets_out = 0
        found[name] = Counters(packets_in + packets_out, octets_in + octets_out, dropped)
    return found


def _sum(interfaces: Sequence[NetworkInterface]) -> Counters | None:
    known = [one.counters for one in interfaces if one.counters is not None]
    if not known:
        return None
    return Counters(
        sum(one.packets for one in known),
        sum(one.octets for one in known),
        sum(one.dropped for one in known),
    )


def mark_proxied(
    interfaces: Sequence[NetworkInterface],
    connections: Iterable[Connection],
    proxies: Iterable[tuple[str, int | None]] = (),
) -> list[NetworkInterface]:
    """The same interfaces, those marked that connections to a proxy go through.

    What two addresses of this machine say to each other goes through the loopback. A proxy
    that listens on every address marks the loopback and the way to the internet.
    """
    owner = {address.partition("/")[0]: one.name for one in interfaces for address in one.addresses}
    loopbacks = [one.name for one in interfaces if one.loopback]
    outward = [one.name for one in interfaces if one.default_route]
    marks: dict[str, dict[str, None]] = {}
    for found in find_proxied(connections, proxies):
        if found.local in _WILDCARDS:
            names = [*loopbacks, *outward]
        elif found.peer in owner:
            names = loopbacks
        else:
            names = [owner[found.local]] if found.local in owner else []
        for name in names:
            marks.setdefault(name, {})[found.proxy] = None
    return [
        replace(one, proxies=tuple(marks.get(one.name, ()))[:_MOST_PROXIES]) for one in interfaces
    ]


class RateMeter:
    """Packets a second of each interface, from the difference of two looks at its counters."""

    def __init__(self) -> None:
        self._before: dict[str, Counters] = {}
        self._at = 0.0

    def sample(
        self, counters: dict[str, Counters] | None = None, now_s: float | None = None
    ) -> dict[str, float]:
        """Rates since the look before, by interface; ``any`` is the sum of all.

        Empty at the first look and where the system has no counters. A counter that went
        back (the interface was made anew) has no rate until the next look.

        Args:
            counters: None: read now.
            now_s: Monotonic seconds; None: now.
        """
        now = time.monotonic() if now_s is None else now_s
        new = read_counters() if counters is None else counters
        before, passed = self._before, now - self._at
        self._before, self._at = new, now
        rates = {
            name: (new[name].packets - before[name].packets) / passed
            for name in new
            if passed > 0 and name in before and new[name].packets >= before[name].packets
        }
        if rates and sys.platform == "linux":
            rates[ANY] = sum(rates.values())
        return rates


def interface_lines(
    interfaces: Sequence[NetworkInterface], rates: Mapping[str, float] | None = None
) -> list[str]:
    """The list as text, in columns: number, name, state, rate, addresses, what is special.

    Args:
        interfaces: As ``list_interfaces`` gives them.
        rates: Packets a second by name; None: no column for it.
    """
    rows = []
    for number, one in enumerate(interfaces, 1):
        row = [f"{number}.", printable(one.name), "" if one.name == ANY else one.state]
        if rates is not None:
            row.append(f"{count(round(rates[one.name]))}/s" if one.name in rates else "")
        rows.append([*row, describe(one)])
    widths = [max(map(cells, column), default=0) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            " " * (width - cells(cell)) + cell if at in (0, 3) and at < len(row) - 1
            else cell + " " * (width - cells(cell))
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]  # fmt: skip


def describe(one: NetworkInterface) -> str:
    """``192.0.2.2/24, fd00::2/64; proxy 10.10.10.1:3128; default route``."""
    if one.name == ANY:
        return "all interfaces at once"
    parts = [", ".join(one.addresses) or "no address"]
    if one.proxies:
        noun = "proxy" if len(one.proxies) == 1 else "proxies"
        parts.append(f"{noun} {', '.join(one.proxies)}")
    if one.default_route:
        parts.append("default route")
    if one.loopback:
        parts.append("loopback")
    return "; ".join(parts)
