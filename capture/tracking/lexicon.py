"""What the first segments of tunnels say, each thing once.

Most heads and hellos of a capture are word for word those that a few programs send to a few
hosts. They are taken from a block by columns, what is random in a hello is blanked, and
what was seen before is found by its bytes: a segment costs half a microsecond instead of
being parsed, and needs no bytes of its own afterwards. Numbers are given to what plainly
healthy tunnels may say; what a rule may have to look at is ``ODD``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import pairwise, repeat
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from capture.facts import CLIENT
from capture.frames import Bytes, Ints
from capture.protocols.events import ClientHello, Request, Response, ServerHello
from capture.protocols.http1 import parse_request, parse_response
from capture.protocols.tls_hello import HELLO_RETRY, parse_client_hello, parse_server_hello
from capture.protocols.tls_hello_memo import RANDOM, SHAPES, SHORTEST, told
from capture.tracking.records import HEADER
from capture.tracking.table import distinct

ODD: Final = -1
"""It must be looked at in full."""
PARTED: Final = -2
"""A ClientHello that goes on in the next segment."""
_UNKNOWN: Final = -3
"""It was not met yet."""

MOST: Final = 4096
"""Wordings of a kind that are remembered, and of hellos, of each length."""

TLS13: Final = 0x0304

_RETRY: Final = np.frombuffer(HELLO_RETRY, np.uint8)
_SESSION: Final = RANDOM.stop
"""Where a hello tells how long its session id is."""

Meaning = Request | Response | ClientHello | ServerHello
Read = Callable[[bytes], Meaning | None]
"""Reads a message; None for one that a rule may have to say something of."""


class Lexicon:
    """Numbers what segments say; equal ones have one number.

    Attributes:
        meanings: What each number means: a ``Meaning`` of the kind that was asked for.
    """

    def __init__(self) -> None:
        self.meanings: list[Any] = []
        add = self._add
        self._request, self._response = _Words(_request, add), _Words(_response, add)
        self._client = _Hellos(_client_hello, add, client=True)
        self._server = _Hellos(_server_hello, add, client=False)

    def numbers(self, data: Bytes, at: Ints, size: Ints, side: Ints, rank: Ints) -> Ints:
        """What the first segments of tunnels say.

        Args:
            data: Holds them.
            at: Where each begins there.
            size: Its payload, all of it captured.
            side: Who sent it.
            rank: How many segments its sender sent before: 0 for a head, 1 for a hello.

        Returns:
            A number each, or ``ODD``, or ``PARTED``.
        """
        found = np.full(len(at), ODD, np.int64)
        early = np.flatnonzero(rank < 2)
        kind = 2 * rank[early] + side[early]
        request, reply, hello, answer = [early[kind == number] for number in range(4)]
        found[request] = self._request.numbers(data, at[request], size[request])
        found[reply] = self._response.numbers(data, at[reply], size[reply])
        for words, which in ((self._client, hello), (self._server, answer)):
            which = which[size[which] > HEADER]
            start, room = at[which], size[which] - HEADER
            record = data[start + 3].astype(np.int64) << 8 | data[start + 4]
            whole = (record > 0) & (record <= room)
            found[which[whole]] = words.numbers(data, start[whole] + HEADER, record[whole])
            if words is self._client:
                found[which[record > room]] = PARTED
        return found

    def parted(self, streams: list[bytes]) -> Ints:
        """What clients say in tunnels with two segments, put together, or ``ODD``."""
        size = np.array([len(stream) for stream in streams], np.int64)
        data = np.frombuffer(b"".join(streams), np.uint8)
        side, rank = np.full(len(size), CLIENT), np.ones(len(size), np.int64)
        found = self.numbers(data, np.cumsum(size) - size, size, side, rank)
        found[found == PARTED] = ODD
        return found

    def forget(self, used: Ints) -> Ints:
        """Forget what nobody says any more.

        Args:
            used: Numbers in use.

        Returns:
            The new number of each old one.
        """
        used = distinct(used[used >= 0])
        number = np.full(len(self.meanings), ODD, np.int64)
        number[used] = np.arange(len(used))
        self.meanings[:] = [self.meanings[old] for old in used.tolist()]
        for words in (self._request, self._response, self._client, self._server):
            words.forget()
        return number

    def _add(self, meaning: Meaning | None) -> int:
        if meaning is None:
            return ODD
        self.meanings.append(meaning)
        return len(self.meanings) - 1


class _Words:
    """Numbers of messages of one kind.

    Args:
        read: Reads one.
        add: Gives a meaning its number.
    """

    def __init__(self, read: Read, add: Callable[[Meaning | None], int]) -> None:
        self._read = read
        self._add = add
        self._known: dict[bytes, int] = {}

    def numbers(self, data: Bytes, at: Ints, size: Ints) -> Ints:
        """The number of each message ``data[at:at + size]``."""
        found = np.empty(len(at), np.int64)
        order = np.argsort(size, kind="stable")
        for which in np.split(order, np.flatnonzero(np.diff(size[order])) + 1):
            if len(which):
                length = int(size[which[0]])
                every = np.ndarray((len(data) - length + 1,), f"V{length}", data, strides=(1,))
                rows = every[at[which]].view(np.uint8).reshape(-1, length)
                found[which] = self._of_rows(rows)
        return found

    def forget(self) -> None:
        """Know nothing any more."""
        self._known.clear()

    def _of_rows(self, rows: Bytes) -> Ints:
        """The numbers of messages of one length, one a row."""
        words = _words(rows)
        found = _looked_up(self._known, words)
        for place in np.flatnonzero(found == _UNKNOWN).tolist():
            found[place] = self._learn(words[place])
        return found

    def _learn(self, word: bytes) -> int:
        number = self._known.get(word)
        if number is None:
            if len(self._known) >= MOST:
                self._known.clear()
            number = self._known[word] = self._add(self._read(word))
        return number


class _Layout(NamedTuple):
    """Where hellos of one length, with a session id of one length, are random."""

    told: tuple[slice, ...]
    """What is not."""
    known: dict[bytes, int]
    """Numbers by what is told."""

    def blank(self, rows: Bytes) -> Bytes:
        """Hellos, one a row, with zeros for what is random in them."""
        blank = rows.copy()
        for before, after in pairwise(self.told):
            blank[:, before.stop : after.start] = 0
        again = (rows[:, RANDOM] == _RETRY).all(1)  # no random: it says what the message is
        blank[again] = rows[again]
        return blank


class _Hellos(_Words):
    """Numbers of hellos that differ in more than what is random; see ``tls_hello_memo``."""

    def __init__(self, read: Read, add: Callable[[Meaning | None], int], *, client: bool) -> None:
        super().__init__(read, add)
        self._told: Callable[[bytes], Iterable[slice]] = partial(told, client=client)
        self._layouts: dict[tuple[int, int], _Layout] = {}

    def forget(self) -> None:
        """See ``_Words``."""
        super().forget()
        self._layouts.clear()

    def _of_rows(self, rows: Bytes) -> Ints:
        if rows.shape[1] < SHORTEST:
            return super()._of_rows(rows)
        session = rows[:, _SESSION].astype(np.int64)
        first, *others = distinct(session).tolist()
        if not others:
            return self._of_shape(rows, (rows.shape[1], first))
        found = np.empty(len(rows), np.int64)
        for length in (first, *others):
            which = np.flatnonzero(session == length)
            found[which] = self._of_shape(rows[which], (rows.shape[1], length))
        return found

    def _of_shape(self, rows: Bytes, shape: tuple[int, int]) -> Ints:
        layout = self._layouts.get(shape)
        if layout is None:
            layout = self._lay_out(shape, tuple(self._told(rows[0].tobytes())))
        words = _words(layout.blank(rows))
        found = _looked_up(layout.known, words)
        new = np.flatnonzero(found == _UNKNOWN).tolist()
        other = layout.told
        for place in new:
            number = layout.known.get(words[place])
            if number is None:
                raw = rows[place].tobytes()
                number, slices = self._add(self._read(raw)), tuple(self._told(raw))
                if slices != layout.told:
                    other = slices
                elif len(layout.known) < MOST:
                    layout.known[words[place]] = number
            found[place] = number
        if len(new) == len(words) and (other != layout.told or len(layout.known) >= MOST):
            self._lay_out(shape, other)  # nothing known was of use
        return found

    def _lay_out(self, shape: tuple[int, int], slices: tuple[slice, ...]) -> _Layout:
        if len(self._layouts) >= SHAPES:
            self._layouts.clear()
        layout = self._layouts[shape] = _Layout(slices, {})
        return layout


def _looked_up(known: Mapping[bytes, int], words: Sequence[bytes]) -> Ints:
    """The numbers of words; ``_UNKNOWN`` without one."""
    return np.fromiter(map(known.get, words, repeat(_UNKNOWN)), np.int64, len(words))


def _words(rows: NDArray[np.uint8]) -> list[bytes]:
    """The rows of a matrix as bytes."""
    words: list[bytes] = rows.view(f"V{rows.shape[1]}").ravel().tolist()
    return words


def _request(head: bytes) -> Request | None:
    request = parse_request(head)
    if request is None or request.credentials or request.malformed or request.length != len(head):
        return None
    return request


def _response(head: bytes) -> Response | None:
    response = parse_response(head)
    return response if response is not None and response.length == len(head) else None


def _client_hello(message: bytes) -> ClientHello | None:
    hello = parse_client_hello(message, session=False)
    return hello if hello is not None and hello.length == len(message) else None


def _server_hello(message: bytes) -> ServerHello | None:
    hello = parse_server_hello(message, session=False)
    # Before TLS 1.3 certificates can be seen: such tunnels are looked at in full.
    if hello is None or hello.retry or hello.version < TLS13:
        return None
    return hello
