"""A conversation as it goes to a file: the bytes of a side, or all of it as text.

Both are generators: whoever writes them can tell how far it is, and stop.
"""

from __future__ import annotations

from collections.abc import Iterator

from capture.facts import CLIENT
from capture.stream.items import APPLICATION_DATA, Item, ItemKind
from capture.stream.reading import StreamReader
from capture.stream.text import LineKind, StreamText
from capture.stream.turns import items_in_turn

__all__ = ["stream_bytes", "stream_lines"]


def stream_bytes(reader: StreamReader, side: int) -> Iterator[tuple[bytes, int]]:
    """The bytes that one side sent, without what was not captured.

    Args:
        reader: Reads the stream, and says whether secrets are covered.
        side: ``CLIENT`` or ``PROXY``.

    Yields:
        Bytes, and the offset in the stream up to which everything is out.
    """
    for _, item in items_in_turn(reader, only=side):
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
