"""TCP segments as columns: from the headers of plain frames, and from peeled layers.

The fast way takes the headers that a first look found (``heads``). The slow way begins where
the peeled layers left off, at a TCP header and its IP header.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final

import numpy as np
from numpy.typing import NDArray

from capture.decode.addresses import AddressBook
from capture.decode.columns import OPT_TIMESTAMPS, Segments
from capture.decode.gather import records, u8
from capture.decode.heads import TCP_FIELDS, Heads
from capture.decode.network import IPV4_HEADER, IPV6_HEADER
from capture.decode.peel import Peel, Rows
from capture.decode.tcpoptions import PLAIN_TIMESTAMPS, Options, read_options
from capture.frames import Bytes, FrameBlock, Ints

_TCP_HEADER: Final = np.dtype(TCP_FIELDS)

_DONT_FRAGMENT: Final = 0x4000


@dataclass(slots=True)
class _Frames:
    """The frames of segments; arrays of shape ``(n,)``."""

    number: Ints
    time_ns: Ints
    position: Ints
    caplen: Ints


@dataclass(slots=True)
class _Packets:
    """What the layers below TCP say of segments; arrays of shape ``(n,)``."""

    src: Ints
    dst: Ints
    length: Ints
    ttl: Ints
    ident: Ints
    dont_fragment: NDArray[np.bool_]


def plain_segments(data: Bytes, first_number: int, heads: Heads) -> Segments:
    """The segments of plain frames.

    Args:
        data: The buffer of their block.
        first_number: Number of the block's first frame.
        heads: Their headers.
    """
    head = heads.head
    packets = _Packets(
        src=head["src"].astype(np.int64),
        dst=head["dst"].astype(np.int64),
        length=heads.length,
        ttl=head["ttl"].astype(np.int64),
        ident=head["id"].astype(np.int64),
        dont_fragment=head["fragment"] & _DONT_FRAGMENT != 0,
    )
    numbers = heads.frame + first_number
    frames = _Frames(numbers, heads.time_ns, heads.position, heads.caplen)
    at = heads.offset + (heads.link + 20)
    end, wire = heads.offset + heads.caplen, at + (heads.length - 20)
    return _segments(data, frames, packets, head, at, end, wire)


def peeled_segments(block: FrameBlock, peel: Peel, rows: Rows, book: AddressBook) -> list[Segments]:
    """The segments of rows that the layers brought to their TCP header.

    Args:
        block: The block the rows' frames belong to.
        peel: Holds the buffer and takes the reasons of what is refused.
        rows: At least 20 bytes of each TCP header are captured.
        book: Numbers the addresses.

    Returns:
        One part, or none.
    """
    data = peel.data
    head = records(data, rows.at, _TCP_HEADER)
    size = (head["offset"] >> 4).astype(np.int64) * 4
    good = (size >= 20) & (rows.at + size <= rows.wire)
    rows, head = peel.keep(rows, good, "bad TCP header length"), head[good]
    if not len(rows):
        return []
    packets = _packets(data, rows, book)
    frame = rows.frame
    frames = _Frames(
        frame + block.first_number, block.time_ns[frame], block.position[frame], block.caplen[frame]
    )
    return [_segments(data, frames, packets, head, rows.at, rows.end, rows.wire)]


def _packets(data: Bytes, rows: Rows, book: AddressBook) -> _Packets:
    """Read the IP headers around TCP, of either version."""
    old = u8(data, rows.ip) >> 4 == 4
    head4 = records(data, rows.ip[old], IPV4_HEADER)
    head6 = records(data, rows.ip[~old], IPV6_HEADER)

    def both(four: NDArray[np.generic], six: NDArray[np.generic] | int) -> Ints:
        out = np.empty(len(rows), np.int64)
        out[old], out[~old] = four, six
        return out

    return _Packets(
        src=both(head4["src"], book.ipv6(head6["src"])),
        dst=both(head4["dst"], book.ipv6(head6["dst"])),
        length=rows.ip_length,
        ttl=both(head4["ttl"], head6["hops"]),
        ident=both(head4["id"], -1),
        dont_fragment=both(head4["fragment"] & _DONT_FRAGMENT != 0, 1) != 0,
    )


def _segments(
    data: Bytes,
    frames: _Frames,
    packets: _Packets,
    head: NDArray[np.void],
    at: Ints,
    end: Ints,
    wire: Ints,
) -> Segments:
    """Columns of segments whose TCP headers ``head`` begin at ``at``.

    Args:
        data: The buffer.
        frames: The segments' frames.
        packets: The IP headers.
        head: Records that hold the TCP fields.
        at: Start of the TCP header.
        end: End of the captured bytes (beyond ``wire``: padding).
        wire: End of the IP packet on the wire.
    """
    flags = head["flags"].astype(np.int64)
    payload_at = at + (head["offset"] >> 4) * np.int64(4)
    length = wire - payload_at
    end = np.minimum(end, wire)
    # A frame may be cut inside the options: then there is no payload, at the cut.
    payload_at = np.minimum(payload_at, end)
    options = _options(data, head, at, payload_at, flags)
    return Segments(
        data=data,
        number=frames.number,
        time_ns=frames.time_ns,
        src=packets.src,
        dst=packets.dst,
        sport=head["sport"].astype(np.int64),
        dport=head["dport"].astype(np.int64),
        seq=head["seq"].astype(np.int64),
        ack=head["ack"].astype(np.int64),
        flags=flags,
        window=head["window"].astype(np.int64),
        length=length,
        payload_at=payload_at,
        payload_captured=end - payload_at,
        ip_length=packets.length,
        ttl=packets.ttl,
        ip_id=packets.ident,
        dont_fragment=packets.dont_fragment,
        checksum=head["tcp_checksum"].astype(np.int64),
        mss=options.mss,
        wscale=options.wscale,
        options=options.bits,
        sack_left=options.sack_left,
        sack_right=options.sack_right,
        position=frames.position,
        caplen=frames.caplen,
        fragmented=np.zeros(len(head), np.bool_),
    )


def _options(
    data: Bytes, head: NDArray[np.void], at: Ints, options_end: Ints, flags: Ints
) -> Options:
    """Options of all segments; those that have none or only timestamps cost little."""
    out = Options.none(len(head))
    offset, first = head["offset"] >> 4, head["options"]
    plain = (offset == 8) & (first == PLAIN_TIMESTAMPS) & (options_end - at == 32)
    out.bits[plain] = OPT_TIMESTAMPS
    rows = np.flatnonzero(~plain & (offset > 5))
    if len(rows):
        read_options(data, rows, at[rows] + 20, options_end[rows], flags, out)
    return out


_COLUMNS: Final = tuple(item.name for item in fields(Segments) if item.name != "data")


def join_segments(parts: list[Segments], data: Bytes) -> Segments:
    """Segments of several ways in the order of their frames.

    Args:
        parts: Any number of them, none with a frame of another.
        data: The buffer that all their payload positions refer to.
    """
    if len(parts) == 1 and (parts[0].data is data):
        return parts[0]
    if not parts:
        return _none(data)
    order = np.argsort(np.concatenate([part.number for part in parts]), kind="stable")
    columns = {
        name: np.concatenate([getattr(part, name) for part in parts])[order] for name in _COLUMNS
    }
    return Segments(data=data, **columns)


def _none(data: Bytes) -> Segments:
    flags = ("dont_fragment", "fragmented")
    return Segments(
        data=data,
        **{name: np.zeros(0, np.bool_ if name in flags else np.int64) for name in _COLUMNS},
    )
