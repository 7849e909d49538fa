"""What a worker saw in a window, for all: a short message, and columns in a slot."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from capture.decode.heads import PLAIN, Heads, Look
from capture.decode.share import shares_of
from capture.frames import Bytes, FrameBlock, Ints
from capture.shards.exchange import ROOM, NoRoom, Slot

_SMALL: Final = np.dtype(np.uint32)
"""Lengths and offsets fit in it, in a window that is no larger than a slot."""
_TIME: Final = np.dtype(np.int64)
_SHARE: Final = np.dtype(np.uint8)
_OTHER: Final = 255
"""In place of a share: the frame is not plain."""
_HEAD: Final = np.dtype(f"V{PLAIN.itemsize}")
"""Headers as bytes: numpy copies structured items field by field."""


class Shown(NamedTuple):
    """A window at which a worker looked, but for the columns in its slot."""

    frames: int
    first_number: int
    base: int
    """Offset in the file of the buffer's first byte."""
    end: int
    linktype: int
    link: int
    """Bytes of the link header of the plain frames; 0 where there are none."""
    others: int
    """Frames that are not plain."""
    wire_bytes: int
    first_ns: int
    last_ns: int


class _Columns:
    """The columns of a slot, one item a frame.

    Args:
        slot: Where they are.
        count: Frames of the window.
        others: How many of them are not plain.
    """

    def __init__(self, slot: Slot, count: int, others: int) -> None:
        self.time_ns = slot.column(_TIME, count)
        self.offset = slot.column(_SMALL, count)
        self.caplen = slot.column(_SMALL, count)
        self.length = slot.column(_SMALL, count)
        """Of the IP packet, where the frame is plain; so is ``head``."""
        self.head = slot.column(_HEAD, count)
        self.share = slot.column(_SHARE, count)
        self.wirelen = slot.column(_SMALL, others)
        """Of the others only: a plain frame's IP packet tells its length."""


def show(look: Look, slot: Slot, count: int) -> Shown:
    """Put what was seen into a slot.

    Args:
        look: At a window.
        slot: Empty.
        count: How many shares there are.

    Raises:
        NoRoom: It does not fit.
    """
    block = look.block
    assert block is not None
    if len(look.linktypes) > 1 or len(block.data) > ROOM:
        raise NoRoom
    others = look.others
    columns = _Columns(slot, len(block), len(others))
    columns.time_ns[:] = block.time_ns
    columns.offset[:] = block.offset
    columns.caplen[:] = block.caplen
    columns.wirelen[:] = block.wirelen[others]
    columns.share[others] = _OTHER
    link = 0
    for heads in look.heads:  # of one link type
        link = heads.link
        rows = heads.frame if len(others) else slice(None)
        columns.length[rows] = heads.length
        columns.head[rows] = heads.head.view(_HEAD)
        columns.share[rows] = shares_of(heads, count)
    return Shown(
        frames=len(block),
        first_number=block.first_number,
        base=look.base,
        end=look.base + len(block.data),
        linktype=look.linktypes[0],
        link=link,
        others=len(others),
        wire_bytes=look.wire_bytes,
        first_ns=look.first_ns,
        last_ns=look.last_ns,
    )


def seen(shown: Shown, slot: Slot, share: int, data: Bytes) -> Look:
    """What was shown, as if we had looked.

    Args:
        shown: By whoever looked.
        slot: Holds the columns.
        share: Whose plain frames are wanted.
        data: The window's bytes.
    """
    columns = _Columns(slot, shown.frames, shown.others)
    mine = np.flatnonzero(columns.share == share)
    offset = columns.offset[mine].astype(np.int64)
    heads = Heads(
        link=shown.link,
        frame=mine,
        offset=offset,
        caplen=columns.caplen[mine].astype(np.int64),
        length=columns.length[mine].astype(np.int64),
        time_ns=columns.time_ns[mine],
        position=offset + shown.base,
        head=columns.head[mine].view(PLAIN),
    )
    others = np.flatnonzero(columns.share == _OTHER) if shown.others else mine[:0]
    return Look(
        data=data,
        first_number=shown.first_number,
        frames=shown.frames,
        block=_block(shown, columns, others, data) if len(others) else None,
        heads=[heads] if len(mine) else [],
        others=others,
        base=shown.base,
        wire_bytes=shown.wire_bytes,
        first_ns=shown.first_ns,
        last_ns=shown.last_ns,
        linktypes=(shown.linktype,),
    )


def _block(shown: Shown, columns: _Columns, others: Ints, data: Bytes) -> FrameBlock:
    """The frames of the window; those that are plain without their length on the wire."""
    offset = columns.offset.astype(np.int64)
    wirelen = np.zeros(shown.frames, np.int64)
    wirelen[others] = columns.wirelen
    return FrameBlock(
        data=data,
        offset=offset,
        time_ns=columns.time_ns.copy(),
        caplen=columns.caplen.astype(np.int64),
        wirelen=wirelen,
        linktype=np.full(shown.frames, shown.linktype, np.uint16),
        interface=np.zeros(shown.frames, np.int32),
        position=offset + shown.base,
        first_number=shown.first_number,
    )
