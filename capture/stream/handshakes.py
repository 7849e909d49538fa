"""Cuts TLS handshake messages out of record bodies (RFC 8446 section 5.1), whole."""

from __future__ import annotations

from typing import Final, NamedTuple

__all__ = ["HANDSHAKE_NAMES", "RECORD_NAMES", "Handshakes", "Message"]

HANDSHAKE_NAMES: Final = {
    0: "HelloRequest", 1: "ClientHello", 2: "ServerHello", 3: "HelloVerifyRequest",
    4: "NewSessionTicket", 5: "EndOfEarlyData", 8: "EncryptedExtensions", 11: "Certificate",
    12: "ServerKeyExchange", 13: "CertificateRequest", 14: "ServerHelloDone",
    15: "CertificateVerify", 16: "ClientKeyExchange", 20: "Finished", 21: "CertificateURL",
    22: "CertificateStatus", 23: "SupplementalData", 24: "KeyUpdate",
    25: "CompressedCertificate",
}  # fmt: skip
"""Handshake types (IANA's registry)."""

RECORD_NAMES: Final = {
    20: "ChangeCipherSpec",
    21: "Alert",
    22: "Handshake",
    23: "ApplicationData",
    24: "Heartbeat",
}
"""TLS content types (RFC 8446 section 5.1, RFC 6520)."""

CLIENT_HELLO: Final = 1
SERVER_HELLO: Final = 2
MAX_MESSAGE: Final = 1 << 18
"""Longest message taken for one: OpenSSL accepts certificate chains up to 100 kB."""


class Message(NamedTuple):
    """One handshake message, or the part of it that one record holds."""

    type: int
    data: bytes
    """With its 4-byte header; empty where the message goes on in a later record."""
    length: int
    """Bytes the message has, without its header."""
    offset: int
    """Offset in the stream of the message's first byte."""

    @property
    def name(self) -> str:
        return HANDSHAKE_NAMES.get(self.type, f"handshake type {self.type}")


class Handshakes:
    """The clear handshake messages of one direction, record by record."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._offset = 0
        self.encrypted = False
        """A ChangeCipherSpec went by: what follows is ciphertext, a hello excepted."""

    @property
    def unfinished(self) -> bytes:
        """A message whose end has not come."""
        return bytes(self._held)

    def feed(self, body: bytes, offset: int) -> list[Message]:
        """Take the body of the next handshake record.

        Args:
            body: Its bytes.
            offset: Offset in the stream of its first byte.

        Returns:
            What it says; empty where it is encrypted.
        """
        if self.encrypted and not _hello(body):
            return []
        if not self._held:
            self._offset = offset
        start = len(self._held)
        self._held += body
        found: list[Message] = []
        while len(self._held) >= 4:
            kind, length = self._held[0], int.from_bytes(self._held[1:4], "big")
            if kind not in HANDSHAKE_NAMES or length > MAX_MESSAGE:
                self._held.clear()
                self.encrypted = True
                return found
            whole = length + 4 <= len(self._held)
            data = bytes(self._held[: length + 4]) if whole else b""
            found.append(Message(kind, data, length, self._offset))
            if not whole:
                return found
            del self._held[: length + 4]
            self._offset = offset + length + 4 - start
            start -= length + 4
        return found

    def lost(self) -> None:
        """Bytes of a record are missing: what was begun cannot be finished."""
        self._held.clear()


def _hello(body: bytes) -> bool:
    """Whether a record behind a ChangeCipherSpec is a hello all the same: TLS 1.3 sends one
    around a HelloRetryRequest (RFC 8446 appendix D.4)."""
    return len(body) > 40 and body[0] in (CLIENT_HELLO, SERVER_HELLO) and body[4] == 3
