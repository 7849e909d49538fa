"""IPv4 (RFC 791) and IPv6 (RFC 8200) with options and extension headers."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from capture.decode.gather import records, u8, u16
from capture.decode.names import ip_protocol_name
from capture.decode.peel import Peel, Rows, layer
from capture.frames import Ints

IPV4_HEADER: Final = np.dtype(
    [
        ("version", "u1"), ("tos", "u1"), ("length", ">u2"), ("id", ">u2"), ("fragment", ">u2"),
        ("ttl", "u1"), ("protocol", "u1"), ("checksum", ">u2"), ("src", ">u4"), ("dst", ">u4"),
    ]
)  # fmt: skip
IPV6_HEADER: Final = np.dtype(
    [
        ("version", "u1"), ("flow", "V3"), ("length", ">u2"), ("next", "u1"), ("hops", "u1"),
        ("src", "V16"), ("dst", "V16"),
    ]
)  # fmt: skip

TCP, UDP, ICMP, ICMP6 = 6, 17, 1, 58
FRAGMENT, AUTHENTICATION = 44, 51
EXTENSIONS: Final = {
    0: "hop-by-hop options",
    43: "routing header",
    60: "destination options",
    135: "mobility header",
    139: "HIP header",
    140: "shim6 header",
}
"""Extension headers that give their length in units of 8 bytes, the first not counted."""
MORE_FRAGMENTS, OFFSET = 0x2000, 0x1FFF
IPV6_MORE, IPV6_OFFSET = 0x0001, 0xFFF8

PROTOCOLS: Final = {
    ICMP: "icmp",
    4: "ipv4",
    TCP: "tcp",
    UDP: "udp",
    41: "ipv6",
    47: "gre",
    ICMP6: "icmp6",
    97: "etherip",
    137: "mpls",
    FRAGMENT: "fragment header",
    AUTHENTICATION: "authentication header",
    **EXTENSIONS,
}


@layer("ipv4")
def ipv4(peel: Peel, rows: Rows) -> None:
    """The IPv4 header; bounds the packet, so that padding is no payload."""
    rows = peel.need(rows, 20, "IPv4 header")
    head = records(peel.data, rows.at, IPV4_HEADER)
    size = (head["version"] & 15).astype(np.int64) * 4
    # Length 0: captured before segmentation offload filled it in. The frame must tell.
    length = head["length"].astype(np.int64)
    length = np.where(length == 0, rows.wire - rows.at, length)
    version, header = head["version"] >> 4 == 4, size >= 20
    good = version & header & (length >= size)
    if not good.all():
        peel.refuse("bad IP version", int(np.count_nonzero(~version)))
        peel.refuse("bad IPv4 header length", int(np.count_nonzero(version & ~header)))
        peel.refuse(
            "bad IPv4 total length", int(np.count_nonzero(version & header & (length < size)))
        )
        rows, head, size, length = rows.take(good), head[good], size[good], length[good]
    wire = rows.at + length
    rows = Rows(rows.frame, rows.at, np.minimum(rows.end, wire), wire, rows.at, length)
    protocol = head["protocol"].astype(np.int64)
    fragment = head["fragment"].astype(np.int64)
    if (fragment & (MORE_FRAGMENTS | OFFSET)).any():
        whole = _set_fragments_aside(peel, rows.moved(size), fragment, OFFSET, protocol)
        rows, size, protocol = rows.take(whole), size[whole], protocol[whole]
    reach = rows.at + size <= rows.end
    if not reach.all():
        peel.refuse("IPv4 header cut by the snaplen", int(np.count_nonzero(~reach)))
        rows, size, protocol = rows.take(reach), size[reach], protocol[reach]
    peel.dispatch(rows.moved(size), protocol, PROTOCOLS, ip_protocol_name)


def _set_fragments_aside(
    peel: Peel, payload: Rows, field: Ints, offset: int, protocol: Ints
) -> NDArray[np.bool_]:
    """Keep fragments of TCP and ICMP for reassembly, drop what nobody can read.

    The first fragment of anything else (a tunnel's outer packet) goes on as a cut packet:
    the inner headers are in it, and they tell the inner lengths.

    Args:
        peel: The work list.
        payload: Rows behind the header that tells of fragments.
        field: Offset and more-fragments flag as in the header.
        offset: Mask of the offset in ``field``; the flag is its other relevant bit.
        protocol: What the datagram carries.

    Returns:
        Which rows go on.
    """
    more = MORE_FRAGMENTS if offset == OFFSET else IPV6_MORE
    fragment = field & (offset | more) != 0
    wanted = np.isin(protocol, (TCP, ICMP, ICMP6), kind="table")
    peel.fragments.append(payload.take(fragment & wanted))
    later = fragment & ~wanted & (field & offset != 0)
    peel.refuse("later IP fragment of another protocol", int(np.count_nonzero(later)))
    going_on: NDArray[np.bool_] = ~later & ~(fragment & wanted)
    return going_on


@layer("ipv6")
def ipv6(peel: Peel, rows: Rows) -> None:
    """The IPv6 header."""
    rows = peel.need(rows, 40, "IPv6 header")
    head = records(peel.data, rows.at, IPV6_HEADER)
    good = head["version"] >> 4 == 6
    rows, head = peel.keep(rows, good, "bad IP version"), head[good]
    # Payload length 0: a jumbogram (RFC 2675) or an offload; the frame must tell.
    length = head["length"].astype(np.int64) + 40
    following = head["next"].astype(np.int64)
    length = np.where((length == 40) & (following != 59), rows.wire - rows.at, length)
    wire = rows.at + length
    rows = Rows(rows.frame, rows.at + 40, np.minimum(rows.end, wire), wire, rows.at, length)
    peel.dispatch(rows, following, PROTOCOLS, ip_protocol_name)


def _extension(name: str) -> None:
    @layer(name)
    def extension(peel: Peel, rows: Rows) -> None:
        rows = peel.need(rows, 8, f"IPv6 {name}")
        following = u8(peel.data, rows.at)
        rows = rows.moved((u8(peel.data, rows.at + 1) + 1) * 8)
        peel.dispatch(rows, following, PROTOCOLS, ip_protocol_name)


for _name in EXTENSIONS.values():
    _extension(_name)


@layer("authentication header")
def authentication(peel: Peel, rows: Rows) -> None:
    """AH (RFC 4302): its payload is in clear; length in units of 4 bytes, less two."""
    rows = peel.need(rows, 12, "IPsec authentication header")
    following = u8(peel.data, rows.at)
    rows = rows.moved((u8(peel.data, rows.at + 1) + 2) * 4)
    peel.dispatch(rows, following, PROTOCOLS, ip_protocol_name)


@layer("fragment header")
def fragment_header(peel: Peel, rows: Rows) -> None:
    """IPv6 fragment header; an atomic fragment (RFC 6946) is a whole packet."""
    rows = peel.need(rows, 8, "IPv6 fragment header")
    following = u8(peel.data, rows.at)
    field = u16(peel.data, rows.at + 2)
    rows = rows.moved(8)
    whole = _set_fragments_aside(peel, rows, field, IPV6_OFFSET, following)
    peel.dispatch(rows.take(whole), following[whole], PROTOCOLS, ip_protocol_name)
