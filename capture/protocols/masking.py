"""Masks the secrets in raw stream bytes, keeping their length and so their offsets.

For whoever shows bytes as they are (hex, first bytes of a stream, error pages). It works on
one piece of a stream: a secret whose name stands outside of it is not known as one, so give
it as much as there is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from capture.protocols.text import SECRET_NAME, unescaped, userinfo_span

__all__ = ["COVER", "mask_payload", "secret_spans", "socks_spans"]

COVER: Final = b"*"
"""Stands for each byte of a secret."""

CACHED_LENGTH: Final = 256
"""Longer pieces are masked anew each time; heads begin alike over and over."""

# Every pattern takes a repetition in one pass: what it has looked at it does not look at
# again, or only so many bytes of it.
_FIELD: Final = re.compile(
    rb"(?im)^(?P<name>[!#$%&'*+.^_`|~0-9a-z-]{1,80})[ \t]*:[ \t]*"
    rb"(?P<value>[^\r\n]*(?:\r?\n[ \t][^\r\n]*)*)"
)
_URL: Final = re.compile(rb"(?i)[a-z][a-z0-9+.-]{0,30}:[/\\]{2}[^\s\"'<>]++|(?<=\bCONNECT )[^\s]++")
_ENCODED_URL: Final = re.compile(rb"(?i)%3a%2f%2f(?P<value>[^\s&;\"'<>/?#]{1,256}?)%40")
_PAIR: Final = re.compile(
    rb"(?<![^\s\"'<>(,=])(?P<value>[^\s/:@\"'<>(,=]{1,64}:(?!//)[^\s@\"'<>]{1,128})@(?=[\w\[])"
)
"""``user:password@host`` without a scheme, in whatever text."""
_PARAMETER: Final = re.compile(
    rb"(?:(?<=[?&;#\s])|(?<=amp;)|^)(?P<name>[\w.~%\[\]-]{1,80})=(?P<value>[^\s&;#\"'<>]+)",
    re.MULTILINE,
)
_JSON: Final = re.compile(
    rb"\"(?P<name>[A-Za-z][\w.-]{0,79})\"\s{0,9}:\s{0,9}\"(?P<value>(?:[^\"\\]|\\.)*+)"
)
_JWT: Final = re.compile(rb"(?<![\w-])(?P<value>eyJ[\w-]{8,}+\.[\w-]++(?:\.[\w-]*+)*)")
_NTLM: Final = re.compile(rb"(?P<value>TlRMTVNTUA[A-Za-z0-9+/]++=*)")
_TOKEN: Final = re.compile(
    rb"(?i)\b(?:basic|bearer) (?!realm|charset|error|scope)(?P<value>[\w+/=.~-]{4,})"
)
"""Where the field's name was lost (the capture begins inside a head), its scheme tells."""
_AUTHORIZATION: Final = re.compile(rb"(?i)authorization[ \t]*:[ \t]*(?P<value>[^\r\n]*)")
"""The one field that is covered wherever it stands, also behind other text in its line."""
_COMMAND: Final = re.compile(
    rb"(?im)^(?:PASS|AUTHENTICATE|AUTH +[A-Z0-9-]+|OPER +\S+|\S{1,32} +LOGIN +\S+) +"
    rb"(?P<value>[^\r\n]+)"
)
"""Passwords of FTP, POP3, SMTP, IMAP, IRC and their kin."""
_LOGIN: Final = re.compile(
    rb"(?im)^AUTH +LOGIN\b[^\r\n]*\r?\n(?P<value>[^\r\n]+(?:\r?\n[^\r\n]+)?)"
)
"""SMTP's user and password, a line each (draft-murchison-sasl-login)."""
_OPTION: Final = re.compile(
    rb"(?<![\w-])(?:--(?:proxy-)?user|-[uU])(?:=|[ \t]{1,9})"
    rb"(?P<value>\"[^\"\r\n:]{1,64}:[^\"\r\n]*|'[^'\r\n:]{1,64}:[^'\r\n]*|[^\s:\"']{1,64}:\S+)"
)
"""curl's user and password, where a command is quoted (a User-Agent, a page)."""
_SCHEME: Final = re.compile(
    rb"(?i)(?:basic|digest|ntlm|negotiate|bearer|kerberos|hawk|scram-[a-z0-9-]+)[ \t]+"
)


def mask_payload(data: bytes) -> bytes:
    """Return ``data`` with the same length and every recognised secret replaced by ``*``.

    Covers HTTP credentials, cookies and keys in header fields, userinfo and secrets in URIs,
    forms and JSON, curl's options, users and passwords of SOCKS, and the plain passwords of
    FTP, POP3, SMTP, IMAP and IRC.
    """
    if len(data) > 4 and 0x14 <= data[0] <= 0x18 and data[1] == 3:
        return data  # a TLS record: no text, and by far the most that comes by
    return _cached(data) if len(data) <= CACHED_LENGTH else _mask(data)


def _mask(data: bytes) -> bytes:
    spans = [*secret_spans(data), *socks_spans(data)]
    if not spans:
        return data
    masked = bytearray(data)
    for start, end in spans:
        masked[start:end] = COVER * (end - start)
    return bytes(masked)


_cached = lru_cache(maxsize=512)(_mask)


def secret_spans(data: bytes) -> Iterator[tuple[int, int]]:
    """Where secrets stand in text, in no order, possibly overlapping."""
    # A word that must be there is found many times faster than the pattern around it.
    lowered = data.lower()
    if b"pass " in lowered or b"auth" in lowered or b"oper " in lowered or b" login " in lowered:
        yield from _values(data, _COMMAND, _LOGIN)
    if b":" in data:
        yield from _field_spans(data, b"authorization" in lowered)
        yield from _named_values(data, _JSON)
    if b"@" in data:
        if b"connect " in lowered or b"://" in data or b":\\" in data or b":/\\" in data:
            yield from _userinfo_spans(data)
        yield from _values(data, _PAIR)
    if b"=" in data:
        yield from _named_values(data, _PARAMETER)
    if b"%40" in data:
        yield from _values(data, _ENCODED_URL)
    if b"eyJ" in data:
        yield from _values(data, _JWT)
    if b"TlRM" in data:
        yield from _values(data, _NTLM)
    if b"-u" in lowered:
        yield from _values(data, _OPTION)
    if b"basic " in lowered or b"bearer " in lowered:
        yield from _values(data, _TOKEN)


def _values(data: bytes, *patterns: re.Pattern[bytes]) -> Iterator[tuple[int, int]]:
    for pattern in patterns:
        for match in pattern.finditer(data):
            yield match.span("value")


def _named_values(data: bytes, pattern: re.Pattern[bytes]) -> Iterator[tuple[int, int]]:
    for match in pattern.finditer(data):
        if _secret(match["name"]):
            yield match.span("value")


def _userinfo_spans(data: bytes) -> Iterator[tuple[int, int]]:
    for match in _URL.finditer(data):
        found = userinfo_span(match[0].decode("latin-1"))
        if found:
            yield match.start() + found[0], match.start() + found[1]


def _field_spans(data: bytes, authorization: bool) -> Iterator[tuple[int, int]]:
    for match in _FIELD.finditer(data):
        if _secret(match["name"]):
            start, end = match.span("value")
            if b"auth" in match["name"].lower():
                start = _after_scheme(data, start, end)
            yield start, end
    for match in _AUTHORIZATION.finditer(data) if authorization else ():
        start, end = match.span("value")
        yield _after_scheme(data, start, end), end


def _after_scheme(data: bytes, start: int, end: int) -> int:
    """An authentication scheme (RFC 9110 section 11.1) says what was tried: it stays."""
    scheme = _SCHEME.match(data, start, end)
    return scheme.end() if scheme else start


@lru_cache(1024)
def _secret(name: bytes) -> bool:
    text = unescaped(name.decode("latin-1"))
    return SECRET_NAME.search(text.replace("_", "-")) is not None


def socks_spans(data: bytes) -> list[tuple[int, int]]:
    """Where a SOCKS message holds a user or a password.

    ``04 command port address user 00``: the request of SOCKS 4, whose user runs to the
    first zero. ``01 ulen user plen password`` (RFC 1929 section 2): the one message of the
    handshake of SOCKS 5 that begins with 01, and its two lengths fill it to the byte.
    """
    if data[:2] in (b"\x04\x01", b"\x04\x02") and len(data) > 8:
        end = data.find(b"\0", 8)
        end = len(data) if end < 0 else end
        return [(8, end)] if end > 8 else []
    if data[:1] != b"\x01":
        return []
    user_end = 2 + data[1] if len(data) > 1 else 0
    if user_end < 3 or len(data) <= user_end:
        return []
    if len(data) != user_end + 1 + data[user_end]:
        return []
    return [(2, user_end), (user_end + 1, len(data))]
