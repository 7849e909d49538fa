"""A share of the TCP connections, told by their endpoints alone.

Several processes that decode the same capture each keep one share (``capture.shards``).
"""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from capture.decode.columns import IcmpError, Segments
from capture.frames import Ints

if TYPE_CHECKING:
    from capture.decode.heads import Heads

_MIX: Final = 0x1E3779B97F4A7C15
_COLUMNS: Final = tuple(item.name for item in fields(Segments) if item.name != "data")


class Share:
    """One of several shares.

    Args:
        index: Which one, from 0.
        count: How many there are.
    """

    def __init__(self, index: int, count: int) -> None:
        self._index = index
        self._count = count

    def mine(
        self, src: NDArray[Any], dst: NDArray[Any], sport: NDArray[Any], dport: NDArray[Any]
    ) -> NDArray[np.bool_]:
        """Which segments are of this share; see ``shares``."""
        mine: NDArray[np.bool_] = shares(src, dst, sport, dport, self._count) == self._index
        return mine

    def of_heads(self, heads: Heads) -> Heads:
        """The headers of those of the frames that are of this share."""
        return heads.some(np.flatnonzero(shares_of(heads, self._count) == self._index))

    def concerns(self, error: IcmpError) -> bool:
        """Whether the quoted packet is of this share; the first takes what has no ports."""
        if not error.sport:
            return self._index == 0
        ends = (error.src, error.dst, error.sport, error.dport)
        return bool(self.mine(*[np.array([end]) for end in ends])[0])

    def of(self, segments: Segments) -> Segments:
        """Those of the segments that are of this share."""
        at = np.flatnonzero(self.mine(segments.src, segments.dst, segments.sport, segments.dport))
        return Segments(segments.data, *[getattr(segments, name)[at] for name in _COLUMNS])


def shares(
    src: NDArray[Any],
    dst: NDArray[Any],
    sport: NDArray[Any],
    dport: NDArray[Any],
    count: int,
) -> Ints:
    """Of which of several shares segments are; both directions of a connection fall together.

    Args:
        src: Address numbers of the senders, of any integer type; shape ``(n,)``.
        dst: Of the receivers, of the same type.
        sport: Ports of the senders.
        dport: Of the receivers.
        count: How many shares there are.
    """
    mixed = (src ^ dst).astype(np.int64) << 16
    mixed ^= (sport ^ dport).astype(np.int64)
    mixed *= _MIX
    found: Ints = (mixed >> 40).astype(np.uint16) % np.uint16(count)
    return found


def shares_of(heads: Heads, count: int) -> Ints:
    """Of which of several shares plain frames are."""
    head = heads.head
    return shares(head["src"], head["dst"], head["sport"], head["dport"], count)
