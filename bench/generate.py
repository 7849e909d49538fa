"""Write the capture files for speed tests.

    python -m bench.generate downloads out.pcap      1 M packets, 4,700 tunnels, big downloads
    python -m bench.generate short out.pcap          1 M packets, 54,000 short tunnels
    python -m bench.generate large out.pcap          10 M packets, 47,000 tunnels, big downloads

``--packets N --tunnels N --seed N`` override. Memory stays bounded whatever the size.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.traffic import CLIENT, SYN, TEMPLATES, Rows, slices

HEADERS: Final = 66
"""Ethernet 14, IPv4 20, TCP 32 with the timestamps option."""
START_S: Final = 1_790_000_000
"""Time of the first packet, seconds since the epoch."""
PROXY_PORT: Final = 3128
_CLIENTS: Final = 200
_CHUNK: Final = 32_768
"""Packets built at a time: some 30 MB."""


class Preset(NamedTuple):
    """What a file holds."""

    packets: int
    tunnels: int
    seconds: float
    """Over which the tunnels begin."""


PRESETS: Final = {
    "downloads": Preset(1_000_000, 4_700, 300),
    "short": Preset(1_000_000, 54_000, 600),
    "large": Preset(10_000_000, 47_000, 3_000),
}


def _put(table: NDArray[np.uint8], column: int, values: NDArray[np.int64], size: int) -> None:
    """Write ``values`` big-endian into ``size`` columns."""
    for byte in range(size):
        table[:, column + byte] = (values >> (8 * (size - 1 - byte))) & 0xFF


def headers(rows: Rows, first: int) -> NDArray[np.uint8]:
    """Ethernet, IPv4 and TCP headers, shape (n, 66); ``first``: number of the first row."""
    count = len(rows.time)
    table = np.zeros((count, HEADERS), np.uint8)
    up = rows.sender == CLIENT
    client = 0x0A010002 + rows.flow % _CLIENTS
    client_port = 1025 + rows.flow // _CLIENTS * 7 % 64000
    proxy = np.full(count, 0x0A000001)
    table[:, 0:6] = np.where(up[:, None], [2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
    table[:, 6:12] = np.where(up[:, None], [2, 0, 0, 0, 0, 2], [2, 0, 0, 0, 0, 1])
    table[:, 12] = 8
    table[:, 14] = 0x45
    _put(table, 16, rows.length + HEADERS - 14, 2)
    _put(table, 18, (first + np.arange(count)) & 0xFFFF, 2)
    table[:, 20] = 0x40
    table[:, 22], table[:, 23] = 64, 6
    _put(table, 26, np.where(up, client, proxy), 4)
    _put(table, 30, np.where(up, proxy, client), 4)
    words = table[:, 14:34].reshape(count, 10, 2).astype(np.int64)
    total = (words[:, :, 0] * 256 + words[:, :, 1]).sum(1)
    total = (total & 0xFFFF) + (total >> 16)
    _put(table, 24, ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF, 2)
    _put(table, 34, np.where(up, client_port, PROXY_PORT), 2)
    _put(table, 36, np.where(up, PROXY_PORT, client_port), 2)
    _put(table, 38, rows.seq, 4)
    _put(table, 42, rows.ack, 4)
    table[:, 46] = 0x80
    table[:, 47] = rows.flags
    _put(table, 48, rows.window, 2)
    table[:, 54:58] = (1, 1, 8, 10)
    _put(table, 58, (rows.time * 1000).astype(np.int64) & 0xFFFFFFFF, 4)
    # A SYN carries MSS 1460, window scale 7 and SACK permitted in the same twelve bytes.
    table[rows.flags & SYN != 0, 54:66] = (2, 4, 5, 180, 1, 3, 3, 7, 4, 2, 1, 1)
    return table


def _records(rows: Rows, first: int, noise: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The rows as pcap records; payload beyond the templates is noise."""
    size = rows.length + HEADERS
    offset = np.concatenate(([0], np.cumsum(size + 16)))
    data = noise[: offset[-1]].copy()
    offset = offset[:-1]
    ticks = (rows.time * 1e6).astype(np.int64)
    head = np.zeros((len(size), 4), "<u4")
    head[:, 0], head[:, 1] = START_S + ticks // 1_000_000, ticks % 1_000_000
    head[:, 2] = head[:, 3] = size
    table = np.concatenate([head.view(np.uint8), headers(rows, first)], axis=1)
    data[offset[:, None] + np.arange(table.shape[1])] = table
    order = np.argsort(rows.template, kind="stable")
    numbers, starts = np.unique(rows.template[order], return_index=True)
    for number, rows_of_it in zip(numbers, np.split(order, starts[1:]), strict=True):
        if number >= 0:
            payload = np.frombuffer(TEMPLATES[number], np.uint8)
            at = offset[rows_of_it] + table.shape[1]
            data[at[:, None] + np.arange(len(payload))] = payload
    return data


def _chunks(preset: Preset, seed: int) -> Iterator[Rows]:
    for rows in slices(preset.packets, preset.tunnels, preset.seconds, seed):
        for start in range(0, len(rows.time), _CHUNK):
            yield rows.take(slice(start, start + _CHUNK))


def write(handle: BinaryIO, preset: Preset, seed: int = 1) -> int:
    """Write a whole pcap file (microseconds, Ethernet). Returns its packets."""
    handle.write(np.array([0xA1B2C3D4, 4 << 16 | 2, 0, 0, 262_144, 1], "<u4").tobytes())
    noise = np.random.default_rng(seed).integers(0, 256, _CHUNK * 1540, np.uint8)
    written = 0
    for rows in _chunks(preset, seed):
        handle.write(_records(rows, written, noise).data)
        written += len(rows.time)
    return written


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("preset", choices=PRESETS)
    parser.add_argument("out", type=Path)
    parser.add_argument("--packets", type=int)
    parser.add_argument("--tunnels", type=int)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    preset = PRESETS[chosen.preset]
    preset = preset._replace(
        packets=chosen.packets or preset.packets, tunnels=chosen.tunnels or preset.tunnels
    )
    # Under another name until it is whole: a file that exists can be trusted.
    part = chosen.out.with_suffix(".part")
    with part.open("wb") as handle:
        packets = write(handle, preset, chosen.seed)
    os.replace(part, chosen.out)
    print(f"{chosen.out}: {packets:,} packets, {chosen.out.stat().st_size / 1e6:,.0f} MB")


if __name__ == "__main__":
    main()
