"""TCP options (RFC 9293 section 3.1, RFC 7323, RFC 2018) of many segments at once.

Options have no fixed place, so they are read in rounds: in each, one option of every
segment that has any left. Malformed ones end the reading of their segment and keep what
was read before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from capture.decode.columns import (
    OPT_MSS,
    OPT_SACK,
    OPT_SACK_PERMITTED,
    OPT_TIMESTAMPS,
    OPT_WSCALE,
    SYN,
)
from capture.decode.gather import u8, u16, u32
from capture.frames import Bytes, Ints

END, NOP, MSS, WSCALE, SACK_PERMITTED, SACK, TIMESTAMPS = 0, 1, 2, 3, 4, 5, 8

PLAIN_TIMESTAMPS: Final = 0x0101080A
"""NOP, NOP, timestamps of 10 bytes: all the options of nearly every data segment."""

_ROUNDS: Final = 40
"""Options take 40 bytes at most and one byte at least."""


@dataclass(slots=True)
class Options:
    """Option columns of segments, shape ``(n,)``, meanings as in ``Segments``."""

    bits: Ints
    mss: Ints
    wscale: Ints
    sack_left: Ints
    sack_right: Ints

    @staticmethod
    def none(count: int) -> Options:
        """What segments without options have."""
        return Options(
            np.zeros(count, np.int64), np.zeros(count, np.int64), np.full(count, -1, np.int64),
            np.full(count, -1, np.int64), np.full(count, -1, np.int64),
        )  # fmt: skip


def read_options(data: Bytes, rows: Ints, at: Ints, end: Ints, flags: Ints, out: Options) -> None:
    """Read the options of some segments into their columns.

    Args:
        data: The buffer.
        rows: Which segments: indices into ``flags`` and ``out``.
        at: Where the options of each begin, shape of ``rows``.
        end: Where they end, or the captured bytes do.
        flags: TCP flags of all segments; MSS and window scale mean something in a SYN only.
        out: The columns to write.
    """
    for _ in range(_ROUNDS):
        kind = u8(data, at)
        size = np.where(kind == NOP, 1, u8(data, at + 1))
        # A length byte beyond the end is not the option's: only NOP takes a single byte.
        whole = (kind != END) & (at + size <= end) & ((kind == NOP) | (size >= 2))
        rows, at, end, kind, size = rows[whole], at[whole], end[whole], kind[whole], size[whole]
        _note(data, rows, at, kind, size, flags, out)
        at = at + size
        more = at < end
        rows, at, end = rows[more], at[more], end[more]
        if not len(rows):
            return


def _note(
    data: Bytes, rows: Ints, at: Ints, kind: Ints, size: Ints, flags: Ints, out: Options
) -> None:
    """Write one option of each of ``rows`` into the columns."""
    if not (kind != NOP).any():
        return
    syn = flags[rows] & SYN != 0
    found = syn & (kind == MSS) & (size == 4)
    out.bits[rows[found]] |= OPT_MSS
    out.mss[rows[found]] = u16(data, at[found] + 2)
    found = syn & (kind == WSCALE) & (size == 3)
    out.bits[rows[found]] |= OPT_WSCALE
    out.wscale[rows[found]] = u8(data, at[found] + 2)
    found = (kind == SACK_PERMITTED) & (size == 2)
    out.bits[rows[found]] |= OPT_SACK_PERMITTED
    found = (kind == TIMESTAMPS) & (size == 10)
    out.bits[rows[found]] |= OPT_TIMESTAMPS
    found = (kind == SACK) & (size >= 10) & (out.bits[rows] & OPT_SACK == 0)
    out.bits[rows[found]] |= OPT_SACK
    out.sack_left[rows[found]] = u32(data, at[found] + 2)
    out.sack_right[rows[found]] = u32(data, at[found] + 6)
