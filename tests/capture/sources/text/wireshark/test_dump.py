from __future__ import annotations

import pytest

from capture.sources.text.wireshark.dump import Dumped, dump_line, segment_in

TCP = bytes.fromhex("0fa00c38 00000007 00000009 6010 0200 0000 0000 02040578") + b"hello"
IP4 = bytes.fromhex("45000031 00004000 40060000 0a000001 0a000002") + TCP
IP6 = bytes.fromhex("60000000 001d 0640") + bytes(32) + TCP
SEGMENT = Dumped(4000, 3128, 16, bytes.fromhex("02040578"), b"hello")


@pytest.mark.parametrize("link", [0, 4, 14, 16, 18, 20, 22])
@pytest.mark.parametrize("packet", [IP4, IP6], ids=["IPv4", "IPv6"])
def test_segments_behind_link_layers(packet: bytes, link: int) -> None:
    padding = bytes(6)
    assert segment_in(b"\x02" * link + packet + padding) == SEGMENT


@pytest.mark.parametrize(
    "data",
    [b"", bytes(14), IP4[:-1], IP4[:9] + b"\x11" + IP4[10:], b"\x02" * 60,
     IP4[:32] + b"\xf0" + IP4[33:]],
    ids=["nothing", "too short", "cut", "UDP", "no IP", "options beyond the end"],
)  # fmt: skip
def test_what_holds_no_whole_segment(data: bytes) -> None:
    assert segment_in(data) is None


@pytest.mark.parametrize(
    ("line", "part"),
    [
        ("0010  00 3c cb 56   .<.V", (16, b"\x00\x3c\xcb\x56")),
        ("0000 45", (0, b"\x45")),
        ("00000020  45 00", (32, b"\x45\x00")),
        ("0101 .... = Header Length: 20 bytes (5)", None),
        ("0000 0000 0000 0000 = Nonce", None),
        ("10.0.0.1 → 10.0.0.2", None),
        ("", None),
    ],
)
def test_lines_of_a_dump(line: str, part: tuple[int, bytes] | None) -> None:
    assert dump_line(line) == part
