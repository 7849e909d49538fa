"""Names the language a stream begins in, from its first bytes alone."""

from __future__ import annotations

import re
from typing import Final

from capture.protocols.http1 import KNOWN_METHODS
from capture.protocols.readers import CLIENT, PROXY
from capture.protocols.tls import looks_like_record

__all__ = ["LANGUAGES", "language", "proxy_protocol_length"]

LANGUAGES: Final = (
    "http", "tls", "socks4", "socks5", "ssh", "http2", "http-part", "other", "",
)  # fmt: skip
"""Values of ``language``; the same as those of ``FlowFacts.first_language``."""

MAX_LINE: Final = 4096
"""Bytes looked at."""
WINDOW: Final = 64
"""Bytes after which a request line without an end is taken for one that is long."""

_METHODS: Final = b"|".join(method.encode() for method in sorted(KNOWN_METHODS))
_TOKEN: Final = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}"
_REQUEST_LINE: Final = re.compile(
    rb"(?:(?!PRI )%s +[^\r\n]*[^ \r\n] +HTTP/[01]|CONNECT +[^\r\n]*[^ \r\n] +HTTP/[0-9])\.[0-9]"
    % _TOKEN,
    re.IGNORECASE,
)
_OLD_REQUEST: Final = re.compile(rb"CONNECT [^\s/]+:[0-9]{1,5}\r?\n|GET (?:http://|/)\S*\r?\n")
_ANY_REQUEST: Final = re.compile(rb"%s(?: +[^\r\n]*)?\r?" % _TOKEN)
_LIKELY_REQUEST: Final = re.compile(
    rb"(?:%s) +(?!sips?:|rtsp:|icap:)[^\x00-\x1f]*\r?" % _METHODS, re.IGNORECASE
)
_STATUS_LINE: Final = re.compile(
    rb"(?:HTTP/[0-9](?:\.[0-9])?|ICY) +[1-9][0-9]{2}(?![0-9])", re.IGNORECASE
)
_STATUS_PART: Final = re.compile(
    rb"(?:HTTP/[0-9](?:\.[0-9]?)?|ICY)(?: +(?:[1-9][0-9]{0,2})?)?", re.IGNORECASE
)
_PREFACE: Final = b"PRI * HTTP/2.0"
_PROXY_V1: Final = re.compile(rb"PROXY (?:TCP[46]|UNKNOWN)[^\r\n]{0,90}\r\n")
_PROXY_V2: Final = b"\r\n\r\n\x00\r\nQUIT\n"
_SSL2_VERSIONS: Final = (b"\x00\x02", b"\x03\x00", b"\x03\x01", b"\x03\x02", b"\x03\x03")

_OPEN: Final = "?"
"""Not decided: more bytes may make it this language."""


def language(data: bytes, sender: int, more: bool = False) -> str:
    """Name what a stream began with: one of ``LANGUAGES``.

    Args:
        data: The stream's first bytes; 64 suffice.
        sender: ``CLIENT`` or ``PROXY``; the same language looks different from each side.
        more: Whether more bytes may come. Then the empty string says "cannot tell yet";
            without, it says that there were no bytes.

    ``http`` needs a request or status line (or 64 bytes of a request line that goes on);
    ``http-part`` is the start of one, cut off.
    """
    if sender == CLIENT:
        data = data[proxy_protocol_length(data) :]
    if not data:
        return ""
    if 20 <= data[0] <= 24:  # nothing else begins with these
        name = _tls(data)
        return name if name and name != _OPEN else "" if name and more else "other"
    text = data[:MAX_LINE].lstrip(b"\r\n")
    if (_REQUEST_LINE if sender == CLIENT else _STATUS_LINE).match(text):
        return "http"  # nearly always, so it comes first
    found = [_binary(data, sender), _literal(data, b"SSH-", "ssh")]
    if sender == CLIENT:
        found += (_literal(data, _PREFACE, "http2"), _literal(data, _PROXY_V2, ""))
        found.append(_request(text))
    elif not text or _is_part(text, PROXY):
        found.append(_OPEN)
    for name in found:
        if name and name != _OPEN:
            return name
    if more and _OPEN in found:
        return ""
    return "http-part" if text and _is_part(text, sender) else "other"


def _literal(data: bytes, start: bytes, name: str) -> str:
    if data.startswith(start):
        return name
    return _OPEN if start.startswith(data) else ""


def _request(text: bytes) -> str:
    if _OLD_REQUEST.match(text):
        return "http"
    if b"\n" in text:
        return ""  # a whole line, and no HTTP
    if len(text) >= WINDOW and _LIKELY_REQUEST.fullmatch(text):
        return "http"
    return _OPEN if not text or (len(text) < WINDOW and _ANY_REQUEST.fullmatch(text)) else ""


def _is_part(text: bytes, sender: int) -> bool:
    """Whether this is the start of a request or status line that ends too soon."""
    if sender == CLIENT:
        if b" " in text:
            return _LIKELY_REQUEST.fullmatch(text) is not None
        return any(method.startswith(text.upper()) for method in _METHODS.split(b"|"))
    if len(text) <= 5 and (b"HTTP/".startswith(text.upper()) or b"ICY ".startswith(text.upper())):
        return True
    return _STATUS_PART.fullmatch(text) is not None


def _binary(data: bytes, sender: int) -> str:
    """SSL 2, SOCKS and HTTP/2 of the server; ``_OPEN`` for too few bytes, empty for none."""
    first = data[0]
    if first & 0x80 and sender == CLIENT:
        return _ssl2(data)
    if first == 5:
        return _socks5(data, sender)
    if sender == CLIENT:
        if first != 4:
            return ""
        # VN, CD, port and address (SOCKS4 specification)
        return _OPEN if len(data) < 8 else "socks4" if data[1] in (1, 2) else ""
    if first:
        return ""
    if len(data) == 8 and 0x5A <= data[1] <= 0x5D:
        return "socks4"
    if len(data) < 9:
        return _OPEN
    # A SETTINGS frame on stream 0 (RFC 9113 section 3.4)
    return "http2" if data[3] == 4 and data[5:9] == bytes(4) else ""


def _socks5(data: bytes, sender: int) -> str:
    """A greeting ``05 n m1 … mn`` or its answer ``05 m`` (RFC 1928 section 3)."""
    if len(data) < 2:
        return _OPEN
    if sender == PROXY:
        return "socks5" if len(data) == 2 or data[2] in (1, 5) else ""
    if not data[1]:
        return ""
    methods = data[2 : 2 + data[1]]
    return _OPEN if len(methods) < data[1] else "" if 0xFF in methods else "socks5"


def _tls(data: bytes) -> str:
    """A TLS record header (RFC 8446 section 5.1)."""
    if len(data) < 5:
        return _OPEN if data[1:2] in (b"", b"\x03") and data[2:3] <= b"\x04" else ""
    return "tls" if looks_like_record(data) else ""


def _ssl2(data: bytes) -> str:
    """The ClientHello of SSL 2 (RFC 5246 appendix E.2)."""
    if len(data) < 5:
        return _OPEN if data[2:3] in (b"", b"\x01") else ""
    return "tls" if data[2] == 1 and data[3:5] in _SSL2_VERSIONS else ""


def proxy_protocol_length(data: bytes) -> int:
    """Length of a PROXY protocol header (v1 or v2) at the start, 0 without one.

    Load balancers put it in front of the client's first byte.
    """
    if data.startswith(b"PROXY "):
        match = _PROXY_V1.match(data)
        return match.end() if match else 0
    if data.startswith(_PROXY_V2) and len(data) >= 16:
        return 16 + int.from_bytes(data[14:16], "big")
    return 0
