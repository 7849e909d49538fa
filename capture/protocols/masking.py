"""Masks the secrets in raw stream bytes, keeping their length and so their offsets.

For whoever shows bytes as they are (hex, first bytes of a stream, error pages). It works on
one piece of a stream at a time: a secret whose name went by in the piece before is not
known as one, so give it as much as there is.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from capture.protocols.text import SECRET_NAME, userinfo_span

__all__ = ["mask_payload"]

CACHED_LENGTH: Final = 256
"""Longer pieces are masked anew each time; heads begin alike over and over."""

_FIELD: Final = re.compile(
    rb"(?im)^(?P<name>[!#$%&'*+.^_`|~0-9a-z-]{1,64})[ \t]*:[ \t]*"
    rb"(?P<value>[^\r\n]*(?:\r?\n[ \t][^\r\n]*)*)"
)
_URL: Final = re.compile(rb"(?i)[a-z][a-z0-9+.-]{0,30}:[/\\]{2}[^\s\"'<>]++|(?<=\bCONNECT )[^\s]++")
_PARAMETER: Final = re.compile(
    rb"(?:(?<=[?&;#])|(?<=amp;)|^)(?P<name>[\w.~%-]{1,80})=(?P<value>[^\s&;#\"'<>]+)", re.MULTILINE
)
_JWT: Final = re.compile(rb"(?<![\w-])eyJ[\w-]{8,}+\.[\w-]++(?:\.[\w-]*+)*")
_COMMAND: Final = re.compile(
    rb"(?im)^(?:PASS|AUTHENTICATE|AUTH +[A-Z0-9-]+|OPER +\S+) +(?P<value>[^\r\n]+)"
)
"""Passwords of FTP, POP3, SMTP, IRC and their kin."""
_SCHEME: Final = re.compile(rb"(?i)(?:basic|digest|ntlm|negotiate|bearer)[ \t]+")


def mask_payload(data: bytes) -> bytes:
    """Return ``data`` with the same length and every recognised secret replaced by ``*``.

    Covers HTTP credentials, cookies and keys in header fields, userinfo and secrets in URIs,
    SOCKS5 passwords (RFC 1929) and the plain passwords of FTP, POP3, SMTP and IRC.
    """
    if len(data) > 4 and 0x14 <= data[0] <= 0x18 and data[1] == 3:
        return data  # a TLS record: no text, and by far the most that comes by
    return _cached(data) if len(data) <= CACHED_LENGTH else _mask(data)


def _mask(data: bytes) -> bytes:
    spans = [match.span("value") for match in _COMMAND.finditer(data)]
    if b":" in data:
        spans += _field_spans(data)
    if b"@" in data:
        spans += _userinfo_spans(data)
    if b"=" in data:
        spans += (
            match.span("value") for match in _PARAMETER.finditer(data) if _secret(match["name"])
        )
    if b"eyJ" in data:
        spans += (match.span() for match in _JWT.finditer(data))
    if data[:1] == b"\x01":
        spans += _socks_password(data)
    if not spans:
        return data
    masked = bytearray(data)
    for start, end in spans:
        masked[start:end] = b"*" * (end - start)
    return bytes(masked)


_cached = lru_cache(maxsize=512)(_mask)


def _userinfo_spans(data: bytes) -> list[tuple[int, int]]:
    spans = []
    for match in _URL.finditer(data):
        found = userinfo_span(match[0].decode("latin-1"))
        if found:
            spans.append((match.start() + found[0], match.start() + found[1]))
    return spans


def _field_spans(data: bytes) -> list[tuple[int, int]]:
    spans = []
    for match in _FIELD.finditer(data):
        if not _secret(match["name"]):
            continue
        start, end = match.span("value")
        if b"auth" in match["name"].lower():
            scheme = _SCHEME.match(data, start, end)
            start = scheme.end() if scheme else start
        spans.append((start, end))
    return spans


def _secret(name: bytes) -> bool:
    return SECRET_NAME.search(name.decode("latin-1").replace("_", "-")) is not None


def _socks_password(data: bytes) -> list[tuple[int, int]]:
    """Username/password request (RFC 1929): ``01 ulen user plen password``."""
    user_end = 2 + data[1] if len(data) > 1 else 0
    if user_end < 3 or len(data) <= user_end:
        return []
    if len(data) != user_end + 1 + data[user_end]:
        return []
    return [(2, user_end), (user_end + 1, len(data))]
