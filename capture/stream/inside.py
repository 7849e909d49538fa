"""What the TLS records of a conversation hold: the stream inside, cut and worded as any other.

A connection to a proxy may itself be TLS, with a tunnel in it that is TLS again: insides nest.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import Final

from capture.decrypt.keylog import KeyLog
from capture.decrypt.protection import Clear
from capture.decrypt.session import TlsSession
from capture.protocols.covering import mask_payload
from capture.stream.items import Item, ItemKind, Requests, SideParser
from capture.stream.wording import StreamLine, Wording

__all__ = ["Inside"]

MAX_DEPTH: Final = 3
BEFORE: Final = 4 << 10
"""Bytes before a piece by which its secrets are known; a head is always in one piece."""
BEHIND: Final = 1 << 10


class Inside:
    """The streams inside of a TLS connection's two directions."""

    def __init__(self, keys: KeyLog, *, masked: bool, depth: int = 1) -> None:
        """Prepare.

        Args:
            keys: Secrets of the sessions.
            masked: Cover secrets in what is inside.
            depth: How many streams this one is inside of.
        """
        self._session = TlsSession(keys)
        requests = Requests()
        deeper = Inside(keys, masked=masked, depth=depth + 1) if depth < MAX_DEPTH else None
        self._sides = tuple(_InnerSide(side, requests, masked, deeper) for side in (0, 1))
        self._told = False

    def open(self, side: int, item: Item) -> Clear | None:
        """The content of a sealed record; None for anything else. Every item of a side has to
        come by here, in order: records are numbered."""
        if item.kind is ItemKind.RECORD and item.whole:
            return self._session.take(side, item.type, item.data)
        if item.kind in (ItemKind.GAP, ItemKind.RECORD):
            self._session.lost(side, item.end - item.start)
        return None

    def why_sealed(self) -> str:
        """Why records cannot be opened, the first time it is asked; else empty."""
        if self._told:
            return ""
        self._told = bool(self._session.reason)
        return self._session.reason

    def lines(self, side: int, parts: Sequence[tuple[Item, bytes]]) -> Iterator[StreamLine]:
        """What some opened records of application data hold, in words."""
        return self._sides[side].lines(parts)

    def lost(self, side: int) -> Iterator[StreamLine]:
        """Records are missing here."""
        return self._sides[side].lost()

    def turned(self, side: int) -> Iterator[StreamLine]:
        """The other side speaks now."""
        return self._sides[side].turned()

    def finish(self, side: int) -> Iterator[StreamLine]:
        """The stream is over."""
        return self._sides[side].finish()


class _InnerSide:
    """One direction of the stream inside."""

    def __init__(self, side: int, requests: Requests, masked: bool, deeper: Inside | None) -> None:
        self._parser = SideParser(side, requests, sealed=deeper is not None)
        self._wording = Wording(side, self._shown, deeper)
        self._masked = masked
        self._offset = 0
        self._starts: list[int] = []
        self._records: list[tuple[int, int]] = []
        """Ranges of the outer stream, by the offset of the first byte they hold."""
        self._before = b""
        self._behind: dict[int, bytes] = {}

    def lines(self, parts: Sequence[tuple[Item, bytes]]) -> Iterator[StreamLine]:
        self._forget()
        items: list[Item] = []
        for item, data in parts:
            self._starts.append(self._offset)
            self._records.append((item.start, item.end))
            items.extend(self._parser.feed(data, self._offset))
            self._offset += len(data)
        yield from self._worded(items, parts[0][0].start)

    def lost(self) -> Iterator[StreamLine]:
        yield from self._worded(list(self._parser.lost()))

    def turned(self) -> Iterator[StreamLine]:
        yield from self._worded(list(self._parser.turned()))
        for line in self._wording.turned():
            yield self._outside(line)

    def finish(self) -> Iterator[StreamLine]:
        yield from self._worded(list(self._parser.finish()))
        for line in self._wording.finish():
            yield self._outside(line)

    def _worded(self, items: list[Item], least: int = 0) -> Iterator[StreamLine]:
        items = _joined(items)
        following = [item.data[:BEHIND] for item in items[1:]] + [b""]
        self._behind = dict(zip((item.start for item in items), following, strict=False))
        for line in self._wording.lines(items):
            yield self._outside(line, least)

    def _shown(self, item: Item) -> bytes:
        if not self._masked:
            return item.data
        covered = mask_payload(item.data, self._before, self._behind.get(item.start, b""))
        self._before = (self._before + item.data)[-BEFORE:]
        return covered

    def _outside(self, line: StreamLine, least: int = 0) -> StreamLine:
        """A line with the range of the records that it came in."""
        if not self._records:
            return line
        first, last = self._record_at(line.start), self._record_at(max(line.start, line.end - 1))
        start, end = self._records[first][0], self._records[last][1]
        return line._replace(start=max(start, least), end=end)

    def _record_at(self, offset: int) -> int:
        return max(0, bisect_right(self._starts, offset) - 1)

    def _forget(self) -> None:
        """Keep the places of records only from the one on that is still being cut."""
        kept = self._record_at(self._parser.taken)
        del self._starts[:kept], self._records[:kept]


def _joined(items: list[Item]) -> list[Item]:
    """Neighbouring pieces of a body as one: the borders of records say nothing of it."""
    joined: list[Item] = []
    for item in items:
        last = joined[-1] if joined else None
        body = item.kind is ItemKind.BODY
        if last is not None and body and last.kind is ItemKind.BODY and last.end == item.start:
            joined[-1] = last._replace(end=item.end, data=last.data + item.data)
        else:
            joined.append(item)
    return joined
