"""What a TCP payload says, line by line or record by record, for the detail screen.

A single segment is read by itself, without its stream: a head or record that goes on in
the next packet is shown as far as it is here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from capture.protocols.text import printable
from capture.protocols.tls_names import alert_name
from capture.stream.handshakes import HANDSHAKE_NAMES, RECORD_NAMES
from capture.stream.items import record_length
from tui.frame.handshake_fields import handshake_fields
from widgets.packet_detail import LayerField

__all__ = ["payload_layers"]

MAX_RECORDS: Final = 64
MAX_LINES: Final = 200
VALUE_LIMIT: Final = 300

_START: Final = re.compile(
    rb"(?:[A-Z][A-Z-]{1,15} [^ \r\n]{1,8000} HTTP/\d\.\d|HTTP/\d(?:\.\d)? \d{3})", re.ASCII
)
"""A request line (RFC 9112 section 3) or a status line (section 4)."""
_HEAD_END: Final = re.compile(rb"\r?\n\r?\n")

_VERSIONS: Final = {
    0x0300: "SSL 3.0",
    0x0301: "TLS 1.0",
    0x0302: "TLS 1.1",
    0x0303: "TLS 1.2",
    0x0304: "TLS 1.3",
}
_CLEAR_MESSAGES: Final = (1, 2, 11, 12, 13, 14, 16, 22)
"""Handshake types that travel in clear and may go on in the next record."""
_MAX_MESSAGE: Final = 1 << 16
"""A longer "message" is ciphertext whose first byte happens to look like a type."""


def payload_layers(payload: bytes, start: int) -> Iterator[LayerField]:
    """Name what a payload holds.

    Args:
        payload: The segment's data, secrets already covered.
        start: Offset of its first byte in the frame.
    """
    if not payload:
        return
    if _START.match(payload):
        yield from _http(payload, start)
    elif record_length(payload) is not None:
        yield from _tls(payload, start)
    else:
        yield _data(payload, 0, start)


def _data(payload: bytes, at: int, start: int) -> LayerField:
    size = len(payload) - at
    return LayerField("Data", f"{size} bytes", start + at, start + len(payload))


def _http(payload: bytes, start: int) -> Iterator[LayerField]:
    end = _HEAD_END.search(payload)
    head_end = end.end() if end else len(payload)
    lines: list[LayerField] = []
    at = 0
    for line in payload[:head_end].splitlines(keepends=True)[:MAX_LINES]:
        text = line.rstrip(b"\r\n")
        if text:
            name, colon, value = text.partition(b":") if lines else (b"", b"", text)
            label = printable(name, 80) if colon else ("line" if lines else "first line")
            lines.append(
                LayerField(
                    label,
                    printable(value.strip() if colon else text, VALUE_LIMIT),
                    start + at,
                    start + at + len(text),
                )
            )
        at += len(line)
    note = "" if end else " (head goes on)"
    summary = f"{lines[0].value}{note}"
    yield LayerField("HTTP", summary, start, start + head_end, tuple(lines))
    if head_end < len(payload):
        yield _data(payload, head_end, start)


def _tls(payload: bytes, start: int) -> Iterator[LayerField]:
    at = 0
    for _ in range(MAX_RECORDS):
        length = record_length(payload, at)
        if length is None:
            break
        end = min(len(payload), at + 5 + length)
        yield _record(payload, at, end, length, start)
        at = end
    if at < len(payload):
        yield _data(payload, at, start)


def _record(payload: bytes, at: int, end: int, length: int, start: int) -> LayerField:
    kind = payload[at]
    version = int.from_bytes(payload[at + 1 : at + 3])
    fields = [
        LayerField("type", f"{RECORD_NAMES[kind]} ({kind})", start + at, start + at + 1),
        LayerField(
            "version", _VERSIONS.get(version, f"{version:#06x}"), start + at + 1, start + at + 3
        ),
        LayerField("length", str(length), start + at + 3, start + at + 5),
    ]
    body = payload[at + 5 : end]
    words = [RECORD_NAMES[kind]]
    if kind == 22:
        messages = _handshakes(body, start + at + 5)
        fields += messages
        words = [message.label for message in messages] or ["Handshake"]
    elif kind == 21:
        words.append(_alert(body))
    if body:
        fields.append(LayerField("body", f"{len(body)} bytes", start + at + 5, start + end))
    if len(body) < length:
        words.append(f"({length - len(body)} bytes more to come)")
    return LayerField("TLS", " ".join(filter(None, words)), start + at, start + end, tuple(fields))


def _alert(body: bytes) -> str:
    if len(body) != 2:
        return "encrypted"
    level = {1: "warning", 2: "fatal"}.get(body[0], str(body[0]))
    return f"{level} {alert_name(body[1])}"


def _handshakes(body: bytes, start: int) -> list[LayerField]:
    """The handshake messages of a record, or one item that says they are encrypted."""
    found: list[LayerField] = []
    at = 0
    while at + 4 <= len(body) and len(found) < MAX_RECORDS:
        kind, length = body[at], int.from_bytes(body[at + 1 : at + 4])
        whole = at + 4 + length <= len(body)
        if not (kind in HANDSHAKE_NAMES and whole) and not (
            kind in _CLEAR_MESSAGES and length <= _MAX_MESSAGE
        ):
            break
        end = min(len(body), at + 4 + length)
        name = HANDSHAKE_NAMES[kind]
        fields = handshake_fields(body[at:end], start + at)
        found.append(LayerField(name, f"{length} bytes", start + at, start + end, fields))
        at += 4 + length
    if not found and body:
        found.append(
            LayerField("encrypted handshake", f"{len(body)} bytes", start, start + len(body))
        )
    return found
