"""DNS messages over UDP (RFC 1035), as far as diagnosis needs them.

A few messages a capture get here, so this is plain Python. Every loop is bounded: a name
follows at most ``MAX_POINTERS`` compression pointers, an answer section at most
``MAX_RECORDS`` records.
"""

from __future__ import annotations

import struct
from typing import Final

from capture.record import record

MAX_POINTERS: Final = 16
MAX_RECORDS: Final = 64
MAX_NAME: Final = 255
"""Bytes of a name on the wire (RFC 1035 section 2.3.4)."""

A, AAAA, INTERNET = 1, 28, 1
_RESPONSE: Final = 0x8000
_OPCODE: Final = 0x7800


@record
class Message:
    """What a message asks and says."""

    ident: int
    response: bool
    rcode: int
    name: str
    qtype: int
    answers: tuple[bytes, ...]
    """Addresses of the A (4 bytes) and AAAA (16 bytes) records."""


def parse(data: bytes) -> Message | None:
    """Parse a standard query or its answer.

    Args:
        data: The message; may be cut, the answers seen are kept.

    Returns:
        None for what is no query or answer with a question, or is cut inside of it.
    """
    if len(data) < 12:
        return None
    ident, flags, questions, answers = struct.unpack_from(">HHHH", data)
    if flags & _OPCODE or not questions:
        return None
    question = _name(data, 12)
    if question is None or question[1] + 4 > len(data):
        return None
    name, at = question
    (qtype,) = struct.unpack_from(">H", data, at)
    response = bool(flags & _RESPONSE)
    return Message(
        ident=ident,
        response=response,
        rcode=flags & 15,
        name=name,
        qtype=qtype,
        answers=_addresses(data, at + 4, min(answers, MAX_RECORDS))
        if response and questions == 1
        else (),
    )


def _addresses(data: bytes, at: int, count: int) -> tuple[bytes, ...]:
    """Addresses in the answer section; stops where the bytes or their sense end."""
    found: list[bytes] = []
    for _ in range(count):
        owner = _name(data, at)
        if owner is None or owner[1] + 10 > len(data):
            break
        at = owner[1]
        kind, network, size = struct.unpack_from(">HH4xH", data, at)
        at += 10
        value = data[at : at + size]
        at += size
        if network == INTERNET and (kind, len(value)) in ((A, 4), (AAAA, 16)):
            found.append(value)
    return tuple(found)


def _name(data: bytes, at: int) -> tuple[str, int] | None:
    """A name, and the position behind it; None for a malformed or cut one."""
    labels: list[str] = []
    behind: int | None = None
    length = pointers = 0
    while at < len(data):
        size = data[at]
        if size == 0:
            return ".".join(labels), at + 1 if behind is None else behind
        if size >= 0xC0:
            pointers += 1
            if at + 2 > len(data) or pointers > MAX_POINTERS:
                return None
            if behind is None:
                behind = at + 2
            at = (size & 0x3F) << 8 | data[at + 1]
            continue
        label = data[at + 1 : at + 1 + size]
        length += size + 1
        if size > 63 or len(label) < size or length > MAX_NAME:
            return None
        labels.append(_printable(label))
        at += size + 1
    return None


def _printable(label: bytes) -> str:
    r"""A label in lower case, bytes that are no visible ASCII as ``\ddd`` (RFC 1035 5.1)."""
    return "".join(
        chr(byte) if 0x21 <= byte <= 0x7E and byte not in b".\\" else f"\\{byte:03d}"
        for byte in label.lower()
    )
