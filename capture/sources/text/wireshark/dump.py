"""Reads the bytes that are printed under a row: ``tshark -P -x``, exports with packet bytes."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

_LINE: Final = re.compile(r"([0-9a-f]{4,8})  ?((?:[0-9a-f]{2} ){0,15}[0-9a-f]{2})(?:\s.*)?$")
_LINKS: Final = (14, 18, 16, 20, 22, 4, 0)
"""Bytes of link layers in front of IP: Ethernet, tagged, cooked and others."""
_TCP: Final = 6


class Dumped(NamedTuple):
    """A segment as its bytes show it."""

    sport: int
    dport: int
    flags: int
    options: bytes
    payload: bytes


def dump_line(text: str) -> tuple[int, bytes] | None:
    """Offset and bytes of one line of a dump; None for another line."""
    match = _LINE.match(text)
    return (int(match[1], 16), bytes.fromhex(match[2])) if match else None


def segment_in(data: bytes) -> Dumped | None:
    """The TCP segment in a frame's bytes; None when there is none, or not whole."""
    for start in _LINKS:
        packet = data[start:]
        if len(packet) < 40:
            continue
        if packet[0] >> 4 == 4:
            size = (packet[0] & 15) * 4
            length = int.from_bytes(packet[2:4], "big")
            protocol = packet[9]
        elif packet[0] >> 4 == 6:
            size, length, protocol = 40, 40 + int.from_bytes(packet[4:6], "big"), packet[6]
        else:
            continue
        if protocol != _TCP or size < 20 or not size + 20 <= length <= len(packet):
            continue
        tcp = packet[size:length]
        header = (tcp[12] >> 4) * 4
        if 20 <= header <= len(tcp):
            ports = int.from_bytes(tcp[:2], "big"), int.from_bytes(tcp[2:4], "big")
            return Dumped(*ports, tcp[13], tcp[20:header], tcp[header:])
    return None
