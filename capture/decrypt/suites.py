"""What a cipher suite asks for, taken from its name (RFC 5246 appendix C, RFC 8446 B.4)."""

from __future__ import annotations

import re
from enum import StrEnum
from functools import lru_cache
from typing import Final

from capture.protocols.tls_names import cipher_name
from capture.record import record

__all__ = ["Mode", "Suite", "suite_of"]


class Mode(StrEnum):
    """How records are sealed."""

    GCM = "gcm"
    CCM = "ccm"
    CHACHA = "chacha"
    CBC = "cbc"


@record
class Suite:
    """Parameters of a cipher suite; lengths in bytes."""

    mode: Mode
    key: int
    hash: str
    """Of the key schedule: a name that ``hashlib`` knows."""
    mac: str = ""
    """Hash of the record's MAC (CBC only)."""
    tag: int = 16

    @property
    def salt(self) -> int:
        """The part of the nonce that TLS 1.2 takes from the key block."""
        if self.mode is Mode.CBC:
            return 0
        return 12 if self.mode is Mode.CHACHA else 4


_NAME: Final = re.compile(
    r"TLS_(?:\w+_WITH_)?(?:AES_(?P<bits>128|256)_(?P<mode>GCM|CCM_8|CCM|CBC)|CHACHA20_POLY1305)"
    r"(?:_(?P<hash>SHA\d*))?"
)


@lru_cache(maxsize=64)
def suite_of(number: int) -> Suite | None:
    """A suite that can be opened here; None for the others (RC4, 3DES, Camellia, ...)."""
    match = _NAME.fullmatch(cipher_name(number))
    if match is None:
        return None
    hashed = (match["hash"] or "SHA256").lower()
    # SHA-1 is for MACs only: the PRF takes at least SHA-256 (RFC 5246 section 5).
    schedule = "sha384" if hashed == "sha384" else "sha256"
    if match["mode"] is None:
        return Suite(Mode.CHACHA, 32, schedule)
    key = int(match["bits"]) // 8
    if match["mode"] == "CBC":
        return Suite(Mode.CBC, key, schedule, mac="sha1" if hashed == "sha" else hashed)
    if match["mode"] == "GCM":
        return Suite(Mode.GCM, key, schedule)
    return Suite(Mode.CCM, key, schedule, tag=8 if match["mode"] == "CCM_8" else 16)
