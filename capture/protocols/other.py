"""Names the language a stream begins in, from its first bytes alone."""

from __future__ import annotations

import re
from typing import Final

from capture.protocols.http1 import KNOWN_METHODS
from capture.protocols.readers import CLIENT

__all__ = ["LANGUAGES", "language", "proxy_protocol_length"]

LANGUAGES: Final = (
    "http", "tls", "socks4", "socks5", "ssh", "http2", "http-part", "other", "",
)  # fmt: skip
"""Values of ``language``; the same as those of ``FlowFacts.first_language``."""

MAX_TLS_RECORD: Final = 16384 + 2048

_METHODS: Final = "|".join(sorted(KNOWN_METHODS)).encode()
_TOKEN: Final = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}"
_REQUEST_LINE: Final = re.compile(
    rb"%s +[^\r\n]*[^ \r\n] +HTTP/[01]\.[0-9]" % _TOKEN, re.IGNORECASE
)
_REQUEST_PART: Final = re.compile(rb"(?:%s) +(?!sips?:|rtsp:|icap:)[^\r\n]*" % _METHODS)
_OLD_REQUEST: Final = re.compile(rb"CONNECT [^\s/]+:[0-9]{1,5}\r?\n|GET (?:http://|/)\S*\r?\n")
_STATUS_LINE: Final = re.compile(rb"(?:HTTP/[0-9](?:\.[0-9])?|ICY) +[1-9][0-9]{2}\b", re.IGNORECASE)
_PREFACE: Final = b"PRI * HTTP/2.0"
_PROXY_V1: Final = re.compile(rb"PROXY (?:TCP[46]|UNKNOWN)[^\r\n]{0,90}\r\n")
_PROXY_V2: Final = b"\r\n\r\n\x00\r\nQUIT\n"


def language(data: bytes, sender: int, more: bool = False) -> str:
    """Name what a stream began with: one of ``LANGUAGES``.

    Args:
        data: The stream's first bytes; 64 suffice, except for request lines that are longer.
        sender: ``CLIENT`` or ``PROXY``; SOCKS looks different from each side.
        more: Whether more bytes may come. Then the empty string says "cannot tell yet";
            without, it says that there were no bytes.

    ``http`` needs a request or status line; ``http-part`` is the start of one, cut off.
    """
    data = data[proxy_protocol_length(data) :] if sender == CLIENT else data
    if not data:
        return ""
    text = data.lstrip(b"\r\n")
    if _REQUEST_LINE.match(text) and not text.startswith(b"PRI "):
        return "http"
    if _STATUS_LINE.match(text) or _OLD_REQUEST.match(text):
        return "http"
    binary = _binary(data, sender)
    if binary:
        return "" if binary == "?" and more else "other" if binary == "?" else binary
    if data.startswith(b"SSH-"):
        return "ssh"
    if data.startswith(_PREFACE):
        return "http2"
    if not text or _may_be_http(text):
        return "" if more else "http-part" if text else "other"
    if more and (b"SSH-".startswith(data[:4]) or _PREFACE.startswith(data[:14])):
        return ""
    return "other"


def _may_be_http(text: bytes) -> bool:
    """Whether the bytes are the start of a request or status line that is cut off."""
    line, newline, _ = text.partition(b"\n")
    if newline:
        return False  # a whole line, and no HTTP
    upper = line.upper()
    if b"HTTP/".startswith(upper[:5]):
        return re.fullmatch(rb"HTTP/?[0-9]?\.?[0-9]? *[1-9]?[0-9]{0,2}", upper) is not None or (
            len(upper) < 5
        )
    if b" " not in line:
        return any(method.startswith(line) for method in _METHODS.split(b"|"))
    return _REQUEST_PART.fullmatch(line) is not None


def _binary(data: bytes, sender: int) -> str:
    """``tls``, ``socks4``, ``socks5``, ``http2``; ``?`` for too few bytes; empty for none."""
    first = data[0]
    if 20 <= first <= 24 or (first & 0x80 and sender == CLIENT):
        return _tls(data)
    if sender == CLIENT:
        if first == 5:
            return _greeting5(data)
        if first == 4:
            if len(data) < 8:
                return "?"
            return "socks4" if data[1] in (1, 2) else "other"
        return ""
    if first == 5:
        return (
            "?" if len(data) < 2 else "socks5" if len(data) == 2 or data[2] in (0, 5) else "other"
        )
    if first == 0:
        if data[1:2] and 0x5A <= data[1] <= 0x5D and len(data) <= 8:
            return "socks4"
        if len(data) >= 9 and data[3] == 4 and data[5:9] == bytes(4):
            return "http2"  # a SETTINGS frame (RFC 9113 section 3.4)
        return "?" if len(data) < 2 else "other"
    return ""


def _greeting5(data: bytes) -> str:
    """SOCKS5 greeting ``05 n m1 … mn`` (RFC 1928 section 3)."""
    if len(data) < 2 or len(data) < 2 + data[1]:
        return "?"
    return "socks5" if data[1] and data[2 : 2 + data[1]].count(0xFF) == 0 else "other"


def _tls(data: bytes) -> str:
    """A TLS record header (RFC 8446 section 5.1), or the ClientHello of SSL 2."""
    if data[0] & 0x80:
        if len(data) < 5:
            return "?"
        return "tls" if data[2] == 1 and data[3:5] in _SSL2_VERSIONS else "other"
    if len(data) < 5:
        good = data[1:2] in (b"", b"\x03") and data[2:3] <= b"\x04"
        return "?" if good else "other"
    good = data[1] == 3 and data[2] <= 4 and int.from_bytes(data[3:5], "big") <= MAX_TLS_RECORD
    return "tls" if good else "other"


_SSL2_VERSIONS: Final = (b"\x00\x02", b"\x03\x00", b"\x03\x01", b"\x03\x02", b"\x03\x03")


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
