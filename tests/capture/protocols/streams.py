"""Payloads of small captures, in capture order, each stream byte once.

Just enough of pcap, Ethernet, IPv4 and TCP to feed real bytes to the parsers, independent
of the code under test. The first flow that sends a SYN or a byte is the one that counts.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import NamedTuple

CAPTURES = Path(__file__).parents[2] / "data" / "captures"


class Piece(NamedTuple):
    """New stream bytes of one packet."""

    sender: int
    """0: whoever opened the connection."""
    number: int
    data: bytes
    lost: int
    """Bytes missing before ``data`` (negative numbers cannot be)."""
    cut: int
    """Bytes of the segment that the capture left out behind ``data``."""


def pieces(name: str, port: int | None = None) -> list[Piece]:
    """New payload of a flow's packets, out-of-order segments left as losses.

    Args:
        name: File below tests/data/captures (pcap, Ethernet, IPv4).
        port: Client port of the flow; the first flow when None.
    """
    raw = (CAPTURES / name).read_bytes()
    assert raw[:4] == b"\xd4\xc3\xb2\xa1"
    assert struct.unpack_from("<I", raw, 20)[0] == 1
    at, number = 24, 0
    client: tuple[bytes, int] | None = None
    expected: dict[int, int] = {}
    found = []
    while at + 16 <= len(raw):
        caplen, _ = struct.unpack_from("<II", raw, at + 8)
        frame = raw[at + 16 : at + 16 + caplen]
        at += 16 + caplen
        number += 1
        if frame[12:14] != b"\x08\x00" or frame[23] != 6:
            continue
        ip = frame[14:]
        total = struct.unpack_from(">H", ip, 2)[0]
        tcp = ip[(ip[0] & 15) * 4 :]
        sport, dport, seq = struct.unpack_from(">HHI", tcp)
        offset = (tcp[12] >> 4) * 4
        length = total - (ip[0] & 15) * 4 - offset
        data = tcp[offset : offset + length]
        ends = (ip[12:16], sport), (ip[16:20], dport)
        if client is None and port in (None, sport):
            client = ends[0]
        if client not in ends:
            continue
        sender = 0 if ends[0] == client else 1
        if tcp[13] & 2:
            expected[sender] = seq + 1 & 0xFFFFFFFF
            continue
        start = expected.setdefault(sender, seq)
        ahead = (seq - start + (1 << 31) & 0xFFFFFFFF) - (1 << 31)
        if ahead < 0:
            data, length = data[-ahead:], length + ahead
        if length <= 0:
            continue
        found.append(Piece(sender, number, data, max(0, ahead), length - len(data)))
        expected[sender] = start + max(0, ahead) + length & 0xFFFFFFFF
    return found
