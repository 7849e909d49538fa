"""Reads HTTP/1.x heads (RFC 9112): bytes in, frozen events out, no state.

Tolerant where RFC 9112 asks recipients to be (bare LF, empty lines before the head,
obsolete line folding, no reason phrase), strict about what is HTTP at all. Secrets are
masked here, before anything is stored. What is wrong with a head, but did not keep it from
being read, is listed in words: the observation of a later finding.

Following bodies and pairing replies with requests is the work of ``conversation``.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from capture.protocols.credentials import challenges_of, credentials_of, safe_challenge
from capture.protocols.events import Challenge, Credentials, Headers, Request, Response
from capture.protocols.text import MASK, SECRET_NAME, mask_target, mask_urls, printable

__all__ = ["KNOWN_METHODS", "head_end", "parse_request", "parse_response"]

KNOWN_METHODS: Final = frozenset(
    (
        *("CONNECT", "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH"),
        *("PROPFIND", "PROPPATCH", "MKCOL", "COPY", "MOVE", "LOCK", "UNLOCK", "REPORT"),
        *("SEARCH", "PURGE"),
    )
)
"""Methods that are taken for HTTP before the version is seen."""

CACHED_LENGTH: Final = 4096
"""Longer heads are parsed anew each time; with the cache's 1024 entries this bounds it."""

MAX_FIELDS: Final = 200
MAX_VALUE: Final = 1000
MAX_TARGET: Final = 2000
MAX_ODDITIES: Final = 12

DEFAULT_PORTS: Final = {"http": 80, "https": 443, "ws": 80, "wss": 443, "ftp": 21}

_TOKEN: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}"
_HEAD_END: Final = re.compile(rb"\n\r?\n")
_REQUEST_LINE: Final = re.compile(rf"({_TOKEN})( +)(.*)", re.DOTALL)
_VERSION: Final = re.compile(r"HTTP/[0-9]\.[0-9]", re.IGNORECASE)
_REQUEST_START: Final = re.compile(rf"({_TOKEN}) +(\S*)( ?)")
_STATUS_LINE: Final = re.compile(
    r"(HTTP/[0-9](?:\.[0-9])?|ICY)[ \t]+([1-9][0-9]{2})(?:[ \t]+(.*))?", re.I
)
_ABSOLUTE: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]{0,30})://([^/?#]*)")
_AUTHORITY: Final = re.compile(r"(\[[^\]]*\]|[^:\[\]]*)(?::([0-9]*))?")
_FOLD: Final = re.compile(r"\r?\n[ \t]+")


def head_end(data: bytes | bytearray, start: int = 0) -> int:
    """Offset just beyond the blank line that ends a head; -1 when it is not there.

    Lines end in CRLF or in a bare LF (RFC 9112 section 2.2).
    """
    match = _HEAD_END.search(data, start)
    return match.end() if match else -1


def parse_request(head: bytes, complete: bool = True) -> Request | None:
    """Parse a request head; None when it is not HTTP.

    Args:
        head: Bytes from the first of the head on; bytes behind its blank line are ignored.
        complete: False when the capture holds only the start of the head. Then the
            target counts only when the blank behind it was seen; of a CONNECT whose target
            is cut the target is empty.
    """
    if len(head) > CACHED_LENGTH:
        return _parse_request(head, complete)
    return _cached_request(head, complete)


def parse_response(head: bytes, complete: bool = True) -> Response | None:
    """Parse a response head; None when it is not HTTP. Arguments as ``parse_request``."""
    if len(head) > CACHED_LENGTH:
        return _parse_response(head, complete)
    return _cached_response(head, complete)


def _parse_request(head: bytes, complete: bool) -> Request | None:
    line, rest, length, odd = _split(head)
    if rest is None:  # not even the first line is whole
        return _cut_request(line, len(head)) if not complete else None
    match = _REQUEST_LINE.match(line)
    if match is None:
        return None
    method, blanks, target = match.groups()
    target, version = _target_and_version(method, target.rstrip(" \t"), odd)
    if version is None or not target:
        return None
    if len(blanks) > 1 or " " in target:
        odd.append("stray blank in request line")
    if not method.isupper() and method.upper() in KNOWN_METHODS:
        odd.append("lower-case method")
        method = method.upper()
    headers, raw = _headers(rest if complete else _whole_lines(rest), odd)
    form, authority = _target(method, target, odd)
    _check_host(form, authority, version, headers, complete, odd)
    return Request(
        method=method,
        target=printable(mask_target(target), MAX_TARGET),
        form=form,
        version=version,
        headers=headers,
        authority=printable(authority, MAX_VALUE),
        credentials=_credentials(raw.get("proxy-authorization")),
        length=length,
        complete=complete,
        malformed=tuple(odd[:MAX_ODDITIES]),
    )


def _target_and_version(method: str, rest: str, odd: list[str]) -> tuple[str, str | None]:
    """Split the rest of a request line; the version is None when it is not HTTP/1."""
    # The version is looked for at the end alone: what is between may be any bytes.
    if _VERSION.fullmatch(rest, len(rest) - 8) and rest[-9:-8] in (" ", "\t"):
        version = rest[-8:]
        if method == "PRI" or (version[5] not in "01" and method != "CONNECT"):
            return rest, None  # HTTP/2's preface and what is yet to come
        if version[5] not in "01":
            odd.append("unknown version")
        if version[:4] != "HTTP":
            odd.append("lower-case version")
        return rest[:-9].rstrip(" \t"), version.upper()
    # HTTP/0.9 had no version. IRC's CONNECT has none, too, but then no host:port.
    if (method == "CONNECT" and re.fullmatch(r"[^\s/]+:[0-9]{1,5}", rest)) or (
        method == "GET" and re.fullmatch(r"(?:http://|/)\S*", rest)
    ):
        odd.append("no version")
        return rest, ""
    return rest, None


def _cut_request(line: str, length: int) -> Request | None:
    """What the start of a request line proves."""
    match = _REQUEST_START.match(line)
    if match is None or (method := match[1].upper()) not in KNOWN_METHODS:
        return None
    target, whole = match[2], bool(match[3])
    rest = line[match.end() :].lstrip()
    if rest and not "HTTP/1.".startswith(rest[:7].upper()):
        return None
    odd: list[str] = []
    if not whole:
        odd.append("target cut by the capture")
        if method == "CONNECT":
            form, authority, target = "authority", "", ""
        else:
            form, authority = _target(method, target, odd)
            known = _ABSOLUTE.match(target)
            if known and known.end() == len(target):
                authority = ""  # the host may go on
            target = mask_target(target) + "…"
    else:
        form, authority = _target(method, target, odd)
        target = mask_target(target)
    version = rest.rstrip().upper() if len(rest) >= 8 else ""
    return Request(
        method, printable(target, MAX_TARGET), form, version, (), printable(authority, MAX_VALUE),
        None, length, False, tuple(odd),
    )  # fmt: skip


def _target(method: str, target: str, odd: list[str]) -> tuple[str, str]:
    """Form of a request target (RFC 9112 section 3.2) and the authority it names."""
    if method == "CONNECT":
        _check_authority(target, odd)
        return "authority", mask_target(target)
    if target.startswith("/"):
        return "origin", ""
    if target == "*":
        return "asterisk", ""
    match = _ABSOLUTE.match(target)
    if match is None:
        odd.append("unknown form of target")
        return "origin", ""
    scheme, authority = match[1].lower(), match[2]
    host = authority.rpartition("@")[2]
    if host != authority:
        odd.append("userinfo in target")
    _, colon, port = host.rpartition(":")
    if host.endswith("]") or not (colon and port.isdigit()):
        default = DEFAULT_PORTS.get(scheme)
        host = f"{host.removesuffix(':')}:{default}" if default and host else host
    return "absolute", host


def _check_authority(target: str, odd: list[str]) -> None:
    """Note what is wrong with the authority of a CONNECT (RFC 9110 section 7.2, 9.3.6)."""
    if "@" in target:
        odd.append("userinfo in authority")
        target = target.rpartition("@")[2]
    match = _ABSOLUTE.match(target)
    if match:
        odd.append("scheme in authority")
        target = target[match.end(1) + 3 :]
    host, slash, _ = target.partition("/")
    if slash:
        odd.append("path in authority")
    if host.count(":") > 1 and not host.startswith("["):
        odd.append("unbracketed IPv6")
        return
    parts = _AUTHORITY.fullmatch(host)
    if parts is None:
        odd.append("bad authority")
    elif not parts[1]:
        odd.append("no host")
    elif not parts[2]:
        odd.append("no port")
    elif len(parts[2]) > 5 or not 0 < int(parts[2]) < 65536:
        odd.append("bad port")


def _check_host(
    form: str, authority: str, version: str, headers: Headers, complete: bool, odd: list[str]
) -> None:
    """Note a missing, repeated or contradicting Host field (RFC 9112 section 3.2)."""
    hosts = [value for name, value in headers if name == "host"]
    if len(hosts) > 1:
        odd.append("several host headers")
    if not hosts:
        if complete and version == "HTTP/1.1":
            odd.append("no host header")
    elif form in ("authority", "absolute") and _host_differs(hosts[0], authority):
        odd.append("host header differs")


def _host_differs(field: str, authority: str) -> bool:
    """Whether Host names another host, or, where both name a port, another port."""
    if field == authority or not field:
        return False
    authority = authority.rpartition("@")[2].rpartition("://")[2].partition("/")[0]
    ours, theirs = _AUTHORITY.fullmatch(field.lower()), _AUTHORITY.fullmatch(authority.lower())
    if ours is None or theirs is None:
        return field.lower() != authority.lower()
    if ours[1].rstrip(".") != theirs[1].rstrip("."):
        return True
    return bool(ours[2] and theirs[2] and ours[2] != theirs[2])


def _parse_response(head: bytes, complete: bool) -> Response | None:
    line, rest, length, odd = _split(head)
    match = _STATUS_LINE.fullmatch(line)
    if match is None:
        return None
    if rest is None and complete:
        return None
    status = int(match[2])
    headers, raw = _headers(_whole_lines(rest or "") if not complete else rest or "", odd)
    challenges: tuple[Challenge, ...] = ()
    if status in (401, 407):
        ours, other = "proxy-authenticate", "www-authenticate"
        if status == 401:
            ours, other = other, ours
        challenges = challenges_of(raw.get(ours) or raw.get(other) or [])
    return Response(
        status=status,
        reason=mask_urls(printable((match[3] or "").strip(" \t\r"), 200)),
        version=match[1].upper(),
        headers=headers,
        challenges=challenges,
        length=length,
        complete=complete,
        reason_cut=rest is None,
    )


_cached_request = lru_cache(maxsize=1024)(_parse_request)
_cached_response = lru_cache(maxsize=1024)(_parse_response)


def _split(head: bytes) -> tuple[str, str | None, int, list[str]]:
    """First line, field lines (None when the first line has no end), length, oddities."""
    start = 0
    while head[start : start + 1] in (b"\r", b"\n"):
        start += 1
    end = head_end(head, start)
    length = end if end >= 0 else len(head)
    raw = head[start:length]
    odd = []
    if raw.count(b"\n") != raw.count(b"\r\n"):
        odd.append("bare LF")
    line, newline, rest = raw.decode("utf-8", "backslashreplace").partition("\n")
    line = line.removesuffix("\r")
    return line, rest if newline else None, length, odd


def _whole_lines(text: str) -> str:
    """Leave out a last line that was cut: half a value proves nothing."""
    return text[: text.rfind("\n") + 1]


def _headers(text: str, odd: list[str]) -> tuple[Headers, dict[str, list[str]]]:
    """Field lines as safe pairs; and, unmasked, the values of the authentication fields."""
    if "\n " in text or "\n\t" in text:
        text = _FOLD.sub(" ", text)
        odd.append("folded header")
    headers: list[tuple[str, str]] = []
    raw: dict[str, list[str]] = {}
    lines = text.split("\n", MAX_FIELDS + 1)
    if len(lines) > MAX_FIELDS:
        del lines[MAX_FIELDS:]
        odd.append("too many headers")
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon:
            if line.strip():
                _note(odd, "header without colon")
            continue
        name, kind, strange = _field_name(name)
        if strange:
            _note(odd, "bad header name")
        value = value.strip(" \t\r")
        if kind == _SAFE:
            if "@" in value or "=" in value or "eyJ" in value:
                value = mask_target(value) if name == "host" else mask_urls(value)
        elif kind == _CHALLENGE:
            raw.setdefault(name, []).append(value)
            value = safe_challenge(value)
        elif kind == _CREDENTIALS:
            raw.setdefault(name, []).append(value)
            found = credentials_of(value)
            value = f"{found.scheme} {MASK}"
        else:
            value = MASK
        headers.append((name, printable(value, MAX_VALUE)))
    return tuple(headers), raw


_SAFE, _SECRET, _CREDENTIALS, _CHALLENGE = range(4)


@lru_cache(maxsize=512)
def _field_name(name: str) -> tuple[str, int, bool]:
    """Lower-case printable name, what its value may hold, and whether it is no token."""
    clean = name.strip(" \t\r").lower()
    kind = _SAFE
    if clean in ("authorization", "proxy-authorization"):
        kind = _CREDENTIALS
    elif clean in ("proxy-authenticate", "www-authenticate"):
        kind = _CHALLENGE
    elif SECRET_NAME.search(clean.replace("_", "-")):
        kind = _SECRET
    strange = re.fullmatch(_TOKEN, name) is None
    return printable(clean, 80), kind, strange


def _note(odd: list[str], word: str) -> None:
    if word not in odd:
        odd.append(word)


def _credentials(values: list[str] | None) -> Credentials | None:
    return credentials_of(values[0]) if values else None
