from __future__ import annotations

import pytest

from capture.sources.text import grammar
from capture.sources.text.clock import are_differences
from capture.sources.text.heads import from_dump, from_lines
from capture.sources.text.lines import unquote
from capture.sources.text.packet_line import Stamp, parse_packet_line

DAY = 86_400 * 10**9


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mss 1460", "020405b4"),
        ("sackOK,TS val 1 ecr 2,nop,wscale 7", "0402080a000000010000000201030307"),
        ("nop,nop,sack 2 {1:2}{3:4}", "0101051200000001000000020000000300000004"),
        ("mss 1460,tfo  cookie 0000000100000002,eol", "020405b400"),
        ("unknown-253 0x01020304,sackOK", "0402"),
        ("mss", "02040000"),
        ("TS val 99999999999999 ecr", "080a0000000000000000"),
        ("", ""),
        ("[bad opt", ""),
        (",".join(["nop"] * 99), "01" * 40),
    ],
)  # fmt: skip
def test_options(text: str, expected: str) -> None:
    assert grammar.parse_options(text).hex() == expected


@pytest.mark.parametrize(
    ("text", "bits"),
    [("S", 2), ("S.", 18), (".", 16), ("none", 0), ("FP.U", 57), ("SEW", 194), ("SYN, ACK", 18),
     ("SYN", 2), ("FIN,ACK", 17), ("R", 4), ("", 0)],
)  # fmt: skip
def test_flags(text: str, bits: int) -> None:
    line = grammar.parse_tcp(f"Flags [{text}], seq 5, length 0")
    assert line is not None
    assert line.flags == bits


@pytest.mark.parametrize(
    ("line", "nanoseconds", "dated"),
    [
        ("00:00:01.5 IP a.1 > b.2: tcp 0", 1_500_000_000, False),
        ("-00:00:01.5 IP a.1 > b.2: tcp 0", -1_500_000_000, False),
        ("10:00:00 IP a.1 > b.2: tcp 0", 36_000 * 10**9, False),
        ("10:00:00,25 IP a.1 > b.2: tcp 0", 36_000_250_000_000, False),
        ("1700000000.000001 IP a.1 > b.2: tcp 0", 1_700_000_000_000_001_000, True),
        ("1700000000.123456789 IP a.1 > b.2: tcp 0", 1_700_000_000_123_456_789, True),
        ("1970-01-02 00:00:01.000001 IP a.1 > b.2: tcp 0", DAY + 1_000_001_000, True),
        ("1970-01-02T02:00:00.0+02:00 IP a.1 > b.2: tcp 0", DAY, True),
        ("1970-01-02T00:00:00.0Z IP a.1 > b.2: tcp 0", DAY, True),
        ("1970-13-99 00:00:01.0 IP a.1 > b.2: tcp 0", 10**9, False),
    ],
)
def test_times(line: str, nanoseconds: int, dated: bool) -> None:
    packet = parse_packet_line(line)
    assert packet is not None
    assert packet.stamp == Stamp(nanoseconds, dated)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "Host: a.example:443",
        "10:20:58 something happened",
        "10:20:58.123456 [a remark]",
        "# IP is the Internet Protocol",
        "the client 10.0.0.1.80 > 10.0.0.2.80",
        "IP",
        "IP (",
        "12 packets captured",
        "HTTP/1.1 200 OK",
    ],
)
def test_lines_that_begin_no_packet(line: str) -> None:
    assert parse_packet_line(line) is None


def test_detail_of_verbose_lines() -> None:
    packet = parse_packet_line(
        "IP (tos 0x0, ttl 63, id 2269, offset 1480, flags [+], proto TCP (6), length 1500,"
        " options (NOP,EOL)) 10.0.0.1 > 10.0.0.2: tcp"
    )
    assert packet is not None
    detail = packet.detail
    assert (detail.ttl, detail.ident, detail.length) == (63, 2269, 1500)
    assert (detail.fragment_offset, detail.more_fragments, detail.dont_fragment) == (
        1480,
        True,
        False,
    )
    assert (packet.src, packet.dst, packet.body) == ("10.0.0.1", "10.0.0.2", "tcp")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("CONNECT a:443 HTTP/1.1", "CONNECT a:443 HTTP/1.1"),
        ("CONNECT a:443 HTTP/1.1   # now", "CONNECT a:443 HTTP/1.1"),
        ("CONNECT tools.cisco.com:443", "CONNECT tools.cisco.com:443 HTTP/1.1"),
        ("GET http://a/ HTTP/1.0", "GET http://a/ HTTP/1.0"),
        ("GET off my lawn", None),
        ("CONNECT the cable", None),
        ("connect a:443 HTTP/1.1", None),
    ],
)
def test_request_lines(line: str, expected: str | None) -> None:
    assert grammar.request_line(line) == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("HTTP/1.1 403 Forbidden", "HTTP/1.1 403 Forbidden"),
        ("HTTP/1.1 403 Forbidden # no", "HTTP/1.1 403 Forbidden"),
        (
            "HTTP/1.1 502 Proxy Error ( The host was not found. )",
            "HTTP/1.1 502 Proxy Error ( The host was not found. )",
        ),
        ("HTTP/1.1 200", "HTTP/1.1 200"),
        ("HTTP/1.1 999 x", None),
        ("HTTP is a protocol", None),
    ],
)
def test_status_lines(line: str, expected: str | None) -> None:
    assert grammar.status_line(line) == expected


def test_patterns_take_linear_time() -> None:
    """The longest lines, made to be tried in every way; backtracking would take hours."""
    size = 16_000
    for part in (
        "(",
        "()",
        "IP ",
        "IP (",
        "a > b: ",
        " [",
        " ",
        "  #",
        "seq 1",
        "sack {",
        "1 ",
        "> ",
    ):
        for start in ("", "10:00:00.1 IP a.1 > b.2: Flags [S], options [", "HTTP/1.1 200 ", "GET "):
            line = start + part * (size // len(part)) + "x"
            rest = unquote(line)[1]
            packet = parse_packet_line(rest)
            grammar.parse_tcp(rest if packet is None else packet.body)
            grammar.parse_icmp(rest, 4)
            grammar.parse_icmp(rest, 6)
            grammar.parse_udp(rest)
            grammar.status_line(rest)
            grammar.request_line(rest)
            grammar.hex_bytes(rest)


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ([], False),
        ([0, 5, 9], False),
        ([0, 9, 5], True),
        ([7, 9, 5], False),
        ([0, 3], False),
    ],
)
def test_differences_are_told_from_times(times: list[int], expected: bool) -> None:
    assert are_differences([Stamp(time, False) for time in times]) == expected


def test_dump_with_a_request_in_a_body_is_no_request() -> None:
    headers = "E" + "." * 51
    assert from_dump(headers + "GET /a HTTP/1.1\nHost: b\n\n") is not None
    assert from_dump(headers + "x" * 200 + "\nGET /a HTTP/1.1\nHost: b\n\n") is None
    assert from_dump(headers + "16 03 01") is None


def test_heads_end_where_something_else_begins() -> None:
    lines = ["GET / HTTP/1.1", "Host: a", "that was the request", "HTTP/1.1 200 OK", "", "x: y"]
    assert [(head.lines, head.whole) for head in from_lines(lines, False)] == [
        (["GET / HTTP/1.1", "Host: a"], False),
        (["HTTP/1.1 200 OK"], True),
    ]
