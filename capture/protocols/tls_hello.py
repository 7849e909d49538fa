"""Reads the clear handshake messages of TLS: hellos and certificates.

Pure functions on one message's bytes, with its 4-byte header. Every field is bounded by
the bytes that are there: of a message that was cut, what was seen counts.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from capture.protocols.events import Certificate, ClientHello, ServerHello
from capture.protocols.text import printable

__all__ = [
    "GREASE",
    "HELLO_RETRY",
    "extensions",
    "parse_certificates",
    "parse_client_hello",
    "parse_server_hello",
    "parse_ssl2_hello",
]

MAX_CERTIFICATES: Final = 10
MAX_ALPN: Final = 16
MAX_LIST: Final = 600
"""Bytes read of a list or a name; clients send 200 ciphers at the most."""
MAX_SHARES: Final = 32

GREASE: Final = frozenset(value << 8 | value for value in range(0x0A, 0x100, 0x10))
"""RFC 8701 section 2."""
HELLO_RETRY: Final = bytes.fromhex(
    "cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c"
)
"""Random of a HelloRetryRequest (RFC 8446 section 4.1.3)."""

_SERVER_NAME, _GROUPS, _ALPN, _PSK, _VERSIONS, _KEY_SHARE = 0, 10, 16, 41, 43, 51
_ECH: Final = 0xFE0D
_TOLD: Final = frozenset((_SERVER_NAME, _GROUPS, _ALPN, _PSK, _VERSIONS, _KEY_SHARE, _ECH))

_PAIR: Final = struct.Struct(">HH")


def parse_client_hello(
    data: bytes, complete: bool = True, *, session: bool = True
) -> ClientHello | None:
    """Parse a ClientHello (RFC 8446 section 4.1.2); None when it is none.

    Args:
        data: The handshake message from its header on, as far as there is.
        complete: False when the rest of it was not captured.
        session: Keep the session id; without, hellos of one client are often equal.
    """
    size = len(data)
    if size < 6 or data[0] != 1 or data[4] != 3:
        return None
    legacy = data[4] << 8 | data[5]
    at = 39 + data[38] if size > 38 else size
    session_id = data[39:at]
    sni: str | None = None
    ciphers: tuple[int, ...] = ()
    alpn: tuple[str, ...] = ()
    groups: tuple[int, ...] = ()
    shares: tuple[int, ...] = ()
    versions: tuple[int, ...] = ()
    ech = psk = False
    if at + 2 <= size:
        end = at + 2 + (data[at] << 8 | data[at + 1])
        ciphers = _numbers(data[at + 2 : min(end, at + 2 + MAX_LIST)])
        # Compression methods, then the length of the extensions: what is there counts.
        at = end + 1 + data[end] + 2 if end < size else size
        while at + 4 <= size:
            kind, length = _PAIR.unpack_from(data, at)
            at += 4
            if kind in _TOLD:
                body = data[at : at + length]
                if kind == _SERVER_NAME:
                    sni = _server_name(body[:MAX_LIST])
                elif kind == _GROUPS:
                    groups = _numbers(body[2:MAX_LIST])
                elif kind == _ALPN:
                    alpn = _protocols(body[:MAX_LIST])
                elif kind == _VERSIONS:
                    versions = _numbers(body[1:MAX_LIST])
                elif kind == _KEY_SHARE:
                    shares = _shares(body)
                elif kind == _PSK:
                    psk = True
                else:
                    ech = True
            at += length
    return ClientHello(
        sni=sni,
        # A hello without the extension offers its legacy version and what is older; of a
        # cut one nobody knows.
        versions=versions or ((legacy,) if complete else ()),
        ciphers=ciphers,
        alpn=alpn,
        groups=groups,
        key_shares=shares,
        length=4 + int.from_bytes(data[1:4], "big"),
        complete=complete,
        session_id=session_id if session else b"",
        ech=ech,
        psk=psk,
    )


def parse_server_hello(data: bytes, *, session: bool = True) -> ServerHello | None:
    """Parse a ServerHello or HelloRetryRequest; None when its cipher cannot be seen."""
    size = len(data)
    if size < 39 or data[0] != 2 or data[4] != 3:
        return None
    version = data[4] << 8 | data[5]
    at = 39 + data[38]
    if at + 2 > size:
        return None
    session_id = data[39:at]
    cipher = data[at] << 8 | data[at + 1]
    if cipher >> 8 == 0x13:
        version = 0x0304  # also where the extension that says so was cut off
    alpn: str | None = None
    psk = False
    at += 5  # cipher, compression method, length of the extensions
    while at + 4 <= size:
        kind, length = _PAIR.unpack_from(data, at)
        body = data[at + 4 : at + 4 + length]
        at += 4 + length
        if kind == _VERSIONS and len(body) == 2:
            version = body[0] << 8 | body[1]
        elif kind == _ALPN:
            alpn = next(iter(_protocols(body[:MAX_LIST])), None)
        elif kind == _PSK:
            psk = True
    return ServerHello(
        version=version,
        cipher=cipher,
        alpn=alpn,
        retry=data[6:38] == HELLO_RETRY,
        session_id=session_id if session else b"",
        psk=psk,
    )


def extensions(data: bytes, client: bool) -> Iterator[tuple[int, int, int]]:
    """Kind, start and end of each extension's body in a hello, as far as it goes.

    Args:
        data: A message of at least 39 bytes.
        client: It is a ClientHello.
    """
    size = len(data)
    at = 39 + data[38]
    if client:
        end = at + 2 + (data[at] << 8 | data[at + 1]) if at + 2 <= size else size
        at = end + 1 + data[end] + 2 if end < size else size
    else:
        at += 5  # cipher, compression method, length of the extensions
    while at + 4 <= size:
        kind, length = _PAIR.unpack_from(data, at)
        yield kind, at + 4, min(at + 4 + length, size)
        at += 4 + length


def parse_ssl2_hello(data: bytes) -> ClientHello | None:
    """Parse a ClientHello in the record format of SSL 2 (RFC 5246 appendix E.2).

    Args:
        data: The message behind its 2-byte record header.
    """
    if len(data) < 9 or data[0] != 1:
        return None
    version = data[1] << 8 | data[2]
    specs = data[9 : 9 + (data[3] << 8 | data[4])]
    ciphers = tuple(
        specs[at + 1] << 8 | specs[at + 2] for at in range(0, len(specs) - 2, 3) if specs[at] == 0
    )
    return ClientHello(None, (version,), ciphers, (), (), (), len(data), True)


def parse_certificates(data: bytes) -> tuple[Certificate, ...]:
    """Parse a Certificate message of TLS 1.2 or older (RFC 5246 section 7.4.2).

    Certificates that are cut off at the end are left out.
    """
    from capture.protocols.x509 import parse_certificate

    found: list[Certificate] = []
    at = 7
    while at + 3 <= len(data) and len(found) < MAX_CERTIFICATES:
        end = at + 3 + int.from_bytes(data[at : at + 3], "big")
        if end > len(data):
            break
        found.append(parse_certificate(data[at + 3 : end]))
        at = end
    return tuple(found)


@lru_cache(maxsize=512)
def _numbers(data: bytes) -> tuple[int, ...]:
    """A list of 16-bit numbers without GREASE; clients repeat theirs word for word."""
    count = len(data) // 2
    numbers = struct.unpack_from(f">{count}H", data)
    return tuple([number for number in numbers if number not in GREASE])


@lru_cache(maxsize=1024)
def _server_name(body: bytes) -> str | None:
    """The host_name of a server_name extension (RFC 6066 section 3), if it is whole."""
    if len(body) < 5 or body[2] != 0:
        return None
    end = 5 + (body[3] << 8 | body[4])
    if not 5 < end <= len(body):
        return None
    return printable(body[5:end], 255)


@lru_cache(maxsize=256)
def _protocols(body: bytes) -> tuple[str, ...]:
    """ALPN protocol names (RFC 7301 section 3.1), GREASE left out."""
    names: list[str] = []
    at = 2
    while at < len(body) and len(names) < MAX_ALPN:
        name = body[at + 1 : at + 1 + body[at]]
        if len(name) < body[at]:
            break
        at += 1 + len(name)
        if len(name) != 2 or int.from_bytes(name, "big") not in GREASE:
            names.append(printable(name, 40))
    return tuple(names)


def _shares(body: bytes) -> tuple[int, ...]:
    """Groups of the key shares (RFC 8446 section 4.2.8), GREASE left out."""
    groups: list[int] = []
    at = 2
    while at + 4 <= len(body) and len(groups) < MAX_SHARES:
        group, length = _PAIR.unpack_from(body, at)
        at += 4 + length
        if group not in GREASE:
            groups.append(group)
    return tuple(groups)
