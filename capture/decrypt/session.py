"""Opens the sealed records of one TLS connection, as far as a key log has its secrets.

Sans-IO: fed whole records of both directions in the order they were said. It never loses its
way for good: a tag tells for certain whether keys and record number fit, so behind a hole the
next numbers and the next keys are tried. That is also how it learns that a side has gone over
to other keys: what does not open with the old ones opens with the new.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from capture.decrypt.keylog import KeyLog
from capture.decrypt.protection import Clear, Protection, Protection13, protections_12
from capture.decrypt.suites import Suite, suite_of
from capture.facts import CLIENT, PROXY
from capture.protocols.tls_offer import ServerChoice, read_server
from capture.stream.handshakes import CLIENT_HELLO, SERVER_HELLO, Handshakes, Message

__all__ = ["TlsSession"]

_CHANGE_CIPHER_SPEC, _HANDSHAKE, _APPLICATION_DATA = 20, 22, 23
_TLS12, _TLS13 = 0x0303, 0x0304
_ENCRYPT_THEN_MAC: Final = 22
"""An extension (RFC 7366)."""
SHORTEST_RECORD: Final = 5 + 17
"""Bytes on the wire of a sealed record: header, tag and a byte."""
MAX_TRIES: Final = 1024
"""Record numbers tried behind a hole."""
GIVE_UP: Final = 8
"""Records in a row that do not open, after which nothing of this side is tried any more."""


class _Side:
    """One direction: its keys, those in use first, and the number of the next record."""

    def __init__(self) -> None:
        self._keys: list[Protection] = []
        self._number = 0
        self._missed = 0
        """Records that may have gone by unseen since one was opened."""
        self._failed = 0

    def add(self, *keys: Protection) -> None:
        self._keys += keys
        self._failed = 0

    def missed(self, count: int) -> None:
        self._missed = min(MAX_TRIES, self._missed + count)
        self._failed = 0

    def open(self, kind: int, body: bytes) -> Clear | None:
        if self._failed >= GIVE_UP:
            return None
        for place, keys in enumerate(self._candidates()):
            first = self._number if place == 0 else 0
            for number in range(first, first + self._missed + 1):
                clear = keys.open(number, kind, body)
                if clear is not None:
                    self._go_on(place, keys, number + 1)
                    return clear
        self._failed += 1
        self._missed = min(MAX_TRIES, self._missed + 1)
        return None

    def _candidates(self) -> Iterator[Protection]:
        """The keys in use, and what the sender may have gone over to."""
        yield from self._keys
        following = self._keys[-1].following() if self._keys else None
        if following is not None:
            yield following

    def _go_on(self, place: int, keys: Protection, number: int) -> None:
        self._keys = self._keys[place:] or [keys]
        self._number, self._missed, self._failed = number, 0, 0


class TlsSession:
    """The two directions of a connection."""

    def __init__(self, keys: KeyLog) -> None:
        self._log = keys
        self._sides = _Side(), _Side()
        self._handshakes = Handshakes(), Handshakes()
        self._changed = [False, False]
        self._client_random = b""
        self._version = 0
        self.secrets = False
        """The key log has secrets of this session."""
        self.reason = ""
        """Why its records cannot be opened, in words; empty: they can, or it is not known."""

    def take(self, side: int, kind: int, body: bytes) -> Clear | None:
        """The next whole record of a side.

        Args:
            side: ``CLIENT`` or ``PROXY``.
            kind: Content type in its header.
            body: What follows the header.

        Returns:
            The content of a sealed record; None for one in clear, and for one that cannot be
            opened.
        """
        if not self._sealed(side, kind):
            self._plain(side, kind, body)
            return None
        clear = self._sides[side].open(kind, body)
        if clear is not None and self._version == _TLS12:
            self._plain(side, clear.type, clear.data)  # a session may be negotiated anew inside
        return clear

    def lost(self, side: int, count: int) -> None:
        """Bytes of a side were not captured: records, and maybe changes of keys, went by."""
        self._handshakes[side].lost()
        self._sides[side].missed(1 + count // SHORTEST_RECORD)

    def _sealed(self, side: int, kind: int) -> bool:
        if self._version == _TLS12:
            return self._changed[side]
        return kind == _APPLICATION_DATA

    def _plain(self, side: int, kind: int, body: bytes) -> None:
        if kind == _HANDSHAKE:
            for message in self._handshakes[side].feed(body, 0):
                self._message(side, message)
        elif kind == _CHANGE_CIPHER_SPEC:
            self._changed[side] = True

    def _message(self, side: int, message: Message) -> None:
        if message.type == CLIENT_HELLO and side == CLIENT and len(message.data) >= 38:
            self._client_random = message.data[6:38]
        elif message.type == SERVER_HELLO and side == PROXY and message.data:
            choice = read_server(message.data)
            if choice is not None and not choice.retry:
                self._agreed(choice, message.data[6:38])

    def _agreed(self, choice: ServerChoice, server_random: bytes) -> None:
        self._version = choice.version
        suite = suite_of(choice.hello.cipher)
        if self._version not in (_TLS12, _TLS13) or suite is None:
            self.reason = "this version or cipher suite cannot be decrypted here"
            return
        if self._version == _TLS13:
            self._keys_13(suite)
        else:
            self._keys_12(suite, choice, server_random)
        self.reason = "" if self.secrets else "the key log has no secrets of this session"

    def _keys_12(self, suite: Suite, choice: ServerChoice, server_random: bytes) -> None:
        master = self._log.secret("CLIENT_RANDOM", self._client_random)
        self.secrets = master is not None
        if master is None:
            return
        keys = protections_12(
            suite,
            master,
            (self._client_random, server_random),
            mac_last=_ENCRYPT_THEN_MAC in choice.extensions,
        )
        for side, own in zip(self._sides, keys, strict=True):
            side.add(own)

    def _keys_13(self, suite: Suite) -> None:
        for side, name in ((CLIENT, "CLIENT"), (PROXY, "SERVER")):
            labels = [f"{name}_HANDSHAKE_TRAFFIC_SECRET", f"{name}_TRAFFIC_SECRET_0"]
            if side == CLIENT:
                labels.insert(0, "CLIENT_EARLY_TRAFFIC_SECRET")
            for label in labels:
                secret = self._log.secret(label, self._client_random)
                if secret is not None:
                    last = label == labels[-1]
                    self._sides[side].add(Protection13(suite, secret, updates=last))
                    self.secrets = True
