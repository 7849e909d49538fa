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
    """Bytes of a head or body; a record's body, unless it is application data."""
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

    def __init__(self, side: int, requests: Requests) -> None:
        """Start at the stream's first byte.

        Args:
            side: ``CLIENT`` or ``PROXY``.
            requests: Shared by both sides.
        """
        self._side = side
        self._requests = requests
        self._held = b""
        self._at = 0
        """Offset of the first held byte."""
        self._body: int | None = 0
        """Bytes of the body to come; None: to the end of the turn."""
        self._skip = 0
        """Bytes of a record to come of which others are missing."""
        self._tls = False

    def feed(self, data: bytes, offset: int) -> Iterator[Item]:
        """The stream's next bytes."""
        if not self._held:
            self._at = offset
        self._held += data
        while self._held:
            item = self._next()
            if item is None:
                return
            yield item

    def gap(self, count: int, offset: int) -> Iterator[Item]:
        """The next ``count`` bytes were not captured."""
        if self._held:
            if (length := record_length(self._held)) is not None:
                self._skip = max(0, length + 5 - len(self._held))
            yield self._flush()
        if self._skip:
            self._tls = self._skip >= count
            self._skip = max(0, self._skip - count)
        elif self._body is not None:
            self._body = max(0, self._body - count)
        yield Item(ItemKind.GAP, offset, offset + count)
        self._at = offset + count

    def turned(self) -> Iterator[Item]:
        """The other side speaks now."""
        if self._held and not self._in_record():
            yield self._flush()
        if self._body is None:
            self._body = 0

    def finish(self) -> Iterator[Item]:
        """The stream is over."""
        if self._held:
            yield self._flush()

    # -- cutting ----------------------------------------------------------------------

    def _in_record(self) -> bool:
        held = self._held
        return record_length(held) is not None or (
            self._tls and len(held) < 5 and 20 <= held[0] <= 24
        )

    def _next(self) -> Item | None:
        held = self._held
        if self._skip:
            taken = min(self._skip, len(held))
            self._skip -= taken
            return self._take(ItemKind.RECORD, taken, whole=False, kind=0, keep=False)
        if self._body is None or self._body:
            taken = len(held) if self._body is None else min(self._body, len(held))
            if self._body is not None:
                self._body -= taken
            return self._take(ItemKind.BODY, taken)
        length = record_length(held)
        if length is not None:
            self._tls = True
            if len(held) < 5 + length:
                return None
            return self._take(
                ItemKind.RECORD, 5 + length, kind=held[0], keep=held[0] != APPLICATION_DATA
            )
        if len(held) < 5 and 20 <= held[0] <= 24:
            return None
        self._tls = False
        return self._head()

    def _head(self) -> Item | None:
        held = self._held
        if _START.match(held):
            end = head_end(held)
            if end < 0:
                return None if len(held) < MAX_HEAD else self._flush()
            self._frame(held[:end])
            return self._take(ItemKind.HEAD, end)
        if _MAYBE_START.fullmatch(held):
            return None
        if held[:2] == b"\r\n":  # an empty line before a head (RFC 9112 section 2.2)
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
        data = self._held[head:count] if keep else b""
        item = Item(what, self._at, self._at + count, data, kind, whole)
        self._held = self._held[count:]
        self._at += count
        return item

    def _flush(self) -> Item:
        """Hand out what is held although its end has not come."""
        held = self._held
        if record_length(held) is not None:
            return self._take(ItemKind.RECORD, len(held), whole=False, kind=held[0], keep=False)
        begun = _START.match(held) or (self._side == CLIENT and parse_request(held, complete=False))
        what = ItemKind.HEAD if begun else ItemKind.BODY
        return self._take(what, len(held), whole=False)


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
