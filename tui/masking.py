"""Hides secrets in raw bytes without moving them, so that offsets in the hex view still hold.

The report's texts are masked where they are parsed. The detail screen shows the wire
itself, and nothing there tells a head from a body: so everything that looks like a secret
is covered, in any TCP payload, on any port. Ciphertext is left alone in practice: a
chance match needs a telling name, a colon and a line start.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from capture.protocols.text import SECRET_NAME

__all__ = ["COVER", "mask_payload"]

COVER: Final = ord("*")
"""Byte that stands for each byte of a secret."""

# An authentication scheme (RFC 9110 section 11.1) says what was tried: it stays readable.
_SCHEME: Final = (
    rb"(?:(?:basic|digest|ntlm|negotiate|bearer|kerberos|hawk|scram-[a-z0-9-]+)[ \t]+)?"
)
_FIELD: Final = re.compile(
    rb"^(?P<name>[!#-'*+.^_`|~0-9A-Za-z-]{1,80})[ \t]*:[ \t]*"
    + _SCHEME
    +
    # The value runs on over folded lines (RFC 9112 section 5.2).
    rb"(?P<value>[^\r\n]*(?:\r?\n[ \t]+[^\r\n]*)*)",
    re.MULTILINE | re.IGNORECASE,
)
_AUTHORIZATION: Final = re.compile(
    rb"authorization[ \t]*:[ \t]*" + _SCHEME + rb"(?P<value>[^\r\n]*)", re.IGNORECASE
)
"""The one field that is covered wherever it stands, also where the line's start was lost."""
_USERINFO: Final = (
    re.compile(rb"://(?P<value>[^\s\"'<>@]*)@"),
    re.compile(rb"^[A-Z]{3,16} (?P<value>[^\s/@:]+:(?!//)[^\s@]*)@", re.MULTILINE),
)
_PARAMETER: Final = re.compile(
    rb"(?P<name>[A-Za-z][\w.\-\[\]]{0,79})=(?P<value>[^\s&;,\"'<>]+)", re.ASCII
)
_JSON: Final = re.compile(
    rb"\"(?P<name>[A-Za-z][\w.-]{0,79})\"\s*:\s*\"(?P<value>(?:[^\"\\]|\\.)*)", re.ASCII
)
_TOKEN: Final = re.compile(
    rb"\b(?:basic|bearer) (?!realm|charset|error|scope)(?P<value>[\w+/=.~-]{4,})",
    re.ASCII | re.IGNORECASE,
)
"""Where the field's name was lost (the capture begins inside a head), its scheme tells."""
_JWT: Final = re.compile(rb"(?P<value>eyJ[\w-]{8,}\.[\w-]+(?:\.[\w-]*)*)", re.ASCII)
_LOGIN: Final = re.compile(rb"^(?:PASS|AUTH (?:PLAIN|LOGIN)) (?P<value>[^\r\n]+)", re.MULTILINE)
"""FTP, POP3, IRC and SMTP, should one of them run in the tunnel."""


def mask_payload(payload: bytes, before: bytes = b"", *, socks: bool = False) -> bytes:
    """Cover the secrets in a segment's payload.

    Args:
        payload: The bytes to show.
        before: What the same side sent right before, as far as known: a head may be split
            anywhere, also inside a secret.
        socks: The side speaks SOCKS 5, whose login (RFC 1929) has no names to go by.

    Returns:
        As many bytes as ``payload`` has.
    """
    whole = before + payload
    start = len(before)
    covered = bytearray(whole)
    for left, right in _secrets(whole):
        if right > start:
            covered[left:right] = bytes((COVER,)) * (right - left)
    if socks:
        _cover_socks_login(covered, start)
    return bytes(covered[start:])


def _secrets(data: bytes) -> Iterator[tuple[int, int]]:
    """Where secrets stand in ``data``, in no order, possibly overlapping."""
    for pattern in (_FIELD, _PARAMETER, _JSON):
        for match in pattern.finditer(data):
            if _is_secret(match["name"]):
                yield match.span("value")
    for pattern in (_AUTHORIZATION, _TOKEN, _JWT, _LOGIN, *_USERINFO):
        for match in pattern.finditer(data):
            yield match.span("value")


@lru_cache(1024)
def _is_secret(name: bytes) -> bool:
    return SECRET_NAME.search(name.decode("latin-1").replace("_", "-")) is not None


def _cover_socks_login(data: bytearray, start: int) -> None:
    """Cover user and password of a username/password request (RFC 1929 section 2).

    It is the one message of the handshake that begins with 01 (requests begin with 05),
    and its two lengths must fill the segment to the byte.
    """
    login = data[start:]
    if len(login) < 5 or login[0] != 1:
        return
    user_end = 2 + login[1]
    if user_end >= len(login) or user_end + 1 + login[user_end] != len(login):
        return
    data[start + 2 : start + user_end] = bytes((COVER,)) * (user_end - 2)
    data[start + user_end + 1 :] = bytes((COVER,)) * login[user_end]
