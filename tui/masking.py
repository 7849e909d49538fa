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

__all__ = ["mask_payload"]

_AUTHORITY: Final = re.compile(
    rb"(?:://|^CONNECT )[^\s/@:\"'<>]{0,256}:(?P<value>[^\s@\"'<>]++)", re.MULTILINE
)
_PORT: Final = re.compile(rb"\d{1,5}(?![^/])")
_CUT_HEAD: Final = re.compile(
    rb"\A(?P<value>(?![^\r\n]*\b(?:HTTP|RTSP|SIP|ICAP)/\d)[\t\x20-9;-~]+)\r?\n(?:[\w-]{1,80}:|\r?\n)"
)
"""Where the capture begins inside a head, its first line may be the rest of a secret."""


def mask_payload(
    payload: bytes, before: bytes = b"", after: bytes = b"", *, socks: bool = False
) -> bytes:
    """Cover the secrets in a segment's payload.

    Args:
        payload: The bytes to show.
        before: What the same side sent right before, as far as known: a head may be split
            anywhere, also inside a secret.
        after: What it sent right behind: an ``@`` there makes a password of what is here.
        socks: The side may speak SOCKS 5, whose login (RFC 1929) has no names to go by.

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
    return bytes(covered[start:end])


def _secrets(data: bytes) -> Iterator[tuple[int, int]]:
    yield from secret_spans(data)
    for match in _AUTHORITY.finditer(data):
        # A password whose @ was not captured, or is further on.
        if match.end() == len(data) and not _PORT.match(match["value"]):
            yield match.span("value")
    cut = _CUT_HEAD.match(data)
    if cut:
        yield cut.span("value")
