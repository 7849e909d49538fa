"""Tunnels in IP and UDP, and what else IP carries: GRE, ERSPAN, VXLAN, Geneve, GTP-U, ICMP.

Formats: RFC 2784 and 2890 (GRE), RFC 2637 (PPTP), draft-foschiano-erspan-03,
draft-wilson-wrec-wccp-v2 (WCCP), RFC 7348 (VXLAN), RFC 8926 (Geneve), 3GPP TS 29.281
(GTP-U), RFC 3378 (EtherIP), RFC 792 and 4443 (ICMP).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from capture.decode.gather import records, u8, u16
from capture.decode.link import ETHERTYPES
from capture.decode.names import ethertype_name
from capture.decode.peel import Peel, Rows, layer
from capture.frames import Ints

_UDP = np.dtype([("sport", ">u2"), ("dport", ">u2"), ("length", ">u2"), ("checksum", ">u2")])
_VXLAN = np.dtype([("flags", "u1"), ("reserved", "V2"), ("next", "u1")])
_GENEVE = np.dtype([("version", "u1"), ("flags", "u1"), ("protocol", ">u2")])
_ICMP = np.dtype([("type", "u1"), ("code", "u1")])

GRE_TYPES: Final = {
    **ETHERTYPES,
    0x88BE: "erspan",
    0x22EB: "erspan3",
    0x883E: "wccp",
}

UDP_PORTS: Final = {
    53: "dns",
    2152: "gtp-u",
    4789: "vxlan",
    4790: "vxlan-gpe",
    6081: "geneve",
    6635: "mpls",
    8472: "vxlan",
}
"""Tunnels are known by destination port, DNS by either."""

_UDP_NAMES: Final = {
    67: "DHCP", 68: "DHCP", 123: "NTP", 137: "NetBIOS", 138: "NetBIOS", 161: "SNMP",
    443: "UDP port 443 (QUIC)", 500: "IKE (IPsec)", 514: "syslog", 546: "DHCPv6", 547: "DHCPv6",
    1194: "OpenVPN", 1701: "L2TP", 1900: "SSDP", 4500: "IPsec over UDP", 5246: "CAPWAP",
    5247: "CAPWAP", 5353: "mDNS", 5355: "LLMNR", 51820: "WireGuard",
}  # fmt: skip

_ICMP_ERRORS: Final = (3, 4, 11, 12)
_ICMP6_ERRORS: Final = (1, 2, 3, 4)


@layer("tcp")
def tcp(peel: Peel, rows: Rows) -> None:
    """TCP: the end of the way."""
    peel.tcp.append(peel.need(rows, 20, "TCP header"))


@layer("udp")
def udp(peel: Peel, rows: Rows) -> None:
    """UDP: DNS and the tunnels in it; everything else is counted."""
    rows = peel.need(rows, 8, "UDP header")
    head = records(peel.data, rows.at, _UDP)
    sport, dport = head["sport"].astype(np.int64), head["dport"].astype(np.int64)
    known = np.where(sport == 53, 53, dport)
    unknown = ~np.isin(known, tuple(UDP_PORTS))
    if unknown.any():
        # Named by either port; the random one of the client's must not become a reason.
        named = tuple(_UDP_NAMES)
        port = np.where(np.isin(dport, named), dport, np.where(np.isin(sport, named), sport, 0))
        peel.refuse_by_value(port[unknown], lambda value: _UDP_NAMES.get(value, "UDP"))
        rows, known = rows.take(~unknown), known[~unknown]
    rows = rows.moved(8)
    peel.dispatch(rows, known, UDP_PORTS, str)


@layer("dns")
def dns(peel: Peel, rows: Rows) -> None:
    """DNS: parsed message by message once the block is peeled."""
    peel.dns.append(peel.need(rows, 12, "DNS header"))


@layer("icmp")
def icmp(peel: Peel, rows: Rows) -> None:
    """ICMP errors are kept, the rest is counted."""
    _icmp(peel, rows, _ICMP_ERRORS, _icmp_name)


@layer("icmp6")
def icmp6(peel: Peel, rows: Rows) -> None:
    """ICMPv6 errors are kept, the rest is counted."""
    _icmp(peel, rows, _ICMP6_ERRORS, _icmp6_name)


def _icmp(peel: Peel, rows: Rows, errors: tuple[int, ...], name: Callable[[int], str]) -> None:
    rows = peel.need(rows, 8, "ICMP header")
    kind = records(peel.data, rows.at, _ICMP)["type"].astype(np.int64)
    error = np.isin(kind, errors)
    peel.icmp_errors.append(rows.take(error))
    peel.refuse_by_value(kind[~error], name)


def _icmp_name(kind: int) -> str:
    return {0: "ICMP echo", 8: "ICMP echo", 5: "ICMP redirect"}.get(kind, f"ICMP type {kind}")


def _icmp6_name(kind: int) -> str:
    if kind in (128, 129):
        return "ICMPv6 echo"
    if 133 <= kind <= 137:
        return "ICMPv6 neighbour discovery"
    if kind in (130, 131, 132, 143):
        return "ICMPv6 multicast listener"
    return f"ICMPv6 type {kind}"


@layer("gre")
def gre(peel: Peel, rows: Rows) -> None:
    """GRE with checksum, key and sequence number; version 1 is PPTP's."""
    rows = peel.need(rows, 4, "GRE header")
    flags = u16(peel.data, rows.at)
    version = flags & 7
    good = (flags & 0x4000 == 0) & (version <= 1)
    rows = peel.keep(rows, good, "GRE with source routing or of an unknown version")
    flags, version = flags[good], version[good]
    kind = u16(peel.data, rows.at + 2)
    sequence = flags & 0x1000 != 0
    size = 4 + 4 * (flags & 0x8000 != 0) + 4 * (flags & 0x2000 != 0) + 4 * sequence
    size += 4 * ((version == 1) & (flags & 0x0080 != 0))
    # ERSPAN type I has the same protocol number as II, no header, and no sequence number.
    bare = (kind == 0x88BE) & ~sequence
    kind = np.where(bare, 0x6558, kind)
    peel.dispatch(rows.moved(size), kind, GRE_TYPES, lambda t: f"GRE with {ethertype_name(t)}")


@layer("erspan")
def erspan(peel: Peel, rows: Rows) -> None:
    """ERSPAN type II: eight bytes, then the mirrored frame."""
    peel.give("ethernet", peel.need(rows, 8, "ERSPAN header").moved(8))


@layer("erspan3")
def erspan3(peel: Peel, rows: Rows) -> None:
    """ERSPAN type III: 12 bytes and, by its last bit, 8 more; mirrored frame or IP packet."""
    rows = peel.need(rows, 12, "ERSPAN header")
    last = u16(peel.data, rows.at + 10)
    kind = last >> 10 & 31
    rows = rows.moved(12 + 8 * (last & 1))
    peel.dispatch(
        rows, kind, {0: "ethernet", 2: "raw ip"}, lambda value: f"ERSPAN frame type {value}"
    )


@layer("wccp")
def wccp(peel: Peel, rows: Rows) -> None:
    """Packets that a router redirected to a proxy; version 2 puts four bytes before IP."""
    rows = peel.need(rows, 5, "WCCP header")
    direct = u8(peel.data, rows.at) >> 4 == 4
    peel.give("ipv4", rows.moved(np.where(direct, 0, 4)))


@layer("vxlan")
def vxlan(peel: Peel, rows: Rows) -> None:
    """VXLAN: eight bytes, then an Ethernet frame."""
    rows = peel.need(rows, 8, "VXLAN header")
    valid = u8(peel.data, rows.at) & 0x08 != 0
    peel.give("ethernet", peel.keep(rows, valid, "UDP").moved(8))


@layer("vxlan-gpe")
def vxlan_gpe(peel: Peel, rows: Rows) -> None:
    """VXLAN with a next-protocol field (draft-ietf-nvo3-vxlan-gpe)."""
    rows = peel.need(rows, 8, "VXLAN header")
    following = records(peel.data, rows.at, _VXLAN)["next"].astype(np.int64)
    layers = {1: "ipv4", 2: "ipv6", 3: "ethernet", 5: "mpls"}
    peel.dispatch(rows.moved(8), following, layers, lambda value: f"VXLAN-GPE protocol {value}")


@layer("geneve")
def geneve(peel: Peel, rows: Rows) -> None:
    """Geneve: eight bytes, options, then what its protocol type says."""
    rows = peel.need(rows, 8, "Geneve header")
    head = records(peel.data, rows.at, _GENEVE)
    known = head["version"] >> 6 == 0
    rows, head = peel.keep(rows, known, "UDP"), head[known]
    size = 8 + (head["version"] & 0x3F).astype(np.int64) * 4
    kind = head["protocol"].astype(np.int64)
    peel.dispatch(rows.moved(size), kind, ETHERTYPES, lambda t: f"Geneve with {ethertype_name(t)}")


@layer("gtp-u")
def gtp_u(peel: Peel, rows: Rows) -> None:
    """GTP-U version 1, user data, with or without extension headers."""
    rows = peel.need(rows, 8, "GTP-U header")
    first, kind = u8(peel.data, rows.at), u8(peel.data, rows.at + 1)
    user = (first >> 4 == 3) & (kind == 255)
    rows, first = peel.keep(rows, user, "GTP"), first[user]
    peel.give("raw ip", rows.take(first & 7 == 0).moved(8))
    rows = peel.need(rows.take(first & 7 != 0), 12, "GTP-U header")
    following: Ints = np.where(u8(peel.data, rows.at) & 4 != 0, u8(peel.data, rows.at + 11), 0)
    rows = rows.moved(12)
    layers = {0: "raw ip", 0x85: "gtp-u extension"}
    peel.dispatch(rows, following, layers, lambda value: f"GTP-U extension 0x{value:02x}")


@layer("gtp-u extension")
def gtp_u_extension(peel: Peel, rows: Rows) -> None:
    """5G's PDU session container: a length in units of 4 bytes, the next type at its end."""
    rows = peel.need(rows, 4, "GTP-U extension")
    size = u8(peel.data, rows.at) * 4
    rows, size = peel.keep(rows, size > 0, "bad GTP-U extension length"), size[size > 0]
    whole = peel.need(rows, size, "GTP-U extension")
    size = u8(peel.data, whole.at) * 4
    following = u8(peel.data, whole.at + size - 1)
    layers = {0: "raw ip", 0x85: "gtp-u extension"}
    peel.dispatch(
        whole.moved(size), following, layers, lambda value: f"GTP-U extension 0x{value:02x}"
    )


@layer("etherip")
def etherip(peel: Peel, rows: Rows) -> None:
    """An Ethernet frame in IP, behind two bytes."""
    peel.give("ethernet", peel.need(rows, 2, "EtherIP header").moved(2))
