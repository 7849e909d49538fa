"""Hellos that differ only in what is random are parsed once.

Most hellos of a capture come from a few programs, and a program's hellos differ in three
places: the random, the session id, and the public keys of its key shares. These places are
cut out, and what is left tells everything that the parser reads, since it tells where the
places are, too: a hello of the same length whose remaining bytes are equal is walked the same
way. Clients that mix their extensions up (Chrome) gain nothing and lose a microsecond.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from operator import itemgetter
from typing import Any, Final, Generic, NamedTuple, TypeVar

from capture.protocols.events import ClientHello, ServerHello
from capture.protocols.tls_hello import (
    HELLO_RETRY,
    extensions,
    parse_client_hello,
    parse_server_hello,
)

MOST: Final = 4096
"""Hellos remembered of each shape; then all of the shape are forgotten."""
SHAPES: Final = 256

_KEY_SHARE: Final = 51
SHORTEST: Final = 40
"""Of shorter hellos nothing is left out."""
_VERSION: Final = slice(0, 6)
"""Header and version; the random follows."""
RANDOM: Final = slice(6, 38)

H = TypeVar("H")


def told(data: bytes, *, client: bool) -> Iterator[slice]:
    """All of a hello but what is random: messages as long that are equal there are parsed to the
    same, unless one asks for another hello (``HELLO_RETRY``).

    Args:
        data: The message.
        client: It is a ClientHello: its key shares come as a list.
    """
    if len(data) < SHORTEST:
        yield slice(0, len(data))
        return
    yield _VERSION
    begin = 39 + data[38]
    for kind, at, end in extensions(data, client):
        if kind != _KEY_SHARE:
            continue
        at += 2 if client else 0
        while at + 4 <= end:  # group, length, key
            yield slice(begin, at + 4)
            begin = at = min(at + 4 + (data[at + 2] << 8 | data[at + 3]), end)
    yield slice(begin, len(data))


class _Shape(NamedTuple):
    """Hellos of one length, with a session id of one length."""

    slices: tuple[slice, ...]
    """What is not random."""
    cut: Callable[[bytes], Any]
    """Takes that from a hello."""
    hellos: dict[Any, Any]


class _Memo(Generic[H]):
    """Parsed hellos by what is not random in them.

    Args:
        parse: The parser; None for what is no hello.
        client: Whether key shares come as a list.
    """

    def __init__(self, parse: Callable[[bytes], H | None], client: bool) -> None:
        self._parse: Callable[[bytes], H | None] = parse
        self._client = client
        self._known: dict[tuple[int, int], _Shape] = {}

    def __call__(self, data: bytes) -> H | None:
        """Parse a whole message, its 4-byte header included."""
        if len(data) < SHORTEST:
            return self._parse(data)
        known = self._known.get((len(data), data[38]))
        if known is not None:
            found: H | None = known.hellos.get(known.cut(data))
            if found is not None and data[RANDOM] != HELLO_RETRY:
                return found
        found = self._parse(data)
        if found is not None and data[RANDOM] != HELLO_RETRY:
            self._learn(data, found)
        return found

    def _learn(self, data: bytes, hello: H) -> None:
        slices = tuple(self.told(data))
        shape = len(data), data[38]
        known = self._known.get(shape)
        if known is None or known.slices != slices or len(known.hellos) >= MOST:
            if len(self._known) >= SHAPES:
                self._known.clear()
            known = self._known[shape] = _Shape(slices, itemgetter(*slices), {})
        known.hellos[known.cut(data)] = hello

    def told(self, data: bytes) -> Iterator[slice]:
        """All of a message but what is random; see ``told``."""
        return told(data, client=self._client)


class HelloMemo:
    """Parses hellos without their session ids; equal ones are the same object."""

    def __init__(self) -> None:
        self.client: _Memo[ClientHello] = _Memo(
            lambda data: parse_client_hello(data, session=False), client=True
        )
        self.server: _Memo[ServerHello] = _Memo(
            lambda data: parse_server_hello(data, session=False), client=False
        )
