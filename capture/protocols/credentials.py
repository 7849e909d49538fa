"""Reads authentication fields of HTTP (RFC 9110 section 11) and keeps no secret of them."""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterable
from typing import Final

from capture.protocols.events import Challenge, Credentials
from capture.protocols.text import MASK, printable

__all__ = ["challenges_of", "credentials_of", "safe_challenge"]

SCHEMES: Final = frozenset(
    (
        *("basic", "digest", "ntlm", "negotiate", "kerberos", "bearer", "hoba", "mutual"),
        *("oauth", "scram-sha-1", "scram-sha-256", "vapid", "dpop", "gnap", "concealed"),
        *("privatetoken", "passport1.4", "aws4-hmac-sha256", "apikey", "token"),
    )
)
"""Schemes in use (IANA's registry and what is seen). Anything else in front of credentials
may be the credential itself, written without a scheme, and is never shown."""

UNKNOWN: Final = "unknown"

MAX_CHALLENGES: Final = 16
MAX_TOKEN: Final = 16384

_SIGNATURE: Final = b"NTLMSSP\x00"
_TOKEN: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_ITEM: Final = re.compile(r'(?:[^,"]|"(?:[^"\\]|\\.)*+"?)++', re.DOTALL)
_PARAMETER: Final = re.compile(
    rf'\s*({_TOKEN})\s*=\s*(?:"((?:[^"\\]|\\.)*+)"?|({_TOKEN}))?\s*', re.DOTALL
)
_SCHEME: Final = re.compile(rf"\s*({_TOKEN})(?:\s+(.*))?", re.DOTALL)


def credentials_of(value: str) -> Credentials:
    """What an Authorization or Proxy-Authorization value says without its secret."""
    scheme, _, rest = value.strip().partition(" ")
    scheme = scheme.lower()
    if scheme not in SCHEMES:
        return Credentials(UNKNOWN)
    ntlm = _ntlm_type(rest) if scheme in ("ntlm", "negotiate") else 0
    return Credentials(scheme, ntlm)


def challenges_of(values: Iterable[str]) -> tuple[Challenge, ...]:
    """All challenges of the (Proxy|WWW)-Authenticate fields, in order.

    Several may share one field, with commas between them and between their parameters, and
    commas inside quoted strings.
    """
    found: list[Challenge] = []
    for value in values:
        current: dict[str, str] | None = None
        for item in _ITEM.findall(value[:MAX_TOKEN]):
            parameter = _PARAMETER.fullmatch(item)
            if parameter is None:
                match = _SCHEME.fullmatch(item)
                if match is None:
                    continue
                if current is not None:
                    found.append(_challenge(current))
                if len(found) >= MAX_CHALLENGES:
                    return tuple(found)
                current = {"": match[1]}
                rest = match[2] or ""
                parameter = _PARAMETER.fullmatch(rest)
                if parameter is None:
                    current["68"] = rest  # token68: NTLM and Negotiate
            if parameter is not None and current is not None:
                text = parameter[2] if parameter[2] is not None else parameter[3] or ""
                current.setdefault(parameter[1].lower(), text)
        if current is not None:
            found.append(_challenge(current))
        if len(found) >= MAX_CHALLENGES:
            break
    return tuple(found[:MAX_CHALLENGES])


def safe_challenge(value: str) -> str:
    """A challenge field for display: scheme and realm stay, tokens go."""
    return ", ".join(
        challenge.scheme
        + (f' realm="{challenge.realm}"' if challenge.realm else "")
        + (" stale=true" if challenge.stale else "")
        + (f" {MASK}" if challenge.ntlm_type else "")
        for challenge in challenges_of([value])
    )


def _challenge(parts: dict[str, str]) -> Challenge:
    scheme = parts[""].lower()
    realm = re.sub(r"\\(.)", r"\1", parts.get("realm", ""), flags=re.DOTALL)
    return Challenge(
        scheme=printable(scheme, 40),
        realm=printable(realm, 200),
        stale=parts.get("stale", "").lower() == "true",
        ntlm_type=_ntlm_type(parts["68"]) if "68" in parts else 0,
    )


def _ntlm_type(token: str) -> int:
    """Message type 1-3 of an NTLMSSP message, bare or wrapped in SPNEGO; 0 without one."""
    text = token.strip()[:MAX_TOKEN]
    if not text.isascii():
        return 0
    try:
        data = binascii.a2b_base64(text[: len(text) & ~3])
    except binascii.Error:
        return 0
    at = data.find(_SIGNATURE)
    if at < 0 or len(data) < at + 9:
        return 0
    kind = data[at + 8]
    return kind if kind in (1, 2, 3) else 0
