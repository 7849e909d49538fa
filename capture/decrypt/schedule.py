"""From secrets to keys: TLS 1.3's HKDF (RFC 8446 section 7) and TLS 1.2's PRF."""

from __future__ import annotations

import hmac
from typing import NamedTuple

from capture.decrypt.suites import Mode, Suite

__all__ = ["Keys", "expand_label", "key_block", "next_secret", "prf", "traffic_keys"]


class Keys(NamedTuple):
    """Keys of one direction."""

    key: bytes
    iv: bytes
    """TLS 1.3: the whole nonce's; TLS 1.2: the part that does not travel."""
    mac: bytes = b""


def expand_label(hashed: str, secret: bytes, label: str, length: int) -> bytes:
    """HKDF-Expand-Label with an empty context (RFC 8446 section 7.1, RFC 5869 section 2.3)."""
    name = b"tls13 " + label.encode("ascii")
    info = length.to_bytes(2, "big") + bytes([len(name)]) + name + b"\0"
    out, block, count = b"", b"", 0
    while len(out) < length:
        count += 1
        block = hmac.digest(secret, block + info + bytes([count]), hashed)
        out += block
    return out[:length]


def traffic_keys(suite: Suite, secret: bytes) -> Keys:
    """Key and nonce of a traffic secret (RFC 8446 section 7.3)."""
    return Keys(
        expand_label(suite.hash, secret, "key", suite.key),
        expand_label(suite.hash, secret, "iv", 12),
    )


def next_secret(suite: Suite, secret: bytes) -> bytes:
    """The traffic secret behind a KeyUpdate (RFC 8446 section 7.2)."""
    return expand_label(suite.hash, secret, "traffic upd", len(secret))


def prf(hashed: str, secret: bytes, label: bytes, seed: bytes, length: int) -> bytes:
    """The pseudorandom function of TLS 1.2 (RFC 5246 section 5)."""
    seed = label + seed
    out, chained = b"", seed
    while len(out) < length:
        chained = hmac.digest(secret, chained, hashed)
        out += hmac.digest(secret, chained + seed, hashed)
    return out[:length]


def key_block(
    suite: Suite, master: bytes, client_random: bytes, server_random: bytes
) -> tuple[Keys, Keys]:
    """Keys of the client's and of the server's direction (RFC 5246 section 6.3)."""
    mac = {"": 0, "sha1": 20, "sha256": 32, "sha384": 48}[suite.mac]
    sizes = (mac, mac, suite.key, suite.key, suite.salt, suite.salt)
    block = prf(suite.hash, master, b"key expansion", server_random + client_random, sum(sizes))
    parts: list[bytes] = []
    for size in sizes:
        parts.append(block[:size])
        block = block[size:]
    assert suite.mode is Mode.CBC or not mac
    return Keys(parts[2], parts[4], parts[0]), Keys(parts[3], parts[5], parts[1])
