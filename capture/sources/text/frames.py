"""Builds the raw IP packets that a line of text stands for (LINKTYPE_RAW)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

RAW: Final = 101
"""LINKTYPE_RAW: the frame is an IP packet."""
ETHERNET: Final = 1

_TCP, _UDP, _ICMP, _ICMP6 = 6, 17, 1, 58
_UNKNOWN_TTL: Final = 64
_LARGEST: Final = 65_535


@dataclass(slots=True)
class Frame:
    """A frame and the length that it had on the wire."""

    data: bytes
    wirelen: int
    linktype: int = RAW


@dataclass(slots=True)
class TextFrame:
    """A frame and where it belongs."""

    frame: Frame
    time_ns: int
    interface: str


@dataclass(slots=True)
class Ip:
    """The IP header to build."""

    src: bytes
    """4 or 16 bytes, and so the version."""
    dst: bytes
    ttl: int | None = None
    ident: int | None = None
    dont_fragment: bool = True
    more_fragments: bool = False
    fragment_offset: int = 0
    """In bytes."""

    @property
    def header_length(self) -> int:
        return 20 if len(self.src) == 4 else 40

    def header(self, protocol: int, payload: int) -> bytes:
        """The header in front of ``payload`` bytes of ``protocol``; lengths are capped."""
        ttl = min(self.ttl if self.ttl is not None else _UNKNOWN_TTL, 255)
        if len(self.src) == 16:
            return struct.pack(
                ">IHBB16s16s", 6 << 28, min(payload, _LARGEST), protocol, ttl, self.src, self.dst
            )
        fragment = (self.fragment_offset // 8) & 0x1FFF
        fragment |= self.dont_fragment << 14 | self.more_fragments << 13
        return struct.pack(
            ">BBHHHBBH4s4s",
            0x45,
            0,
            min(payload + 20, _LARGEST),
            (self.ident or 0) & 0xFFFF,
            fragment,
            ttl,
            protocol,
            0,
            self.src,
            self.dst,
        )

    def room(self) -> int:
        """Largest payload that fits behind the header."""
        return _LARGEST - (20 if len(self.src) == 4 else 0)


@dataclass(slots=True)
class Tcp:
    """The TCP segment to build."""

    sport: int
    dport: int
    seq: int
    ack: int
    flags: int
    window: int
    options: bytes = b""
    checksum: int = 0

    def header(self) -> bytes:
        options = self.options + b"\0" * (-len(self.options) % 4)
        return (
            struct.pack(
                ">HHIIBBHHH",
                self.sport,
                self.dport,
                self.seq & 0xFFFFFFFF,
                self.ack & 0xFFFFFFFF,
                (5 + len(options) // 4) << 4,
                self.flags,
                min(self.window, _LARGEST),
                self.checksum,
                0,
            )
            + options
        )


def tcp_frame(ip: Ip, tcp: Tcp, payload: bytes, length: int) -> Frame:
    """A segment with ``length`` bytes of payload, of which only ``payload`` is known."""
    header = tcp.header()
    length = min(max(length, 0), ip.room() - len(header))
    data = ip.header(_TCP, len(header) + length) + header + payload[:length]
    return Frame(data, ip.header_length + len(header) + length)


def udp_frame(ip: Ip, sport: int, dport: int, length: int) -> Frame:
    """A datagram whose payload is not known."""
    length = min(length, ip.room() - 8)
    data = ip.header(_UDP, 8 + length) + struct.pack(">HHHH", sport, dport, 8 + length, 0)
    return Frame(data, len(data) + length)


def icmp_frame(ip: Ip, kind: int, code: int, mtu: int, quote: bytes, length: int = 0) -> Frame:
    """An ICMP or ICMPv6 message.

    Args:
        ip: Its IP header.
        kind: Type.
        code: Code.
        mtu: Next-hop MTU (RFC 1191, RFC 4443), 0 where it has none.
        quote: The packet it is about, or its start.
        length: Bytes the message had, when more than is known of it.
    """
    if len(ip.src) == 4:
        body = struct.pack(">BBHHH", kind, code, 0, 0, mtu & 0xFFFF) + quote
        protocol = _ICMP
    else:
        body = struct.pack(">BBHI", kind, code, 0, mtu) + quote
        protocol = _ICMP6
    length = max(len(body), min(length, ip.room()))
    return Frame(ip.header(protocol, length) + body, ip.header_length + length)


def other_ip_frame(ip: Ip, icmp: bool) -> Frame:
    """An IP packet of another protocol: 253 (for experiments, RFC 3692) or an ICMP message
    that is no error."""
    if not icmp:
        data = ip.header(253, 0)
        return Frame(data, len(data))
    if len(ip.src) == 4:
        return icmp_frame(ip, 8, 0, 0, b"")
    return icmp_frame(ip, 128, 0, 0, b"")


def fragment_frame(ip: Ip, length: int) -> Frame:
    """A later fragment of a TCP segment; its bytes are not known."""
    data = ip.header(_TCP, length)
    return Frame(data, len(data) + length)


def foreign_frame(arp: bool) -> Frame:
    """A frame that is not IP: ARP, or an EtherType that nobody uses."""
    data = bytes(12) + (b"\x08\x06" if arp else b"\xff\xff")
    return Frame(data, len(data), ETHERNET)
