"""Messages that TLS 1.3 encrypts, in terms of what older versions send in clear."""

from __future__ import annotations

from typing import Final

from capture.protocols.text import printable

__all__ = ["chosen_alpn", "plain_chain"]

_ALPN: Final = 16
_MAX_ENTRIES: Final = 32
_MAX_EXTENSIONS: Final = 64


def chosen_alpn(message: bytes) -> str:
    """The protocol in EncryptedExtensions (RFC 8446 section 4.3.1); empty without one."""
    at, end = 6, min(len(message), 6 + int.from_bytes(message[4:6], "big"))
    for _ in range(_MAX_EXTENSIONS):
        if at + 4 > end:
            break
        kind, length = (int.from_bytes(message[at + i : at + i + 2], "big") for i in (0, 2))
        if kind == _ALPN:  # a list of one name (RFC 7301 section 3.1)
            body = message[at + 4 : at + 4 + length]
            return printable(body[3 : 3 + body[2]], 40) if len(body) > 3 else ""
        at += 4 + length
    return ""


def plain_chain(message: bytes) -> bytes:
    """A Certificate message of TLS 1.3 as one of TLS 1.2.

    TLS 1.3 puts a context in front and extensions behind every certificate (RFC 8446 section
    4.4.2; RFC 5246 section 7.4.2). A message of the older kind is returned as it is: its
    first three bytes are the length of all that follows, which a context cannot be.
    """
    if len(message) < 8 or _older(message):
        return message
    at = 5 + message[4] + 3
    entries = b""
    for _ in range(_MAX_ENTRIES):
        end = at + 3 + int.from_bytes(message[at : at + 3], "big")
        if at + 3 > len(message) or end > len(message):
            break
        entries += message[at:end]
        at = end + 2 + int.from_bytes(message[end : end + 2], "big")
    body = len(entries).to_bytes(3, "big") + entries
    return message[:1] + len(body).to_bytes(3, "big") + body


def _older(message: bytes) -> bool:
    length = int.from_bytes(message[1:4], "big")
    return int.from_bytes(message[4:7], "big") == length - 3
