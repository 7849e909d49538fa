"""What people paste: host names, heads without a packet line, remarks, quoting."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capture.frames import UnreadableInput
from capture.sources import open_source
from tests.capture.sources.building import CAPTURES
from tests.capture.sources.text.test_captures import Decoded, Facts, decode

DOCUMENT = (CAPTURES / "document_acl.txt").read_text()
SYN, ACK, PSH, FIN, RST = 2, 16, 8, 1, 4


def pasted(tmp_path: Path, text: str | bytes) -> Decoded:
    path = tmp_path / "paste.txt"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return decode(path)


def summary(facts: list[Facts]) -> list[tuple[int, int, int, int, int]]:
    return [(f.ports[0], f.flags, f.seq, f.ack, f.length) for f in facts]


EXPECTED = [
    (54321, SYN, 0, 0, 0),
    (80, SYN | ACK, 0, 1, 0),
    (54321, ACK, 1, 1, 0),
    (54321, PSH | ACK, 1, 1, 121),
    (80, PSH | ACK, 1, 122, 91),
    (54321, FIN | ACK, 1234, 5678, 0),
    (80, FIN | ACK, 5678, 1235, 0),
    (54321, ACK, 1235, 5679, 0),
]


def test_document(tmp_path: Path) -> None:
    text = pasted(tmp_path, DOCUMENT)
    assert summary(text.facts) == EXPECTED
    assert text.numbers == list(range(1, 9))
    assert text.payloads[3] == (
        b"CONNECT tools.cisco.com:443 HTTP/1.1\r\nHost: tools.cisco.com:443\r\n"
        b"User-Agent: curl/8.5.0\r\nProxy-Connection: Keep-Alive\r\n\r\n"
    )
    assert text.payloads[4].startswith(b"HTTP/1.1 403 Forbidden\r\nContent-Type: text/html\r\n")
    assert text.payloads[4].endswith(b"Connection: close\r\n\r\n")
    assert text.facts[0].mss == text.facts[1].mss == 1460
    # The heads have the time of the line before them.
    assert text.times[2] == text.times[3] == text.times[4] < text.times[5]
    assert text.info.times_known
    assert sorted(text.info.names.values()) == ["client", "proxy"]
    assert text.info.names[text.facts[0].src] == "client"
    assert text.info.names[text.facts[0].dst] == "proxy"
    assert text.info.untimed == {4, 5}
    assert any("#4, #5" in line for line in text.info.assumed)


QUOTED = {
    "windows line ends": DOCUMENT.replace("\n", "\r\n"),
    "old Mac line ends": DOCUMENT.replace("\n", "\r"),
    "byte order mark": "\ufeff" + DOCUMENT,
    "mail": "".join(f"> {line}\n" for line in DOCUMENT.splitlines()),
    "mail, twice": "".join(f">> {line}\n" for line in DOCUMENT.splitlines()),
    "code block": "See below:\n\n```\n" + DOCUMENT + "```\n",
    "indented block": "".join(f"    {line}\n" for line in DOCUMENT.splitlines()),
    "indented by a tab": "".join(f"\t{line}\n" for line in DOCUMENT.splitlines()),
    "bullets": "".join(f"* {line}\n" if line else "\n" for line in DOCUMENT.splitlines()),
    "line numbers": "".join(f"{i:6}\t{line}\n" for i, line in enumerate(DOCUMENT.splitlines(), 1)),
    "numbered list": "".join(
        f"{i}. {line}\n" for i, line in enumerate(DOCUMENT.splitlines(), 1) if line
    ),
    "table": "".join(f"| {line}\n" for line in DOCUMENT.splitlines()),
    "HTML entities": DOCUMENT.replace(" > ", " &gt; "),
    "remarks on their own lines": DOCUMENT.replace(
        "CONNECT", "[the client asks for a tunnel]\n# CONNECT next\n(see RFC 9110)\nCONNECT", 1
    ),
    "remarks behind the lines": DOCUMENT.replace("length 0\n", "length 0   # nothing in it\n")
    .replace("443 HTTP/1.1\n", "443 HTTP/1.1  <- the request\n")
    .replace("Forbidden\n", "Forbidden   [denied!]\n")
    .replace("curl/8.5.0\n", "curl/8.5.0 # curl\n"),
    "brackets behind the lines": DOCUMENT.replace("length 0\n", "length 0 [ACK]\n"),
    "prose around it": "Dear all,\n\nit fails:\n\n" + DOCUMENT + "\nAny idea?\n",
    "a command in front": "$ tcpdump -r x.pcap\nreading from file x.pcap, link-type EN10MB\n"
    + DOCUMENT
    + "8 packets captured\n0 packets dropped by kernel\n",
    "ellipses": DOCUMENT.replace("\nHTTP/1.1", "\n...\nHTTP/1.1").replace(
        "10:21:05.000111", "[…]\n10:21:05.000111", 1
    ),
}


@pytest.mark.parametrize("text", QUOTED.values(), ids=QUOTED)
def test_however_it_is_quoted(tmp_path: Path, text: str) -> None:
    got = pasted(tmp_path, text)
    assert summary(got.facts) == EXPECTED
    assert got.times[-1] == ((10 * 60 + 21) * 60 + 5) * 10**9 + 125_000


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig"])
def test_encodings(tmp_path: Path, encoding: str) -> None:
    assert summary(pasted(tmp_path, DOCUMENT.encode(encoding)).facts) == EXPECTED


def test_numbers_that_are_not_given(tmp_path: Path) -> None:
    """``seq X`` and the like: what must have been there."""
    text = pasted(
        tmp_path,
        "10:00:00.1 IP c.4000 > p.3128: Flags [S], seq X, win 64240, options [mss 1460], length 0\n"
        "10:00:00.2 IP p.3128 > c.4000: Flags [S.], seq Y, ack X+1, win 65160, length 0\n"
        "10:00:00.3 IP c.4000 > p.3128: Flags [.], ack ..., length 0\n"
        "10:00:00.4 IP c.4000 > p.3128: Flags [P.], length 122\n"
        "10:00:00.5 IP p.3128 > c.4000: Flags [.], ack Z\n"
        "10:00:00.6 IP p.3128 > c.4000: Flags [F.], …\n",
    )
    assert summary(text.facts) == [
        (4000, SYN, 0, 0, 0),
        (3128, SYN | ACK, 0, 1, 0),
        (4000, ACK, 1, 1, 0),
        (4000, PSH | ACK, 1, 1, 122),
        (3128, ACK, 1, 123, 0),
        (3128, FIN | ACK, 1, 123, 0),
    ]


def test_head_under_its_own_packet_line(tmp_path: Path) -> None:
    head = "CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n"
    size = len(head)
    text = pasted(
        tmp_path,
        "10:00:00.1 IP c.4000 > p.80: Flags [S], seq 100, win 1000, length 0\n"
        f"10:00:00.2 IP c.4000 > p.80: Flags [P.], seq 101:{101 + size}, ack 501, win 1000,"
        f" length {size}: HTTP: CONNECT a.example:443 HTTP/1.1\n"
        "CONNECT a.example:443 HTTP/1.1\nHost: a.example:443\n\n"
        "HTTP/1.1 200 OK\n\n"
        f"10:00:00.3 IP p.80 > c.4000: Flags [F.], seq 520, ack {101 + size}, win 99, length 0\n",
    )
    assert summary(text.facts) == [
        (4000, SYN, 100, 0, 0),
        (4000, PSH | ACK, 101, 501, size),
        (80, PSH | ACK, 501, 101 + size, 19),
        (80, FIN | ACK, 520, 101 + size, 0),
    ]
    assert text.payloads[1].decode() == head
    assert text.payloads[2] == b"HTTP/1.1 200 OK\r\n\r\n"


@pytest.mark.parametrize("indent", ["", "\t", "    "])
def test_an_error_under_its_own_packet_line(tmp_path: Path, indent: str) -> None:
    """A status line begins with a letter that -A prints for an IP header's first byte."""
    head = "HTTP/1.1 403 Forbidden\r\nServer: squid\r\n\r\n"
    text = pasted(
        tmp_path,
        f"{indent}2025-03-14 11:30:12.1 IP c.4000 > p.3128: Flags [S], seq 100, length 0\n"
        f"{indent}2025-03-14 11:30:12.2 IP p.3128 > c.4000: Flags [P.], seq 501:{501 + 199},"
        " ack 101, length 199\nHTTP/1.1 403 Forbidden\nServer: squid\n\n"
        f"{indent}2025-03-14 11:30:12.3 IP p.3128 > c.4000: Flags [F.], seq 700, ack 101,"
        " length 0\n",
    )
    assert [f.length for f in text.facts] == [0, 199, 0]
    assert text.payloads[1].decode() == head


def test_sides_without_a_syn_are_told_by_their_ports(tmp_path: Path) -> None:
    text = pasted(
        tmp_path,
        "10:00:00.1 IP proxy.8080 > client.40000: Flags [.], ack 1, win 5, length 0\n"
        "CONNECT a.example:443 HTTP/1.1\n\nHTTP/1.1 407 Proxy Authentication Required\n",
    )
    assert [fact.ports[0] for fact in text.facts] == [8080, 40_000, 8080]


def test_names_and_addresses_do_not_collide(tmp_path: Path) -> None:
    text = pasted(
        tmp_path,
        "10:00:00.1 IP fmc.example.com.40000 > 192.0.2.1.80: Flags [S], seq 1, win 1, length 0\n"
        "10:00:00.2 IP other-host.40000 > fmc.example.com.http: Flags [S], seq 1, win 1, length 0\n"
        "10:00:00.3 IP6 fmc.example.com.40000 > proxy.80: Flags [S], seq 1, win 1, length 0\n",
    )
    shown = [
        (text.info.names.get(fact.src, fact.src), text.info.names.get(fact.dst, fact.dst))
        for fact in text.facts
    ]
    assert shown == [
        ("fmc.example.com", "192.0.2.1"),
        ("other-host", "fmc.example.com"),
        ("fmc.example.com", "proxy"),
    ]
    assert ":" in text.facts[2].src
    assert text.facts[1].ports == (40_000, 80)
    assert len({text.facts[0].src, text.facts[0].dst, text.facts[1].src}) == 3


def test_port_names_nobody_knows(tmp_path: Path) -> None:
    line = "10:00:00.1 IP c.no-such-service > p.webcache: Flags [S], seq 1, win 1, length 0\n"
    text = pasted(tmp_path, line * 2)
    assert text.facts[0].ports == text.facts[1].ports
    assert text.facts[0].ports[1] == 8080
    assert any("no-such-service" in line for line in text.info.assumed)


def test_lines_of_the_old_tcpdump(tmp_path: Path) -> None:
    text = pasted(
        tmp_path,
        "10:00:00.100000 IP 10.0.0.1.4000 > 10.0.0.2.80: S 123:123(0) win 5840"
        " <mss 1460,sackOK,timestamp 7 0,nop,wscale 2>\n"
        "10:00:00.200000 IP 10.0.0.2.80 > 10.0.0.1.4000: S 900:900(0) ack 124 win 5792 <mss 1380>\n"
        "10:00:00.300000 IP 10.0.0.1.4000 > 10.0.0.2.80: . ack 1 win 1460\n"
        "10:00:00.400000 IP 10.0.0.1.4000 > 10.0.0.2.80: P 1:101(100) ack 1 win 1460\n"
        "10:00:00.500000 IP 10.0.0.2.80 > 10.0.0.1.4000: F 1:1(0) ack 101 win 5792\n",
    )
    assert summary(text.facts) == [
        (4000, SYN, 123, 0, 0),
        (80, SYN | ACK, 900, 124, 0),
        (4000, ACK, 124, 901, 0),
        (4000, PSH | ACK, 124, 901, 100),
        (80, FIN | ACK, 901, 224, 0),
    ]
    assert (text.facts[0].mss, text.facts[0].wscale, text.facts[1].mss) == (1460, 2, 1380)


CISCO = {
    "show capture": (
        "   1: 11:30:12.517129   10.0.0.1.4000 > 10.0.0.2.3128: S 123:123(0) win 5840 <mss 1460>\n"
        "   2: 11:30:12.536846   10.0.0.2.3128 > 10.0.0.1.4000: S 900:900(0) ack 124 win 5792\n"
        "   3: 11:30:12.536989   10.0.0.1.4000 > 10.0.0.2.3128: P 124:246(122) ack 901 win 229\n"
    ),
    "VLAN": (
        "   1: 11:30:12.517129 802.1Q vlan#100 P0 10.0.0.1.4000 > 10.0.0.2.3128: S 123:123(0)"
        " win 5840 <mss 1460>\n"
        "   2: 11:30:12.536846 802.1Q vlan#100 P0 10.0.0.2.3128 > 10.0.0.1.4000: S 900:900(0)"
        " ack 124 win 5792\n"
        "   3: 11:30:12.536989 802.1Q vlan#100 P0 10.0.0.1.4000 > 10.0.0.2.3128: P 124:246(122)"
        " ack 901 win 229\n"
    ),
    "detail": (
        "   1: 11:30:12.517129       000c.2925.2b4f 0050.56b6.0b33 0x8100 Length: 78\n"
        "      802.1Q vlan#208 P0 10.0.0.1.4000 > 10.0.0.2.3128: S [tcp sum ok] 123:123(0) win 5840"
        " <mss 1460> (DF) (ttl 128, id 1234)\n"
        "   2: 11:30:12.536846       0050.56b6.0b33 000c.2925.2b4f 0x8100 Length: 78\n"
        "      802.1Q vlan#208 P0 10.0.0.2.3128 > 10.0.0.1.4000: S [tcp sum ok] 900:900(0) ack 124"
        " win 5792 (ttl 63, id 0)\n"
        "   3: 11:30:12.536989       000c.2925.2b4f 0050.56b6.0b33 0x8100 Length: 200\n"
        "      802.1Q vlan#208 P0 10.0.0.1.4000 > 10.0.0.2.3128: P [tcp sum ok] 124:246(122) ack"
        " 901 win 229 (DF) (ttl 128, id 1235)\n"
    ),
}


@pytest.mark.parametrize("text", CISCO.values(), ids=CISCO)
def test_lines_of_a_firewalls_capture(tmp_path: Path, text: str) -> None:
    """Cisco's firewalls print them so; numbers stay absolute."""
    got = pasted(tmp_path, f"firepower# show capture capin\n\n3 packets captured\n\n{text}")
    assert summary(got.facts) == [
        (4000, SYN, 123, 0, 0),
        (3128, SYN | ACK, 900, 124, 0),
        (4000, PSH | ACK, 124, 901, 122),
    ]
    assert got.facts[0].mss == 1460
    assert got.numbers == [1, 2, 3]


def test_ipv6_lines_of_a_firewalls_capture(tmp_path: Path) -> None:
    line = "   1: 11:30:12.517129 fd40:40::1.4000 > fd10:10::1.3128: S 7:7(0) win 5840 <mss 1440>\n"
    got = pasted(tmp_path, line)
    assert summary(got.facts) == [(4000, SYN, 7, 0, 0)]
    assert ":" in got.facts[0].src


def test_midnight(tmp_path: Path) -> None:
    line = "{} IP 10.0.0.1.1 > 10.0.0.2.2: Flags [.], ack 1, win 1, length 0\n"
    text = pasted(
        tmp_path,
        "".join(map(line.format, ["23:59:59.9", "00:00:00.1", "23:00:00.0", "00:00:01.0"])),
    )
    # Back by an hour only is a packet out of order, not another day.
    assert [time // 10**8 for time in text.times] == [863_999, 864_001, 1_692_000, 1_728_010]


def test_times_beyond_all_years(tmp_path: Path) -> None:
    line = "{} IP 10.0.0.1.1 > 10.0.0.2.2: Flags [.], ack 1, win 1, length 0\n"
    text = pasted(tmp_path, line.format("99999999999.9") + line.format("9999-12-31 00:00:00.1"))
    assert text.times == [2**63 - 1, 2**63 - 1]


def test_two_connections_on_the_same_ports(tmp_path: Path) -> None:
    line = "10:00:00.{} IP {}: Flags [{}], {}, win 9, length {}\n"
    there, back = "10.0.0.1.1 > 10.0.0.2.80", "10.0.0.2.80 > 10.0.0.1.1"
    text = pasted(
        tmp_path,
        line.format(1, there, "S", "seq 3000000000", 0)
        + line.format(2, back, "S.", "seq 70, ack 3000000001", 0)
        + line.format(3, there, "P.", "seq 1:11, ack 1", 10)
        + line.format(4, there, "S", "seq 1500000000", 0)
        + line.format(5, back, "S.", "seq 4294967290, ack 1500000001", 0)
        + line.format(6, there, "P.", "seq 1:11, ack 1", 10)
        + line.format(7, back, "P.", "seq 1:101, ack 11", 100)
        + line.format(8, there, "R", "seq 1500000011", 0),
    )
    assert [(fact.seq, fact.ack) for fact in text.facts] == [
        (3_000_000_000, 0),
        (70, 3_000_000_001),
        (3_000_000_001, 71),
        (1_500_000_000, 0),
        (4_294_967_290, 1_500_000_001),
        (1_500_000_001, 4_294_967_291),
        (4_294_967_291, 1_500_000_011),
        (1_500_000_011, 0),
    ]


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("IP 10.0.0.9 > 10.0.0.1: ICMP net 10.0.0.2 unreachable", (3, 0, 0)),
        ("IP 10.0.0.9 > 10.0.0.1: ICMP host 10.0.0.2 unreachable", (3, 1, 0)),
        ("IP 10.0.0.9 > 10.0.0.1: ICMP 10.0.0.2 tcp port 80 unreachable", (3, 3, 0)),
        (
            "IP 10.0.0.9 > 10.0.0.1: ICMP 10.0.0.2 unreachable - need to frag (mtu 1300)",
            (3, 4, 1300),
        ),
        ("IP 10.0.0.9 > 10.0.0.1: ICMP net 10.0.0.2 unreachable - admin prohibited", (3, 9, 0)),
        ("IP 10.0.0.9 > 10.0.0.1: ICMP host 10.0.0.2 unreachable - admin prohibited", (3, 10, 0)),
        (
            "IP 10.0.0.9 > 10.0.0.1: ICMP host 10.0.0.2 unreachable - admin prohibited filter",
            (3, 13, 0),
        ),
        ("IP 10.0.0.9 > 10.0.0.1: ICMP time exceeded in-transit", (11, 0, 0)),
        ("IP6 fd00::9 > fd00::1: ICMP6, packet too big, mtu 1280", (2, 0, 1280)),
        ("IP6 fd00::9 > fd00::1: ICMP6, time exceeded in-transit for fd00::2", (3, 0, 0)),
        (
            "IP6 fd00::9 > fd00::1: ICMP6, destination unreachable, unreachable route fd00::2",
            (1, 0, 0),
        ),
        (
            "IP6 fd00::9 > fd00::1: ICMP6, destination unreachable,"
            "  unreachable prohibited fd00::2",
            (1, 1, 0),
        ),
        (
            "IP6 fd00::9 > fd00::1: ICMP6, destination unreachable, unreachable port,"
            " fd00::2 tcp port 80",
            (1, 4, 0),
        ),
    ],
)
def test_icmp_errors(tmp_path: Path, line: str, error: tuple[int, int, int]) -> None:
    src, dst = ("fd00::1", "fd00::2") if "IP6" in line else ("10.0.0.1", "10.0.0.2")
    kind = "IP6" if "IP6" in line else "IP"
    text = pasted(
        tmp_path,
        f"10:00:00.1 {kind} {src}.4000 > {dst}.80: Flags [S], seq 77, win 1, length 0\n"
        f"10:00:00.2 {line}, length 68\n",
    )
    assert text.icmp == [(2, *error, 4000, 77)]


def test_packets_of_other_protocols_keep_their_numbers(tmp_path: Path) -> None:
    text = pasted(
        tmp_path,
        "10:00:00.100000 ARP, Request who-has 10.0.0.2 tell 10.0.0.1, length 28\n"
        "10:00:00.200000 IP 10.0.0.1.53000 > 10.0.0.3.53: 4242+ A? proxy.example. (31)\n"
        "10:00:00.300000 STP 802.1d, Config, Flags [none], bridge-id 8000.00, length 43\n"
        "10:00:00.400000 IP 10.0.0.1 > 10.0.0.3: ICMP echo request, id 1, seq 1, length 64\n"
        "10:00:00.500000 IP 10.0.0.1.4000 > 10.0.0.2.80: Flags [S], seq 1, win 1, length 0\n"
        "10:00:00.600000 IP 10.0.0.1.500 > 10.0.0.2.500: isakmp: phase 1 I ident\n"
        "10:00:00.700000 02:00:00:00:00:01 > 02:00:00:00:00:02, ethertype Unknown (0x88cc),"
        " length 60:\n\t0x0000:  0102 0304\n"
        "10:00:00.800000 IP 10.0.0.1.4000 > 10.0.0.2.80: Flags [R], seq 2, win 0, length 0\n",
    )
    assert text.frames == 8
    assert text.numbers == [5, 8]


def test_lines_by_lines_in_small_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for size in (1, 2, 3, 50):
        monkeypatch.setattr("capture.sources.text.lines._CHUNK", size)
        for encoding in ("utf-8", "utf-16"):
            data = DOCUMENT.replace("\n", "\r\n").encode(encoding)
            assert summary(pasted(tmp_path, data).facts) == EXPECTED


def test_live_text_shows_its_latest_packet(tmp_path: Path) -> None:
    """Before the next line comes, which may be hours later."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    keep = os.open(fifo, os.O_RDWR)
    os.write(keep, DOCUMENT.encode())
    source = open_source(str(fifo))
    blocks = source.blocks()
    count = 0
    while count < 8:
        count += len(next(blocks))
    source.close()
    os.close(keep)
    assert not any(map(len, blocks))


def test_many_lines_in_several_blocks(tmp_path: Path) -> None:
    line = "10:00:00.000001 IP 10.0.0.1.1 > 10.0.0.2.80: Flags [.], ack 1, win 1, length 0\n"
    text = pasted(tmp_path, line * 10_000)
    assert text.numbers == list(range(1, 10_001))


WORDS = (
    "10:20:58.987654|IP |IP6 |(tos 0x0, ttl 64, length 99999999)|client.54321 > proxy.80: "
    "|::1.1 > ::2.2: |Flags [S.]|Flags [|, seq 4294967295:4294967299999|, ack 7|, win 99999999"
    "|, options [mss 99999999,sack 3 {1:2}{3:4}|, options [TS val,eol,wscale]|, length 999999"
    "|: HTTP: CONNECT a:443 HTTP/1.1|ICMP |host x unreachable|mtu 99999999|, length 1"
    "|\n|\n\n|\n\t|\n    |CONNECT x:1 HTTP/1.1|HTTP/1.1 200 OK|Host: x|\t0x0000:  4500 003c"
    "|0x0010:  0a0a|E..<|UDP, length 9|tcp 5|> |* |12\t|# |\x1b[31m|\u202e|\x9b1m|\x00|\r|…"
)
words = st.sampled_from(WORDS.split("|"))


@settings(max_examples=300, deadline=None)
@given(parts=st.lists(st.one_of(words, st.text(max_size=10)), max_size=60))
def test_any_text_gives_sound_frames(
    tmp_path_factory: pytest.TempPathFactory, parts: list[str]
) -> None:
    path = tmp_path_factory.getbasetemp() / "hostile.txt"
    start = "10:20:58.9 IP client.54321 > proxy.80: Flags [S], seq 0, win 1, length 0\n"
    path.write_bytes((start + "".join(parts)).encode("utf-8", "surrogatepass"))
    with contextlib.suppress(UnreadableInput), contextlib.closing(open_source(str(path))) as source:
        for block in source.blocks():
            assert (block.wirelen >= block.caplen).all()
            assert (block.wirelen <= 65_535 + 40).all()
            assert (block.caplen > 0).all()
            assert (block.interface < len(source.info.interfaces)).all()
        shown = [*source.info.names.values(), *source.info.assumed]
        assert all(text.isprintable() for text in shown)
        assert all(item.name.isprintable() for item in source.info.interfaces)
