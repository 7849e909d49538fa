"""Which worker a TCP connection belongs to, told by its endpoints alone."""

from __future__ import annotations

from dataclasses import fields
from typing import Final

import numpy as np
from numpy.typing import NDArray

from capture.decode.columns import Decoded, IcmpError, Segments
from capture.decode.decoder import Decoder
from capture.frames import FrameBlock, Ints

_MIX: Final = 0x1E3779B97F4A7C15
_COLUMNS: Final = tuple(item.name for item in fields(Segments) if item.name != "data")


class SharingDecoder(Decoder):
    """A decoder that keeps the segments and ICMP errors of one share.

    DNS messages, counts and address numbers are everybody's.

    Args:
        index: Which share, from 0.
        count: How many there are.
    """

    def __init__(self, index: int, count: int) -> None:
        super().__init__()
        self._index = index
        self._count = count

    def decode(self, block: FrameBlock) -> Decoded:
        """See ``Decoder``."""
        result = super().decode(block)
        segments = result.segments
        source = segments.src << 16 | segments.sport
        target = segments.dst << 16 | segments.dport
        result.segments = _taken(segments, self._mine(source, target))
        if result.icmp:
            result.icmp = [error for error in result.icmp if self._concerns(error)]
        return result

    def _mine(self, source: Ints, target: Ints) -> NDArray[np.bool_]:
        # Both directions must fall together, so their ends are added before they are mixed.
        mine: NDArray[np.bool_] = _share(source + target, self._count) == self._index
        return mine

    def _concerns(self, error: IcmpError) -> bool:
        """Whether the quoted packet is of this share; the first takes what has no ports."""
        if not error.sport:
            return self._index == 0
        ends = np.array([error.src << 16 | error.sport]), np.array([error.dst << 16 | error.dport])
        return bool(self._mine(*ends)[0])


def _share(ends: Ints, count: int) -> Ints:
    mixed: Ints = ends * _MIX
    return (mixed >> 40 & 0xFFFF) % count


def _taken(segments: Segments, mine: NDArray[np.bool_]) -> Segments:
    at = np.flatnonzero(mine)
    return Segments(segments.data, *[getattr(segments, name)[at] for name in _COLUMNS])
