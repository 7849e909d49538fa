"""Builds captures byte by byte, so that the readers are not tested against themselves."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from capture.frames import FrameBlock, SourceInfo
from capture.sources import open_source

CAPTURES = Path(__file__).parents[2] / "data" / "captures"


@dataclass(frozen=True)
class Got:
    """A frame as a source gave it."""

    number: int
    time_ns: int
    data: bytes
    wirelen: int
    linktype: int
    interface: int
    position: int


def frames_in(block: FrameBlock) -> list[Got]:
    return [
        Got(
            block.first_number + index,
            int(block.time_ns[index]),
            bytes(block.data[start : start + caplen]),
            int(block.wirelen[index]),
            int(block.linktype[index]),
            int(block.interface[index]),
            int(block.position[index]),
        )
        for index, (start, caplen) in enumerate(
            zip(block.offset.tolist(), block.caplen.tolist(), strict=True)
        )
    ]


def read(path: Path | str) -> tuple[list[Got], SourceInfo]:
    """All frames of a file, and what its source knows in the end."""
    source = open_source(str(path))
    try:
        frames = [frame for block in source.blocks() for frame in frames_in(block)]
    finally:
        source.close()
    assert [frame.number for frame in frames] == list(range(1, len(frames) + 1))
    return frames, source.info


def pcap_header(
    order: str = "<", magic: int = 0xA1B2C3D4, linktype: int = 1, minor: int = 4
) -> bytes:
    return struct.pack(f"{order}IHHiIII", magic, 2, minor, 0, 0, 262_144, linktype)


def pcap_record(
    data: bytes,
    seconds: int = 1_700_000_000,
    fraction: int = 5,
    wirelen: int | None = None,
    order: str = "<",
) -> bytes:
    length = len(data) if wirelen is None else wirelen
    return struct.pack(f"{order}IIII", seconds, fraction, len(data), length) + data


def option(code: int, value: bytes, order: str = "<") -> bytes:
    return struct.pack(f"{order}HH", code, len(value)) + value + bytes(-len(value) % 4)


def ng_block(kind: int, body: bytes, order: str = "<") -> bytes:
    size = 12 + len(body)
    return struct.pack(f"{order}II", kind, size) + body + struct.pack(f"{order}I", size)


def section(order: str = "<", options: bytes = b"") -> bytes:
    body = struct.pack(f"{order}IHHq", 0x1A2B3C4D, 1, 0, -1) + options
    return ng_block(0x0A0D0D0A, body, order)


def interface(
    order: str = "<", linktype: int = 1, snaplen: int = 0, options: Iterable[bytes] = ()
) -> bytes:
    body = struct.pack(f"{order}HHI", linktype, 0, snaplen) + b"".join(options)
    return ng_block(1, body, order)


def enhanced(
    data: bytes,
    ticks: int = 0,
    number: int = 0,
    wirelen: int | None = None,
    order: str = "<",
    options: bytes = b"",
) -> bytes:
    length = len(data) if wirelen is None else wirelen
    body = struct.pack(f"{order}IIIII", number, ticks >> 32, ticks & 0xFFFFFFFF, len(data), length)
    return ng_block(6, body + data + bytes(-len(data) % 4) + options, order)


def simple(data: bytes, wirelen: int | None = None, order: str = "<") -> bytes:
    length = len(data) if wirelen is None else wirelen
    return ng_block(3, struct.pack(f"{order}I", length) + data + bytes(-len(data) % 4), order)


def obsolete(data: bytes, ticks: int, number: int = 0, order: str = "<") -> bytes:
    body = struct.pack(
        f"{order}HHIIII", number, 0xFFFF, ticks >> 32, ticks & 0xFFFFFFFF, len(data), len(data)
    )
    return ng_block(2, body + data + bytes(-len(data) % 4), order)
