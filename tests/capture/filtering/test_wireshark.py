"""Our filters beside tshark's, packet by packet."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from capture.filtering import Material, compile_filter
from tests.capture.filtering.build import material_of, read
from tests.capture.tracking.wireshark import TSHARK

pytestmark = pytest.mark.skipif(TSHARK is None, reason="needs tshark to compare with")

TOUR = Path(__file__).parents[3] / "capture" / "demos" / "tour.pcapng"
LEGS = Path(__file__).parents[2] / "data" / "captures" / "01z_on_proxy_both_legs.pcap"
"""Beside its tunnel it holds the proxy's own connection to the server."""

FILTERS = [
    "tcp", "frame.number in {1..5, 9}", "tcp.flags.syn", "tcp.flags.syn == 1",
    "tcp.flags & 0x02", "tcp.flags & 0x12 == 0x12", "tcp.flags.reset == 1 or tcp.flags.fin == 1",
    "tcp.port == 80", "tcp.port != 80", "tcp.port ~= 80",
    "tcp.srcport > 1000 and tcp.dstport < 100",
    "ip.addr == 10.10.10.1", "ip.src == 10.40.40.0/24 and tcp.len > 0",
    "not ip.addr == 10.10.10.0/24", "tcp.len >= 1000 && !tcp.analysis.retransmission",
    "tcp.analysis.flags", "tcp.analysis.retransmission", "tcp.stream in {2, 4}",
    "frame.time_relative > 5.5", "frame.len == 66", "http.request", "http.response.code >= 400",
    "http.response.code != 200", 'http.request.method == "CONNECT"',
    'http.host contains "cisco"', 'http.request.uri matches "example[.](COM|net)"',
    'http.response.phrase == "Forbidden"', "tls.handshake.type == 1",
    'tls.handshake.extensions_server_name == "tools.cisco.com"', "tls.alert_message.desc == 48",
    "tcp.options.mss_val > 1000", "tcp.window_size < 1000", "tcp.seq == 1 and tcp.ack == 1",
]  # fmt: skip


@pytest.fixture(scope="module")
def tour() -> Material:
    return material_of(read(TOUR))


def theirs(path: Path, text: str, home: Path) -> list[int]:
    # Reassembled, a reply would be shown at the last packet of its body.
    command = [str(TSHARK), "-n", "-o", "http.desegment_body:FALSE", "-r", str(path), "-Y", text,
               "-T", "fields", "-e", "frame.number"]  # fmt: skip
    environment = {**os.environ, "HOME": str(home), "XDG_CONFIG_HOME": str(home)}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return [int(line) for line in done.stdout.split()]


def ours(asked: Material, text: str) -> list[int]:
    found = np.flatnonzero(compile_filter(text).condition.packets(asked))
    return [int(row) + 1 for row in found]


@pytest.mark.parametrize("text", FILTERS)
def test_the_same_packets(text: str, tour: Material, tmp_path: Path) -> None:
    assert ours(tour, text) == theirs(TOUR, text, tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "ip.addr == 10.10.10.1", "tcp.port == 443", "tcp.port != 443", "tcp.stream == 1",
        "tcp.dstport == 443 and tcp.len > 0", "ip.dst == 10.10.0.0/16", "not ip.src == 10.10.10.1",
    ],
)  # fmt: skip
def test_the_same_packets_of_what_is_no_tunnel(text: str, tmp_path: Path) -> None:
    assert ours(material_of(read(LEGS)), text) == theirs(LEGS, text, tmp_path)
