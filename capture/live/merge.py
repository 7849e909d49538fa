"""Brings frames of several interfaces into the order of their times.

Each interface's frames come in order, but some later than others: a block of the ring is
handed over a moment after its first packet. So frames wait for a short time; what comes
later than that is not lost, only out of order.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from capture.frames import FrameBlock, rows_of
from capture.live.ring import RETIRE_MS

WINDOW_NS: Final = 4 * RETIRE_MS * 10**6
"""How long a frame waits for earlier ones: what the ring holds it back, and time to be read."""


class Merger:
    """Frames that wait for others."""

    def __init__(self) -> None:
        self._waiting: list[FrameBlock] = []

    def __bool__(self) -> bool:
        """Whether frames wait."""
        return bool(self._waiting)

    def add(self, block: FrameBlock) -> None:
        """Let the frames of a block wait; its bytes are copied."""
        if len(block):
            self._waiting.append(_joined([block]))

    def take(self, until_ns: int | None) -> FrameBlock | None:
        """All waiting frames up to a time, in the order of their times; None: there are none.

        Args:
            until_ns: None: all of them.
        """
        ready, rest = [], []
        for block in self._waiting:
            if until_ns is None:
                ready.append(block)
                continue
            early = block.time_ns <= until_ns
            if early.any():
                ready.append(rows_of(block, early))
            if not early.all():
                rest.append(rows_of(block, ~early))
        self._waiting = rest
        if not ready:
            return None
        joined = _joined(ready)
        order = np.argsort(joined.time_ns, kind="stable")
        return rows_of(joined, order)


def _joined(blocks: list[FrameBlock]) -> FrameBlock:
    """One block of several, with the bytes that its frames span copied together."""
    pieces, offsets, end = [], [], 0
    for block in blocks:
        low = int(block.offset.min())
        high = int((block.offset + block.caplen).max())
        pieces.append(block.data[low:high])
        offsets.append(block.offset + (end - low))
        end += high - low
    return FrameBlock(
        data=np.concatenate(pieces),
        offset=np.concatenate(offsets),
        time_ns=np.concatenate([block.time_ns for block in blocks]),
        caplen=np.concatenate([block.caplen for block in blocks]),
        wirelen=np.concatenate([block.wirelen for block in blocks]),
        linktype=np.concatenate([block.linktype for block in blocks]),
        interface=np.concatenate([block.interface for block in blocks]),
        position=np.concatenate([block.position for block in blocks]),
        first_number=blocks[0].first_number,
    )
