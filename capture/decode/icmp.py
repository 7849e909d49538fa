"""ICMP and ICMPv6 errors with the header they quote (RFC 792, 1191, 4443).

A router must quote the IP header and eight bytes (RFC 792), which is just enough for the
TCP ports and the sequence number; newer ones quote more (RFC 1812 section 4.3.2.3).
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final

from capture.decode.columns import IcmpError

_TCP: Final = 6
_FRAGMENT: Final = 44
_AUTHENTICATION: Final = 51
_EXTENSIONS: Final = (0, 43, 60)
_MAX_EXTENSIONS: Final = 8

Quote = tuple[bytes, bytes, int, int, bytes]
"""Source, destination, length of the packet, protocol, and the bytes behind its header
(empty for a fragment other than the first)."""


def parse_error(
    message: bytes,
    *,
    version: int,
    number: int,
    time_ns: int,
    sender: int,
    receiver: int,
    address: Callable[[bytes], int],
) -> IcmpError | str:
    """Read an error message.

    Args:
        message: From the ICMP type on, as far as it was captured; at least 8 bytes.
        version: IP version it came in, 4 or 6.
        number: Frame number.
        time_ns: Capture time.
        sender: Address number of its sender.
        receiver: Address number of its receiver.
        address: Gives the number of a packed address.

    Returns:
        The error when it quotes a TCP packet, else the reason why it is left out.
    """
    kind, code = message[0], message[1]
    quote = _quote4(message[8:]) if version == 4 else _quote6(message[8:])
    if quote is None:
        return "ICMP error that quotes no header"
    src, dst, length, protocol, rest = quote
    if protocol != _TCP:
        return "ICMP error about another protocol than TCP"
    sport, dport = struct.unpack_from(">HH", rest) if len(rest) >= 4 else (0, 0)
    (seq,) = struct.unpack_from(">I", rest, 4) if len(rest) >= 8 else (-1,)
    mtu = 0
    if version == 4 and (kind, code) == (3, 4):
        (mtu,) = struct.unpack_from(">H", message, 6)
    elif version == 6 and kind == 2:
        (mtu,) = struct.unpack_from(">I", message, 4)
    return IcmpError(
        number=number,
        time_ns=time_ns,
        sender=sender,
        receiver=receiver,
        version=version,
        type=kind,
        code=code,
        mtu=mtu,
        src=address(src),
        dst=address(dst),
        sport=sport,
        dport=dport,
        seq=seq,
        ip_length=length,
    )


def _quote4(data: bytes) -> Quote | None:
    if len(data) < 20 or data[0] >> 4 != 4:
        return None
    size = (data[0] & 15) * 4
    if size < 20:
        return None
    length, fragment = struct.unpack_from(">H2xH", data, 2)
    rest = b"" if fragment & 0x1FFF else data[size:]
    return data[12:16], data[16:20], length, data[9], rest


def _quote6(data: bytes) -> Quote | None:
    if len(data) < 40 or data[0] >> 4 != 6:
        return None
    (length,) = struct.unpack_from(">H", data, 4)
    protocol, at, first = data[6], 40, True
    for _ in range(_MAX_EXTENSIONS):
        if len(data) < at + 8:
            break
        if protocol in _EXTENSIONS:
            protocol, at = data[at], at + (data[at + 1] + 1) * 8
        elif protocol == _AUTHENTICATION:
            protocol, at = data[at], at + (data[at + 1] + 2) * 4
        elif protocol == _FRAGMENT:
            first = data[at + 2] == 0 and data[at + 3] & 0xF8 == 0
            protocol, at = data[at], at + 8
            if not first:
                break
        else:
            break
    return data[8:24], data[24:40], length + 40, protocol, data[at:] if first else b""
