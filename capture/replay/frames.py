"""Reads the frames of a stretch of the capture again, as blocks for the decoder."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from capture.frames import FrameBlock, Ints
from capture.keeping.store import PacketStore

_PADDING: Final = 64
"""Zeros behind the frames: the decoder gathers whole words, also at the end of a block."""
_LOOSE: Final = 4
"""A stretch of the file is read whole unless it is this many times larger than its frames."""


class FrameReader:
    """Frames by number, from the file or the spool.

    Args:
        rows: The packet index (``PACKET_DTYPE``); row i is frame i + 1.
        borders: Packets before each block that the source gave, ascending from 0. Blocks end
            there again, so that the analysis meets just what it met before.
        store: Where the bytes are.
    """

    def __init__(self, rows: NDArray[np.void], borders: Sequence[int], store: PacketStore) -> None:
        self._rows = rows
        self._borders = borders
        self._store = store

    def blocks(self, after: int, last: int) -> Iterator[FrameBlock]:
        """Frames ``after + 1`` to ``last``.

        Raises:
            FrameGone: The file was changed meanwhile, or the frames were not kept.
        """
        inner = self._borders[bisect_right(self._borders, after) : bisect_left(self._borders, last)]
        start = after
        for end in (*inner, last):
            if end > start:
                yield self._block(start, end)
            start = end

    def _block(self, start: int, end: int) -> FrameBlock:
        rows = self._rows[start:end]
        position = rows["position"].astype(np.int64)
        caplen = rows["caplen"].astype(np.int64)
        data, offset = self._bytes(position, caplen)
        return FrameBlock(
            data=data,
            offset=offset,
            time_ns=rows["time_ns"].astype(np.int64),
            caplen=caplen,
            wirelen=rows["wirelen"].astype(np.int64),
            linktype=rows["linktype"].copy(),
            interface=rows["interface"].astype(np.int32),
            position=position,
            first_number=start + 1,
        )

    def _bytes(self, position: Ints, caplen: Ints) -> tuple[NDArray[np.uint8], Ints]:
        """The frames in one buffer, and where each begins in it."""
        first, end = int(position.min()), int((position + caplen).max())
        for at in (0, -1):  # tells a file that was written anew
            self._store.frame(int(position[at]), int(caplen[at]))
        if end - first <= _LOOSE * (int(caplen.sum()) + 64 * len(caplen)):
            data, offset = self._store.span(first, end - first), position - first
        else:
            pairs = zip(position.tolist(), caplen.tolist(), strict=True)
            data = b"".join(self._store.frame(at, size) for at, size in pairs)
            offset = np.cumsum(caplen) - caplen
        return np.frombuffer(data + bytes(_PADDING), np.uint8), offset
