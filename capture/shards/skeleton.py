"""What readers of TLS look at in a stream: borders of records, hellos, alerts; no secret data."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final

from capture.protocols.events import ClientHello, ServerHello
from capture.protocols.tls_hello_memo import HelloMemo
from capture.tracking.records import DATA, HEADER

_HANDSHAKE: Final = 22
_CLIENT_HELLO: Final = 1
_SERVER_HELLO: Final = 2


class Skeletons:
    """Makes skeletons of streams: equal ones tell a TLS reader the same."""

    def __init__(self) -> None:
        self._hellos = HelloMemo()
        self._numbers: dict[ClientHello | ServerHello, int] = {}

    def of(self, stream: bytes, host: str, stand_in: str) -> Hashable:
        """The skeleton of the start of a stream.

        Args:
            stream: Its first bytes.
            host: A server name that is left out; empty: none is.
            stand_in: What stands in its place.
        """
        parts: list[Hashable] = []
        at, end = 0, len(stream)
        while at + HEADER <= end:
            kind, size = stream[at], stream[at + 3] << 8 | stream[at + 4]
            after = at + HEADER + size
            header = stream[at : at + HEADER]
            if kind == DATA:
                parts.append(header)
            elif kind == _HANDSHAKE and size > HEADER and after <= end:
                body = stream[at + HEADER : after]
                parts += (header, self._handshake(body, host, stand_in))
            else:
                parts.append(stream[at:after])
            at = after
        parts += (stream[at:], at - end)  # how much of the last record is there
        return tuple(parts)

    def _handshake(self, body: bytes, host: str, stand_in: str) -> Hashable:
        """A number for hellos that differ in random values only; else the bytes."""
        hello: ClientHello | ServerHello | None = None
        if body[0] == _CLIENT_HELLO:
            hello = self._hellos.client(body)
            if hello is not None and host and hello.sni == host:
                hello = hello._replace(sni=stand_in)
        elif body[0] == _SERVER_HELLO:
            hello = self._hellos.server(body)
        if hello is None or 4 + int.from_bytes(body[1:4], "big") != len(body):
            return body
        return self._numbers.setdefault(hello, len(self._numbers))
