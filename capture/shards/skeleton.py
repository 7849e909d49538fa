"""What readers of TLS look at in a stream: borders of records, hellos, alerts; no secret data."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from typing import Final, NamedTuple

from capture.protocols.tls_hello import extensions
from capture.protocols.tls_hello_memo import RANDOM, HelloMemo
from capture.shards.numbers import Numbers
from capture.tracking.records import DATA, HEADER

_HANDSHAKE: Final = 22
_CLIENT_HELLO: Final = 1
_SERVER_HELLO: Final = 2
_SERVER_NAME: Final = 0
_NAME_AT: Final = 5
"""Where the first name stands in a server_name extension (RFC 6066 section 3)."""

STAND_IN: Final = "\0"
"""What stands for the host in a key: no text holds it."""


class Places(NamedTuple):
    """Where in a stream, or in several joined, is what tells."""

    told: list[slice]
    """All that tells, but for the host."""
    hosts: list[slice]
    """The host."""
    randoms: list[slice]
    """Random values of ServerHellos: they tell only whether it is a HelloRetryRequest."""


class Skeletons:
    """Makes skeletons of streams: equal ones tell a TLS reader the same.

    Args:
        numbers: Numbers hellos.
    """

    def __init__(self, numbers: Numbers) -> None:
        self._hellos = HelloMemo()
        self._numbers = numbers

    def of(self, stream: bytes, host: str, start: int, places: Places) -> Hashable:
        """The skeleton of the start of a stream.

        Args:
            stream: Its first bytes.
            host: A server name that is left out; empty: none is.
            start: Where the stream starts in what ``places`` are of.
            places: Those of what tells are added.
        """
        key: list[Hashable] = []
        at, end = 0, len(stream)
        while at + HEADER <= end:
            kind, size = stream[at], stream[at + 3] << 8 | stream[at + 4]
            body, after = at + HEADER, at + HEADER + size
            told = slice(at, body if kind == DATA else min(after, end))
            if kind == _HANDSHAKE and size > HEADER and after <= end:
                told = slice(at, body)
                key.append(self._handshake(stream[body:after], host, start + body, places))
            key.append(stream[told])
            places.told.append(moved(told, start))
            at = after
        key += (stream[at:], at - end)  # how much of the last record is there
        places.told.append(slice(start + min(at, end), start + end))
        return tuple(key)

    def _handshake(self, data: bytes, host: str, start: int, places: Places) -> Hashable:
        """A number for hellos that differ in random values only; else the bytes. Arguments as
        of ``of``."""
        whole = 4 + int.from_bytes(data[1:4], "big") == len(data)
        memo = self._hellos
        if data[0] == _CLIENT_HELLO and whole and (asked := memo.client(data)) is not None:
            told = [moved(item, start) for item in memo.client.told(data)]
            if host and asked.sni == host and (name := _name(data, host)) is not None:
                asked = asked._replace(sni=STAND_IN)
                places.hosts.append(moved(name, start))
                told = [*without(told, places.hosts[-1:])]
            places.told.extend(told)
            return self._numbers.of(asked)
        answer = memo.server(data) if data[0] == _SERVER_HELLO and whole else None
        if answer is not None and not answer.retry:
            places.randoms.append(moved(RANDOM, start))
            places.told.extend([moved(item, start) for item in memo.server.told(data)])
            return self._numbers.of(answer)
        places.told.append(slice(start, start + len(data)))
        return data


def _name(hello: bytes, host: str) -> slice | None:
    """Where a ClientHello names this host as its server, and no other."""
    names = [
        slice(at + _NAME_AT, end)
        for kind, at, end in extensions(hello, client=True)
        if kind == _SERVER_NAME
    ]
    return names[0] if len(names) == 1 and hello[names[0]] == host.encode() else None


def moved(place: slice, by: int) -> slice:
    """A place in a part of a stream, as a place in the stream."""
    return slice(place.start + by, place.stop + by)


def without(places: Iterable[slice], holes: Iterable[slice]) -> Iterator[slice]:
    """Places without the holes in them; all in order."""
    for place in places:
        start = place.start
        for hole in holes:
            if start <= hole.start and hole.stop <= place.stop:
                yield slice(start, hole.start)
                start = hole.stop
        yield slice(start, place.stop)
