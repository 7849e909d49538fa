"""The blocks of a pcapng file as bytes (draft-ietf-opsawg-pcapng), packets many at a time.

Everything is little-endian and every interface counts nanoseconds. Nothing here opens a file.
"""

from __future__ import annotations

import platform
import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from capture import __version__
from capture.frames import Bytes, FrameBlock, Interface, Ints
from capture.writing.frames import copy_frames

APPLICATION: Final = f"tunnelscope {__version__}"

_SECTION, _INTERFACE, _STATISTICS, _ENHANCED = 0x0A0D0D0A, 1, 5, 6
_BYTE_ORDER_MAGIC: Final = 0x1A2B3C4D
_UNKNOWN_LENGTH: Final = -1

_END, _COMMENT = 0, 1
_HARDWARE, _OS, _USER_APPLICATION = 2, 3, 4
_IF_NAME, _IF_DESCRIPTION, _IF_TSRESOL, _IF_FILTER = 2, 3, 9, 11
_START_TIME, _END_TIME, _RECEIVED, _IF_DROPPED, _OS_DROPPED = 2, 3, 4, 5, 7
_NANOSECONDS: Final = b"\x09"
_PCAP_STRING: Final = b"\0"
"""First byte of if_filter: what follows is a filter in pcap's language."""

_HEAD: Final = 28
_AROUND: Final = 32
"""Bytes of an enhanced packet block that are not frame, padding or options."""
_LONGEST_OPTION: Final = 0xFFFC
"""An option's length has 16 bits, and the padded one must not wrap either."""

Options = Iterable[tuple[int, bytes]]


def section(comments: Iterable[str] = (), *, where: bool = True) -> bytes:
    """The section header block: who wrote the file, where, and what there is to say of it.

    Args:
        comments: What there is to say.
        where: Tell hardware and system of this machine.
    """
    options = [(_COMMENT, _text(comment)) for comment in comments]
    if where:
        options.append((_HARDWARE, _text(platform.machine())))
        options.append((_OS, _text(f"{platform.system()} {platform.release()}")))
    options.append((_USER_APPLICATION, _text(APPLICATION)))
    body = struct.pack("<IHHq", _BYTE_ORDER_MAGIC, 1, 0, _UNKNOWN_LENGTH)
    return _block(_SECTION, body, options)


def interface(item: Interface, linktype: int | None = None, comment: str = "") -> bytes:
    """An interface description block. It names no system: the interface may be another's.

    Args:
        item: The interface.
        linktype: LINKTYPE_ number of its frames; None: the interface's own.
        comment: What there is to say of it.
    """
    options = []
    if comment:
        options.append((_COMMENT, _text(comment)))
    if item.name:
        options.append((_IF_NAME, _text(item.name)))
    options.append((_IF_TSRESOL, _NANOSECONDS))
    if item.filter:
        options.append((_IF_FILTER, _PCAP_STRING + _text(item.filter)))
    kind = item.linktype if linktype is None else linktype
    return _block(_INTERFACE, struct.pack("<HHI", kind, 0, item.snaplen), options)


def statistics(
    number: int,
    now_ns: int,
    *,
    start_ns: int | None = None,
    received: int | None = None,
    if_dropped: int | None = None,
    os_dropped: int | None = None,
    comment: str = "",
) -> bytes:
    """An interface statistics block; what is None is not told.

    Args:
        number: Of the interface in its section.
        now_ns: The moment the counters were read, ns since the epoch.
        start_ns: When the capture began; also tells its end, which is now.
        received: Packets that the interface received.
        if_dropped: Packets lost before they reached the program. Strictly isb_osdrop is the
            kernel's part, but dumpcap writes it here, and Wireshark shows this one.
        os_dropped: Packets lost later.
        comment: What there is to say.
    """
    options: list[tuple[int, bytes]] = []
    if comment:
        options.append((_COMMENT, _text(comment)))
    if start_ns is not None:
        options += [(_START_TIME, _stamp(start_ns)), (_END_TIME, _stamp(now_ns))]
    counters = ((_RECEIVED, received), (_IF_DROPPED, if_dropped), (_OS_DROPPED, os_dropped))
    options += [(code, struct.pack("<Q", value)) for code, value in counters if value is not None]
    return _block(_STATISTICS, struct.pack("<I", number) + _stamp(now_ns), options)


def packet_sizes(caplen: Ints) -> Ints:
    """Bytes of the enhanced packet block of each frame, without a comment."""
    sizes: Ints = ((caplen + 3) & ~3) + _AROUND
    return sizes


def room_for(caplen: Ints) -> int:
    """Bytes of memory in which ``packets`` makes the blocks of frames without comments."""
    return int(packet_sizes(caplen).sum()) + _AROUND


def packets(
    block: FrameBlock,
    numbers: NDArray[np.integer],
    comments: Mapping[int, Sequence[str]] | None = None,
    *,
    into: Bytes | None = None,
) -> tuple[Bytes, Ints]:
    """Enhanced packet blocks of all frames.

    Args:
        block: The frames.
        numbers: Interface number of each frame in the section being written; shape (n,).
        comments: Index of a frame -> what there is to say of it, each a comment.
        into: Memory to use, ``room_for`` bytes where there are no comments; None: fresh one.

    Returns:
        The blocks as one run of bytes, and where in it each frame's own bytes begin.
    """
    caplen = block.caplen
    padded = (caplen + 3) & ~3
    sizes = packet_sizes(caplen)
    tails: dict[int, bytes] = {}
    for index, said in (comments or {}).items():
        tails[index] = _options([(_COMMENT, _text(comment)) for comment in said])
        sizes[index] += len(tails[index])
    starts = np.cumsum(sizes) - sizes
    total = int(sizes.sum())
    # What follows the frame is written after it: a frame may be copied with some bytes more.
    out = np.empty(total + _AROUND, np.uint8) if into is None else into
    frames = starts + _HEAD
    copy_frames(block, out, frames, _AROUND)
    words = out[: total + _AROUND & ~3].view("<u4")
    _clear_padding(words, out, frames, caplen)
    ticks = block.time_ns.view(np.uint64)
    at = starts >> 2
    words[at] = _ENHANCED
    words[at + 1] = sizes
    words[at + 2] = numbers
    words[at + 3] = ticks >> np.uint64(32)
    words[at + 4] = ticks & np.uint64(0xFFFFFFFF)
    words[at + 5] = caplen
    words[at + 6] = block.wirelen
    words[at + (sizes >> 2) - 1] = sizes
    for index, tail in tails.items():
        begin = int(frames[index] + padded[index])
        out[begin : begin + len(tail)] = np.frombuffer(tail, np.uint8)
    return out[:total], frames


def _clear_padding(words: NDArray[np.uint32], out: Bytes, frames: Ints, caplen: Ints) -> None:
    """Zero the bytes between a frame's end and the next multiple of four."""
    over = caplen & 3
    odd = np.flatnonzero(over)
    last = (frames[odd] + caplen[odd]) >> 2
    keep = (np.uint32(1) << (np.uint32(8) * over[odd].astype(np.uint32))) - np.uint32(1)
    words[last] &= keep


def _block(kind: int, body: bytes, options: Options) -> bytes:
    content = body + _options(options)
    size = struct.pack("<I", len(content) + 12)
    return struct.pack("<I", kind) + size + content + size


def _options(options: Options) -> bytes:
    made = b"".join(
        struct.pack("<HH", code, len(value)) + value + b"\0" * (-len(value) % 4)
        for code, value in options
    )
    return made + struct.pack("<HH", _END, 0) if made else b""


def _text(text: str) -> bytes:
    """UTF-8, cut at a character where it is too long for an option."""
    data = text.encode("utf-8", "replace")
    if len(data) > _LONGEST_OPTION - 4:
        data = data[: _LONGEST_OPTION - 4].decode("utf-8", "ignore").encode()
    return data


def _stamp(time_ns: int) -> bytes:
    """A time in nanoseconds as two words, the upper one first."""
    return struct.pack("<II", time_ns >> 32 & 0xFFFFFFFF, time_ns & 0xFFFFFFFF)
