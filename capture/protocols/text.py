"""Makes text from the network safe to show: no byte of it may steer a terminal or tell a secret.

Everything that is printed, drawn or exported and came off the wire goes through
``printable``; every URI and authority goes through ``mask_target`` first.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = [
    "MASK",
    "SECRET_NAME",
    "mask_target",
    "mask_urls",
    "printable",
    "unescaped",
    "userinfo_span",
]

MASK: Final = "***"
"""Stands for a secret that was there."""

REPLACEMENT: Final = "·"
"""Stands for a character that cannot be shown."""

DEFAULT_LIMIT: Final = 1000

# What str.isprintable() lets through although it shows nothing or only changes how its
# neighbours look: fillers, joiners, variation selectors, the blank Braille pattern
# (Unicode's Default_Ignorable_Code_Point, minus what isprintable() refuses already).
_INVISIBLE: Final = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164"
    "\ufe00-\ufe0f\uffa0\U000e0000-\U000e0fff]"
)
_MAX_MARKS: Final = 3
"""Combining marks kept on one letter: no script in use needs more, and a pile of them
draws over the lines above."""


def printable(value: str | bytes, limit: int = DEFAULT_LIMIT) -> str:
    r"""Return ``value`` as one line of at most ``limit`` characters, safe for any terminal.

    C0 and C1 controls, DEL, bidirectional and other format characters, lone surrogates,
    invisible and unassigned characters become ``·``; every kind of blank (tab, no-break
    space, …) becomes a space; bytes that are not UTF-8 are shown as ``\xNN``. Letters of
    all scripts stay. Text that is cut ends in ``…``. Never raises; markup characters such
    as ``[`` are left alone: output is text, never markup.

    Args:
        value: Anything off the wire.
        limit: Largest number of characters to return (at least 1).
    """
    if isinstance(value, bytes | bytearray | memoryview):
        # Four bytes a character at most, so no byte beyond this can show.
        value = bytes(value[: 4 * limit + 4]).decode("utf-8", "backslashreplace")
    if len(value) > limit:
        value = value[: max(limit, 1) - 1] + "…"
    if value.isascii() and value.isprintable():
        return value
    return _clean(value)


def _clean(text: str) -> str:
    """Replace what must not be shown, character by character (bounded by the limit)."""
    if not text.isprintable():
        text = "".join(
            char if char.isprintable() else " " if _is_blank(char) else REPLACEMENT for char in text
        )
    if text.isascii():
        return text
    return _limit_marks(_INVISIBLE.sub(REPLACEMENT, text))


def _is_blank(char: str) -> bool:
    """Tab and the horizontal spaces; not the line separators, which are replaced visibly."""
    return char == "\t" or (char.isspace() and char > "\x9f" and char not in "\u2028\u2029")


def _limit_marks(text: str) -> str:
    """Replace combining marks that have no letter to stand on, or too many companions."""
    from unicodedata import category

    marks = _MAX_MARKS  # at the start there is no letter to stand on
    out = []
    for char in text:
        if char < "\u0300" or category(char) not in ("Mn", "Me"):
            marks = _MAX_MARKS if char == " " else 0
        else:
            marks += 1
            if marks > _MAX_MARKS:
                char = REPLACEMENT
        out.append(char)
    return "".join(out)


SECRET_NAME: Final = re.compile(
    r"auth(?!or(?!i[sz])|enticate|entication-info)|cookie|token|secret|passw|passphrase"
    r"|\bpwd|\bpass\b|api[-_.]?key|access[-_.]?key|private[-_.]?key|subscription[-_.]?key|\bkey\b"
    r"|credential|session|signature|\bsig\b|\bsid\b|jwt|bearer|assertion|saml|ticket|\botp\b|\bpin\b",
    re.IGNORECASE,
)
"""Names of header fields and query parameters whose values are secrets (``search`` it)."""

_QUERY_SECRET: Final = re.compile(
    r"(?P<name>(?<=[?&;#])[^\s=&;#?/]{1,80})=(?P<value>[^\s&;#\"'<>]+)"
)
_JWT: Final = re.compile(r"(?<![\w-])eyJ[\w-]{8,}+\.[\w-]++(?:\.[\w-]*+)*")
"""A JSON Web Token (RFC 7519) under whatever name: ``eyJ`` is base64 for ``{"``."""
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,30}:[/\\]{2}")
_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,30}:[/\\]{2}[^\s\"'<>]+")
_ENCODED_USERINFO: Final = re.compile(
    r"(?P<lead>%3a%2f%2f)[^\s&;\"'<>/?#]{1,256}?(?=%40)", re.IGNORECASE
)
"""Userinfo of a URI that is itself a parameter of another one, percent-encoded."""


def mask_target(target: str) -> str:
    """Mask the secrets of a request target: userinfo, and telling query parameters.

    Takes any form of RFC 9112 section 3.2. Everything before the last ``@`` of an
    authority is userinfo, also where an unescaped ``/`` in a password would end the
    authority by the letter of RFC 3986: better to hide part of a path than to show a
    password.
    """
    if "@" in target:
        target = _mask_userinfo(target)
    if "%40" in target:
        target = _ENCODED_USERINFO.sub(rf"\g<lead>{MASK}", target)
    if "=" in target:
        target = _QUERY_SECRET.sub(_mask_parameter, target)
    if "eyJ" in target:
        target = _JWT.sub(MASK, target)
    return target


def mask_urls(text: str) -> str:
    """Mask the secrets of every URI inside ``text`` (header values, error pages)."""
    if "@" in text:
        text = _URL.sub(lambda match: _mask_userinfo(match[0]), text)
    if "%40" in text:
        text = _ENCODED_USERINFO.sub(rf"\g<lead>{MASK}", text)
    if "=" in text:
        text = _QUERY_SECRET.sub(_mask_parameter, text)
    if "eyJ" in text:
        text = _JWT.sub(MASK, text)
    return text


def userinfo_span(target: str) -> tuple[int, int] | None:
    """Where the userinfo of a URI or authority begins and ends (at its ``@``)."""
    scheme = _SCHEME.match(target)
    if scheme is None and target[:1] in "/*":
        return None  # origin form: an @ in a path is no userinfo
    start = scheme.end() if scheme else 0
    end = len(target)
    for stop in "/?#\\":
        at = target.find(stop, start)
        if 0 <= at < end:
            end = at
    at = target.rfind("@", start, end)
    if at < 0:
        # An authority whose "port" is no number is the start of a password with a slash.
        _, colon, port = target[start:end].rpartition(":")
        if not colon or port.isdigit() or target[start] == "[":
            return None
        at = target.rfind("@", end)
    return (start, at) if at >= 0 else None


def _mask_userinfo(target: str) -> str:
    span = userinfo_span(target)
    return f"{target[: span[0]]}{MASK}{target[span[1] :]}" if span else target


def _mask_parameter(match: re.Match[str]) -> str:
    name, value = unescaped(match["name"]), match["value"]
    # An OAuth authorisation code (RFC 6749 section 4.1.2) is a secret, an error code is not.
    secret = SECRET_NAME.search(name.replace("_", "-")) or (
        name.lower() == "code" and len(value) > 8
    )
    return f"{match['name']}={MASK}" if secret else match[0]


def unescaped(name: str) -> str:
    """The name of a parameter without percent-encoding, in which it could hide."""
    if "%" not in name:
        return name
    from urllib.parse import unquote

    return unquote(name)
