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
from tests.capture.sources.text.wireshark.lists import HEAD, OK, ends

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
