"""Odd and malformed captures, through ``check`` end to end.

Whatever the bytes: exit code 0, 1 or 4, no traceback, no warning of Python's or numpy's
(they are errors here), and nothing in the output that could steer a terminal. Seeded, so
that a failure comes again; each test is a few hundred small files.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import lzma
import random
import re
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from capture.report.render import FORMATS
from capture.report.wrap import cells
from tests.capture.sources.building import enhanced, interface, ng_block, option, section, simple
from tests.conversations import (
    ACK,
    CLIENT,
    CONNECT,
    ESTABLISHED,
    FIN,
    FORBIDDEN,
    PROXY,
    PSH,
    RST,
    SYN,
    Conversation,
    certificate,
    client_hello,
    ethernet,
    extension,
    ipv4,
    named_certificate,
    pcap,
    record,
    segment,
    server_hello,
    tcp,
)
from tui import cli

CAPTURES = Path(__file__).parent / "data" / "captures"
SEEDS = (
    "01a_success_302_tls13.pcap", "01f_success_ipv6_proxy.pcap", "01m_success_pcapng.pcapng",
    "01l_success_any_sll2.pcap", "02a_squid_acl_deny.pcap", "05a_basic_407_then_ok.pcap",
    "06d_proxy_admin_prohibited_icmp.pcap", "12b_untrusted_ca_tls13.pcap",
)  # fmt: skip
TEXTS = ("01a_success_302_tls13.txt", "01l_success_any_sll2.txt", "document_acl.txt")

STEERING = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    "\ud800-\udfff\ufff9-\ufffb\U000e0000-\U000e0fff]"
)
"""C0 and C1 controls but the line's end, and characters that reorder, join or hide others."""
EVIL = (
    b"\x1b]0;owned\x07", b"\x1b[2J", "\x9b31m".encode(), b"\x9b31m", "\u202egnp.exe\u2066".encode(),
    b"\0\x7f\x08", "\u200b\ufeff\u2028".encode(), b"\xff\xfe\xed\xa0\x80", "e\u0301\u0301".encode(),
    "日本語".encode(), "\U000e0041".encode(), b"=cmd|'/c calc'!A1", b"<script>x</script>", b"|`a`|",
    b"[bold red]{0}%s", b"A" * 3000,
)  # fmt: skip

Judge = Callable[[bytes], tuple[int, str]]


@pytest.fixture
def judge(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Judge:
    """Run ``check`` on some bytes, in one format after the other; the output is looked at."""
    monkeypatch.setenv("TUNNELSCOPE_DEBUG", "1")  # a defect of ours is raised, not told
    path = tmp_path / "capture"
    calls = 0

    def judge(data: bytes) -> tuple[int, str]:
        nonlocal calls
        path.write_bytes(data)
        format = FORMATS[calls % len(FORMATS)]
        calls += 1
        code = cli.main(["check", "--all", "--format", format, str(path)])
        out, err = capsys.readouterr()
        assert code in (0, 1, 4)
        if code == 4:
            assert len(err.splitlines()) == 1
            assert err.startswith(f"tunnelscope: {path}: ")
        else:
            look_at(format, out)
        assert not STEERING.search(err)
        return code, out

    return judge


def look_at(format: str, out: str) -> None:
    """What holds for every report."""
    found = STEERING.search(out.replace("\r\n", "\n") if format == "csv" else out)
    assert not found, out[max(0, found.start() - 40) : found.end() + 40]
    if format == "text":
        assert max(map(cells, out.split("\n"))) <= 80
    elif format == "json":
        json.loads(out, parse_constant=pytest.fail)
    elif format == "ndjson":
        for line in out.splitlines():
            json.loads(line, parse_constant=pytest.fail)
    elif format == "csv":
        rows = list(csv.reader(io.StringIO(out, newline="")))
        assert len({len(row) for row in rows}) == 1
        assert not [cell for row in rows for cell in row if cell.startswith(("=", "+", "@"))]
    elif format == "html":
        assert "<script>" not in out


def mutations(data: bytes, dice: random.Random, count: int) -> Iterator[bytes]:
    """Bits flipped, bytes set, inserted and deleted, parts doubled and cut off."""
    for _ in range(count):
        mutant = bytearray(data)
        for _ in range(dice.choice((1, 1, 3, 10, 60))):
            at = dice.randrange(len(mutant))
            match dice.randrange(6):
                case 0 | 1:
                    mutant[at] ^= 1 << dice.randrange(8)
                case 2:
                    mutant[at] = dice.choice((0, 1, 0x7F, 0x80, 0xFF))
                case 3:
                    mutant[at:at] = dice.randbytes(dice.choice((1, 2, 4, 40)))
                case 4:
                    del mutant[at : at + dice.choice((1, 2, 4, 40))]
                case _:
                    mutant[at:at] = mutant[at : at + dice.choice((16, 100, 1500))]
            if not mutant:
                mutant = bytearray(b"\0")
        if dice.random() < 0.2:
            del mutant[dice.randrange(len(mutant)) :]
        yield bytes(mutant)


@pytest.mark.parametrize("name", SEEDS)
def test_damaged_captures(judge: Judge, name: str) -> None:
    data = (CAPTURES / name).read_bytes()
    for mutant in mutations(data, random.Random(name), 40):
        judge(mutant)


@pytest.mark.parametrize("name", SEEDS[:3])
def test_captures_cut_anywhere(judge: Judge, name: str) -> None:
    data = (CAPTURES / name).read_bytes()
    for size in (*range(0, 60, 3), *range(60, len(data), len(data) // 20)):
        code, _ = judge(data[:size])
        assert size or code == 4


@pytest.mark.parametrize("name", TEXTS)
def test_damaged_texts(judge: Judge, name: str) -> None:
    data = (CAPTURES / name).read_bytes()
    dice = random.Random(name)
    for mutant in mutations(data, dice, 15):
        judge(mutant)
    lines = data.split(b"\n")
    for _ in range(6):
        dice.shuffle(lines)
        judge(b"\n".join(lines))
    text = data.decode()
    for changed in (
        data.replace(b"\n", b"\r\n"), data.replace(b"\n", b"\r"), data.replace(b"\n", b" "),
        text.encode("utf-16"), text.encode("utf-16")[:-1], b"\xef\xbb\xbf" + data, data.upper(),
        re.sub(rb"\d+", b"9" * 30, data), re.sub(rb"\d+", b"0", data),
        re.sub(r"\d", lambda digit: chr(0x660 + int(digit[0])), text).encode(),
        data[: len(data) // 2] + bytes(range(256)) * 3 + data[len(data) // 2 :],
        data + b"# remark\n" * 20_000, b"[" * 100_000 + b"\n" + data, b"\n" * 100_000,
        data + b"10:20:58.0 IP a.1 > b.80: " + b"(" * 50_000 + b")" * 50_000,
    ):  # fmt: skip
        judge(changed)


def healthy() -> list[bytes]:
    talk = Conversation().says(CLIENT, CONNECT).says(PROXY, ESTABLISHED)
    talk.says(CLIENT, client_hello()).says(PROXY, server_hello() + record(23, bytes(500)))
    return talk.says(CLIENT, record(23, bytes(100))).closed().frames


EXTREMES = (0, 1, 13, 54, 65_535, 262_145, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


def test_lengths_and_times_of_records(judge: Judge) -> None:
    frames = healthy()
    true = [(len(frame), len(frame)) for frame in frames]
    for value in EXTREMES:
        for captured, wire in ((value, None), (None, value), (value, value)):
            lengths = true.copy()
            lengths[3] = (
                true[3][0] if captured is None else captured, true[3][1] if wire is None else wire
            )  # fmt: skip
            judge(pcap(frames, lengths=lengths))
        for magic in (0xA1B2C3D4, 0xA1B23C4D):
            for step in (0, 1, -1, 31_557_600):
                times = [((value - at * step) & 0xFFFFFFFF, value) for at in range(len(frames))]
                judge(pcap(frames, times=times, magic=magic))
                judge(pcap(frames[:5], times=times, magic=magic))  # a tunnel without an answer


def test_link_types(judge: Judge) -> None:
    dice = random.Random(1)
    noise = [dice.randbytes(dice.randrange(90)) for _ in range(12)] + [b"", b"\xff" * 60]
    for linktype in (
        *range(0, 20),
        50,
        51,
        101,
        104,
        105,
        108,
        113,
        127,
        147,
        228,
        229,
        276,
        65_535,
    ):
        judge(pcap([*healthy(), *noise], linktype=linktype))


def test_blocks_of_pcapng(judge: Judge) -> None:
    dice = random.Random(2)
    frames = [enhanced(frame, 1_741_951_812_000_000 + at) for at, frame in enumerate(healthy())]
    for value in (*EXTREMES, 8, 11, 12, 16, 28, 32):
        for kind in (1, 3, 5, 6, 10, 0x0A0D0D0A, 0x0BAD):
            odd = struct.pack("<II", kind, value & 0xFFFFFFFF) + bytes(60)
            judge(section() + interface() + frames[0] + odd + b"".join(frames))
    for resolution in (0, 9, 19, 20, 127, 128, 191, 255):
        described = interface(options=[option(9, bytes([resolution]))])
        judge(section() + described + b"".join(frames))
    for _ in range(60):
        blocks = [
            dice.choice(
                (
                    section(dice.choice("<>")), interface(), interface(linktype=999),
                    simple(b"x" * 60),
                    ng_block(dice.randrange(12), dice.randbytes(4 * dice.randrange(12))), *frames,
                )
            )
            for _ in range(30)
        ]  # fmt: skip
        judge(section() + b"".join(blocks))
        judge(next(mutations(section() + interface() + b"".join(blocks), dice, 1)))


def test_packed(judge: Judge) -> None:
    dice = random.Random(3)
    for pack in (gzip.compress, lzma.compress):
        packed = pack(pcap(healthy()))
        judge(packed)
        judge(packed + b"more")
        judge(pack(packed))
        judge(pack(b""))
        for cut in (1, 5, 17, len(packed) // 2, len(packed) - 1):
            judge(packed[:cut])
        for mutant in mutations(packed, dice, 15):
            judge(mutant)


def test_every_flag_at_every_stage(judge: Judge) -> None:
    frames = healthy()
    for flags in range(256):
        odd = segment(b"abc" if flags & 1 else b"", flags >> 1 & 1, seq=1070, ack=9041, flags=flags)
        at = flags % len(frames)
        judge(pcap([*frames[:at], odd, odd, *frames[at:]]))


def test_sequence_numbers_that_make_no_sense(judge: Judge) -> None:
    dice = random.Random(4)
    texts = (
        b"",
        b"x",
        CONNECT,
        ESTABLISHED,
        FORBIDDEN,
        client_hello(),
        b"\5\1\0",
        b"SSH-2.0-x\r\n",
    )
    flags = (SYN, SYN | ACK, ACK, PSH | ACK, PSH | ACK, FIN | ACK, RST, RST | ACK)
    for spread in (300, 1 << 32):
        for _ in range(40):
            frames = [
                segment(
                    dice.choice(texts), dice.randrange(2), seq=dice.randrange(spread),
                    ack=dice.randrange(spread), flags=dice.choice(flags),
                )
                for _ in range(50)
            ]  # fmt: skip
            judge(pcap(frames))
    for _ in range(30):
        frames = healthy() * 2
        dice.shuffle(frames)
        judge(pcap(frames[: dice.randrange(1, len(frames))], snaplen=dice.choice((60, 96, 9000))))


def test_headers_that_lie(judge: Judge) -> None:
    dice = random.Random(5)
    for words in range(16):
        judge(pcap([ethernet(ipv4(tcp(CONNECT, words=words))), *healthy()]))
    for size in (0, 19, 20, 39, 40, 41, 65_535):
        judge(pcap([ethernet(ipv4(tcp(CONNECT), size=size)), *healthy()]))
    for _ in range(30):
        options = bytes(
            dice.choice((0, 1, 2, 3, 5, 8, 255)) for _ in range(dice.choice((4, 20, 40)))
        )
        judge(pcap([ethernet(ipv4(tcp(b"", flags=SYN, options=options))), *healthy()]))
    whole = tcp(CONNECT * 20, seq=1001, ack=9001)
    for _ in range(20):
        parts = []
        for _ in range(40):
            at = dice.randrange(0, len(whole), 8)
            more = dice.choice((0x2000, 0x2000, 0))
            part = whole[at : at + dice.choice((1, 8, 64, 1400))]
            parts.append(ethernet(ipv4(part, fragment=at // 8 | more)))
        judge(pcap(healthy()[:3] + parts))
    inner = ipv4(tcp(CONNECT))
    for _ in range(60):
        inner = ipv4(inner, protocol=4)
        judge(pcap([ethernet(inner)]))


def test_heads_of_every_shape(judge: Judge) -> None:
    requests = (
        CONNECT, CONNECT[:-2], CONNECT[:9], b"CONNECT a:443\r\n\r\n", b"connect a:443 http/1.1\n\n",
        b"GET http://a/ HTTP/1.1\r\n\r\n" * 40, CONNECT * 40, b"\r\n" * 500 + CONNECT,
        b"CONNECT " + b"a" * 70_000 + b":443 HTTP/1.1\r\n\r\n", b"CONNECT a:-1 HTTP/9.9\r\n\r\n",
        b"CONNECT a:443 HTTP/1.1\r\n" + b"X: y\r\n" * 9000 + b"\r\n", b"\5\1\0", b"\x16\3\1",
        b"POST http://a/ HTTP/1.1\r\nContent-Length: -5\r\nContent-Length: 9\r\n\r\nhello",
    )  # fmt: skip
    chunked = b"HTTP/1.1 403 x\r\nTransfer-Encoding: chunked\r\n\r\n"
    replies = (
        b"", ESTABLISHED, ESTABLISHED * 40, b"HTTP/1.1 999 \r\n\r\n", b"HTTP/1.1 000\r\n\r\n",
        b"HTTP/1.1 200\r\n\r\n", b"HTTP/1.1 100 C\r\n\r\n" * 500 + FORBIDDEN, b"HTTP/1.1 2",
        b"HT", b"\5\xff",
        b"HTTP/1.1 403 " + b"r" * 70_000 + b"\r\n\r\n", b"\x15\3\1\0\2\2\x46", b"ICY 403 x\r\n\r\n",
        b"HTTP/1.1 407 x\r\nProxy-Authenticate: " + b"a=," * 5000 + b"\r\n\r\n",
        chunked + b"ffffffffffffffff\r\nhello",
        chunked + b"1\r\nx\r\n" * 3000 + b"0\r\n\r\n",
        b"HTTP/1.1 502 x\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\nhello",
        b"HTTP/1.1 302 x\r\nLocation: " + b"a://" * 3000 + b"\r\n\r\n",
    )  # fmt: skip
    for request in requests:
        for reply in replies:
            judge(pcap(Conversation().says(CLIENT, request).says(PROXY, reply).closed().frames))
    for size in (1, 2, 7):
        talk = Conversation().says(CLIENT, CONNECT, size).says(PROXY, ESTABLISHED, size)
        judge(pcap(talk.says(CLIENT, client_hello(), size).closed().frames))


@pytest.mark.parametrize("evil", EVIL, ids=map(str, range(len(EVIL))))
def test_text_off_the_wire_steers_nothing(judge: Judge, evil: bytes) -> None:
    target = b"CONNECT " + evil + b".x:443 HTTP/1.1\r\nHost: " + evil + b"\r\n\r\n"
    reply = b"HTTP/1.1 CODE " + evil + b"\r\nServer: " + evil + b"\r\nVia: 1.1 " + evil + b"\r\n"
    denied = (
        reply.replace(b"CODE", b"403")
        + b"X-Squid-Error: "
        + evil
        + b"\r\n\r\n<title>"
        + evil
        + b"</title>"
    )
    asked = (
        reply.replace(b"CODE", b"407") + b'Proxy-Authenticate: Basic realm="' + evil + b'"\r\n\r\n'
    )
    moved = reply.replace(b"CODE", b"302") + b"Location: http://" + evil + b"/" + evil + b"\r\n\r\n"
    for answer in (denied, asked, moved, evil):
        frames = Conversation().says(CLIENT, target).says(PROXY, answer).closed().frames
        for _ in FORMATS:
            judge(pcap(frames))
    protocols = extension(16, struct.pack("!HB", len(evil[:200]) + 1, len(evil[:200])) + evil[:200])
    for tag in (0x0C, 0x1E):
        talk = Conversation().says(CLIENT, CONNECT).says(PROXY, ESTABLISHED)
        talk.says(CLIENT, client_hello(evil[:200], protocols))
        talk.says(PROXY, server_hello() + certificate(named_certificate(evil[:60], tag)))
        talk.says(CLIENT, record(21, b"\2\x30")).closed(CLIENT)
        for _ in FORMATS:
            judge(pcap(talk.frames))
    comment = section(options=option(1, evil[:60])) + interface(options=[option(2, evil[:60])])
    frames = [enhanced(frame, at) for at, frame in enumerate(talk.frames)]
    for _ in FORMATS:
        judge(comment + b"".join(frames))


def test_records_and_certificates_of_every_shape(judge: Judge) -> None:
    dice = random.Random(6)
    hello, answer = client_hello(), server_hello()
    chain = certificate(named_certificate(b"tools.cisco.com"))
    talks = [(mutant, answer) for mutant in mutations(hello, dice, 40)]
    talks += [(hello, answer + mutant) for mutant in mutations(chain, dice, 60)]
    talks += [(record(22, hello[5:], length), record(22, b"", length)) for length in EXTREMES[:5]]
    talks += [(hello, record(kind, b"") * 3000) for kind in (20, 21, 22, 23)]
    tiny = b"".join(record(22, hello[at : at + 1]) for at in range(5, len(hello)))
    talks += [(tiny, b""), (dice.randbytes(400), dice.randbytes(400))]
    for sent, received in talks:
        talk = Conversation().says(CLIENT, CONNECT).says(PROXY, ESTABLISHED)
        if sent:
            talk.says(CLIENT, sent)
        judge(pcap(talk.says(PROXY, received).closed().frames))


def test_datagrams(judge: Judge) -> None:
    """DNS names that point at themselves; ICMP errors that quote anything."""
    dice = random.Random(7)
    names = (
        b"\xc0\x0c",
        b"\1a\xc0\x0c",
        b"\xc0\x0e\xc0\x0c",
        b"\x3f" + b"a" * 63,
        b"\x40x",
        b"\3\x1b[2\0",
    )
    for name in names:
        body = struct.pack("!HHHHHH", 7, 0x8183, 1, 1, 0, 0) + name + b"\0\1\0\1"
        datagram = struct.pack("!HHHH", 53, 5353, 8 + len(body), 0) + body
        judge(pcap([ethernet(ipv4(datagram, PROXY, protocol=17)), *healthy()]))
    for _ in range(80):
        quoted = ipv4(tcp(b"", flags=SYN))[: dice.randrange(60)]
        kind = bytes([dice.choice((3, 4, 5, 11, 12)), dice.randrange(16)])
        error = kind + dice.randbytes(6) + next(mutations(quoted + b"\0", dice, 1))
        judge(pcap([*healthy()[:2], ethernet(ipv4(error, PROXY, protocol=1)), *healthy()]))
