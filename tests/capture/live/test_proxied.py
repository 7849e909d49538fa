from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.live.proxied import Connection, Proxied, find_proxied, parse_line, read_connections

little_endian = pytest.mark.skipif(sys.byteorder != "little", reason="the table is in host order")

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n"
V4 = "   1: 020010AC:9C40 0A0A0A0A:0C38 01 00000000:00000000 00:00000000 00000000 0 0 123 1\n"
V6 = (
    "   2: 000080FE00000000FF00FC0201000000:1F90 00000000000000000000000000000000:0000 0A"
    " 00000000:00000000 00:00000000 00000000 0 0 9\n"
)
MAPPED = (
    "   3: 0000000000000000FFFF00000100007F:1F90 0000000000000000FFFF00000100007F:D431 01"
    " 00000000:00000000 00:00000000 00000000 0 0 9\n"
)


@little_endian
def test_lines_of_the_table(tmp_path: Path) -> None:
    table = tmp_path / "tcp"
    table.write_text(HEAD + V4 + "rubbish\n" + V6 + MAPPED)
    assert list(read_connections([str(tmp_path / "missing"), str(table)])) == [
        Connection("172.16.0.2", 40000, "10.10.10.10", 3128, 1),
        Connection("fe80::2fc:ff:0:1", 8080, "::", 0, 10),
        Connection("127.0.0.1", 8080, "127.0.0.1", 54321, 1),
    ]


@given(st.text(max_size=200))
def test_no_line_does_harm(line: str) -> None:
    parse_line(line)
    parse_line(f"1: {line}:0000 0100007F:0016 01")


def test_proxies_are_known_by_port_or_because_they_were_told() -> None:
    connections = [
        Connection("10.0.0.1", 40000, "10.1.1.1", 3128, 1),
        Connection("10.0.0.1", 40002, "10.1.1.1", 3128, 1),
        Connection("10.0.0.1", 40001, "10.1.1.2", 80, 2),
        Connection("10.0.0.1", 40003, "10.1.1.3", 8443, 1),
        Connection("10.0.0.1", 40004, "10.1.1.4", 443, 1),
        Connection("10.0.0.1", 40005, "10.1.1.9", 3128, 6),
        Connection("0.0.0.0", 8080, "0.0.0.0", 0, 10),
        Connection("10.0.0.1", 8080, "10.7.7.7", 5000, 1),
        Connection("fd00::1", 3128, "fd00::2", 5000, 1),
    ]
    told = [("10.1.1.2", 80), ("10.1.1.3", None), ("10.1.1.4", 80)]
    assert find_proxied(connections, told) == [
        Proxied("10.0.0.1", "10.1.1.1", "10.1.1.1:3128"),
        Proxied("10.0.0.1", "10.1.1.2", "10.1.1.2:80"),
        Proxied("10.0.0.1", "10.1.1.3", "10.1.1.3:8443"),
        Proxied("0.0.0.0", "", "0.0.0.0:8080"),
        Proxied("10.0.0.1", "10.7.7.7", "10.0.0.1:8080"),
        Proxied("fd00::1", "fd00::2", "[fd00::1]:3128"),
    ]
