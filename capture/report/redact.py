"""The last guard: what every rendered string goes through before it leaves the program.

The parsers mask credentials long before a report exists, and make network text safe to
print. This guard knows nothing of where a string came from and looks only at what must
never be printed, so that a text from elsewhere (a rule of the user's, a file name, an
error page quoted in an observation) cannot undo that.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from capture.protocols.text import MASK, SECRET_NAME, mask_urls, printable, unescaped

_LONGEST: Final = 20_000
"""Characters kept of one string: no text of a report is near it."""

_HINTS: Final = (
    *("@", "auth", "basic", "cookie", "bearer", "tlrmtvnt", "eyj", "%40", "-u", "user"),
    *("passw", "passp", "pwd"),
)

# Kept as text: hardly any report needs them, and compiling costs a fast start.
_FIELD: Final = (
    r"(?i)(?P<name>\b(?:proxy-)?authori[sz]ation|\b(?:set-)?cookie2?|\bx-api-key)"
    r"(?P<colon>\s*[:=]\s*)(?P<scheme>(?:basic|digest|ntlm|negotiate|bearer|kerberos)\b)?"
    r"(?P<value>[^\r\n]+)"
)
_NTLM: Final = r"TlRMTVNTUA[A-Za-z0-9+/=]*"
_BLOB: Final = r"(?i)\b(?P<scheme>basic|bearer)(?P<gap>\s+)(?P<blob>[\w.~+/=-]{6,})"
_USERINFO: Final = r"(?<![\w/])[^\s:/@\"'<>()]{1,64}:[^\s/@\"'<>]{1,128}@(?=[\w\[])"
_OPTION: Final = (
    r"(?P<option>(?<!\S)(?:--(?:proxy-)?user|-[uU])[= ]\s{0,9})(?!USER:PASS)[^\s:]{1,64}:\S+"
)
"""curl's user and password, as pasted commands have them; placeholders of advice stay."""
_PROSE: Final = (
    r"(?i)(?P<name>(?<![\w-])(?:password|passwd|passphrase|pwd)[\"']?\s{0,3}(?P<sign>[:=]|is\b)\s{0,3}"
    r"[\"']?)(?P<value>[^\s\"'&;,<>]+)"
)
"""A password that somebody told in words."""
_PARAMETER: Final = r"(?P<name>\b[\w.-]{2,40})=(?P<value>\"[^\"]*\"|[^\s&;,\"'<>)]+)"


@lru_cache(maxsize=4096)
def safe(text: str) -> str:
    """Return ``text`` as one printable line without credentials.

    Idempotent; plain text comes back as it is. Cached, since clients, proxies and targets
    repeat themselves thousands of times in a report.
    """
    text = printable(text, _LONGEST)
    lowered = text.lower()
    if any(hint in lowered for hint in _HINTS):
        return redact(text)
    # ``seq=1 ack=1``: most of what has an equals sign has no secret.
    if "=" in text and SECRET_NAME.search(unescaped(text).replace("_", "-")):
        return redact(text)
    return text


def redact(text: str) -> str:
    """Mask credentials in ``text``: fields, userinfo, Basic, Bearer and NTLM blobs."""
    text = re.sub(_FIELD, _mask_field, text)
    text = re.sub(_NTLM, MASK, text)
    text = re.sub(_BLOB, _mask_blob, text)
    text = mask_urls(text)
    text = re.sub(_USERINFO, f"{MASK}@", text)
    text = re.sub(_OPTION, rf"\g<option>{MASK}", text)
    text = re.sub(_PROSE, _mask_prose, text)
    return re.sub(_PARAMETER, _mask_parameter, text)


def _mask_field(match: re.Match[str]) -> str:
    scheme = match["scheme"] or ""
    rest = match["value"].strip()
    if not scheme and not rest:
        return match[0]
    return f"{match['name']}{match['colon']}{scheme}{' ' if scheme else ''}{MASK}"


def _mask_blob(match: re.Match[str]) -> str:
    """Mask what looks like a credential, not prose such as ``Basic authentication``."""
    blob = match["blob"]
    looks = _holds_user_and_password(blob)
    if match["scheme"].lower() == "bearer":
        looks = looks or (len(blob) >= 16 and any(char.isdigit() for char in blob))
    return f"{match['scheme']}{match['gap']}{MASK}" if looks else match[0]


def _mask_prose(match: re.Match[str]) -> str:
    """Mask what a sentence gives away, not what it says of one: ``the password is wrong``."""
    value = match["value"].rstrip(".!?)")
    said = match["sign"].lower() == "is" and value.isalpha() and value.islower()
    return match[0] if said else f"{match['name']}{MASK}"


def _holds_user_and_password(blob: str) -> bool:
    """Whether ``blob`` is base64 of printable text with a colon (RFC 7617)."""
    from base64 import b64decode
    from binascii import Error

    core = blob.rstrip("=.")
    try:
        raw = b64decode(core + "=" * (-len(core) % 4), validate=True)
    except (Error, ValueError):
        return False
    return b":" in raw


def _mask_parameter(match: re.Match[str]) -> str:
    name = match["name"].replace("_", "-")
    # ``sessions=3`` counts something: a number of few digits is no secret worth a mask.
    if not SECRET_NAME.search(name) or (match["value"].isdigit() and len(match["value"]) < 4):
        return match[0]
    return f"{match['name']}={MASK}"
