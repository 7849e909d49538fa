"""What was said on kept openings: heads, and TLS behind them.

Most openings of a capture are laid out like others: segments as long, with records, hellos and
the host at the same places. So the first of a layout is looked at closely; of the others what
tells is cut out and compared, which takes a fifth of the time (measured).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Hashable, Sequence
from functools import lru_cache
from itertools import chain
from operator import itemgetter
from typing import Final, NamedTuple

from capture.protocols.tls_hello import HELLO_RETRY
from capture.shards.numbers import MOST, Numbers
from capture.shards.skeleton import Places, Skeletons, moved, without

LAYOUTS: Final = 8
"""Layouts remembered of openings whose segments are as long."""

_PLAIN_HOST: Final = re.compile(rb"(?=.{4})[a-z0-9-]+(\.[a-z0-9-]+)*\.[a-z][a-z0-9-]*")
"""A name of several labels, no address: nothing but its being a name counts."""

_CONNECT: Final = b"CONNECT "


class Opening(NamedTuple):
    """What was said on an opening."""

    number: int
    """The same for openings that differ in nothing but the host and what is random."""
    host: str
    """The host asked for, which is left out; empty: it is not."""


class Openings:
    """Tells openings apart.

    Args:
        numbers: Numbers what is said.
    """

    def __init__(self, numbers: Numbers) -> None:
        self._numbers = numbers
        self._skeletons = Skeletons(numbers)
        self._layouts: dict[bytes, list[_Layout]] = defaultdict(list)
        self._looked = 0

    def of(self, shape: bytes, client: Sequence[bytes], proxy: Sequence[bytes]) -> Opening:
        """What was said on an opening.

        Args:
            shape: Tells how many segments each side sent, and how long they are.
            client: Payload of the client's segments, in order.
            proxy: Of the proxy's.
        """
        data = b"".join(chain(client, proxy))
        for layout in self._layouts[shape]:
            found = layout.find(data)
            if found is not None:
                return found
        return self._look(shape, data, client, proxy)

    def _look(
        self, shape: bytes, data: bytes, client: Sequence[bytes], proxy: Sequence[bytes]
    ) -> Opening:
        """Look at an opening closely, and remember it."""
        self._looked += 1
        if self._looked % MOST == 0:
            self._layouts.clear()
        host = _asked(client[0]) if client else ""
        key, layout = self._laid_out(client, proxy, host)
        if host and host.encode() in layout.told(data):
            # Said elsewhere, too, and what it means there may follow from its being the host.
            host = ""
            key, layout = self._laid_out(client, proxy, host)
        known = self._layouts[shape]
        same = next((item for item in known if item.places == layout.places), None)
        if same is None:
            same = layout
            known[:] = [layout, *known[: LAYOUTS - 1]]
        opening = Opening(self._numbers.of((shape, key)), host)
        same.learn(data, opening.number)
        return opening

    def _laid_out(
        self, client: Sequence[bytes], proxy: Sequence[bytes], host: str
    ) -> tuple[Hashable, _Layout]:
        """What an opening says but for the host, and where it says it."""
        key: list[Hashable] = []
        places = Places([], [], [])
        at = 0
        for side, asked in ((client, host), (proxy, "")):
            head, rest = b"".join(side[:1]), b"".join(side[1:])
            hosts = re.finditer(asked.encode(), head) if asked else ()
            holes = [slice(*found.span()) for found in hosts]
            told = [*without([slice(0, len(head))], holes)]
            key.append(tuple([head[place] for place in told]))
            places.told.extend([moved(place, at) for place in told])
            places.hosts.extend(holes)  # the client's head comes first
            at += len(head)
            key.append(self._skeletons.of(rest, host, at, places))
            at += len(rest)
        return tuple(key), _Layout(places)


class _Layout:
    """Openings of which what tells is at the same places.

    Args:
        places: These.
    """

    def __init__(self, places: Places) -> None:
        self.places = places
        self._cut = itemgetter(*places.told)  # there are several: two heads at least
        self._known: dict[tuple[bytes, ...], tuple[int, bytes]] = {}

    def told(self, data: bytes) -> bytes:
        """All that an opening tells, but for the host; in lower case."""
        return b"\0".join(self._cut(data)).lower()

    def learn(self, data: bytes, number: int) -> None:
        """Remember the number of an opening."""
        self._known[self._cut(data)] = number, self.told(data)

    def find(self, data: bytes) -> Opening | None:
        """An opening that is told apart by what was learned; None if it is not."""
        number, told = self._known.get(self._cut(data), (0, b""))
        places = self.places
        if not number or HELLO_RETRY in [data[place] for place in places.randoms]:
            return None
        if not places.hosts:
            return Opening(number, "")
        hosts = {data[place] for place in places.hosts}
        host = _plain(hosts.pop())
        return None if hosts or not host or host.encode() in told else Opening(number, host)


@lru_cache(maxsize=1024)
def _plain(host: bytes) -> str:
    """A host if it is a plain name; else empty."""
    return host.decode("ascii") if _PLAIN_HOST.fullmatch(host) else ""


def plain_host(authority: str) -> str:
    """The host of an authority if it is a plain name; else empty."""
    return _plain(authority.rpartition(":")[0].encode("utf-8", "replace"))


def _asked(head: bytes) -> str:
    """The host of a CONNECT."""
    if not head.startswith(_CONNECT):
        return ""
    return plain_host(head[len(_CONNECT) : head.find(b" ", len(_CONNECT))].decode("latin-1"))
