from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.dns import DNS, DNSQR, DNSRR
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Dot1Q, Ether
from scapy.packet import Raw

from capture.decode import decoder as decoder_module
from capture.decode.dns import MAX_RECORDS, parse
from tests.capture.decode.building import Frame, decode

ETHER = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
QUESTION = DNSQR(qname="Proxy.Example.COM", qtype="A")
ANSWERS = [
    DNSRR(rrname="proxy.example.com", type="CNAME", rdata="cache.example.com"),
    DNSRR(rrname="cache.example.com", type="A", rdata="10.10.10.1"),
    DNSRR(rrname="cache.example.com", type="AAAA", rdata="fd10::1"),
]


def test_query_and_answer() -> None:
    query = ETHER / IP(src="10.0.0.5", dst="10.0.0.53") / UDP(sport=5000) / DNS(
        id=4711, qd=QUESTION
    )  # fmt: skip
    answer = ETHER / Dot1Q() / IP(src="10.0.0.53", dst="10.0.0.5") / UDP(dport=5000) / DNS(
        id=4711, qr=1, qd=QUESTION, an=ANSWERS
    )  # fmt: skip
    result = decode([Frame(bytes(query), time_ns=5), Frame(bytes(answer), time_ns=9)])
    ask, reply = result.dns
    text = result.decoder.addresses.text
    assert (ask.number, ask.time_ns, ask.response, ask.answers) == (1, 5, False, ())
    assert (reply.number, reply.time_ns, reply.response, reply.rcode) == (2, 9, True, 0)
    for message in (ask, reply):
        assert (message.ident, message.name, message.qtype) == (4711, "proxy.example.com", 1)
        assert (text(message.client), text(message.server)) == ("10.0.0.5", "10.0.0.53")
    assert list(map(text, reply.answers)) == ["10.10.10.1", "fd10::1"]
    assert result.reasons == {}


def test_nxdomain_over_ipv6() -> None:
    frame = ETHER / IPv6(src="fd00::53", dst="fd00::5") / UDP(dport=9) / DNS(
        qr=1, rcode=3, qd=DNSQR(qname="nowhere.test", qtype="AAAA")
    )  # fmt: skip
    (message,) = decode([Frame(bytes(frame))]).dns
    assert (message.rcode, message.qtype, message.name) == (3, 28, "nowhere.test")


def test_a_name_is_safe_to_print() -> None:
    data = bytes(12) + b"\x07a\x1b[2J.\xc2\x02\xff\\\x00\0\x01\0\x01"
    message = parse(b"\0\1\0\0\0\1" + data[6:])
    assert message is not None
    assert message.name == r"a\027[2j\046\194.\255\092"


@pytest.mark.parametrize(
    "name",
    [
        b"\xc0\x0c",
        b"\xc0\x0e\xc0\x0c",
        b"\x01a\xc0\x0c",
        b"\xff\xff",
        b"\x40" + b"a" * 64 + b"\0",
        (b"\x3f" + b"a" * 63) * 5 + b"\0",
        b"\x3fshort",
        b"\xc0",
        b"",
    ],
    ids=["self", "ping-pong", "growing", "beyond", "reserved", "long", "cut", "half", "none"],
)
def test_a_bad_name_is_no_message(name: bytes) -> None:
    header = struct.pack(">HHHHHH", 1, 0, 1, 0, 0, 0)
    assert parse(header + name) is None
    packet = ETHER / IP() / UDP(sport=9) / Raw(header + name)
    assert decode([Frame(bytes(packet))]).reasons == {"DNS other than queries and answers": 1}


def test_pointers_are_followed() -> None:
    header = struct.pack(">HHHHHH", 1, 0x8000, 1, 1, 0, 0)
    question = b"\x05proxy\x04test\0" + struct.pack(">HH", 1, 1)
    answer = b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 60, 4) + b"\x0a\0\0\1"
    message = parse(header + question + answer)
    assert message is not None
    assert message.name == "proxy.test"
    assert message.answers == (b"\x0a\0\0\1",)


def test_an_answer_section_is_bounded() -> None:
    header = struct.pack(">HHHHHH", 1, 0x8000, 1, 65535, 0, 0)
    record = b"\0" + struct.pack(">HHIH", 1, 1, 60, 4) + b"\x0a\0\0\1"
    message = parse(header + b"\0\0\1\0\1" + record * 500)
    assert message is not None
    assert len(message.answers) == MAX_RECORDS


@given(st.binary(max_size=200), st.integers(0, 3))
def test_any_bytes_are_harmless(tail: bytes, counts: int) -> None:
    for data in (tail, struct.pack(">HHHHHH", 1, 0x8000, 1, counts, 0, 0) + tail):
        message = parse(data)
        assert message is None or message.name.isprintable()


def test_a_cut_answer_keeps_what_was_seen() -> None:
    whole = bytes(DNS(qr=1, qd=QUESTION, an=ANSWERS))
    seen = [parse(whole[:size]) for size in range(len(whole) + 1)]
    counts = [len(message.answers) for message in seen if message is not None]
    assert counts == sorted(counts)
    assert set(counts) == {0, 1, 2}


def test_messages_of_a_capture_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoder_module, "MAX_DNS", 3)
    frame = Frame(bytes(ETHER / IP() / UDP(sport=9) / DNS(qd=QUESTION)))
    result = decode([frame] * 5, block_size=2)
    assert len(result.dns) == 3
    assert result.reasons == {"DNS beyond the first 3 messages": 2}
