"""A capture may hold packets in another order than the wire had, or copies of them."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

import pytest

from capture.engine import analyse
from capture.options import AnalysisOptions
from capture.report.model import FlowReport
from capture.sources import open_source

DEMOS = Path(__file__).parents[2] / "capture" / "demos"
HEALTHY = ("ok-tls13", "ok-tls12", "auth-ok")

Record = tuple[bytes, bytes, bytes]
"""Time, lengths and packet of a pcap record."""


def records(name: str) -> tuple[bytes, list[Record]]:
    """File header and records of a demo (pcap, little-endian)."""
    data = (DEMOS / f"{name}.pcap").read_bytes()
    found, at = [], 24
    while at < len(data):
        size = struct.unpack_from("<I", data, at + 8)[0]
        end = at + 16 + size
        found.append((data[at : at + 8], data[at + 8 : at + 16], data[at + 16 : end]))
        at = end
    return data[:24], found


def judged(path: Path, header: bytes, packets: Sequence[Record]) -> FlowReport:
    """The report of the file's first flow."""
    path.write_bytes(header + b"".join(b"".join(packet) for packet in packets))
    return analyse(open_source(str(path)), AnalysisOptions()).flows[0]


def carries_data(packet: bytes) -> bool:
    """A TCP segment with payload on Ethernet/IPv4."""
    total = int.from_bytes(packet[16:18], "big")
    return packet[12:14] == b"\x08\x00" and packet[23] == 6 and total > 40 + (packet[46] >> 2) - 20


@pytest.mark.parametrize("name", HEALTHY)
def test_neighbours_captured_in_the_wrong_order(name: str, tmp_path: Path) -> None:
    header, packets = records(name)
    plain = judged(tmp_path / "plain.pcap", header, packets)
    tried = 0
    for at in range(len(packets) - 1):
        (time, sizes, first), (next_time, next_sizes, second) = packets[at : at + 2]
        if first[26:34] != second[26:34] or not (carries_data(first) and carries_data(second)):
            continue
        tried += 1
        swapped = list(packets)
        swapped[at : at + 2] = [(time, next_sizes, second), (next_time, sizes, first)]
        flow = judged(tmp_path / "swapped.pcap", header, swapped)
        assert (flow.verdict, flow.target, flow.status) == (
            plain.verdict, plain.target, plain.status,
        ), at + 1  # fmt: skip
        assert flow.tls == plain.tls, at + 1
        assert not flow.findings, at + 1
    assert tried


@pytest.mark.parametrize("name", HEALTHY)
def test_every_packet_twice(name: str, tmp_path: Path) -> None:
    header, packets = records(name)
    plain = judged(tmp_path / "plain.pcap", header, packets)
    flow = judged(tmp_path / "twice.pcap", header, [p for p in packets for _ in range(2)])
    assert (flow.verdict, flow.tls, flow.closes) == (plain.verdict, plain.tls, plain.closes)
    assert not flow.findings
