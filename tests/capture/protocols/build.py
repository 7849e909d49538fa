"""Builds TLS messages and records for the tests."""

from __future__ import annotations

import struct

RANDOM = bytes(range(32))


def record(kind: int, body: bytes, version: int = 0x0303) -> bytes:
    return struct.pack(">BHH", kind, version, len(body)) + body


def message(kind: int, body: bytes) -> bytes:
    return bytes([kind]) + len(body).to_bytes(3, "big") + body


def extension(kind: int, body: bytes) -> bytes:
    return struct.pack(">HH", kind, len(body)) + body


def block(data: bytes, size: int = 2) -> bytes:
    """``data`` behind its length."""
    return len(data).to_bytes(size, "big") + data


def numbers(*values: int) -> bytes:
    return struct.pack(f">{len(values)}H", *values)


def client_hello(
    sni: str | None = "tools.cisco.com",
    versions: tuple[int, ...] = (0x0304, 0x0303),
    ciphers: tuple[int, ...] = (0x1301, 0xC02F),
    alpn: tuple[str, ...] = ("h2", "http/1.1"),
    groups: tuple[int, ...] = (0x11EC, 0x1D),
    shares: tuple[int, ...] = (0x11EC,),
    extra: bytes = b"",
) -> bytes:
    """A ClientHello message with its handshake header."""
    extensions = extra
    if sni is not None:
        extensions += extension(0, block(b"\x00" + block(sni.encode())))
    if groups:
        extensions += extension(10, block(numbers(*groups)))
    if alpn:
        extensions += extension(16, block(b"".join(block(name.encode(), 1) for name in alpn)))
    if versions:
        extensions += extension(43, block(numbers(*versions), 1))
    if shares:
        entries = b"".join(numbers(group) + block(b"k" * 32) for group in shares)
        extensions += extension(51, block(entries))
    body = b"\x03\x03" + RANDOM + block(b"session", 1) + block(numbers(*ciphers))
    return message(1, body + b"\x01\x00" + block(extensions))


def server_hello(
    cipher: int = 0x1301,
    selected: int | None = 0x0304,
    random: bytes = RANDOM,
    extra: bytes = b"",
) -> bytes:
    """A ServerHello message with its handshake header."""
    extensions = extra
    if selected is not None:
        extensions += extension(43, numbers(selected))
    body = b"\x03\x03" + random + block(b"session", 1) + numbers(cipher) + b"\x00"
    return message(2, body + (block(extensions) if extensions else b""))
