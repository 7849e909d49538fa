"""Where the headers of one frame lie, and their checksums put right after a change.

For the few frames that are changed while they are saved; the decoder's columns know where
payload is, but not where addresses and checksums are. Bytes that make no sense end the walk.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Final, NamedTuple

ETHERNET, SLL, SLL2, ARP = "ethernet", "sll", "sll2", "arp"
IP4, IP6, TCP, UDP, ICMP4, ICMP6, DNS = "ip4", "ip6", "tcp", "udp", "icmp4", "icmp6", "dns"

_RAW: Final = (12, 14, 101, 228, 229)
_NULL: Final = (0, 108)
_IPV6_FAMILIES: Final = (10, 24, 28, 30)
"""AF_INET6 on Linux, the BSDs and macOS."""
_VLAN: Final = (0x8100, 0x88A8, 0x9100)
_VXLAN_PORTS: Final = (4789, 8472)
_GENEVE_PORT: Final = 6081
_DNS_PORTS: Final = (53, 5353, 5355)
_MOST: Final = 32
"""Headers in one frame at most."""
_EXTENSIONS: Final = (0, 43, 60, 135, 139, 140)
"""IPv6 extension headers whose length is in units of 8 bytes (RFC 8200 section 4)."""
_QUOTING4: Final = (3, 4, 5, 11, 12)
_QUOTING6: Final = (1, 2, 3, 4)
"""ICMP errors, which quote the packet that they are about (RFC 792, RFC 4443)."""


class Layer(NamedTuple):
    """One header and what belongs to it."""

    kind: str
    start: int
    end: int
    """Where its packet ends, as far as it was captured: not the frame's padding."""
    ip: int = -1
    """Index of the IP layer that carries it, for checksums that count addresses."""


def layers(frame: bytes | bytearray, linktype: int) -> list[Layer]:
    """The headers of a frame, outermost first, those that errors quote among them."""
    walk = _Walk(frame)
    with contextlib.suppress(IndexError, RecursionError):
        walk.link(linktype)
    return walk.found


class _Walk:
    def __init__(self, frame: bytes | bytearray) -> None:
        self.frame = frame
        self.found: list[Layer] = []

    def _u16(self, at: int) -> int:
        return self.frame[at] << 8 | self.frame[at + 1]

    def _add(self, layer: Layer) -> int:
        if len(self.found) >= _MOST:
            raise IndexError
        self.found.append(layer)
        return len(self.found) - 1

    def link(self, linktype: int) -> None:
        frame, end = self.frame, len(self.frame)
        if linktype == 1:
            self._ethernet(0, end)
        elif linktype == 113:
            self._add(Layer(SLL, 0, end))
            self._type(self._u16(14), 16, end)
        elif linktype == 276:
            self._add(Layer(SLL2, 0, end))
            self._type(self._u16(0), 20, end)
        elif linktype in _RAW:
            self._ip(0, end)
        elif linktype in _NULL:
            family = max(frame[0], frame[3])
            if family == 2 or family in _IPV6_FAMILIES:
                self._ip(4, end)

    def _ethernet(self, at: int, end: int) -> None:
        kind = self._u16(at + 12)
        self._add(Layer(ETHERNET, at, end))
        self._type(kind, at + 14, end)

    def _type(self, kind: int, at: int, end: int) -> None:
        while kind in _VLAN:
            kind, at = self._u16(at + 2), at + 4
        if kind in (0x0800, 0x86DD):
            self._ip(at, end)
        elif kind in (0x8847, 0x8848):
            while not self.frame[at + 2] & 1:
                at += 4
            self._ip(at + 4, end)
        elif kind == 0x8864 and self._u16(at + 6) in (0x0021, 0x0057):
            self._ip(at + 8, end)
        elif kind == 0x0806:
            self._add(Layer(ARP, at, end))

    def _ip(self, at: int, end: int) -> None:
        version = self.frame[at] >> 4
        if version == 4:
            self._ip4(at, end)
        elif version == 6:
            self._ip6(at, end)

    def _ip4(self, at: int, end: int) -> None:
        size = (self.frame[at] & 15) * 4
        total = self._u16(at + 2)
        end = min(end, at + total) if total >= size else end
        if size < 20 or at + 20 > end:
            raise IndexError
        index = self._add(Layer(IP4, at, end))
        if not self._u16(at + 6) & 0x1FFF:
            self._transport(self.frame[at + 9], at + size, end, index)

    def _ip6(self, at: int, end: int) -> None:
        length = self._u16(at + 4)
        end = min(end, at + 40 + length) if length else end
        if at + 40 > end:
            raise IndexError
        index = self._add(Layer(IP6, at, end))
        kind, at = self.frame[at + 6], at + 40
        while True:
            if kind in _EXTENSIONS:
                kind, at = self.frame[at], at + 8 + 8 * self.frame[at + 1]
            elif kind == 51:
                kind, at = self.frame[at], at + 8 + 4 * self.frame[at + 1]
            elif kind == 44:
                if self._u16(at + 2) & 0xFFF8:
                    return
                kind, at = self.frame[at], at + 8
            else:
                break
        self._transport(kind, at, end, index)

    def _transport(self, protocol: int, at: int, end: int, ip: int) -> None:
        if at >= end:
            return
        if protocol == 6:
            self._add(Layer(TCP, at, end, ip))
        elif protocol == 17:
            self._add(Layer(UDP, at, end, ip))
            self._udp(at, end)
        elif protocol == 1:
            self._add(Layer(ICMP4, at, end, ip))
            if self.frame[at] in _QUOTING4:
                self._ip(at + 8, end)
        elif protocol == 58:
            self._add(Layer(ICMP6, at, end, ip))
            if self.frame[at] in _QUOTING6:
                self._ip(at + 8, end)
        elif protocol in (4, 41):
            self._ip(at, end)
        elif protocol == 47:
            self._gre(at, end)

    def _udp(self, at: int, end: int) -> None:
        ports = self._u16(at), self._u16(at + 2)
        if ports[1] in _VXLAN_PORTS:
            self._ethernet(at + 16, end)
        elif ports[1] == _GENEVE_PORT:
            self._type_of_geneve(at + 8, end)
        elif ports[0] in _DNS_PORTS or ports[1] in _DNS_PORTS:
            self._add(Layer(DNS, at + 8, end))

    def _type_of_geneve(self, at: int, end: int) -> None:
        inner = at + 8 + 4 * (self.frame[at] & 0x3F)
        kind = self._u16(at + 2)
        if kind == 0x6558:
            self._ethernet(inner, end)
        else:
            self._type(kind, inner, end)

    def _gre(self, at: int, end: int) -> None:
        flags, kind = self._u16(at), self._u16(at + 2)
        if flags & 7:  # version 1 is PPTP's
            return
        inner = at + 4 + 4 * (bool(flags & 0x8000) + bool(flags & 0x2000) + bool(flags & 0x1000))
        if kind == 0x6558:
            self._ethernet(inner, end)
        elif kind == 0x88BE:  # ERSPAN; type II has a header of its own
            self._ethernet(inner + (8 if flags & 0x1000 else 0), end)
        elif kind == 0x22EB:  # ERSPAN type III
            self._ethernet(inner + (20 if self.frame[inner + 11] & 1 else 12), end)
        else:
            self._type(kind, inner, end)


_CHECKSUM_AT: Final = {IP4: 10, TCP: 16, UDP: 6, ICMP4: 2, ICMP6: 2}


def fix_checksums(found: list[Layer], old: bytes, new: bytearray) -> None:
    """Bring the checksums of a changed frame up to date.

    By difference (RFC 1624): one that was right stays right, one that was wrong (a network
    card would have filled it in, the rest of the packet was not captured) stays as wrong.

    Args:
        found: The frame's layers.
        old: The frame as it was.
        new: The frame as it is to be; changed in place.
    """
    for layer in reversed(found):
        place = _CHECKSUM_AT.get(layer.kind)
        if place is None:
            continue
        at = layer.start + place
        end = layer.end
        if layer.kind == IP4:
            end = layer.start + (old[layer.start] & 15) * 4
        if at + 2 > min(end, len(old)):
            continue
        before = int.from_bytes(old[at : at + 2])
        if layer.kind == UDP and not before:
            continue  # it has none
        change = sum(
            _sum(new[left:right]) - _sum(old[left:right])
            for left, right in ((layer.start, at), (at + 2, end), *_addresses(found, layer))
        )
        if not change % 0xFFFF:
            continue
        rest = (0xFFFF - before + change) % 0xFFFF
        after = 0xFFFF - rest if rest else 0
        if layer.kind == UDP:
            after = after or 0xFFFF
        new[at : at + 2] = after.to_bytes(2)


def _addresses(found: list[Layer], layer: Layer) -> Iterator[tuple[int, int]]:
    """The IP addresses, which the checksums of transports count, too."""
    if layer.kind in (TCP, UDP, ICMP6) and layer.ip >= 0:
        carrier = found[layer.ip]
        first, size = (12, 8) if carrier.kind == IP4 else (8, 32)
        yield carrier.start + first, carrier.start + first + size


def _sum(data: bytes | bytearray) -> int:
    """Sum of the 16-bit words, modulo 65535, which is what ones' complement adds up to."""
    return int.from_bytes(data + b"\0" * (len(data) & 1)) % 0xFFFF
