"""Captures byte by byte, for tests of the whole tool: what is said on a TCP connection
goes in, a pcap file comes out. Nothing here is taken from the code that reads it."""

from __future__ import annotations

import struct
from collections.abc import Sequence

CLIENT, PROXY = 0, 1
SYN, RST, PSH, ACK, FIN = 2, 4, 8, 16, 1
START_S = 1_741_951_812

CONNECT = b"CONNECT tools.cisco.com:443 HTTP/1.1\r\nHost: tools.cisco.com:443\r\n\r\n"
ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"
FORBIDDEN = b"HTTP/1.1 403 Forbidden\r\nServer: squid\r\nContent-Length: 0\r\n\r\n"

_ENDS = ((bytes([10, 40, 40, 1]), 40_000), (bytes([10, 10, 10, 1]), 3128))


def ethernet(payload: bytes, kind: int = 0x0800) -> bytes:
    return bytes(6) + b"\x02" * 6 + struct.pack("!H", kind) + payload


def ipv4(
    payload: bytes, sender: int = CLIENT, *, protocol: int = 6, fragment: int = 0, size: int = -1
) -> bytes:
    total = 20 + len(payload) if size < 0 else size
    fields = (0x45, 0, total, 1, fragment, 64, protocol, 0, _ENDS[sender][0], _ENDS[1 - sender][0])
    return struct.pack("!BBHHHBBH4s4s", *fields) + payload


def tcp(
    payload: bytes,
    sender: int = CLIENT,
    *,
    seq: int = 0,
    ack: int = 0,
    flags: int = PSH | ACK,
    options: bytes = b"",
    words: int = -1,
) -> bytes:
    words = 5 + len(options) // 4 if words < 0 else words
    ports = (_ENDS[sender][1], _ENDS[1 - sender][1])
    fields = (seq & 0xFFFFFFFF, ack & 0xFFFFFFFF, words << 4, flags, 64_000, 0, 0)
    return struct.pack("!HHIIBBHHH", *ports, *fields) + options + payload


def segment(payload: bytes, sender: int = CLIENT, **fields: int) -> bytes:
    """A whole frame."""
    return ethernet(ipv4(tcp(payload, sender, **fields), sender))  # type: ignore[arg-type]


class Conversation:
    """The frames of one connection, in order."""

    def __init__(self, *, opened: bool = True) -> None:
        self.frames: list[bytes] = []
        self._seq = [1000, 9000]
        if opened:
            self._add(CLIENT, b"", SYN)
            self._add(PROXY, b"", SYN | ACK)
            self._add(CLIENT, b"", ACK)

    def _add(self, sender: int, payload: bytes, flags: int) -> None:
        ack = self._seq[1 - sender] if flags & ACK else 0
        self.frames.append(
            segment(payload, sender, seq=self._seq[sender], ack=ack, flags=flags)
        )  # fmt: skip
        self._seq[sender] += len(payload) + bool(flags & (SYN | FIN))

    def says(self, sender: int, data: bytes, size: int = 1448) -> Conversation:
        """Data of one side in segments of ``size`` bytes, acknowledged by the other."""
        for at in range(0, len(data), size):
            self._add(sender, data[at : at + size], PSH | ACK)
        self._add(1 - sender, b"", ACK)
        return self

    def closed(self, first: int = PROXY) -> Conversation:
        self._add(first, b"", FIN | ACK)
        self._add(1 - first, b"", FIN | ACK)
        self._add(first, b"", ACK)
        return self


def pcap(
    frames: Sequence[bytes],
    *,
    linktype: int = 1,
    snaplen: int = 262_144,
    magic: int = 0xA1B2C3D4,
    times: Sequence[tuple[int, int]] = (),
    lengths: Sequence[tuple[int, int]] = (),
) -> bytes:
    """A little-endian pcap file.

    Args:
        frames: Cut by ``snaplen``.
        linktype: LINKTYPE number.
        snaplen: Bytes kept of each frame.
        magic: Tells the variant.
        times: Seconds and fraction of each frame; 1 ms apart when left out.
        lengths: Captured and wire length as stated; true ones when left out.
    """
    parts = [struct.pack("<IHHiIII", magic, 2, 4, 0, 0, snaplen, linktype)]
    for index, frame in enumerate(frames):
        seconds, fraction = times[index] if times else (START_S, index * 1000)
        kept = frame[:snaplen]
        captured, wire = lengths[index] if lengths else (len(kept), len(frame))
        parts.append(struct.pack("<IIII", seconds, fraction, captured, wire) + kept)
    return b"".join(parts)


def extension(kind: int, body: bytes) -> bytes:
    return struct.pack("!HH", kind, len(body)) + body


def client_hello(name: bytes = b"tools.cisco.com", more: bytes = b"") -> bytes:
    """A record with a ClientHello (RFC 8446 section 4.1.2)."""
    entry = b"\0" + struct.pack("!H", len(name)) + name
    extensions = extension(0, struct.pack("!H", len(entry)) + entry) + more
    body = b"\3\3" + bytes(32) + b"\0" + b"\0\2\x13\1" + b"\1\0"
    return handshake(1, body + struct.pack("!H", len(extensions)) + extensions)


def server_hello() -> bytes:
    """A record with a ServerHello of TLS 1.2, so that a certificate may follow in clear."""
    return handshake(2, b"\3\3" + bytes(32) + b"\0" + b"\xc0\x2f" + b"\0" + b"\0\0")


def certificate(der: bytes) -> bytes:
    """A record with a chain of one certificate."""
    one = len(der).to_bytes(3, "big") + der
    return handshake(11, len(one).to_bytes(3, "big") + one)


def handshake(kind: int, body: bytes) -> bytes:
    return record(22, bytes([kind]) + len(body).to_bytes(3, "big") + body)


def record(kind: int, body: bytes, length: int = -1) -> bytes:
    return bytes([kind, 3, 3]) + struct.pack("!H", len(body) if length < 0 else length) + body


def named_certificate(name: bytes, string_tag: int = 0x0C) -> bytes:
    """As much of an X.509 certificate as names a subject and an issuer."""
    common = _der(0x31, _der(0x30, _der(6, b"\x55\x04\x03") + _der(string_tag, name)))
    times = _der(0x30, _der(0x17, b"240101000000Z") + _der(0x17, b"260101000000Z"))
    algorithm = _der(0x30, _der(6, b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b"))
    subject = _der(0x30, common)
    key = _der(0x30, algorithm + _der(3, bytes(20)))
    body = _der(0xA0, _der(2, b"\2")) + _der(2, b"\1") + algorithm + subject + times + subject + key
    return _der(0x30, _der(0x30, body) + algorithm + _der(3, bytes(20)))


def _der(tag: int, body: bytes) -> bytes:
    size = len(body)
    if size < 128:
        return bytes([tag, size]) + body
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(octets)]) + octets + body
