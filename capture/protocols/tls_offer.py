"""Hellos in full: every extension, and the fingerprints JA3 and JA4 of a ClientHello.

``tls_hello`` reads what a diagnosis needs of every flow; this reads what somebody wants to
see of one. Pure functions on one message's bytes, with its 4-byte header; of a message that
was cut, what was seen counts.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from typing import Final

from capture.protocols.events import ClientHello, ServerHello
from capture.protocols.tls_hello import GREASE, parse_client_hello, parse_server_hello
from capture.record import record

__all__ = ["ClientOffer", "ServerChoice", "read_client", "read_server"]

_GROUPS, _FORMATS, _SIGNATURES, _ALPN = 10, 11, 13, 16
_TICKET, _EARLY_DATA, _PSK_MODES, _KEY_SHARE = 35, 42, 45, 51
_SERVER_NAME: Final = 0
_MAX_EXTENSIONS: Final = 200
_JA4_VERSIONS: Final = {
    0x0304: "13", 0x0303: "12", 0x0302: "11", 0x0301: "10", 0x0300: "s3", 0x0002: "s2",
}  # fmt: skip


@record
class ClientOffer:
    """A ClientHello in full."""

    hello: ClientHello
    legacy_version: int
    extensions: tuple[int, ...]
    """Types in the order of the hello, GREASE left out."""
    signatures: tuple[int, ...]
    ticket: bool | None
    """Whether it resumes by a ticket (RFC 5077); False: it only asks for one; None: neither."""
    early_data: bool
    psk_modes: tuple[int, ...]
    grease: bool
    """Whether it holds reserved values (RFC 8701), as browsers' do."""
    ja3: str
    """MD5 in hex; empty where the hello was cut."""
    ja4: str

    @property
    def session_id(self) -> bytes:
        return self.hello.session_id


@record
class ServerChoice:
    """A ServerHello or HelloRetryRequest in full."""

    hello: ServerHello
    extensions: tuple[int, ...]
    group: int | None
    """Group of its key share; of a HelloRetryRequest the one it asks for."""
    ticket: bool
    """It will send a ticket (RFC 5077)."""

    @property
    def version(self) -> int:
        return self.hello.version

    @property
    def retry(self) -> bool:
        return self.hello.retry

    @property
    def psk(self) -> bool:
        return self.hello.psk

    @property
    def session_id(self) -> bytes:
        return self.hello.session_id


def read_client(data: bytes) -> ClientOffer | None:
    """Read a ClientHello (RFC 8446 section 4.1.2); None when it is none."""
    length = 4 + int.from_bytes(data[1:4], "big")
    complete = len(data) >= length
    hello = parse_client_hello(data, complete)
    if hello is None:
        return None
    found = list(_extensions(data, _client_extensions_at(data)))
    bodies = dict(found)
    kinds = tuple(kind for kind, _ in found)
    legacy = int.from_bytes(data[4:6], "big")
    ticket = bodies.get(_TICKET)
    signatures = _numbers(bodies.get(_SIGNATURES, b"")[2:])
    return ClientOffer(
        hello=hello,
        legacy_version=legacy,
        extensions=tuple(kind for kind in kinds if kind not in GREASE),
        signatures=tuple(number for number in signatures if number not in GREASE),
        ticket=None if ticket is None else bool(ticket),
        early_data=_EARLY_DATA in bodies,
        psk_modes=tuple(bodies.get(_PSK_MODES, b"")[1:]),
        grease=any(kind in GREASE for kind in kinds),
        ja3=_ja3(legacy, hello, kinds, bodies) if complete else "",
        ja4=_ja4(legacy, hello, kinds, signatures, bodies) if complete else "",
    )


def read_server(data: bytes) -> ServerChoice | None:
    """Read a ServerHello (RFC 8446 section 4.1.3); None when its cipher cannot be seen."""
    hello = parse_server_hello(data)
    if hello is None:
        return None
    bodies = dict(_extensions(data, 39 + data[38] + 5))
    share = bodies.get(_KEY_SHARE, b"")
    return ServerChoice(
        hello=hello,
        extensions=tuple(bodies),
        group=int.from_bytes(share[:2], "big") if len(share) >= 2 else None,
        ticket=_TICKET in bodies,
    )


def _client_extensions_at(data: bytes) -> int:
    """Where the first extension begins; the end where there is none."""
    size = len(data)
    at = 39 + data[38] if size > 38 else size
    if at + 2 > size:
        return size
    at += 2 + (data[at] << 8 | data[at + 1])
    return at + 1 + data[at] + 2 if at < size else size


def _extensions(data: bytes, at: int) -> Iterator[tuple[int, bytes]]:
    for _ in range(_MAX_EXTENSIONS):
        if at + 4 > len(data):
            return
        kind, length = struct.unpack_from(">HH", data, at)
        yield kind, data[at + 4 : at + 4 + length]
        at += 4 + length


def _numbers(data: bytes) -> tuple[int, ...]:
    count = len(data) // 2
    return struct.unpack_from(f">{count}H", data)


def _ja3(legacy: int, hello: ClientHello, kinds: tuple[int, ...], bodies: dict[int, bytes]) -> str:
    """JA3 (Salesforce, 2017): the MD5 of version, ciphers, extensions, groups and point
    formats in decimal, GREASE left out."""
    formats = bodies.get(_FORMATS, b"")[1:]
    parts = [
        [legacy],
        hello.ciphers,
        [kind for kind in kinds if kind not in GREASE],
        [group for group in _numbers(bodies.get(_GROUPS, b"")[2:]) if group not in GREASE],
        formats,
    ]
    text = ",".join("-".join(map(str, part)) for part in parts)
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def _ja4(
    legacy: int,
    hello: ClientHello,
    kinds: tuple[int, ...],
    signatures: tuple[int, ...],
    bodies: dict[int, bytes],
) -> str:
    """JA4 (FoxIO, 2023): ``t13d1516h2_8daaf6152771_e5627efa2ab1``."""
    known = [kind for kind in kinds if kind not in GREASE]
    version = max(hello.versions, default=legacy)
    head = "".join((
        "t",
        _JA4_VERSIONS.get(version, "00"),
        "d" if _SERVER_NAME in known else "i",
        f"{min(len(hello.ciphers), 99):02d}",
        f"{min(len(known), 99):02d}",
        _ja4_alpn(bodies.get(_ALPN, b"")),
    ))  # fmt: skip
    ciphers = ",".join(sorted(f"{cipher:04x}" for cipher in hello.ciphers))
    others = sorted(f"{kind:04x}" for kind in known if kind not in (_SERVER_NAME, _ALPN))
    rest = ",".join(others)
    if signatures:
        rest += "_" + ",".join(f"{n:04x}" for n in signatures if n not in GREASE)
    return f"{head}_{_short(ciphers)}_{_short(rest if others or signatures else '')}"


def _ja4_alpn(body: bytes) -> str:
    """First and last character of the first protocol offered; of one whose ends are not
    alphanumeric, the ends of its hex form; ``00`` without one."""
    name = body[3 : 3 + body[2]] if len(body) > 2 else b""
    if not name:
        return "00"
    ends = bytes((name[0], name[-1]))
    if ends.isalnum():
        return ends.decode("ascii")
    digits = name.hex()
    return digits[0] + digits[-1]


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12] if text else "0" * 12
