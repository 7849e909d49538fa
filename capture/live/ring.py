"""The memory layout of Linux's packet ring (TPACKET_V3), and how it becomes frame blocks.

The kernel fills one block after another and hands each over when it is full or some time
has passed. A block is a linked list of packets: a header with lengths and time, the address
of the interface, the frame. Nothing here needs a socket; ``capture.live.sockets`` has it.

Source: packet_mmap.rst of the Linux kernel's documentation, ``linux/if_packet.h``. Frames
become what a capture file has: a VLAN tag that the kernel took off is put back, and where no
link layer fits all interfaces there is a header of LINKTYPE_LINUX_SLL2, as tcpdump does it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from struct import Struct
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from capture.frames import Bytes, FrameBlock, Ints

BLOCK_BYTES: Final = 1 << 20
"""A block of the ring. A frame must fit in one, and no frame is longer than 256 KiB."""
RETIRE_MS: Final = 25
"""The kernel hands a block over after this time, however little is in it."""

BLOCK_HEADER: Final = Struct("=8xIIII")
"""After version and private offset: status, number of packets, offset of the first, length."""
STATUS_OFFSET: Final = 8
TO_USER: Final = 1
"""TP_STATUS_USER: the block is ours until we write 0 (TP_STATUS_KERNEL) there."""

HEADER: Final = np.dtype(
    [
        ("next", "=u4"), ("sec", "=u4"), ("nsec", "=u4"), ("caplen", "=u4"), ("wirelen", "=u4"),
        ("status", "=u4"), ("mac", "=u2"), ("net", "=u2"), ("rxhash", "=u4"), ("tci", "=u4"),
        ("tpid", "=u2"), ("padding", "V10"),
        ("family", "=u2"), ("protocol", ">u2"), ("ifindex", "=i4"), ("hatype", "=u2"),
        ("pkttype", "u1"), ("halen", "u1"), ("address", "V8"),
    ]
)  # fmt: skip
"""``struct tpacket3_hdr`` and the ``struct sockaddr_ll`` behind it."""
VLAN_VALID: Final = 0x10
VLAN_TPID_VALID: Final = 0x40

ETHERNET, RAW_IP, SLL2 = 1, 101, 276
"""LINKTYPE numbers."""
LOOPBACK: Final = 772
"""ARPHRD_LOOPBACK."""
OUTGOING: Final = 4
"""PACKET_OUTGOING."""
_RAW_IP_TYPES: Final = (65534, 768, 769, 776, 778, 823, 519)
"""ARPHRD numbers of devices whose frames begin with IP: NONE (tun, WireGuard), TUNNEL,
TUNNEL6, SIT, IPGRE, IP6GRE, RAWIP."""
_OWN_LINKTYPES: Final = {1: ETHERNET, LOOPBACK: ETHERNET, 801: 105, 802: 119, 803: 127, 824: 253}
"""ARPHRD numbers whose frames are kept as they are: Ethernet, loopback, 802.11 with and
without its monitor headers, netlink."""

_SLL2_HEADER: Final = np.dtype(
    [
        ("protocol", ">u2"), ("reserved", ">u2"), ("ifindex", ">i4"), ("hatype", ">u2"),
        ("pkttype", "u1"), ("halen", "u1"), ("address", "V8"),
    ]
)  # fmt: skip
_TAG: Final = np.dtype([("tpid", ">u2"), ("tci", ">u2")])
_COOKED_TAG: Final = np.dtype([("tci", ">u2"), ("protocol", ">u2")])
_MACS: Final = 12
_NEXT: Final = Struct("=I").unpack_from


def linktype_of(hatype: int) -> int:
    """Link type that frames of a device are kept with; SLL2 where its own is of no use.

    PPP's own header may be missing, and many rare devices have none that others know, so
    these are captured without it, as libpcap does.

    Args:
        hatype: ARPHRD number, as in ``struct sockaddr_ll``.
    """
    return RAW_IP if hatype in _RAW_IP_TYPES else _OWN_LINKTYPES.get(hatype, SLL2)


class Run(NamedTuple):
    """A block of the ring, copied somewhere."""

    start: int
    """Where the copy begins."""
    end: int
    first: int
    """Where the header of the first packet lies."""
    packets: int


@dataclass(frozen=True, slots=True)
class Cut:
    """How frames of one interface are to be cut out."""

    linktype: int
    interface: int
    """Index in ``SourceInfo.interfaces``."""
    snaplen: int


def frames(data: Bytes, view: memoryview, runs: Sequence[Run], cut: Cut) -> FrameBlock:
    """The frames of copied ring blocks, in order, where they lie.

    What a loopback sends is left out: it comes back as received.

    Args:
        data: The copies, writeable; VLAN tags and cooked headers are put in front of frames.
        view: The same bytes (indexing a view is faster).
        runs: The blocks in it.
        cut: Link type and lengths.

    Returns:
        A block without positions and numbers: both are 0.
    """
    at = np.array([start for run in runs for start in _starts(view, run)], np.int64)
    head = _headers(data, at)
    offset = at + head["mac"]
    caplen = head["caplen"].astype(np.int64)
    good = offset + caplen <= _ends(at, runs)
    good &= (head["hatype"] != LOOPBACK) | (head["pkttype"] != OUTGOING)
    if not good.all():
        at, head, offset, caplen = at[good], head[good], offset[good], caplen[good]
    wirelen = np.maximum(head["wirelen"].astype(np.int64), caplen)
    tagged = np.flatnonzero(head["status"] & VLAN_VALID)
    if cut.linktype == SLL2:
        added = _cook(data, offset, head, tagged)
    elif cut.linktype == ETHERNET and len(tagged):
        added = _tag(data, at, offset, caplen, head, tagged)
    else:
        added = np.zeros(1, np.int64)
    offset = offset - added
    caplen = np.minimum(caplen + added, cut.snaplen)
    return FrameBlock(
        data=data,
        offset=offset,
        time_ns=head["sec"].astype(np.int64) * 10**9 + head["nsec"],
        caplen=caplen,
        wirelen=wirelen + added,
        linktype=np.full(len(offset), cut.linktype, np.uint16),
        interface=np.full(len(offset), cut.interface, np.int32),
        position=np.zeros(len(offset), np.int64),
        first_number=0,
    )


def _starts(view: memoryview, run: Run) -> list[int]:
    """Where the packets' headers lie.

    A linked list has to be walked step by step: an eighth of a microsecond each, where the
    analysis of a packet takes ten times as long (measured).
    """
    starts: list[int] = []
    append = starts.append
    at, last = run.first, run.end - HEADER.itemsize
    for _ in range(run.packets):
        if at > last:
            break
        append(at)
        step = _NEXT(view, at)[0]
        if not step:
            break
        at += step
    return starts


def _ends(at: Ints, runs: Sequence[Run]) -> Ints:
    """End of the run that each header lies in."""
    if not len(at):
        return at
    ends = np.array([run.end for run in runs], np.int64)
    return ends[np.searchsorted(ends, at, "right")]


def _headers(data: Bytes, at: Ints) -> NDArray[np.void]:
    if not len(at):
        return np.zeros(0, HEADER)
    width = HEADER.itemsize
    windows = np.ndarray((len(data) - width + 1,), f"V{width}", data, strides=(1,))
    found: NDArray[np.void] = windows[at].view(HEADER)
    return found


def _tpid(head: NDArray[np.void]) -> NDArray[np.uint16]:
    """Ethertype of the tag; 802.1Q where the kernel is too old to tell."""
    return np.where(head["status"] & VLAN_TPID_VALID, head["tpid"], 0x8100).astype(np.uint16)


def _tag(
    data: Bytes, at: Ints, offset: Ints, caplen: Ints, head: NDArray[np.void], rows: Ints
) -> Ints:
    """Put VLAN tags back in front of the ethertype; returns by how much frames grew."""
    room = offset[rows] - at[rows] >= HEADER.itemsize + _TAG.itemsize
    rows = rows[room & (caplen[rows] >= _MACS)]
    tag = np.zeros(len(rows), _TAG)
    tag["tpid"], tag["tci"] = _tpid(head[rows]), head["tci"][rows]
    macs = offset[rows, None] + np.arange(_MACS)
    data[macs - _TAG.itemsize] = data[macs]
    _write(data, offset[rows] + _MACS - _TAG.itemsize, tag)
    added = np.zeros(len(offset), np.int64)
    added[rows] = _TAG.itemsize
    return added


def _cook(data: Bytes, offset: Ints, head: NDArray[np.void], rows: Ints) -> Ints:
    """Put LINKTYPE_LINUX_SLL2 headers in front of frames; returns how long each is.

    The kernel leaves room for a link layer of 16 bytes and pads: 28 bytes in all, while the
    header and a tag take 24.
    """
    cooked = np.zeros(len(offset), _SLL2_HEADER)
    for name in ("protocol", "ifindex", "hatype", "pkttype", "halen", "address"):
        cooked[name] = head[name]
    added = np.full(len(offset), _SLL2_HEADER.itemsize, np.int64)
    if len(rows):
        tag = np.zeros(len(rows), _COOKED_TAG)
        tag["tci"], tag["protocol"] = head["tci"][rows], head["protocol"][rows]
        cooked["protocol"][rows] = _tpid(head[rows])
        added[rows] += _COOKED_TAG.itemsize
        _write(data, offset[rows] - _COOKED_TAG.itemsize, tag)
    _write(data, offset - added, cooked)
    return added


def _write(data: Bytes, at: Ints, values: NDArray[np.void]) -> None:
    """Copy each structured value to its position."""
    width = values.dtype.itemsize
    data[at[:, None] + np.arange(width)] = values.view(np.uint8).reshape(len(values), width)
