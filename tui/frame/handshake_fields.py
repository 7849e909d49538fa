"""The fields of a clear TLS handshake message, for the tree of the detail screen.

A message is read as far as this packet holds it; the whole handshake has a screen of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from capture.protocols.text import printable
from capture.protocols.tls_names import cipher_name, version_name
from capture.protocols.tls_offer import read_client, read_server
from capture.protocols.tls_registry import extension_name, group_name, signature_name
from capture.protocols.x509_detail import read_chain
from widgets.packet_detail import LayerField

__all__ = ["handshake_fields"]

CLIENT_HELLO, SERVER_HELLO, CERTIFICATE = 1, 2, 11


def handshake_fields(message: bytes, start: int) -> tuple[LayerField, ...]:
    """Fields of a handshake message; none of one that is not read here.

    Args:
        message: Its bytes with the 4-byte header, as far as they are there.
        start: Offset of its first byte in the frame.
    """
    end = start + len(message)
    made = {CLIENT_HELLO: _client, SERVER_HELLO: _server, CERTIFICATE: _certificates}
    read = made.get(message[0]) if message else None
    return tuple(read(message, start, end)) if read is not None else ()


def _client(message: bytes, start: int, end: int) -> Iterator[LayerField]:
    offer = read_client(message)
    if offer is None:
        return
    hello = offer.hello
    yield LayerField("server name", hello.sni or "none", start, end)
    yield _list("versions", hello.versions, version_name, start, end)
    yield _list("cipher suites", hello.ciphers, cipher_name, start, end)
    yield LayerField("ALPN", ", ".join(hello.alpn) or "none", start, end)
    yield _list("groups", hello.groups, group_name, start, end)
    yield _list("key shares", hello.key_shares, group_name, start, end)
    yield _list("signatures", offer.signatures, signature_name, start, end)
    yield _list("extensions", offer.extensions, extension_name, start, end)
    if offer.ja4:
        yield LayerField("JA4", offer.ja4, start, end)


def _server(message: bytes, start: int, end: int) -> Iterator[LayerField]:
    choice = read_server(message)
    if choice is None:
        return
    if choice.retry:
        yield LayerField("kind", "HelloRetryRequest", start, end)
    yield LayerField("version", version_name(choice.version), start, end)
    yield LayerField("cipher suite", cipher_name(choice.hello.cipher), start, end)
    if choice.group is not None:
        yield LayerField("key share", group_name(choice.group), start, end)
    yield _list("extensions", choice.extensions, extension_name, start, end)


def _certificates(message: bytes, start: int, end: int) -> Iterator[LayerField]:
    at = start + 7
    for item in read_chain(message):
        certificate = item.certificate
        first, at = at, at + 3 + item.length
        parts = [
            ("subject", certificate.subject),
            ("issuer", certificate.issuer),
            ("not before", f"{certificate.not_before or '?'}"),
            ("not after", f"{certificate.not_after or '?'}"),
            ("names", ", ".join(certificate.names)),
            ("key", item.key),
            ("signed with", item.signature),
        ]
        children = tuple(
            LayerField(label, printable(value, 300), first, min(at, end))
            for label, value in parts
            if value
        )
        yield LayerField("certificate", certificate.subject, first, min(at, end), children)


def _list(
    label: str, numbers: Iterable[int], name: Callable[[int], str], start: int, end: int
) -> LayerField:
    """A list: how many there are, and each by its name."""
    items = tuple(LayerField("", name(number), start, end) for number in numbers)
    count = f"{len(items)} items" if len(items) != 1 else "1 item"
    return LayerField(label, count, start, end, items)
