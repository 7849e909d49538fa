"""The pcap file format (draft-ietf-opsawg-pcap) as bytes, records many at a time."""

from __future__ import annotations

import struct
from typing import Final

import numpy as np

from capture.frames import Bytes, FrameBlock
from capture.writing.frames import copy_frames

_MICRO, _NANO = 0xA1B2C3D4, 0xA1B23C4D
_RECORD: Final = 16
SNAPLEN: Final = 262_144


def header(linktype: int, *, nanoseconds: bool) -> bytes:
    """The file header."""
    return struct.pack("<IHHiIII", _NANO if nanoseconds else _MICRO, 2, 4, 0, 0, SNAPLEN, linktype)


def records(block: FrameBlock, *, nanoseconds: bool) -> Bytes:
    """Records of all frames; times finer than the file's unit are cut."""
    sizes = block.caplen + _RECORD
    starts = np.cumsum(sizes) - sizes
    total = int(sizes.sum())
    out = np.empty(total + _RECORD, np.uint8)
    copy_frames(block, out, starts + _RECORD, _RECORD)
    heads = np.empty((len(block), 4), "<u4")
    seconds, rest = np.divmod(block.time_ns, 10**9)
    heads[:, 0] = seconds & 0xFFFFFFFF
    heads[:, 1] = rest if nanoseconds else rest // 1000
    heads[:, 2] = block.caplen
    heads[:, 3] = block.wirelen
    places = np.ndarray((total + 1,), f"V{_RECORD}", out, 0, (1,))
    places[starts] = heads.view(f"V{_RECORD}").reshape(-1)
    return out[:total]
