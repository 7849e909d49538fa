"""Opens sealed TLS records of one direction (RFC 8446 section 5.2, RFC 5246 section 6.2.3).

Whether a record opens is certain: each carries a tag or MAC that only the right key and the
right place in the stream fit.
"""

from __future__ import annotations

import hmac
from typing import Final, NamedTuple, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESCCM, AESGCM, ChaCha20Poly1305

from capture.decrypt.schedule import Keys, key_block, next_secret, traffic_keys
from capture.decrypt.suites import Mode, Suite

__all__ = ["Clear", "Protection", "Protection13", "protections_12"]

_APPLICATION_DATA: Final = 23
_VERSION: Final = b"\x03\x03"
"""Of records, in TLS 1.2 and (RFC 8446 section 5.2) in TLS 1.3."""
_EXPLICIT: Final = 8
"""Bytes of the nonce that travel with a record (RFC 5288 section 3)."""
_BLOCK: Final = 16


class Clear(NamedTuple):
    """A record's content."""

    type: int
    data: bytes


class Protection(Protocol):
    """One direction's keys."""

    def open(self, number: int, kind: int, body: bytes) -> Clear | None:
        """Open the record of a sequence number.

        Args:
            number: Records sent before it with these keys.
            kind: Content type in its header.
            body: What follows the header.

        Returns:
            None where it does not fit.
        """
        ...

    def following(self) -> Protection | None:
        """The keys that the sender goes over to by itself; None: there are none."""
        ...


class _Aead(Protocol):
    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None) -> bytes: ...


def _aead(suite: Suite, key: bytes) -> _Aead:
    if suite.mode is Mode.CHACHA:
        return ChaCha20Poly1305(key)
    return AESGCM(key) if suite.mode is Mode.GCM else AESCCM(key, tag_length=suite.tag)


def _opened(cipher: _Aead, nonce: bytes, sealed: bytes, header: bytes) -> bytes | None:
    try:
        return cipher.decrypt(nonce, sealed, header)
    except (InvalidTag, ValueError):
        return None


def _mixed(iv: bytes, number: int) -> bytes:
    """The nonce of a record: the number in the last bytes of the IV (RFC 8446 section 5.3)."""
    return (int.from_bytes(iv, "big") ^ number).to_bytes(len(iv), "big")


class Protection13:
    """TLS 1.3: one traffic secret."""

    def __init__(self, suite: Suite, secret: bytes, *, updates: bool = False) -> None:
        """Derive the keys.

        Args:
            suite: The cipher suite.
            secret: A traffic secret.
            updates: A KeyUpdate may follow (RFC 8446 section 4.6.3).
        """
        keys = traffic_keys(suite, secret)
        self._suite, self._secret, self._updates = suite, secret, updates
        self._iv = keys.iv
        self._tag = suite.tag
        self._cipher = _aead(suite, keys.key)

    def open(self, number: int, kind: int, body: bytes) -> Clear | None:
        if kind != _APPLICATION_DATA or len(body) <= self._tag:
            return None
        header = bytes([kind]) + _VERSION + len(body).to_bytes(2, "big")
        inner = _opened(self._cipher, _mixed(self._iv, number), body, header)
        if inner is None:
            return None
        content = inner.rstrip(b"\0")  # padding, behind the content's type
        return Clear(content[-1], content[:-1]) if content else Clear(0, b"")

    def following(self) -> Protection13 | None:
        if not self._updates:
            return None
        return Protection13(self._suite, next_secret(self._suite, self._secret), updates=True)


def protections_12(
    suite: Suite, master: bytes, randoms: tuple[bytes, bytes], *, mac_last: bool
) -> tuple[Protection, Protection]:
    """Protections of a TLS 1.2 session's client and server.

    Args:
        suite: The cipher suite.
        master: The master secret.
        randoms: Those of the ClientHello and of the ServerHello.
        mac_last: The MAC is over the ciphertext (RFC 7366); means something for CBC only.
    """
    client, server = key_block(suite, master, *randoms)
    if suite.mode is Mode.CBC:
        return _Cbc(suite, client, mac_last), _Cbc(suite, server, mac_last)
    return _Aead12(suite, client), _Aead12(suite, server)


def _pseudo_header(number: int, kind: int, length: int) -> bytes:
    """What a record's tag covers besides the content (RFC 5246 section 6.2.3.3)."""
    return number.to_bytes(8, "big") + bytes([kind]) + _VERSION + length.to_bytes(2, "big")


class _Aead12:
    """TLS 1.2 with GCM (RFC 5288), CCM (RFC 6655) or ChaCha20-Poly1305 (RFC 7905)."""

    def __init__(self, suite: Suite, keys: Keys) -> None:
        self._cipher = _aead(suite, keys.key)
        self._iv = keys.iv
        self._tag = suite.tag
        self._explicit = 0 if suite.mode is Mode.CHACHA else _EXPLICIT

    def open(self, number: int, kind: int, body: bytes) -> Clear | None:
        length = len(body) - self._explicit - self._tag
        if length < 0:
            return None
        explicit, sealed = body[: self._explicit], body[self._explicit :]
        nonce = self._iv + explicit if explicit else _mixed(self._iv, number)
        data = _opened(self._cipher, nonce, sealed, _pseudo_header(number, kind, length))
        return None if data is None else Clear(kind, data)

    def following(self) -> None:
        return None


class _Cbc:
    """TLS 1.2 with AES-CBC and HMAC, in either order (RFC 5246 section 6.2.3.2, RFC 7366)."""

    def __init__(self, suite: Suite, keys: Keys, mac_last: bool) -> None:
        self._keys = keys
        self._hash = suite.mac
        self._size = len(keys.mac)
        self._mac_last = mac_last

    def open(self, number: int, kind: int, body: bytes) -> Clear | None:
        mac = b""
        if self._mac_last:
            body, mac = body[: -self._size], body[-self._size :]
            if not hmac.compare_digest(mac, self._mac(number, kind, body)):
                return None
        if len(body) < 2 * _BLOCK or len(body) % _BLOCK:
            return None
        data = self._decrypted(body)
        padding = data[-1] + 1
        if padding > len(data) or data[-padding:] != bytes([padding - 1]) * padding:
            return None
        data = data[:-padding]
        if self._mac_last:
            return Clear(kind, data)
        if len(data) < self._size:
            return None
        data, mac = data[: -self._size], data[-self._size :]
        fits = hmac.compare_digest(mac, self._mac(number, kind, data))
        return Clear(kind, data) if fits else None

    def _decrypted(self, body: bytes) -> bytes:
        cipher = Cipher(algorithms.AES(self._keys.key), modes.CBC(body[:_BLOCK])).decryptor()
        return cipher.update(body[_BLOCK:]) + cipher.finalize()

    def _mac(self, number: int, kind: int, data: bytes) -> bytes:
        return hmac.digest(
            self._keys.mac, _pseudo_header(number, kind, len(data)) + data, self._hash
        )

    def following(self) -> None:
        return None
