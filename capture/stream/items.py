"""Cuts one side's stream into heads, bodies, TLS records and holes, in order.

Tolerant by design: whoever follows a stream wants to see what is there, also in the
middle of it, behind holes, and where it is no protocol known here.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from enum import StrEnum
from typing import Final, NamedTuple

from capture.facts import CLIENT
from capture.protocols.http1 import head_end, parse_request, parse_response
from capture.protocols.tls import APPLICATION_DATA, MAX_RECORD

__all__ = ["APPLICATION_DATA", "Item", "ItemKind", "Requests", "SideParser", "record_length"]

MAX_HEAD: Final = 64 << 10
"""No proxy takes longer heads."""

_START: Final = re.compile(
    rb"(?:[!#$%&'*+.^_`|~0-9A-Za-z-]{1,32} +[^\s]{1,8000} +HTTP/\d|HTTP/\d(?:\.\d)? +\d{3}\b)"
)
"""A request line (RFC 9112 section 3) or a status line (section 4)."""
_RECORD: Final = re.compile(rb"(?=[\x14-\x17]\x03[\x00-\x03]..)", re.DOTALL)
"""A record's header, at every place where one can begin."""
_MAYBE_START: Final = re.compile(
    rb"HTTP(?:/(?:\d(?:\.\d?)?(?: +\d{0,2})?)?)?"
    rb"|[!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}(?: +(?:[^\s]{1,8000}(?: +(?:H(?:T(?:T(?:P/?)?)?)?)?)?)?)?"
)
"""What may become one with the bytes to come."""


class ItemKind(StrEnum):
    """What a range of a stream is."""

    HEAD = "head"
    BODY = "body"
    """Behind a head, or of no known protocol."""
    RECORD = "record"
    GAP = "gap"


class Item(NamedTuple):
    """A range of one side's stream."""

    kind: ItemKind
    start: int
    end: int
    data: bytes = b""
    """Bytes of a head or body; a record's body, but of application data only if asked for."""
    type: int = 0
    """Content type of a record."""
    whole: bool = True
    """False: its end is missing."""


class Requests:
    """Methods of the requests that wait for their reply: a reply's body depends on them."""

    def __init__(self) -> None:
        self._methods: deque[str] = deque(maxlen=256)

    def asked(self, method: str) -> None:
        self._methods.append(method)

    def answered(self, status: int) -> str:
        """Method that a final reply belongs to; empty when it is not known."""
        if status < 200 and status != 101:
            return self._methods[0] if self._methods else ""
        return self._methods.popleft() if self._methods else ""


class SideParser:
    """One side of a conversation. Feed it turns of bytes and gaps in stream order."""

    def __init__(self, side: int, requests: Requests, *, sealed: bool = False) -> None:
        """Start at the stream's first byte.

        Args:
            side: ``CLIENT`` or ``PROXY``.
            requests: Shared by both sides.
            sealed: Hand out the bodies of application data, too.
        """
        self._side = side
        self._sealed = sealed
        self._requests = requests
        self._held = b""
        self._from = 0
        """What is before this place in it has been handed out."""
        self._at = 0
        """Offset in the stream of the first byte that was not."""
        self._body: int | None = 0
        """Bytes of the body to come; None: to the end of the turn."""
        self._skip = 0
        """Bytes of a record to come of which others are missing."""
        self._tls = False
        self._astray = False
        """Bytes that went missing among records took a border along."""

    @property
    def taken(self) -> int:
        """Offset up to which everything was handed out."""
        return self._at

    def feed(self, data: bytes, offset: int) -> Iterator[Item]:
        """The stream's next bytes."""
        if not self._waiting:
            self._at = offset
        self._held = self._held[self._from :] + data
        self._from = 0
        while self._waiting:
            item = self._next()
            if item is None:
                return
            yield item

    def gap(self, count: int, offset: int) -> Iterator[Item]:
        """The next ``count`` bytes were not captured."""
        if self._waiting:
            if (length := record_length(self._held, self._from)) is not None:
                self._skip = max(0, length + 5 - self._waiting)
            yield self._flush()
        self._astray = self._astray or (self._tls and self._skip < count)
        if self._skip:
            self._tls = self._skip >= count
            self._skip = max(0, self._skip - count)
        elif self._body is not None:
            self._body = max(0, self._body - count)
        yield Item(ItemKind.GAP, offset, offset + count)
        self._at = offset + count

    def lost(self) -> Iterator[Item]:
        """Nobody knows how many bytes are missing here."""
        if self._waiting:
            yield self._flush()
        self._astray = self._astray or self._tls
        self._skip = 0
        if self._body:
            self._body = None

    def turned(self) -> Iterator[Item]:
        """The other side speaks now."""
        if self._waiting and not self._in_record():
            yield self._flush()
        if self._body is None:
            self._body = 0

    def finish(self) -> Iterator[Item]:
        """The stream is over."""
        if self._waiting:
            yield self._flush()

    # -- cutting ----------------------------------------------------------------------

    @property
    def _waiting(self) -> int:
        """Bytes that are held."""
        return len(self._held) - self._from

    def _in_record(self) -> bool:
        if record_length(self._held, self._from) is not None:
            return True
        return self._tls and self._maybe_record()

    def _maybe_record(self) -> bool:
        """Whether the few bytes held may become a record's header."""
        return self._waiting < 5 and 20 <= self._held[self._from] <= 24

    def _next(self) -> Item | None:
        waiting = self._waiting
        if self._skip:
            taken = min(self._skip, waiting)
            self._skip -= taken
            return self._take(ItemKind.RECORD, taken, whole=False, kind=0, keep=False)
        if self._astray:
            return self._to_border()
        if self._body is None or self._body:
            taken = waiting if self._body is None else min(self._body, waiting)
            if self._body is not None:
                self._body -= taken
            return self._take(ItemKind.BODY, taken)
        length = record_length(self._held, self._from)
        if length is not None:
            self._tls = True
            if waiting < 5 + length:
                return None
            kind = self._held[self._from]
            keep = self._sealed or kind != APPLICATION_DATA
            return self._take(ItemKind.RECORD, 5 + length, kind=kind, keep=keep)
        if self._maybe_record():
            return None
        self._tls = False
        return self._head()

    def _to_border(self) -> Item | None:
        """Pass what was left of a record, up to where the next one begins."""
        held, start = self._held, self._from
        end = len(held) - 4  # a header may begin in the last bytes
        border = next((at for at in _headers(held, start) if _chained(held, at)), None)
        if border is None and end <= start:
            return None
        if border is not None:
            self._astray, self._body, end = False, 0, border
            if border == start:
                return self._next()
        return self._take(ItemKind.RECORD, end - start, whole=False, kind=0, keep=False)

    def _head(self) -> Item | None:
        held, start = self._held, self._from
        if _START.match(held, start):
            end = head_end(held, start)
            if end < 0:
                return None if self._waiting < MAX_HEAD else self._flush()
            self._frame(held[start:end])
            return self._take(ItemKind.HEAD, end - start)
        if _MAYBE_START.fullmatch(held, start):
            return None
        if held.startswith(b"\r\n", start):  # an empty line before a head (RFC 9112 section 2.2)
            return self._take(ItemKind.BODY, 2)
        self._body = None
        return self._next()

    def _frame(self, head: bytes) -> None:
        """Find out how long the body behind a head is (RFC 9112 section 6.3)."""
        self._body = 0
        if self._side == CLIENT:
            request = parse_request(head)
            if request is None:
                self._body = None
                return
            self._requests.asked(request.method)
            self._body = _length(request.header("content-length"))
            if request.header("transfer-encoding"):
                self._body = None
            return
        response = parse_response(head)
        if response is None:
            self._body = None
            return
        method = self._requests.answered(response.status)
        if method == "CONNECT" and 200 <= response.status < 300:
            return
        if method == "HEAD" or response.status < 200 or response.status in (204, 304):
            return
        length = response.header("content-length")
        self._body = None if length is None else _length(length)
        if response.header("transfer-encoding"):
            self._body = None

    # -- handing out ------------------------------------------------------------------

    def _take(
        self, what: ItemKind, count: int, *, whole: bool = True, kind: int = 0, keep: bool = True
    ) -> Item:
        head = 5 if what is ItemKind.RECORD and whole else 0
        start = self._from
        data = self._held[start + head : start + count] if keep else b""
        item = Item(what, self._at, self._at + count, data, kind, whole)
        self._from += count
        self._at += count
        return item

    def _flush(self) -> Item:
        """Hand out what is held although its end has not come."""
        held, start, count = self._held, self._from, self._waiting
        if record_length(held, start) is not None:
            return self._take(ItemKind.RECORD, count, whole=False, kind=held[start], keep=False)
        begun = _START.match(held, start) or (
            self._side == CLIENT and parse_request(held[start:], complete=False)
        )
        return self._take(ItemKind.HEAD if begun else ItemKind.BODY, count, whole=False)


def _headers(data: bytes, start: int) -> Iterator[int]:
    """Where the header of a record may begin: three bytes of it are nearly always the same."""
    return (found.start() for found in _RECORD.finditer(data, start))


def _chained(data: bytes, at: int) -> bool:
    """Whether a record begins there, and another (or the end of what is known) follows it."""
    length = record_length(data, at)
    if length is None:
        return False
    behind = at + 5 + length
    return behind + 5 > len(data) or record_length(data, behind) is not None


def record_length(data: bytes, at: int = 0) -> int | None:
    """Length of the TLS record whose header begins at ``at``, without the header; None when
    none can begin there (RFC 8446 section 5.1; a length of 0 is allowed for old TLS)."""
    if len(data) < at + 5 or not 20 <= data[at] <= 24 or data[at + 1] != 3 or data[at + 2] > 4:
        return None
    length = data[at + 3] << 8 | data[at + 4]
    return length if length <= MAX_RECORD else None


def _length(value: str | None) -> int | None:
    """A Content-Length: 0 without one, None where it is no number."""
    if value is None:
        return 0
    first = value.partition(",")[0].strip()
    return int(first) if first.isascii() and first.isdigit() and len(first) < 19 else None
