"""Both sides of a conversation cut into items, turn by turn."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from capture.stream.items import Item, Requests, SideParser
from capture.stream.reading import StreamReader

__all__ = ["items_in_turn"]

WINDOW: Final = 1 << 16
"""Bytes read at a time."""


def items_in_turn(
    reader: StreamReader,
    limit: int | None = None,
    only: int | None = None,
    *,
    sealed: bool = False,
) -> Iterator[tuple[int, Item]]:
    """The items of a conversation, in the order in which they were said.

    Args:
        reader: Reads the streams; its raw bytes are cut, so what is shown must be masked.
        limit: Bytes of each side that are read at most; None for all.
        only: Read this side alone; its turns end where the other side speaks all the same.
        sealed: Hand out the bodies of application data, too.

    Yields:
        Side and item.
    """
    requests = Requests()
    parsers = tuple(SideParser(side, requests, sealed=sealed) for side in (0, 1))
    turns = reader.assembly.turns
    columns = (turns.side.tolist(), turns.start.tolist(), turns.end.tolist())
    for side, start, end in zip(*columns, strict=True):
        if only not in (None, side):
            continue
        last = end if limit is None else min(end, limit)
        parser = parsers[side]
        for at in range(start, last, WINDOW):
            for chunk in reader.raw(side, at, min(last, at + WINDOW)):
                found = (
                    parser.gap(chunk.missing, chunk.start)
                    if chunk.missing
                    else parser.feed(chunk.data, chunk.start)
                )
                for item in found:
                    yield side, item
        for item in parser.turned():
            yield side, item
    for side, parser in enumerate(parsers):
        for item in parser.finish():
            yield side, item
