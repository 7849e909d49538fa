"""Looks for bytes in a conversation, piece by piece, from any place on."""

from __future__ import annotations

import re
from typing import Final

import numpy as np

from capture.stream.layout import BYTES, Blocks
from capture.stream.reading import StreamReader

__all__ = ["BytesFinder", "needle_of"]

WINDOW: Final = 1 << 18
"""Bytes that one step looks through."""
_HEX: Final = re.compile(r"(?:0x)?((?:[0-9a-fA-F]{2}[ :]?)+)")


def needle_of(query: str) -> bytes:
    """What to look for: ``16 03 01`` or ``0x160301`` as these bytes, else the text itself."""
    match = _HEX.fullmatch(query.strip())
    spaced = match is not None and (query.startswith("0x") or " " in query or ":" in query)
    if match is not None and spaced:
        return bytes.fromhex(re.sub("[ :]", "", match[1]))
    return query.encode()


class BytesFinder:
    """One search, that can be carried on step by step. Letters match in either case."""

    def __init__(
        self, reader: StreamReader, blocks: Blocks, needle: bytes, start: tuple[int, int] | None
    ) -> None:
        """Prepare.

        Args:
            reader: Reads the streams.
            blocks: What to look through, in this order.
            needle: Bytes to find.
            start: Side and offset behind which to begin; None for the very start.
        """
        self._reader = reader
        self._needle = needle.lower()
        self._spans = [
            (int(blocks.side[at]), int(blocks.start[at]), int(blocks.end[at]))
            for at in np.flatnonzero(blocks.kind == BYTES).tolist()
        ]
        self._at = 0
        self._offset = 0
        if start is not None:
            side, offset = start
            held = [at for at, span in enumerate(self._spans)
                    if span[0] == side and span[1] <= offset < span[2]]  # fmt: skip
            if held:
                self._at, self._offset = held[0], offset + 1
        self.done = not self._needle

    def step(self) -> tuple[int, int] | None:
        """Look through one window; returns side and offset of the next hit, else None (then
        either ``done`` is set or there is more to look through)."""
        if self.done or self._at >= len(self._spans):
            self.done = True
            return None
        side, first, last = self._spans[self._at]
        start = max(first, self._offset)
        # A hit may go on in what is read next.
        upto = min(last, start + WINDOW + len(self._needle) - 1)
        for chunk in self._reader.raw(side, start, upto):
            place = chunk.data.lower().find(self._needle)
            if place >= 0:
                self._offset = chunk.start + place + 1
                return side, chunk.start + place
        if upto >= last:
            self._at, self._offset = self._at + 1, 0
        else:
            self._offset = start + WINDOW
        return None
