"""Link layers: from the first byte of a frame to its ethertype.

Formats: the link-layer header pages of the tcpdump group, IEEE 802.3, 802.1Q and 802.2,
RFC 1042 (SNAP), RFC 1661 and 1662 (PPP), RFC 2516 (PPPoE), RFC 3032 (MPLS).
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from capture.decode.gather import records, u8, u16, u32
from capture.decode.linktypes import linktype_name
from capture.decode.names import ethertype_name, llc_name, ppp_name
from capture.decode.peel import Peel, Rows, layer
from capture.frames import Ints

LINKS: Final = {
    0: "null",
    1: "ethernet",
    9: "ppp",
    12: "raw ip",
    14: "raw ip",
    50: "ppp",
    51: "pppoe",
    100: "llc",
    101: "raw ip",
    104: "hdlc",
    105: "802.11",
    108: "null",
    109: "enc",
    113: "sll",
    117: "pflog",
    127: "radiotap",
    138: "firewire",
    166: "ppp",
    192: "ppi",
    204: "ppp with direction",
    205: "hdlc with direction",
    228: "ipv4",
    229: "ipv6",
    239: "nflog",
    258: "pktap",
    276: "sll2",
}

IPV4, IPV6 = 0x0800, 0x86DD
ETHERTYPES: Final = {
    IPV4: "ipv4",
    IPV6: "ipv6",
    0x8100: "vlan",
    0x88A8: "vlan",
    0x9100: "vlan",
    0x9200: "vlan",
    0x9300: "vlan",
    0x8847: "mpls",
    0x8848: "mpls",
    0x8864: "pppoe",
    0x88E7: "provider backbone",
    0x8909: "cisco metadata",
    0x8926: "vn-tag",
    0x893F: "e-tag",
    0x6558: "ethernet",
    0x880B: "ppp",
}

MIN_ETHERTYPE: Final = 0x600
"""Below it the field is a length (IEEE 802.3)."""

_LLC = np.dtype([("dsap", "u1"), ("ssap", "u1"), ("control", "u1"), ("oui", "V3"), ("type", ">u2")])
_IPV4_WORDS = np.dtype([("words", ">u2", (10,))])
_PPPOE = np.dtype([("version", "u1"), ("code", "u1"), ("session", ">u2"), ("length", ">u2")])


def start(peel: Peel, rows: Rows, linktypes: Ints) -> None:
    """Give whole frames to the layer of their link type."""
    peel.dispatch(rows, linktypes, LINKS, unsupported)


def unsupported(linktype: int) -> str:
    """Reason for a link type without a decoder."""
    return f"link type {linktype} ({linktype_name(linktype)}) not supported"


def by_ethertype(peel: Peel, rows: Rows, types: Ints) -> None:
    """Give rows behind an ethertype to its layer; small values are 802.3 lengths."""
    lengths = types < MIN_ETHERTYPE
    if lengths.any():
        peel.give("llc", rows.take(lengths))
        rows, types = rows.take(~lengths), types[~lengths]
    peel.dispatch(rows, types, ETHERTYPES, ethertype_name)


@layer("ethernet")
def ethernet(peel: Peel, rows: Rows) -> None:
    """Ethernet II and 802.3."""
    rows = peel.need(rows, 14, "Ethernet header")
    by_ethertype(peel, rows.moved(14), u16(peel.data, rows.at + 12))


@layer("llc")
def llc(peel: Peel, rows: Rows) -> None:
    """802.2 LLC, with an ethertype behind a SNAP header of a known organisation."""
    rows = peel.need(rows, 3, "LLC header")
    head = records(peel.data, rows.at, _LLC)
    snap = (head["dsap"] & 0xFE == 0xAA) & (head["ssap"] & 0xFE == 0xAA)
    peel.refuse_by_value(head["dsap"][~snap].astype(np.int64), llc_name)
    rows = rows.take(snap)
    whole = peel.need(rows, 8, "SNAP header")
    peel.dispatch(whole.moved(8), u16(peel.data, whole.at + 6), ETHERTYPES, ethertype_name)


def _tag(name: str, what: str, size: int) -> None:
    """Register a tag of ``size`` bytes whose last two are the next ethertype."""

    @layer(name)
    def tag(peel: Peel, rows: Rows) -> None:
        rows = peel.need(rows, size, what)
        by_ethertype(peel, rows.moved(size), u16(peel.data, rows.at + size - 2))


_tag("vlan", "VLAN tag", 4)
_tag("vn-tag", "VN-Tag", 6)
_tag("e-tag", "802.1BR tag", 8)
_tag("cisco metadata", "Cisco metadata", 8)
_tag("hdlc", "HDLC header", 4)
_tag("sll", "SLL header", 16)
_tag("firewire", "IEEE 1394 header", 18)


def _skip(name: str, what: str, size: int, following: str) -> None:
    """Register a header of ``size`` bytes that tells nothing; ``following`` comes next."""

    @layer(name)
    def skip(peel: Peel, rows: Rows) -> None:
        peel.give(following, peel.need(rows, size, what).moved(size))


_skip("provider backbone", "802.1ah tag", 4, "ethernet")
_skip("ppp with direction", "PPP direction", 1, "ppp")
_skip("hdlc with direction", "HDLC direction", 1, "hdlc")
_skip("enc", "ENC header", 12, "raw ip")
_skip("control word", "pseudowire control word", 4, "ethernet")


@layer("sll2")
def sll2(peel: Peel, rows: Rows) -> None:
    """Linux cooked capture, version 2."""
    rows = peel.need(rows, 20, "SLL2 header")
    by_ethertype(peel, rows.moved(20), u16(peel.data, rows.at))


@layer("raw ip")
def raw_ip(peel: Peel, rows: Rows) -> None:
    """IP without a link header: the version is in the first four bits."""
    rows = peel.need(rows, 1, "IP header")
    version = u8(peel.data, rows.at) >> 4
    peel.dispatch(rows, version, {4: "ipv4", 6: "ipv6"}, lambda _: "neither IPv4 nor IPv6")


@layer("null")
def null(peel: Peel, rows: Rows) -> None:
    """BSD loopback: an address family in the byte order of the host that captured."""
    rows = peel.need(rows, 4, "loopback header")
    family = u32(peel.data, rows.at)
    swapped = (family & 0xFF) << 24 | (family & 0xFF00) << 8 | family >> 8 & 0xFF00 | family >> 24
    family = np.minimum(family, swapped)
    # AF_INET is 2 everywhere; AF_INET6 differs between the BSDs, macOS, Windows and Linux.
    families = {2: "ipv4", 10: "ipv6", 23: "ipv6", 24: "ipv6", 28: "ipv6", 30: "ipv6"}
    peel.dispatch(rows.moved(4), family, families, lambda value: f"loopback family {value}")


@layer("pflog")
def pflog(peel: Peel, rows: Rows) -> None:
    """OpenBSD's and FreeBSD's packet filter log: its length, rounded up, comes first."""
    rows = peel.need(rows, 1, "PFLOG header")
    size = u8(peel.data, rows.at) + 3 & ~3
    rows = peel.keep(rows, size >= 4, "bad PFLOG header length")
    size = size[size >= 4]
    whole = peel.need(rows, size, "PFLOG header")
    peel.give("raw ip", whole.moved(u8(peel.data, whole.at) + 3 & ~3))


@layer("ppp")
def ppp(peel: Peel, rows: Rows) -> None:
    """PPP, with or without address and control bytes, and Cisco HDLC in its place."""
    rows = peel.need(rows, 2, "PPP header")
    first = u16(peel.data, rows.at)
    hdlc = (first == 0x0F00) | (first == 0x8F00)
    peel.give("hdlc", rows.take(hdlc))
    rows, first = rows.take(~hdlc), first[~hdlc]
    # FF 03 opens a frame in HDLC-like framing; DLT_PPP_PPPD puts a direction before the 03.
    framed = np.isin(first, (0xFF03, 0x0003, 0x0103))
    rows = peel.need(rows.moved(framed * 2), 2, "PPP header")
    protocol = u16(peel.data, rows.at)
    short = protocol & 0x0100 != 0
    rows = rows.moved(np.where(short, 1, 2))
    protocol = np.where(short, protocol >> 8, protocol)
    peel.dispatch(rows, protocol, {0x21: "ipv4", 0x57: "ipv6", 0x281: "mpls"}, ppp_name)


@layer("pppoe")
def pppoe(peel: Peel, rows: Rows) -> None:
    """PPP over Ethernet, session stage."""
    rows = peel.need(rows, 6, "PPPoE header")
    head = records(peel.data, rows.at, _PPPOE)
    good = (head["version"] == 0x11) & (head["code"] == 0)
    peel.give("ppp", peel.keep(rows, good, "PPPoE discovery").moved(6))


@layer("mpls")
def mpls(peel: Peel, rows: Rows) -> None:
    """One entry of a label stack; behind the last, what it carries must be guessed."""
    rows = peel.need(rows, 4, "MPLS label")
    bottom = u8(peel.data, rows.at + 2) & 1 != 0
    rows = rows.moved(4)
    peel.give("mpls", rows.take(~bottom))
    rows = peel.need(rows.take(bottom), 1, "MPLS payload")
    first = u8(peel.data, rows.at) >> 4
    ethernet_now, ethernet_next = (_looks_like_ethernet(peel, rows.moved(n)) for n in (0, 4))
    guesses = {
        "ipv4": (first == 4) & (_has_ipv4_checksum(peel, rows) | ~ethernet_now),
        "ipv6": (first == 6) & (_looks_like_ipv6(peel, rows) | ~ethernet_now),
        "control word": (first == 0) & ethernet_next,
        "ethernet": ethernet_now,
    }
    unsure = np.ones(len(rows), np.bool_)
    for name, guess in guesses.items():
        peel.give(name, rows.take(unsure & guess))
        unsure &= ~guess
    peel.refuse("MPLS with unknown content", int(unsure.sum()))


def _looks_like_ethernet(peel: Peel, rows: Rows) -> NDArray[np.bool_]:
    """Whether an Ethernet header with IP, ARP or a tag seems to stand there (RFC 4448)."""
    types = u16(peel.data, rows.at + 12)
    version = u8(peel.data, rows.at + 14) >> 4
    inside = rows.at + 15 <= rows.end
    ip = (types == IPV4) & (version == 4) | (types == IPV6) & (version == 6)
    tagged = np.isin(types, (0x8100, 0x88A8, 0x0806, 0x8847, 0x8864))
    likely: NDArray[np.bool_] = inside & (ip | tagged)
    return likely


def _has_ipv4_checksum(peel: Peel, rows: Rows) -> NDArray[np.bool_]:
    """Whether an IPv4 header without options stands there whose checksum is right."""
    words = records(peel.data, rows.at, _IPV4_WORDS)["words"].astype(np.int64)
    total = words.sum(axis=1)
    folded = (total & 0xFFFF) + (total >> 16)
    right: NDArray[np.bool_] = (words[:, 0] >> 8 == 0x45) & (folded == 0xFFFF)
    return right & (rows.at + 20 <= rows.end)


def _looks_like_ipv6(peel: Peel, rows: Rows) -> NDArray[np.bool_]:
    """Whether the lengths of an IPv6 header would fit, and its next header is a usual one."""
    fits = rows.at + 40 + u16(peel.data, rows.at + 4) <= rows.wire
    usual = np.isin(u8(peel.data, rows.at + 6), (0, 4, 6, 17, 41, 43, 44, 47, 50, 51, 58, 60))
    likely: NDArray[np.bool_] = fits & usual
    return likely
