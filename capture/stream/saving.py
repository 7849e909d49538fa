"""A conversation as it goes to a file: the bytes of a side, or all of it as text.

Both are generators: whoever writes them can tell how far it is, and stop.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from capture.facts import CLIENT
from capture.stream.items import APPLICATION_DATA, Item, ItemKind, Requests, SideParser
from capture.stream.reading import StreamReader
from capture.stream.text import LineKind, StreamText

__all__ = ["stream_bytes", "stream_lines"]

WINDOW: Final = 1 << 18
"""Bytes read at a time."""


def stream_bytes(reader: StreamReader, side: int) -> Iterator[tuple[bytes, int]]:
    """The bytes that one side sent, without what was not captured.

    Args:
        reader: Reads the stream, and says whether secrets are covered.
        side: ``CLIENT`` or ``PROXY``.

    Yields:
        Bytes, and the offset in the stream up to which everything is out.
    """
    parser = SideParser(side, Requests())
    total = reader.total(side)
    for start in range(0, total, WINDOW):
        items: list[Item] = []
        for chunk in reader.raw(side, start, min(total, start + WINDOW)):
            if chunk.missing:
                items += parser.gap(chunk.missing, chunk.start)
            else:
                items += parser.feed(chunk.data, chunk.start)
        for item in items:
            yield _shown(reader, side, item), item.end
    for item in parser.finish():
        yield _shown(reader, side, item), item.end


def _shown(reader: StreamReader, side: int, item: Item) -> bytes:
    """Ciphertext as it is; anything else through the reader, which may cover secrets."""
    sealed = item.kind is ItemKind.RECORD and item.type == APPLICATION_DATA and item.whole
    read = reader.raw if sealed else reader.read
    return b"".join(chunk.data for chunk in read(side, item.start, item.end))


def stream_lines(text: StreamText, side: int | None = None) -> Iterator[str]:
    """The conversation as the text view has it, each turn under a mark of its direction.

    Args:
        text: Lines from the very start; read to its end here.
        side: Only this side's lines; None for both.
    """
    written = 0
    while True:
        for line in text.lines[written:]:
            written += 1
            if side in (None, line.side):
                turn = line.kind is LineKind.TURN
                sign = (">" if line.side == CLIENT else "<") if turn else " "
                yield f"{sign} {line.text}\n"
        if text.done:
            return
        text.more()
