"""The forms in which packet lines stand in tickets, mail, chats and manuals.

Every form was seen in public threads; the data are our own. What is held is that each says the
same: a SYN, and an RST in answer.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from capture.sources.text.lines import plain, unquote
from capture.sources.text.packet_line import parse_packet_line
from tests.capture.sources.text.test_documents import ACK, RST, SYN, pasted, summary

SYN_LINE = (
    "10:00:00.100000 IP 10.0.0.1.4000 > 10.0.0.2.3128: Flags [S], seq 77, win 1000,"
    " options [mss 1400,nop,wscale 7], length 0"
)
RST_LINE = (
    "10:00:00.300000 IP 10.0.0.2.3128 > 10.0.0.1.4000: Flags [R.], seq 0, ack 78, win 0, length 0"
)
LINES = f"{SYN_LINE}\n{RST_LINE}\n"
VERBOSE = (
    "10:00:00.100000 IP (tos 0x0, ttl 64, id 1, offset 0, flags [DF], proto TCP (6), length 48)\n"
    "    10.0.0.1.4000 > 10.0.0.2.3128: Flags [S], cksum 0x4aa1 (incorrect -> 0x5679), seq 77,"
    " win 1000, options [mss 1400,nop,wscale 7], length 0\n"
    "10:00:00.300000 IP (tos 0x0, ttl 64, id 2, offset 0, flags [DF], proto TCP (6), length 40)\n"
    "    10.0.0.2.3128 > 10.0.0.1.4000: Flags [R.], cksum 0x203b (correct), seq 0, ack 78, win 0,"
    " length 0\n"
)
OLD = (
    "10:00:00.100000 10.0.0.1.4000 > 10.0.0.2.3128: S 77:77(0) win 1000 <mss 1400,nop,wscale 7>\n"
    "10:00:00.300000 10.0.0.2.3128 > 10.0.0.1.4000: R 0:0(0) ack 78 win 0\n"
)
EXPECTED = [(4000, SYN, 77, 0, 0), (3128, RST | ACK, 0, 78, 0)]


def each(front: str, text: str = LINES) -> str:
    return "".join(f"{front}{line}\n" for line in text.splitlines())


def marked(text: str) -> str:
    """As a highlighter marks up shell output."""
    text = text.replace(" > ", ' <span class="o">&gt;</span> ').replace("[S]", "<span>[S]</span>")
    return f"<div><pre><code>{text}</code></pre></div>\n"


FORMS = {
    "diff": each("+"),
    "numbers in brackets": LINES.replace("10:00", "[7] 10:00"),
    "HTML": marked(LINES),
    "HTML, line breaks": LINES.replace(" > ", " &gt; ").replace("\n", "<br>\n"),
    "Markdown's escapes": LINES.replace(" > ", r" \> ").replace("[", r"\[").replace("]", r"\]"),
    "blanks of a word processor": LINES.replace(" ", "\xa0"),
    "characters without width": LINES.replace(".3128", "\u200b.3128"),
    "colours": LINES.replace("10:00:00", "\x1b[32m10:00:00").replace("Flags", "\x1b[0mFlags"),
    "journald": each("Nov 22 10:00:07 box tcpdump[812]: "),
    "journald, verbose": each("Nov 22 10:00:07 box tcpdump[812]: ", VERBOSE),
    "syslog with a date of its own": each("2026-11-22T10:00:07.123456+01:00 box tcpdump[8]: "),
    "container runtime": each("2026-11-22T10:00:07.999999999Z stdout F "),
    "docker logs -t": each("2026-11-22T10:00:07.999999999Z "),
    "kubectl --prefix": each("[pod/sniffer-7d9f/tcpdump] "),
    "compose": each("tcpdump-1  | ", VERBOSE),
    "mail, verbose": each("> > ", VERBOSE),
    "verbose in a list": each("* ", VERBOSE),
    "mail that wraps": (
        "> 10:00:00.100000 IP 10.0.0.1.4000 > 10.0.0.2.3128: Flags [S],\n"
        "> seq 77, win 1000, options [mss\n> 1400,nop,wscale 7], length 0\n"
        "> 10:00:00.300000 IP 10.0.0.2.3128 >\n"
        "> 10.0.0.1.4000: Flags [R.], seq 0, ack 78, win 0,\n> length 0\n"
    ),
    "verbose, wrapped": VERBOSE.replace("flags [DF], ", "flags [DF],\n").replace(
        "(incorrect ->", "(incorrect\n->"
    ).replace(", win", ",\nwin"),
    "a terminal that breaks in a number": LINES.replace("mss 1400", "mss 14\n00"),
    "old, wrapped as in a book": (
        "1 10:00:00.100000 10.0.0.1.4000 > 10.0.0.2.3128:\n"
        "      S [tcp sum ok] 77:77(0) win 1000\n"
        "      <mss 1400,nop,wscale 7>\n      (DF) [tos 0x10]  (ttl 64, id 42376, len 60)\n\n"
        "2 10:00:00.300000 10.0.0.2.3128 > 10.0.0.1.4000:\n"
        "      R [tcp sum ok] 0:0(0) ack 78 win 0\n      (DF) [tos 0x10]  (ttl 64, id 0, len 40)\n"
    ),
    "old, in a comment": each(" *   ", OLD),
    "old, names, no times": OLD.replace("10:00:00.100000 ", "")
    .replace("10:00:00.300000 ", "")
    .replace("10.0.0.1", "client")
    .replace("10.0.0.2", "proxy"),
    "old, seconds only": OLD.replace("10:00:00.1", "29.1").replace("10:00:00.3", "29.3"),
    "redacted": LINES.replace("10.0.0.1", "x.x.x.x").replace("10.0.0.2", "<proxy>"),
    "redacted in brackets": LINES.replace("10.0.0.1", "[me]").replace("10.0.0.2", "(..)"),
    "redacted with asterisks": LINES.replace("10.0.0.1", "10.*.*.*").replace("0.0.2", "**.**.2"),
    "aligned": LINES.replace(" > ", "   > ").replace(": Flags", ":   Flags"),
    "a document's own marks": LINES.replace("10:00:00.100000 IP", "[S]  ")
    .replace("10:00:00.300000 IP", "[R.] "),
    "OpenBSD's dates": LINES.replace("10:00:00", "Nov 22 10:00:00"),
    "a packet filter's rule": LINES.replace(" IP ", " rule 8/0(match): block in on em0: "),
    "a process": LINES.replace(" IP ", " (en0, proc Google Chrome:244, svc BE, out) IP "),
    "a process of ptcpdump": LINES.replace(" IP ", " eth0 curl.265 Out IP "),
    "BIG-IP": LINES.replace("length 0", "length 0 out slot1/tmm0 lis=/Common/vs"),
    "GRE": LINES.replace(" IP ", " IP 192.0.2.1 > 192.0.2.2: GREv0, length 72: IP "),
    "IP in IP": LINES.replace(" IP ", " IP 192.0.2.1 > 192.0.2.2: IP "),
    "VXLAN": LINES.replace(
        " IP ", " IP 192.0.2.1.4321 > 192.0.2.2.4789: VXLAN, flags [I] (0x08), vni 7\nIP "
    ),
    "longer than the frame": LINES.replace(" IP ", " IP truncated-ip - 10 bytes missing! "),
    "verbose, in a tunnel": VERBOSE.replace(
        "    10.0.0.", "    192.0.2.1 > 192.0.2.2: IP (tos 0x0, ttl 63, id 7, offset 0, flags [DF],"
        " proto TCP (6), length 48)\n    10.0.0."
    ),
    "verbose, in a comment": each("\t// ", VERBOSE.replace("flags [DF], ", "flags [DF],\n   ")),
    "old, with its way": OLD.replace("00 10.", "00 eth0 > 10.", 1).replace("00 10.", "00 < 10."),
    "old, with its link layer": OLD.replace("00 10.", "00 0:10:5a:a1:e9:8 0:1:2:3:4:5 ip 60: 10."),
    "old, its link layer in front": OLD.replace("00 10.", "00 0:1:a:b:c:d 0:1:2:3:4:5 ip 60:\n10."),
    "quoted-printable": OLD.replace("S 77", "S =\n77").replace("mss 1400", "mss =\n1400"),
    "a shell's line ends": LINES.replace("seq 77", "seq \\\n    77"),
    "a dump that was cut": f"{SYN_LINE}\n\t0x0000:  4510 003c 6a4a 4000 4006  E..<.\n{RST_LINE}\n",
    "cut at the screen's edge": LINES.replace("wscale 7], length 0", "wscale 7]"),
}  # fmt: skip


@pytest.mark.parametrize("text", FORMS.values(), ids=FORMS)
def test_every_form_says_the_same(tmp_path: Path, text: str) -> None:
    for around in (text, f"Hi,\n\nsee below:\n\n{text}\nThanks!\n"):
        got = pasted(tmp_path, around)
        assert summary(got.facts) == EXPECTED
        assert (got.facts[0].mss, got.facts[0].wscale) == (1400, 7)
        assert got.numbers == [1, 2]
        if got.info.times_known:
            assert got.times[1] - got.times[0] == 200_000_000


def test_hosts_that_are_hidden_keep_apart(tmp_path: Path) -> None:
    text = pasted(tmp_path, FORMS["redacted"])
    assert sorted(text.info.names.values()) == ["<proxy>", "x.x.x.x"]


def test_a_hex_dump_with_wrapped_lines_around_it(tmp_path: Path) -> None:
    text = pasted(
        tmp_path,
        "> > 10:00:00.330723 tun0  In  IP6 fd00::1.4000 >\n"
        "> > fd00::2.3128: Flags [.], ack 36, win 257, length 0\n"
        "> >         0x0000:  6000 0000 0014 06ff fd00 0000 0000 0000\n"
        "> >         0x0010:  0000 0000 0000 0001 fd00 0000 0000 0000\n"
        "> >         0x0020:  0000 0000 0000 0002 0fa0 0c38 0000 0007\n"
        "> >         0x0030:  0000 0024 5010 0101 e21b 0000\n",
    )
    assert summary(text.facts) == [(4000, ACK, 7, 36, 0)]


def test_dumps_behind_an_empty_line(tmp_path: Path) -> None:
    text = pasted(
        tmp_path,
        "10:00:00.1 IP 10.0.0.1.4000 > 10.0.0.2.3128: Flags [P.], seq 1:47, ack 1, win 9,"
        " length 46\n\nE..V..@.@..........@..8..........P....s..CONNECT a.example:443 HTTP/1.1\n"
        "Accept: */*\n\n",
    )
    assert text.payloads[0].startswith(b"CONNECT a.example:443 HTTP/1.1\r\nAccept: */*\r\n")


def test_a_head_counts_more_than_an_authors_length(tmp_path: Path) -> None:
    text = pasted(
        tmp_path,
        "10:00:00.1 IP 10.0.0.1.4000 > 10.0.0.2.3128: Flags [P.], seq 1:10, ack 1, length 9\n"
        "CONNECT a.example:443 HTTP/1.1\nHost: a.example:443\n",
    )
    assert text.payloads == [b"CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n"]
    assert any("heads count" in line for line in text.info.assumed)


def test_an_excerpt_keeps_its_relative_numbers(tmp_path: Path) -> None:
    """From the middle of a listing: what came before told tcpdump what to subtract."""
    line = "10:00:00.{} IP 10.0.0.1.4000 > 10.0.0.2.3128: Flags [P.], seq 1:1449, length 1448\n"
    text = pasted(tmp_path, "".join(map(line.format, "137")))
    assert [fact.seq for fact in text.facts] == [1, 1, 1]


def test_absolute_numbers_of_a_side_first_seen_acknowledging(tmp_path: Path) -> None:
    text = pasted(
        tmp_path,
        "10:00:00.1 IP 10.0.0.1.4000 > 10.0.0.2.80: Flags [.], ack 210881678, win 9, length 0\n"
        "10:00:00.2 IP 10.0.0.2.80 > 10.0.0.1.4000: Flags [.], ack 2435184464, win 9, length 0\n"
        "10:00:00.3 IP 10.0.0.1.4000 > 10.0.0.2.80: Flags [P.], seq 2435184464:2435184470,"
        " ack 210881678, win 9, length 6\n",
    )
    assert [fact.ack for fact in text.facts] == [210881678, 2435184464, 210881678]
    assert text.facts[2].seq == 2435184464


@pytest.mark.parametrize(
    "line",
    [
        "the flags > 10.0.0.2: Flags are odd",
        "3.5 of them were lost > 2.1: see below",
        "client.4000 > proxy.3128: see RFC 9110",
        "-> SYN (client initiates connection)",
        "web.app > db.main: [S] means a SYN",
    ],
)
def test_prose_is_no_packet(line: str) -> None:
    assert parse_packet_line(line) is None


@pytest.mark.parametrize(
    ("line", "prefix", "rest"),
    [
        ("<proxy>.3128 > a.1: Flags [S]", "", "<proxy>.3128 > a.1: Flags [S]"),
        ("+10:00:00.1 IP", "+", "10:00:00.1 IP"),
        ("sniffer_1 | 10:00", "sniffer_1 | ", "10:00"),
        ("<b>10:00</b>", "", "10:00"),
        ("options <mss 1460>", "", "options <mss 1460>"),
    ],
)
def test_what_is_taken_for_quoting(line: str, prefix: str, rest: str) -> None:
    assert unquote(line) == (prefix, rest)


def test_plain_text_stays_as_it_is() -> None:
    assert plain("10:00 a → b, ö") == "10:00 a → b, ö"


def test_dumps_of_old_without_offsets(tmp_path: Path) -> None:
    text = pasted(
        tmp_path,
        "10:00:00.1 10.0.0.1.4000 > 10.0.0.2.3128: S 7:7(0) win 512 (DF) (ttl 64, id 0, len 40)\n"
        "\t\t\t 4500 0028 0000 4000 4006 3d45 0a00 0001\n"
        "\t\t\t 0a00 0002 0fa0 0c38 0000 0063 0000 0000\n\t\t\t 5002 0200 86a3 0000\n",
    )
    assert summary(text.facts) == [(4000, SYN, 99, 0, 0)]


def test_hellos_that_ptcpdump_decodes(tmp_path: Path) -> None:
    text = pasted(
        tmp_path,
        "10:00:00.1 IP 10.0.0.1.4000 > 10.0.0.2.3128: Flags [P.], seq 1:518, ack 1, win 9,"
        " length 517: TLSv1.0: Client Hello (SNI=a.example)\n"
        "10:00:00.2 IP 10.0.0.2.3128 > 10.0.0.1.4000: Flags [P.], seq 1:1413, ack 518, win 9,"
        " length 1412: TLSv1.3: Server Hello\n",
    )
    hello, answer = text.payloads
    assert hello.startswith(b"\x16\x03\x01\x02\x00\x01")
    assert hello.endswith(b"a.example")
    assert answer.startswith(b"\x16\x03\x03")
