"""The first look at a block: which frames are plain, and their headers as they lie there.

Plain are frames in which Ethernet II or SLL, IPv4 without options and TCP follow each other:
their headers are read with one gather. What is found depends on these frames alone, so whoever
looks can hand it to somebody else (``capture.shards.looks``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from capture.decode.gather import records, some
from capture.decode.network import IPV4_HEADER, MORE_FRAGMENTS, OFFSET, TCP
from capture.frames import Bytes, FrameBlock, Ints

if TYPE_CHECKING:
    from capture.decode.share import Share

TCP_FIELDS: Final = [
    ("sport", ">u2"), ("dport", ">u2"), ("seq", ">u4"), ("ack", ">u4"), ("offset", "u1"),
    ("flags", "u1"), ("window", ">u2"), ("tcp_checksum", ">u2"), ("urgent", ">u2"),
    ("options", ">u4"),
]  # fmt: skip
PLAIN: Final = np.dtype([("ethertype", ">u2"), *IPV4_HEADER.descr, *TCP_FIELDS])
"""Ethertype, IPv4 header, TCP header and the first four bytes of its options."""

_LINK_SIZES: Final = {1: 14, 113: 16}
"""Link headers of fixed size that end in the ethertype: Ethernet II and SLL."""


@dataclass(slots=True)
class Heads:
    """Headers of plain frames of one link type; every array has shape ``(n,)``."""

    link: int
    """Bytes of the link header."""
    frame: Ints
    """Index of each frame in its block."""
    offset: Ints
    """Start of the frame in the block's buffer."""
    caplen: Ints
    """Captured length of the frame."""
    length: Ints
    """Length of the IP packet, in bytes."""
    time_ns: Ints
    position: Ints
    """Where the frame's bytes start in the file or spool."""
    head: NDArray[np.void]
    """The headers, of type ``PLAIN``."""

    def __len__(self) -> int:
        return len(self.frame)

    def some(self, rows: Ints) -> Heads:
        """Those of some of the frames, copied."""
        return Heads(
            self.link,
            self.frame[rows],
            self.offset[rows],
            self.caplen[rows],
            self.length[rows],
            self.time_ns[rows],
            self.position[rows],
            some(self.head, rows),
        )


@dataclass(slots=True)
class Look:
    """What the first look at a block tells."""

    data: Bytes
    """The block's buffer."""
    first_number: int
    """Number of its first frame."""
    frames: int
    """How many they are."""
    block: FrameBlock | None
    """The block; None where all frames are plain and somebody else looked."""
    heads: list[Heads]
    """Headers of the plain frames, or of those of a share; one item a link type."""
    others: Ints
    """Indices of the frames that are not plain."""
    base: int
    """Where the first byte of the buffer stands in the file, if the frames lie in a file."""
    wire_bytes: int
    """Bytes that all frames had on the wire."""
    first_ns: int
    """The earliest time of a frame."""
    last_ns: int
    linktypes: tuple[int, ...]
    """The frames' link types, by their first frames."""


def look_at(block: FrameBlock, share: Share | None = None) -> Look:
    """Look at a block.

    Args:
        block: The frames, at least one.
        share: Whose plain frames are wanted; None: all.
    """
    heads, plain = _heads(block)
    if share is not None:
        heads = [share.of_heads(part) for part in heads]
    kinds = block.linktype
    alike = bool((kinds == kinds[0]).all())
    return Look(
        data=block.data,
        first_number=block.first_number,
        frames=len(block),
        block=block,
        heads=heads,
        others=np.flatnonzero(~plain),
        base=int(block.position[0] - block.offset[0]),
        wire_bytes=int(block.wirelen.sum()),
        first_ns=int(block.time_ns.min()),
        last_ns=int(block.time_ns.max()),
        linktypes=tuple(dict.fromkeys((kinds[:1] if alike else kinds).tolist())),
    )


def _heads(block: FrameBlock) -> tuple[list[Heads], NDArray[np.bool_]]:
    """The headers of the plain frames by link type; and which frames are plain."""
    plain = np.zeros(len(block), np.bool_)
    parts: list[Heads] = []
    for linktype, size in _LINK_SIZES.items():
        of_link = block.linktype == linktype
        if of_link.any():
            part, rows = _heads_of_link(block, of_link, size)
            plain[rows] = True
            parts.append(part)
    return parts, plain


def _heads_of_link(block: FrameBlock, of_link: NDArray[np.bool_], link: int) -> tuple[Heads, Ints]:
    """The headers of the plain ones among some frames, whose link header takes ``link`` bytes."""
    frame = np.arange(len(block))
    start, caplen, wirelen, time_ns, position = (
        block.offset, block.caplen, block.wirelen, block.time_ns, block.position,
    )  # fmt: skip
    if not of_link.all():
        frame = np.flatnonzero(of_link)
        start, caplen, wirelen, time_ns, position = (
            column[frame] for column in (start, caplen, wirelen, time_ns, position)
        )
    head = records(block.data, start + (link - 2), PLAIN)
    length = head["length"].astype(np.int64)
    if not length.all():
        # Captured before segmentation offload filled the length in: the frame must tell.
        length = np.where(length == 0, wirelen - link, length)
    offset = head["offset"]
    plain = (
        (head["ethertype"] == 0x0800)
        & (head["version"] == 0x45)
        & (head["protocol"] == TCP)
        & (head["fragment"] & (MORE_FRAGMENTS | OFFSET) == 0)
        & (offset >= 0x50)
        & (length >= 20 + (offset >> 2 & 0x3C))
        & (caplen >= link + 40)
    )
    found = Heads(link, frame, start, caplen, length, time_ns, position, head)
    if not plain.all():
        found = found.some(np.flatnonzero(plain))
    return found, found.frame
