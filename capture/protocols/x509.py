"""Reads the fields of an X.509 certificate (RFC 5280) that a diagnosis needs.

A small DER reader: nothing is verified, nothing is raised. What cannot be read is left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final, NamedTuple

from capture.protocols.events import Certificate
from capture.protocols.text import printable

__all__ = ["Element", "children", "dotted", "first_body", "parse_certificate"]

MAX_NAMES: Final = 100
MAX_ELEMENTS: Final = 200
"""Elements read of one SEQUENCE or SET."""

SEQUENCE, SET, OID, BOOLEAN, OCTET_STRING = 0x30, 0x31, 0x06, 0x01, 0x04
UTC_TIME, GENERALIZED_TIME, BMP_STRING, UNIVERSAL_STRING = 0x17, 0x18, 0x1E, 0x1C
VERSION, EXTENSIONS, DNS_NAME, IP_ADDRESS = 0xA0, 0xA3, 0x82, 0x87

_ATTRIBUTES: Final = {
    bytes.fromhex("550403"): "CN",
    bytes.fromhex("550406"): "C",
    bytes.fromhex("550407"): "L",
    bytes.fromhex("550408"): "ST",
    bytes.fromhex("550409"): "STREET",
    bytes.fromhex("55040a"): "O",
    bytes.fromhex("55040b"): "OU",
    bytes.fromhex("550405"): "serialNumber",
    bytes.fromhex("0992268993f22c640119"): "DC",
    bytes.fromhex("0992268993f22c640101"): "UID",
    bytes.fromhex("2a864886f70d010901"): "emailAddress",
}
"""Attribute types of RFC 4514 section 3 and the e-mail address, by their encoded OID."""
_ALT_NAME: Final = bytes.fromhex("551d11")


class Element(NamedTuple):
    """A DER element (X.690 section 8.1): its tag, and what is inside."""

    tag: int
    body: bytes


def parse_certificate(data: bytes) -> Certificate:
    """Read a DER certificate; fields that cannot be read are empty or None."""
    fields = list(children(first_body(first_body(data))))  # Certificate, TBSCertificate
    if fields and fields[0].tag == VERSION:
        fields = fields[1:]
    # serialNumber, signature, issuer, validity, subject, subjectPublicKeyInfo, …
    issuer = fields[2].body if len(fields) > 2 else b""
    subject = fields[4].body if len(fields) > 4 else b""
    not_before, not_after = _validity(fields[3].body if len(fields) > 3 else b"")
    return Certificate(
        subject=_name(subject),
        issuer=_name(issuer),
        not_before=not_before,
        not_after=not_after,
        names=_alternative_names(fields[6:]),
        self_signed=bool(subject) and subject == issuer,
    )


def children(data: bytes) -> Iterator[Element]:
    """Elements of a constructed one, as far as they are whole (X.690 section 8.1)."""
    at = 0
    for _ in range(MAX_ELEMENTS):
        if at + 2 > len(data):
            return
        tag, length = data[at], data[at + 1]
        at += 2
        if length & 0x80:
            size = length & 0x7F
            if not 1 <= size <= 4 or at + size > len(data):
                return  # indefinite, absurd or cut
            length = int.from_bytes(data[at : at + size], "big")
            at += size
        if at + length > len(data):
            return
        yield Element(tag, data[at : at + length])
        at += length


def first_body(data: bytes) -> bytes:
    """Body of the first element; empty when there is none."""
    return next(children(data), Element(0, b"")).body


def _name(data: bytes) -> str:
    """A distinguished name as RFC 4514 writes it, most specific part first."""
    parts = []
    for relative in children(data):
        for attribute in children(relative.body):
            pair = list(children(attribute.body))
            if len(pair) < 2:
                continue
            kind = _ATTRIBUTES.get(pair[0].body) or dotted(pair[0].body)
            parts.append(f"{kind}={_escaped(_text(pair[1]))}")
    return ", ".join(reversed(parts))


def _text(element: Element) -> str:
    if element.tag == BMP_STRING:
        return printable(element.body.decode("utf-16-be", "replace"), 200)
    if element.tag == UNIVERSAL_STRING:
        return printable(element.body.decode("utf-32-be", "replace"), 200)
    return printable(element.body, 200)


def _escaped(value: str) -> str:
    """Escape what would read as the next part of the name (RFC 4514 section 2.4)."""
    for char in '\\,+"<>;':
        if char in value:
            value = value.replace(char, f"\\{char}")
    return value


def dotted(oid: bytes) -> str:
    """An object identifier in dotted form (X.690 section 8.19)."""
    numbers: list[int] = []
    value = 0
    for byte in oid[:40]:
        value = value << 7 | byte & 0x7F
        if not byte & 0x80:
            numbers.append(value)
            value = 0
    if not numbers:
        return "?"
    first = min(numbers[0] // 40, 2)
    return ".".join(str(number) for number in (first, numbers[0] - 40 * first, *numbers[1:]))


def _validity(data: bytes) -> tuple[datetime | None, datetime | None]:
    times = [_time(element) for element in children(data)]
    return (times[0] if times else None), (times[1] if len(times) > 1 else None)


def _time(element: Element) -> datetime | None:
    """UTCTime or GeneralizedTime (RFC 5280 section 4.1.2.5), to the second."""
    digits = element.body.removesuffix(b"Z")
    if not digits.isdigit():
        return None
    text = digits.decode("ascii")
    if element.tag == UTC_TIME:
        text = ("19" if text[:2] >= "50" else "20") + text
    elif element.tag != GENERALIZED_TIME:
        return None
    if len(text) == 12:
        text += "00"
    if len(text) != 14:
        return None
    try:
        return datetime(
            *(int(text[:4]), int(text[4:6]), int(text[6:8])),
            *(int(text[8:10]), int(text[10:12]), int(text[12:])),
            tzinfo=UTC,
        )
    except ValueError:
        return None


def _alternative_names(fields: list[Element]) -> tuple[str, ...]:
    """DNS names and addresses of subjectAltName (RFC 5280 section 4.2.1.6)."""
    extensions = next((field.body for field in fields if field.tag == EXTENSIONS), b"")
    names: list[str] = []
    for extension in children(first_body(extensions)):
        parts = list(children(extension.body))
        if len(parts) < 2 or parts[0].body != _ALT_NAME:
            continue
        for name in children(first_body(parts[-1].body)):
            if name.tag == DNS_NAME:
                names.append(printable(name.body, 255))
            elif name.tag == IP_ADDRESS and (address := _address(name.body)):
                names.append(address)
    return tuple(names[:MAX_NAMES])


def _address(data: bytes) -> str:
    if len(data) not in (4, 16):
        return ""
    from ipaddress import ip_address

    return str(ip_address(data))
