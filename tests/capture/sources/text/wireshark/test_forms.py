"""The forms in which packet lists are pasted: every one says the same of the same tunnel."""

from __future__ import annotations

import contextlib
import csv
import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capture.frames import UnreadableInput
from capture.sources import open_source
from capture.sources.text.wireshark.columns import Columns
from tests.capture.sources.text.test_documents import ACK, FIN, PSH, RST, SYN, pasted, summary

HEAD = b"CONNECT a.example:443 HTTP/1.1\r\n"
OK = b"HTTP/1.1 200 OK\r\n\r\n"

ROWS = [
    ("0.000000", ">", "TCP", 66, "51000 → 3128 [SYN] Seq=0 Win=64240 Len=0 MSS=1460 WS=128"),
    ("0.010000", "<", "TCP", 66, "3128 → 51000 [SYN, ACK] Seq=0 Ack=1 Win=65535 Len=0 MSS=1400"),
    ("0.010100", ">", "TCP", 54, "51000 → 3128 [ACK] Seq=1 Ack=1 Win=64256 Len=0"),
    ("0.010200", ">", "HTTP", 154, "CONNECT a.example:443 HTTP/1.1 "),
    ("0.020000", "<", "TCP", 60, "3128 → 51000 [ACK] Seq=1 Ack=101 Win=65536 Len=0"),
    ("0.030000", "<", "HTTP", 73, "HTTP/1.1 200 OK "),
    ("0.030100", ">", "TLSv1.2", 154, "Client Hello (SNI=b.example)"),
    ("0.040000", "<", "TLSv1.2", 61, "Alert (Level: Fatal, Description: Handshake Failure)"),
    ("0.040100", ">", "TCP", 54, "51000 → 3128 [FIN, ACK] Seq=201 Ack=27 Win=64256 Len=0"),
    ("0.050000", "<", "TCP", 60, "3128 → 51000 [RST, ACK] Seq=27 Ack=202 Win=0 Len=0"),
]  # fmt: skip
EXPECTED = [
    (51000, SYN, 0, 0, 0),
    (3128, SYN | ACK, 0, 1, 0),
    (51000, ACK, 1, 1, 0),
    (51000, PSH | ACK, 1, 1, 100),
    (3128, ACK, 1, 101, 0),
    (3128, PSH | ACK, 1, 101, 19),
    (51000, PSH | ACK, 101, 20, 100),
    (3128, PSH | ACK, 20, 201, 7),
    (51000, FIN | ACK, 201, 27, 0),
    (3128, RST | ACK, 27, 202, 0),
]
HOSTS = "10.0.0.1", "10.0.0.2"


def ends(way: str) -> tuple[str, str]:
    return HOSTS if way == ">" else HOSTS[::-1]


def tshark(arrow: str = "→") -> str:
    return "".join(
        f"{i:5} {time:>10} {src:>12} {arrow} {dst:12} {protocol} {length} {info}\n"
        for i, (time, way, protocol, length, info) in enumerate(ROWS, 1)
        for src, dst in [ends(way)]
    )


def window(*, length: bool = True, number: bool = True, time: bool = True) -> str:
    """As the packet list's rows are copied, or exported as plain text."""
    return "No.     Time           Source         Destination    Protocol Length Info\n" + "".join(
        (f"{i:7} " if number else "")
        + (f"{at:14} " if time else "")
        + f"{src:21} {dst:21} {protocol:8} "
        + (f"{size:<6} " if length else "")
        + info
        + "\n"
        for i, (at, way, protocol, size, info) in enumerate(ROWS, 1)
        for src, dst in [ends(way)]
    )


def table(delimiter: str = ",", extra: bool = False) -> str:
    made = io.StringIO()
    out = csv.writer(made, quoting=csv.QUOTE_ALL, delimiter=delimiter)
    names = ["No.", "Time", "Source", "Destination", "Protocol", "Length", "Info"]
    out.writerow([*names[:2], "Delta", *names[2:]] if extra else names)
    for i, (at, way, protocol, size, info) in enumerate(ROWS, 1):
        row = [i, at, *ends(way), protocol, size, info]
        out.writerow([*row[:2], "0.1", *row[2:]] if extra else row)
    return made.getvalue()


def ported(split: bool) -> str:
    """With columns for the ports, behind each host or behind both."""
    made = []
    for i, (at, way, protocol, size, info) in enumerate(ROWS, 1):
        src, dst = ends(way)
        sport, dport = ("51000", "3128") if way == ">" else ("3128", "51000")
        hosts = f"{src} {sport}  {dst} {dport}" if split else f"{src}  {dst} {sport} {dport}"
        made.append(f"{i:7} {at} {hosts}  {protocol:8} {size} {info}\n")
    return "".join(made)


def old(text: str) -> str:
    """With the ports as before 2.0."""
    return text.replace("51000 → 3128", "51000 > 3128").replace("3128 → 51000", "3128 > 51000")


LISTED = tshark()
FORMS = {
    "tshark": LISTED,
    "tshark before 2.0": old(tshark("->")),
    "an arrow that the encoding lost": tshark("?").replace("→", "?"),
    "an arrow read in another encoding": LISTED.replace("→", "â†’"),
    "an arrow read in a console's encoding": LISTED.replace("→", "ΓåÆ"),
    "an arrow that nobody could read": LISTED.replace("→", "\ufffd"),
    "no blanks around ports": LISTED.replace("51000 → 3128", "51000→3128"),
    "the window's rows": window(),
    "the window's rows, old": old(window()),
    "no length": window(length=False),
    "no number": window(number=False),
    "no time": window(time=False),
    "only hosts, protocol and info": window(length=False, number=False, time=False),
    "tabs": window().replace("  ", "\t"),
    "CSV": table(),
    "CSV with a column of its own": table(extra=True),
    "ports behind their hosts": ported(split=True),
    "ports behind both hosts": ported(split=False),
    "dates": LISTED.replace(" 0.0", " 2026-11-22 10:00:00.0"),
    "times of day": LISTED.replace(" 0.0", " 10:00:00.0"),
    "seconds since the epoch": LISTED.replace(" 0.0", " 1795333781.0"),
    "decimal commas": LISTED.replace(" 0.0", " 0,0"),
    "a second time": LISTED.replace(" 10.0.0.", " 0.000100 10.0.0.", 1),
    "HTML entities": old(tshark("->")).replace(">", "&gt;"),
    "HTML": "<pre>" + LISTED.replace("[SYN]", "<b>[SYN]</b>") + "</pre>",
    "mail": "".join(f"> {line}\n" for line in LISTED.splitlines()),
    "mail that wraps": LISTED.replace(" Seq=", "\nSeq=").replace(" MSS=", "\nMSS="),
    "empty lines between": LISTED.replace("\n", "\n\n"),
    "details between": LISTED.replace(
        "Len=0\n", "Len=0\n\nFrame 3: 54 bytes on wire (432 bits), 54 bytes captured\n"
        "Transmission Control Protocol, Src Port: 51000, Dst Port: 3128, Seq: 1, Ack: 1, Len: 0\n"
        "0000  02 00 00 40 40 fe 02 00 00 40 40 01 08 00 45 00   ...@@....@@...E.\n\n",
    ),
    "names of services": LISTED.replace("3128 ", "squid "),
    "cut at the edge": LISTED.replace("MSS=1460 WS=128", "MSS=1460 W").replace("MSS=", "M"),
    "remarks": LISTED.replace("Len=0\n", "Len=0[Packet size limited during capture]\n"),
    "capturing": "Capturing on 'eth0'\n" + LISTED + "10 packets captured\n",
}  # fmt: skip


@pytest.mark.parametrize("text", FORMS.values(), ids=FORMS)
def test_every_form_says_the_same(tmp_path: Path, text: str) -> None:
    for around in (text, f"Hi,\n\nsee below:\n\n{text}\nThanks!\n"):
        got = pasted(tmp_path, around)
        assert summary(got.facts) == EXPECTED
        assert got.payloads[3] == HEAD
        assert got.payloads[5] == OK
        assert got.payloads[6].startswith(b"\x16\x03\x01\x00\x5f\x01\x00\x00\x5b\x03\x03")
        assert got.payloads[6].endswith(b"b.example")
        assert got.payloads[7] == b"\x15\x03\x03\x00\x02\x02\x28"
        assert got.numbers == list(range(1, 11))
        if got.info.times_known:
            assert got.times[-1] - got.times[0] == 50_000_000


def test_hosts_that_are_hidden(tmp_path: Path) -> None:
    text = LISTED.replace("10.0.0.1", "x.x.x.x").replace("10.0.0.2", "<proxy>")
    got = pasted(tmp_path, text)
    assert summary(got.facts) == EXPECTED
    assert sorted(got.info.names.values()) == ["<proxy>", "x.x.x.x"]


def rows(*infos: str) -> str:
    """Lines of ``WAY PROTOCOL LENGTH INFO``."""
    made = []
    for i, text in enumerate(infos, 1):
        way, protocol, length, info = text.split(" ", 3)
        src, dst = ends(way)
        made.append(f"{i} {i / 100:.6f} {src} → {dst} {protocol} {length} {info}\n")
    return "".join(made)


SHAKE = (
    "> TCP 66 51000 → 3128 [SYN] Seq=0 Win=64240 Len=0 MSS=1460",
    "< TCP 66 3128 → 51000 [SYN, ACK] Seq=0 Ack=1 Win=65535 Len=0 MSS=1460",
    "> TCP 54 51000 → 3128 [ACK] Seq=1 Ack=1 Win=64256 Len=0",
)


def test_a_request_in_two_segments(tmp_path: Path) -> None:
    """What it says is printed with the last: it belongs to the first."""
    got = pasted(
        tmp_path,
        rows(
            *SHAKE,
            "> TCP 94 51000 → 3128 [PSH, ACK] Seq=1 Ack=1 Win=64256 Len=40"
            " [TCP segment of a reassembled PDU]",
            "> HTTP 56 CONNECT a.example:443 HTTP/1.1 ",
        ),
    )
    assert summary(got.facts)[3:] == [(51000, PSH | ACK, 1, 1, 40), (51000, PSH | ACK, 41, 1, 2)]
    assert got.payloads[3:] == [HEAD, b""]


@pytest.mark.parametrize(
    "mark", ["[TCP segment of a reassembled PDU]", "[TCP PDU reassembled in 7]"]
)
def test_an_answer_in_three_segments(tmp_path: Path, mark: str) -> None:
    got = pasted(
        tmp_path,
        rows(
            *SHAKE,
            "> HTTP 154 CONNECT a.example:443 HTTP/1.1 ",
            f"< TCP 1514 3128 → 51000 [ACK] Seq=1 Ack=101 Win=65536 Len=1460 {mark}",
            f"< TCP 1514 3128 → 51000 [ACK] Seq=1461 Ack=101 Win=65536 Len=1460 {mark}",
            "< HTTP 154 HTTP/1.1 403 Forbidden  (text/html)",
            "> TCP 54 51000 → 3128 [ACK] Seq=101 Ack=3022 Win=64256 Len=0",
        ),
    )
    assert got.payloads[4:] == [b"HTTP/1.1 403 Forbidden\r\n", b"", b"", b""]
    # The last acknowledgement shows that a FIN came with the last segment.
    assert summary(got.facts)[6] == (3128, FIN | PSH | ACK, 2921, 101, 100)


def test_a_line_that_only_a_fin_ended(tmp_path: Path) -> None:
    got = pasted(
        tmp_path,
        rows(
            *SHAKE,
            "> HTTP 154 CONNECT a.example:443 HTTP/1.1 ",
            "< TCP 154 HTTP/1.1 403 Forbidden  [TCP segment of a reassembled PDU]",
            "< HTTP 54 HTTP/1.1 403 Forbidden  (text/html)",
            "> TCP 54 51000 → 3128 [RST, ACK] Seq=101 Ack=102 Win=0 Len=0",
        ),
    )
    assert summary(got.facts)[4:6] == [
        (3128, PSH | ACK, 1, 101, 100),
        (3128, FIN | PSH | ACK, 101, 101, 0),
    ]
    assert got.payloads[4:6] == [b"HTTP/1.1 403 Forbidden\r\n", b""]


def test_what_was_sent_again_and_what_is_missing(tmp_path: Path) -> None:
    got = pasted(
        tmp_path,
        rows(
            *SHAKE,
            "> HTTP 154 CONNECT a.example:443 HTTP/1.1 ",
            "> HTTP 154 [TCP Retransmission] CONNECT a.example:443 HTTP/1.1 ",
            "< HTTP 73 HTTP/1.1 200 OK ",
            "> TLSv1 154 Client Hello",
            "< SSL 1254 [TCP Previous segment not captured] , Continuation Data",
            "> TCP 78 [TCP Dup ACK 7#1] 51000 → 3128 [ACK] Seq=201 Ack=20 Win=64256 Len=0"
            " SLE=2916 SRE=4116",
            "< TLSv1.2 1254 [TCP Spurious Retransmission] , Application Data",
            "< TCP 1514 [TCP Out-Of-Order] 3128 → 51000 [ACK] Seq=20 Ack=201 Win=65536 Len=1460",
        ),
    )
    assert summary(got.facts)[4] == (51000, PSH | ACK, 1, 1, 100)
    assert summary(got.facts)[7] == (3128, PSH | ACK, 2916, 201, 1200)
    assert summary(got.facts)[9] == (3128, PSH | ACK, 2916, 201, 1200)
    assert got.payloads[4] == got.payloads[7] == got.payloads[9] == b""


def test_connections_side_by_side(tmp_path: Path) -> None:
    """What is acknowledged tells whose lines without ports are."""
    second = [line.replace("51000", "52000") for line in SHAKE]
    text = rows(
        *SHAKE,
        *second,
        "> HTTP 154 CONNECT a.example:443 HTTP/1.1 ",
        "> HTTP 156 CONNECT bb.example:443 HTTP/1.1 ",
        "< TCP 60 3128 → 52000 [ACK] Seq=1 Ack=103 Win=65536 Len=0",
        "< TCP 60 3128 → 51000 [ACK] Seq=1 Ack=101 Win=65536 Len=0",
        "< HTTP 73 HTTP/1.1 200 OK ",
        "< HTTP 154 HTTP/1.1 403 Forbidden ",
        "> TCP 60 51000 → 3128 [ACK] Seq=101 Ack=101 Win=65536 Len=0",
        "> TCP 60 52000 → 3128 [ACK] Seq=103 Ack=20 Win=65536 Len=0",
    )
    got = pasted(tmp_path, text)
    said = [(fact.ports, data[:19]) for fact, data in zip(got.facts, got.payloads, strict=True)]
    assert [item for item in said if item[1]] == [
        ((51000, 3128), HEAD[:19]),
        ((52000, 3128), b"CONNECT bb.example:"),
        ((3128, 52000), OK),
        ((3128, 51000), b"HTTP/1.1 403 Forbid"),
    ]
    assert not any("could belong" in line for line in got.info.assumed)


def test_lines_that_nothing_tells_apart_are_owned_up_to(tmp_path: Path) -> None:
    second = [line.replace("51000", "52000") for line in SHAKE]
    got = pasted(tmp_path, rows(*SHAKE, *second, "> HTTP 154 CONNECT a.example:443 HTTP/1.1 "))
    assert any(line.startswith("1 lines without ports could belong") for line in got.info.assumed)


def test_a_connection_that_was_refused_carries_nothing(tmp_path: Path) -> None:
    refused = (
        "> TCP 66 50000 → 3128 [SYN] Seq=0 Win=64240 Len=0 MSS=1460",
        "< TCP 54 3128 → 50000 [RST, ACK] Seq=1 Ack=1 Win=0 Len=0",
        "> TCP 66 50001 → 3128 [SYN] Seq=0 Win=64240 Len=0 MSS=1460",
    )
    got = pasted(tmp_path, rows(*refused, *SHAKE, "> HTTP 154 CONNECT a.example:443 HTTP/1.1 "))
    assert got.facts[-1].ports == (51000, 3128)


def test_two_connections_on_the_same_ports(tmp_path: Path) -> None:
    again = [line.replace("51000 → 3128 [SYN]", "[TCP Port numbers reused] 51000 → 3128 [SYN]")
             for line in SHAKE]  # fmt: skip
    got = pasted(tmp_path, rows(*SHAKE, "< HTTP 73 HTTP/1.1 200 OK ", *again))
    first, second = got.facts[0], got.facts[4]
    assert first.seq != second.seq
    assert got.facts[6].ack == (got.facts[5].seq + 1)


@pytest.mark.parametrize(
    ("info", "error"),
    [
        ("ICMP 94 Destination unreachable (Communication administratively filtered)", (3, 13)),
        ("ICMP 94 Destination unreachable (Host unreachable)", (3, 1)),
        ("ICMP 94 Destination unreachable (Port unreachable)", (3, 3)),
        ("ICMP 94 Destination unreachable (Fragmentation needed)", (3, 4)),
        ("ICMP 94 Time-to-live exceeded (Time to live exceeded in transit)", (11, 0)),
    ],
)
def test_icmp_errors(tmp_path: Path, info: str, error: tuple[int, int]) -> None:
    got = pasted(tmp_path, rows(SHAKE[0], f"< {info}"))
    assert got.icmp == [(2, *error, 0, 51000, 0)]


def test_other_protocols_keep_the_numbers(tmp_path: Path) -> None:
    text = "1 0.000000 10.0.0.1 → 10.0.0.3 DNS 74 Standard query 0x1 A proxy.example\n" + LISTED
    got = pasted(tmp_path, text)
    assert got.numbers == list(range(2, 12))
    assert any("numbered from 1" in line for line in got.info.assumed)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "the client TCP 12 is odd",
        "10.0.0.1 and 10.0.0.2 talk HTTP",
        "Internet Protocol Version 4, Src: 10.0.0.1, Dst: 10.0.0.2",
        "Transmission Control Protocol, Src Port: 51000, Dst Port: 3128, Seq: 1, Len: 0",
        "No.     Time           Source                Destination           Protocol Length Info",
        '"No.","Time","Source","Destination","Protocol","Length","Info"',
        '"a","b"',
        '"',
    ],
)
def test_lines_that_are_no_rows(line: str) -> None:
    assert Columns().read(line) is None


def test_prose_alone_is_no_capture(tmp_path: Path) -> None:
    text = "a 1.0 x → y SSH 12 hello\n1 0.5 10.0.0.1 → 10.0.0.2 HTTP 74 GET it here\n"
    with pytest.raises(UnreadableInput):
        pasted(tmp_path, text)


WORDS = (
    "1 |0.000000 |10.0.0.1 |10.0.0.2 |→ |-> |TCP |74 |HTTP |TLSv1.2 |51000 → 3128 |3128 → 51000 "
    "|[SYN] |[SYN, ACK] |[FIN, ACK] |[RST] |[ACK] |Seq=0 |Seq=4294967295 |Seq=99999999999 "
    "|Ack=1 |Win=99999999 |Len=0 |Len=99999 |Len=1 |MSS=99999999 |WS=0 |WS=65536 "
    "|TSval=9999999999 |SLE=9 SRE=1 |SLE=1 SRE=4294967295 |[TCP Retransmission] "
    "|[TCP Previous segment not captured] |[TCP Port numbers reused] "
    "|[TCP segment of a reassembled PDU]|CONNECT a:1 HTTP/1.1 |HTTP/1.1 200 OK |Client Hello"
    "|Client Hello (SNI=a.example)|, Server Hello|, Application Data|, Change Cipher Spec|, "
    '|, Alert (Level: Fatal, Description: Unknown CA)|\n|\n|\n|ICMP |"|[|(|\u202e|\x1b'
    "|Destination unreachable (Fragmentation needed)|::1 |fe80::1 "
)
words = st.sampled_from(WORDS.split("|"))


@settings(max_examples=300, deadline=None)
@given(parts=st.lists(st.one_of(words, st.text(max_size=8)), max_size=80))
def test_any_text_gives_sound_frames(
    tmp_path_factory: pytest.TempPathFactory, parts: list[str]
) -> None:
    path = tmp_path_factory.getbasetemp() / "hostile_list.txt"
    start = LISTED[: LISTED.index("\n") + 1]
    path.write_bytes((start + "".join(parts)).encode("utf-8", "surrogatepass"))
    with contextlib.suppress(UnreadableInput), contextlib.closing(open_source(str(path))) as source:
        for block in source.blocks():
            assert (block.wirelen >= block.caplen).all()
            assert (block.wirelen <= 65_535 + 40).all()
            assert (block.caplen > 0).all()
        shown = [*source.info.names.values(), *source.info.assumed]
        assert all(text.isprintable() for text in shown)


def test_a_head_that_comes_byte_by_byte(tmp_path: Path) -> None:
    """Every segment has its part of what the last one's line tells."""
    mark = "[TCP segment of a reassembled PDU]"
    got = pasted(
        tmp_path,
        rows(
            *SHAKE,
            f"> TCP 62 51000 → 3128 [PSH, ACK] Seq=1 Ack=1 Win=64256 Len=8 {mark}",
            f"> TCP 63 51000 → 3128 [PSH, ACK] Seq=9 Ack=1 Win=64256 Len=9 {mark}",
            "> HTTP 71 CONNECT a.example:443 HTTP/1.1 ",
        ),
    )
    assert got.payloads[3:] == [b"CONNECT ", b"a.example", b":443 HTTP/1.1\r\n\r\n"]


def test_two_replies_in_one_segment(tmp_path: Path) -> None:
    got = pasted(tmp_path, rows(*SHAKE, "< HTTP 98 HTTP/1.1 100 Continue HTTP/1.1 200 OK "))
    assert got.payloads[3] == b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"


def test_what_a_line_without_numbers_acknowledges(tmp_path: Path) -> None:
    """No more than its sender says later, and nothing that is sent again."""
    data = "> TCP 1514 51000 → 3128 [ACK] Seq={} Ack=1 Win=64256 Len=1460"
    answer = "< TLSv1.3 154 Application Data"
    lost = pasted(
        tmp_path,
        rows(*SHAKE, data.format(1), data.format(1461), answer,
             data.format(1461).replace("51000 →", "[TCP Retransmission] 51000 →")),
    )  # fmt: skip
    assert lost.facts[5].ack == 1461
    late = pasted(
        tmp_path,
        rows(*SHAKE, data.format(1), answer,
             "< TCP 60 3128 → 51000 [ACK] Seq=101 Ack=1 Win=65535 Len=0"),
    )  # fmt: skip
    assert late.facts[4].ack == 1


def test_what_was_under_way_when_the_client_reset(tmp_path: Path) -> None:
    second = [line.replace("51000", "52000") for line in SHAKE]
    got = pasted(
        tmp_path,
        rows(
            *SHAKE,
            *second,
            "> TCP 54 51000 → 3128 [RST, ACK] Seq=1 Ack=1 Win=0 Len=0",
            "< HTTP 154 HTTP/1.1 403 Forbidden ",
            "< TCP 60 3128 → 51000 [FIN, ACK] Seq=101 Ack=1 Win=65535 Len=0",
            "> TCP 60 52000 → 3128 [FIN, ACK] Seq=1 Ack=1 Win=64256 Len=0",
        ),
    )
    assert got.facts[7].ports == (3128, 51000)


def test_records_share_what_nobody_knows(tmp_path: Path) -> None:
    got = pasted(
        tmp_path,
        rows(
            *SHAKE,
            "< TLSv1.3 1064 Server Hello, Change Cipher Spec, Application Data",
            "< TLSv1.3 576 Application Data, Application Data",
            "> TLSv1.2 147 Client Key Exchange, Change Cipher Spec, Encrypted Handshake Message",
            "> TLSv1.2 85 Encrypted Alert",
            "< TLSv1.2 1054 Continuation Data",
        ),
    )
    hello, tickets, keys, alert, unknown = got.payloads[3:]
    assert hello[:3] == b"\x16\x03\x03"
    at = 5 + int.from_bytes(hello[3:5], "big")
    assert hello[at : at + 6] == b"\x14\x03\x03\x00\x01\x01"
    rest = len(hello) - 5 + int.from_bytes(hello[-2:], "big") + 5
    assert (hello[-5:-2], rest) == (b"\x17\x03\x03", 1010)
    assert tickets[:5] == b"\x17\x03\x03\x01\x00"
    assert tickets[261:] == b"\x17\x03\x03\x01\x00"
    assert keys[:3] == b"\x16\x03\x03"
    assert b"\x14\x03\x03\x00\x01\x01\x16\x03\x03" in keys
    assert alert == b"\x15\x03\x03\x00\x1a"
    assert unknown == b""


def test_lists_that_a_filter_left_without_a_row_of_tcp(tmp_path: Path) -> None:
    """``-Y http || tls``: nobody knows the ports, everybody knows what happened."""
    carried = [line for line in LISTED.splitlines(True) if " TCP " not in line]
    got = pasted(tmp_path, "".join(carried))
    assert [(fact.src, fact.ports) for fact in got.facts] == [
        ("10.0.0.1", (1, 0)), ("10.0.0.2", (0, 1)), ("10.0.0.1", (1, 0)), ("10.0.0.2", (0, 1)),
    ]  # fmt: skip
    assert [data[:12] for data in got.payloads[:2]] == [HEAD[:12], OK[:12]]
    assert any("no line shows ports" in line for line in got.info.assumed)
    more = pasted(tmp_path, "".join(carried * 2))
    assert [fact.ports for fact in more.facts][4:6] == [(2, 0), (0, 2)]


def test_the_end_of_a_tunnel_alone(tmp_path: Path) -> None:
    """What neither side is sure to have said gives nobody a role."""
    row = "7 0.1 10.0.0.1 → 10.0.0.2 TLSv1.2 154 Application Data\n"
    assert pasted(tmp_path, row).facts == []
    answer = "8 0.2 10.0.0.2 → 10.0.0.1 TLSv1.2 154 Server Hello\n"
    assert [fact.ports for fact in pasted(tmp_path, row + answer + row).facts] == [(0, 1), (1, 0)]


NASTY = (
    "a.", "[a] ", "1.5 ", "a -> ", "<b", "10.0.0.1 ", "\t", "(a", "HTTP/1.1 200 ", "Alert (", "x|",
)  # fmt: skip


def test_no_line_is_tried_in_more_ways_than_it_has_characters(tmp_path: Path) -> None:
    """Or this test hangs."""
    fronts = ["", "10:00:00.1 IP ", "1 0.5 10.0.0.1 → 10.0.0.2 TCP 74 ", "1 0.5 a → b TLSv1 7 "]
    lines = [front + part * (16_000 // len(part)) for front in fronts for part in NASTY]
    syn = "10:00:00.1 IP 10.0.0.1.1 > 10.0.0.2.2: Flags [S], seq 1, win 1, length 0\n"
    assert pasted(tmp_path, LISTED + "\n".join(lines)).frames >= len(ROWS)
    assert pasted(tmp_path, syn + "\n".join(lines)).frames >= 1


def test_columns_of_ports_tell_whose_a_line_is(tmp_path: Path) -> None:
    line = "{} 0.{} 10.0.0.1 {} 10.0.0.2 3128 HTTP 154 CONNECT a.example:443 HTTP/1.1\n"
    got = pasted(tmp_path, line.format(1, 1, 52000) + line.format(2, 2, 51000))
    assert [fact.ports for fact in got.facts] == [(52000, 3128), (51000, 3128)]
    assert not any("ports:" in text or "could belong" in text for text in got.info.assumed)
    table = (
        '"No.","Time","Source","Src Port","Destination","Destination Port","Protocol","Info"\n'
        '"1","0.1","10.0.0.1","52000","10.0.0.2","3128","TCP","52000 → 3128 [SYN] Seq=0 Len=0"\n'
        '"2","0.2","10.0.0.1","51000","10.0.0.2","3128","HTTP","CONNECT a.example:443 HTTP/1.1"\n'
    )
    assert [fact.ports[0] for fact in pasted(tmp_path, table).facts] == [52000, 51000]


def test_icmp_errors_in_the_middle_of_a_connection_are_nobodys(tmp_path: Path) -> None:
    """A list does not say whose packet they quote."""
    error = "< ICMP 590 Destination unreachable ({})"
    data = "> TCP 1514 51000 → 3128 [ACK] Seq=1 Ack=1 Win=64256 Len=1460"
    got = pasted(tmp_path, rows(*SHAKE, data, error.format("Network unreachable")))
    assert (got.icmp, got.frames) == ([], 5)
    large = pasted(tmp_path, rows(*SHAKE, data, error.format("Fragmentation needed")))
    assert large.icmp[0][4] == 51000
