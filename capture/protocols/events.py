"""What the sans-IO parsers report: frozen events, no times and no packet numbers.

Secrets never get here: the parsers replace credentials by what diagnosis needs (scheme,
NTLM message type) before an event is made. Events are named tuples: they are made for every
flow, and a frozen dataclass takes several times as long to make and to define.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

Headers = tuple[tuple[str, str], ...]
"""Header fields in order; names lower-cased, values stripped, credentials masked, safe to
print (control characters replaced)."""


class Credentials(NamedTuple):
    """What a (Proxy-)Authorization field says without its secret."""

    scheme: str
    """Lower case: ``basic``, ``digest``, ``ntlm``, ``negotiate``, ``bearer``, …"""
    ntlm_type: int = 0
    """NTLMSSP message type 1-3 inside NTLM or Negotiate; 0 when there is none."""


class Challenge(NamedTuple):
    """One scheme of a (Proxy|WWW)-Authenticate field."""

    scheme: str
    realm: str = ""
    stale: bool = False
    ntlm_type: int = 0


class Request(NamedTuple):
    """An HTTP/1.x request head (RFC 9112)."""

    method: str
    target: str
    """As the client wrote it, userinfo masked: authority, absolute URI, path or ``*``."""
    form: str
    """``authority`` (CONNECT), ``absolute``, ``origin`` or ``asterisk`` (RFC 9112 3.2)."""
    version: str
    """``HTTP/1.1``; empty when cut off."""
    headers: Headers
    authority: str
    """``host:port`` the request is for: CONNECT's target as written; of an absolute URI its
    host with the port (80 or 443 by scheme when absent); empty otherwise."""
    credentials: Credentials | None
    """From Proxy-Authorization."""
    length: int
    """Bytes of the head with its final blank line (as far as seen when not complete)."""
    complete: bool
    """False: the capture holds only the start of the head."""
    malformed: tuple[str, ...] = ()
    """Oddities in words, for the observation: ``no port``, ``scheme in authority``,
    ``host header differs``, ``unbracketed IPv6``, ``bare LF`` …"""

    def header(self, name: str) -> str | None:
        """First value of a field by lower-case name."""
        return next((value for key, value in self.headers if key == name), None)


class Response(NamedTuple):
    """An HTTP/1.x response head."""

    status: int
    reason: str
    """Reason phrase, safe to print; empty when there is none."""
    version: str
    headers: Headers
    challenges: tuple[Challenge, ...]
    """From Proxy-Authenticate (407) or WWW-Authenticate (401)."""
    length: int
    complete: bool
    reason_cut: bool = False
    """The capture ends inside the reason phrase."""

    def header(self, name: str) -> str | None:
        """First value of a field by lower-case name."""
        return next((value for key, value in self.headers if key == name), None)


class ClientHello(NamedTuple):
    """A TLS ClientHello (RFC 8446 section 4.1.2), as far as its bytes were seen."""

    sni: str | None
    versions: tuple[int, ...]
    """Offered protocol versions, e.g. 0x0304; GREASE left out."""
    ciphers: tuple[int, ...]
    alpn: tuple[str, ...]
    groups: tuple[int, ...]
    key_shares: tuple[int, ...]
    """Groups of the key_share entries (0x11ec: X25519MLKEM768)."""
    length: int
    """Bytes of the handshake message with its 4-byte header."""
    complete: bool
    session_id: bytes = b""
    ech: bool = False
    psk: bool = False


class ServerHello(NamedTuple):
    """A TLS ServerHello (RFC 8446 section 4.1.3)."""

    version: int
    """Negotiated: supported_versions when present, else legacy_version."""
    cipher: int
    alpn: str | None
    """Visible up to TLS 1.2 only."""
    retry: bool
    """HelloRetryRequest."""
    session_id: bytes = b""
    psk: bool = False


class Certificate(NamedTuple):
    """One X.509 certificate of a visible Certificate message (TLS 1.2 and older)."""

    subject: str
    """RFC 4514-like, safe to print: ``CN=tools.cisco.com, O=…``."""
    issuer: str
    not_before: datetime | None
    not_after: datetime | None
    names: tuple[str, ...]
    """subjectAltName DNS names and addresses."""
    self_signed: bool
