"""Makes the bytes that a line of TLS messages proves: record headers, hellos, alerts.

What the line does not show stays out: a body ends where nothing more is known, and the
packet looks cut there. Sizes of single records are not printed: records of application data
share evenly, else the last of a line is given what is left.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from capture.protocols.tls_names import alert_name

_CCS, _ALERT, _HANDSHAKE, _DATA = 20, 21, 22, 23
_HEADER: Final = 5
_LARGEST: Final = 16_384
_EXTENSIONS: Final = 44
"""Where the extensions of a ClientHello begin that has no session, cipher or compression."""
_SNI: Final = re.compile(r"\(SNI=([\x21-\x7e]{1,255})\)")
_SAYS: Final = re.compile(r"Alert \(Level: (\w+), Description: ([^)]*)\)")
_ALERTS: Final = {alert_name(code).replace("_", " "): code for code in range(256)}
_CLEAR: Final = (
    "Certificate", "Server Key Exchange", "Server Hello Done", "Client Key Exchange",
    "New Session Ticket", "Hello Request", "Encrypted Extensions", "Finished",
    "Encrypted Handshake Message", "Multiple Handshake Messages", "Compressed Certificate",
)  # fmt: skip


@dataclass(slots=True)
class _Record:
    kind: int
    body: bytes
    """As far as it is known."""
    least: int
    exact: bool = False
    """It has ``least`` bytes and no more."""


def record_bytes(messages: Sequence[str], version: int, total: int) -> bytes:
    """The first bytes of segments that together hold the messages.

    Args:
        messages: As the Info column names them.
        version: Of the connection, 0 where it is not known.
        total: Payload bytes of the segments.
    """
    records = _records(messages, version)
    while records and sum(_HEADER + record.least for record in records) > total:
        records.pop()
    spare = total - sum(_HEADER + record.least for record in records)
    grown = [record for record in records if record.kind == _DATA]
    grown = grown or [record for record in records if not record.exact][-1:]
    for index, record in enumerate(grown):
        record.least = min(record.least + (spare + index) // len(grown), _LARGEST)
    made = bytearray()
    for index, record in enumerate(records):
        made += bytes((record.kind, 3, _on_the_wire(record, version)))
        made += record.least.to_bytes(2, "big")
        body = _sized(record)
        made += body
        if index < len(records) - 1:
            made += bytes(record.least - len(body))
    return bytes(made)


def least_size(messages: Sequence[str], version: int) -> int:
    """Payload bytes that the messages have at least."""
    return sum(_HEADER + record.least for record in _records(messages, version)) or 1


def _records(messages: Sequence[str], version: int) -> list[_Record]:
    """The records of the messages up to the first that is not known here."""
    records: list[_Record] = []
    for message in messages:
        said = _SAYS.match(message)
        if message.startswith("Client Hello"):
            records.append(_client_hello(message))
        elif message.startswith("Server Hello") and message != "Server Hello Done" and version:
            body = _server_hello(version)
            records.append(_Record(_HANDSHAKE, body, len(body)))
        elif message == "Change Cipher Spec":
            records.append(_Record(_CCS, b"\x01", 1, True))
        elif said and said[2].lower() in _ALERTS:
            level = 2 if said[1] == "Fatal" else 1
            body = bytes((level, _ALERTS[said[2].lower()]))
            records.append(_Record(_ALERT, body, 2, True))
        elif message == "Encrypted Alert":
            records.append(_Record(_ALERT, b"", 3))
        elif message.startswith("Application Data") or message == "[Application Data]":
            records.append(_Record(_DATA, b"", 4))
        elif message.startswith((*_CLEAR, "Server Hello")):
            _opaque(records)
        else:
            break
    return records


def _opaque(records: list[_Record]) -> None:
    """Add a handshake record of which nothing is known; a run of such is one."""
    last = records[-1] if records else None
    if last is None or last.kind != _HANDSHAKE or last.body:
        records.append(_Record(_HANDSHAKE, b"", 4))


def _on_the_wire(record: _Record, version: int) -> int:
    """The header's minor version (RFC 8446 5.1)."""
    if record.body[:1] == b"\x01" and record.kind == _HANDSHAKE:
        return 1
    return min(version or 0x0303, 0x0303) & 0xFF


def _sized(record: _Record) -> bytes:
    """The known part of a body, with the message's length where there is one message."""
    body = record.body
    if record.kind == _HANDSHAKE and body[:1] == b"\x01":
        size = record.least - 4
        body = body[:1] + size.to_bytes(3, "big") + body[4:]
        if len(body) > _EXTENSIONS:
            behind = (record.least - _EXTENSIONS).to_bytes(2, "big")
            body = body[: _EXTENSIONS - 2] + behind + body[_EXTENSIONS:]
    return body


def _client_hello(message: str) -> _Record:
    """As much of a ClientHello as shows the name: nothing of what it offers is known."""
    start = b"\x01\0\0\0\x03\x03"
    name = _SNI.search(message)
    if not name:
        return _Record(_HANDSHAKE, start, len(start))
    host = name[1].encode("ascii")
    entry = b"\0" + len(host).to_bytes(2, "big") + host
    listed = len(entry).to_bytes(2, "big") + entry
    extension = b"\0\0" + len(listed).to_bytes(2, "big") + listed
    # Random, no session, no cipher, no compression method, and the extensions' length.
    body = start + bytes(32) + b"\0" + b"\0\0" + b"\0" + b"\0\0" + extension
    return _Record(_HANDSHAKE, body, len(body))


def _server_hello(version: int) -> bytes:
    """A ServerHello with a version and a cipher suite that nobody may choose (RFC 5246 A.5)."""
    tail = b"\0" + b"\0\0" + b"\0"  # no session, cipher suite, compression method
    chosen = b"\0\x2b\0\x02\x03\x04" if version == 0x0304 else b""
    tail += len(chosen).to_bytes(2, "big") + chosen
    body = min(version, 0x0303).to_bytes(2, "big") + bytes(32) + tail
    return b"\x02" + len(body).to_bytes(3, "big") + body
