"""Hides secrets in raw bytes without moving them, so that offsets in the hex view still hold.

The report's texts are masked where they are parsed. The detail screen shows the wire
itself, and nothing there tells a head from a body: so everything that looks like a secret
is covered, in any TCP payload, on any port, with what the same side sent before and after
in view. Ciphertext is left alone in practice: a chance match needs a telling name, a colon
and a line start.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from capture.protocols.masking import COVER, secret_spans, socks_spans

__all__ = ["login_spans", "mask_payload"]

_AUTHORITY: Final = re.compile(
    rb"(?:://|^CONNECT )[^\s/@:\"'<>]{0,256}:(?P<value>[^\s@\"'<>]++)", re.MULTILINE
)
_PORT: Final = re.compile(rb"\d{1,5}(?![^/])")
_CUT_HEAD: Final = re.compile(
    rb"\A(?P<value>(?![^\r\n]*\b(?:HTTP|RTSP|SIP|ICAP)/\d)[\t\x20-9;-~]+)\r?\n(?:[\w-]{1,80}:|\r?\n)"
)
"""Where the capture begins inside a head, its first line may be the rest of a secret."""
_PROSE: Final = re.compile(
    rb"(?i)(?<![\w-])(?:password|passwd|passphrase|pwd)[\"']?[ \t]{0,3}(?::|=|\bis\b)[ \t]{0,3}"
    rb"[\"']?(?P<value>[^\s\"'&;,<>]+)"
)
"""A password in free prose. Pages may say ``password is required``: that a word too many is
covered does no harm where bytes are shown, and would where a rule reads them."""


def mask_payload(
    payload: bytes, before: bytes = b"", after: bytes = b"", *, socks: bool = False
) -> bytes:
    """Cover the secrets in a segment's payload.

    Args:
        payload: The bytes to show.
        before: What the same side sent right before, as far as known: a head may be split
            anywhere, also inside a secret.
        after: What it sent right behind: an ``@`` there makes a password of what is here.
        socks: The side may speak SOCKS, whose login has no names to go by.

    Returns:
        As many bytes as ``payload`` has.
    """
    whole = before + payload + after
    start = len(before)
    end = start + len(payload)
    covered = bytearray(whole)
    for left, right in _secrets(whole):
        if left < end and right > start:
            covered[left:right] = COVER * (right - left)
    if socks:
        for left, right in socks_spans(payload):
            covered[start + left : start + right] = COVER * (right - left)
        for left, right in login_spans(whole):
            covered[left:right] = COVER * (right - left)
    return bytes(covered[start:end])


def login_spans(data: bytes) -> list[tuple[int, int]]:
    """Where a SOCKS client's user and password lie, given its stream from the first byte on.

    SOCKS 4 names a user in its request; SOCKS 5 asks for user and password behind the
    greeting (RFC 1928 section 3, RFC 1929 section 2). Of a message that is cut, what there
    is counts.
    """
    if data[:1] != b"\x05" or len(data) < 2:
        return socks_spans(data)
    at = 2 + data[1]
    if data[at : at + 1] != b"\x01" or len(data) < at + 2:
        return []
    user_end = at + 2 + data[at + 1]
    spans = [(at + 2, min(user_end, len(data)))]
    if len(data) > user_end:
        spans.append((user_end + 1, min(user_end + 1 + data[user_end], len(data))))
    return spans


def _secrets(data: bytes) -> Iterator[tuple[int, int]]:
    yield from secret_spans(data)
    lowered = data.lower()
    if b"pass" in lowered or b"pwd" in lowered:
        for match in _PROSE.finditer(data):
            yield match.span("value")
    for match in _AUTHORITY.finditer(data):
        # A password whose @ was not captured, or is further on.
        if match.end() == len(data) and not _PORT.match(match["value"]):
            yield match.span("value")
    cut = _CUT_HEAD.match(data)
    if cut:
        yield cut.span("value")
