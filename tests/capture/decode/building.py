"""Blocks out of frames, for the decoder's tests."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from capture.decode import Decoder
from capture.decode.columns import Decoded, DnsMessage, IcmpError, Segments
from capture.frames import FrameBlock

CAPTURES = Path(__file__).parents[2] / "data" / "captures"


@dataclass(slots=True)
class Frame:
    """One frame of a block to build."""

    data: bytes
    linktype: int = 1
    time_ns: int = 0
    wirelen: int | None = None


def block_of(
    frames: Sequence[Frame], *, first_number: int = 1, before: bytes = b"\xa5" * 16
) -> FrameBlock:
    """A block of the frames, each behind ``before`` as a file has record headers."""
    data = b"".join(before + frame.data for frame in frames)
    caplen = np.array([len(frame.data) for frame in frames], np.int64)
    offset = np.cumsum(caplen + len(before)) - caplen
    wirelen = [len(f.data) if f.wirelen is None else f.wirelen for f in frames]
    return FrameBlock(
        data=np.frombuffer(data, np.uint8),
        offset=offset,
        time_ns=np.array([frame.time_ns for frame in frames], np.int64),
        caplen=caplen,
        wirelen=np.array(wirelen, np.int64),
        linktype=np.array([frame.linktype for frame in frames], np.uint16),
        interface=np.zeros(len(frames), np.int32),
        position=offset + 1000,
        first_number=first_number,
    )


def frames_of(path: Path) -> list[Frame]:
    """Frames of a little-endian pcap with microseconds."""
    data = path.read_bytes()
    (linktype,) = struct.unpack_from("<I", data, 20)
    found, at = [], 24
    while at < len(data):
        seconds, micros, caplen, wirelen = struct.unpack_from("<IIII", data, at)
        at += 16
        time_ns = seconds * 10**9 + micros * 1000
        found.append(Frame(data[at : at + caplen], linktype, time_ns, wirelen))
        at += caplen
    return found


@dataclass(slots=True)
class Result:
    """What a decoder made of all its blocks, as plain rows that compare."""

    segments: list[dict[str, int | str | bytes]]
    icmp: list[IcmpError]
    dns: list[DnsMessage]
    decoder: Decoder

    @property
    def reasons(self) -> dict[str, int]:
        return dict(self.decoder.not_understood)


def decode(frames: Sequence[Frame], *, block_size: int | None = None) -> Result:
    """Decode frames, cut into blocks of ``block_size`` (None: one block)."""
    decoder = Decoder()
    result = Result([], [], [], decoder)
    size = block_size or max(1, len(frames))
    for start in range(0, len(frames), size):
        block = block_of(frames[start : start + size], first_number=start + 1)
        decoded = decoder.decode(block)
        check_columns(decoded, block)
        result.segments += rows_of(decoded.segments, decoder)
        result.icmp += decoded.icmp
        result.dns += decoded.dns
    return result


def rows_of(segments: Segments, decoder: Decoder) -> Iterator[dict[str, int | str | bytes]]:
    """Segments as dictionaries, addresses as text, the captured payload as bytes."""
    names = [f.name for f in fields(Segments) if f.name not in ("data", "payload_at", "position")]
    for i in range(len(segments)):
        row: dict[str, int | str | bytes] = {
            name: int(getattr(segments, name)[i]) for name in names
        }
        row["src"] = decoder.addresses.text(int(segments.src[i]))
        row["dst"] = decoder.addresses.text(int(segments.dst[i]))
        at, size = int(segments.payload_at[i]), int(segments.payload_captured[i])
        row["payload"] = segments.data[at : at + size].tobytes()
        yield row


def check_columns(decoded: Decoded, block: FrameBlock) -> None:
    """What holds for every block, whatever its bytes."""
    segments = decoded.segments
    for item in fields(Segments):
        column = getattr(segments, item.name)
        if item.name == "data":
            assert column.dtype == np.uint8
            continue
        assert column.shape == (len(segments),), item.name
        flag = item.name in ("dont_fragment", "fragmented")
        assert column.dtype == (np.bool_ if flag else np.int64), item.name
    last = block.first_number + len(block)
    assert (np.diff(segments.number) > 0).all()
    assert ((segments.number >= block.first_number) & (segments.number < last)).all()
    assert (segments.length >= 0).all()
    assert (segments.payload_captured >= 0).all()
    assert (segments.payload_captured <= segments.length).all()
    assert (segments.payload_at >= 0).all()
    assert (segments.payload_at + segments.payload_captured <= len(segments.data)).all()
    assert ((segments.sport >= 0) & (segments.sport < 65536)).all()
    assert ((segments.seq >= 0) & (segments.seq < 1 << 32)).all()
