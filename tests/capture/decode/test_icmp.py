from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption_Router_Alert
from scapy.layers.inet6 import (
    ICMPv6DestUnreach,
    ICMPv6PacketTooBig,
    ICMPv6TimeExceeded,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    PadN,
)
from scapy.layers.l2 import Dot1Q, Ether
from scapy.packet import Packet, Raw

from capture.decode import decoder as decoder_module
from tests.capture.decode.building import CAPTURES, Frame, Result, decode, frames_of

ETHER = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
SEGMENT = TCP(sport=40716, dport=3128, seq=0xFEDCBA98) / Raw(bytes(1440))
QUOTED4 = IP(src="10.40.40.1", dst="10.10.10.1") / SEGMENT
QUOTED6 = IPv6(src="fd10::1", dst="fd10::2") / SEGMENT
ROUTER4 = ETHER / IP(src="192.0.2.9", dst="10.40.40.1")
ROUTER6 = ETHER / IPv6(src="fd99::9", dst="fd10::1")


def run(*frames: Packet) -> Result:
    return decode([Frame(bytes(frame), time_ns=3) for frame in frames])


@pytest.mark.parametrize(("kind", "code", "mtu"), [(3, 13, 0), (3, 4, 1400), (11, 0, 0)])
def test_icmp_error(kind: int, code: int, mtu: int) -> None:
    error = ICMP(type=kind, code=code, nexthopmtu=mtu) if mtu else ICMP(type=kind, code=code)
    result = run(ETHER, ROUTER4 / error / QUOTED4)
    (found,) = result.icmp
    text = result.decoder.addresses.text
    assert (found.number, found.time_ns, found.version) == (2, 3, 4)
    assert (found.type, found.code, found.mtu) == (kind, code, mtu)
    assert (text(found.sender), text(found.receiver)) == ("192.0.2.9", "10.40.40.1")
    assert (text(found.src), text(found.dst)) == ("10.40.40.1", "10.10.10.1")
    assert (found.sport, found.dport, found.seq) == (40716, 3128, 0xFEDCBA98)
    assert found.ip_length == 1480


@pytest.mark.parametrize(
    ("error", "kind", "code", "mtu"),
    [
        (ICMPv6DestUnreach(code=1), 1, 1, 0),
        (ICMPv6PacketTooBig(mtu=1280), 2, 0, 1280),
        (ICMPv6TimeExceeded(), 3, 0, 0),
    ],
)
def test_icmpv6_error(error: Packet, kind: int, code: int, mtu: int) -> None:
    result = run(ROUTER6 / error / QUOTED6)
    (found,) = result.icmp
    text = result.decoder.addresses.text
    assert (found.version, found.type, found.code, found.mtu) == (6, kind, code, mtu)
    assert (text(found.sender), text(found.receiver)) == ("fd99::9", "fd10::1")
    assert (text(found.src), text(found.dst)) == ("fd10::1", "fd10::2")
    assert (found.sport, found.dport, found.seq) == (40716, 3128, 0xFEDCBA98)
    assert found.ip_length == 1500


@pytest.mark.parametrize(
    ("quoted", "ports", "seq"),
    [
        (bytes(QUOTED4)[:28], (40716, 3128), 0xFEDCBA98),
        (bytes(QUOTED4)[:27], (40716, 3128), -1),
        (bytes(QUOTED4)[:23], (0, 0), -1),
        (bytes(QUOTED4)[:20], (0, 0), -1),
        (bytes(IP(options=[IPOption_Router_Alert()]) / SEGMENT)[:32], (40716, 3128), 0xFEDCBA98),
        (bytes(IP(frag=5, proto=6) / Raw(bytes(20))), (0, 0), -1),
    ],
    ids=["eight", "seven", "three", "none", "options", "fragment"],
)
def test_short_quotes(quoted: bytes, ports: tuple[int, int], seq: int) -> None:
    (found,) = run(ROUTER4 / ICMP(type=3, code=1) / Raw(quoted)).icmp
    assert ((found.sport, found.dport), found.seq) == (ports, seq)


def test_quotes_with_extension_headers() -> None:
    options = IPv6ExtHdrDestOpt(options=[PadN(optdata=b"\0\0")])
    base = IPv6(src="fd10::1", dst="fd10::2")
    first = base / options / IPv6ExtHdrFragment(m=1, id=5) / SEGMENT
    later = base / IPv6ExtHdrFragment(offset=9, id=5, nh=6) / Raw(bytes(20))
    too_big = ROUTER6 / ICMPv6PacketTooBig(mtu=1280)
    found = run(too_big / first, too_big / later).icmp
    assert [(e.sport, e.seq) for e in found] == [(40716, 0xFEDCBA98), (0, -1)]


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (ROUTER4 / ICMP(type=3) / Raw(bytes(QUOTED4)[:19]), "ICMP error that quotes no header"),
        (ROUTER4 / ICMP(type=3) / QUOTED6, "ICMP error that quotes no header"),
        (
            ROUTER4 / ICMP(type=3, code=3) / IP() / UDP(),
            "ICMP error about another protocol than TCP",
        ),
        (ROUTER4 / ICMP(type=5) / QUOTED4, "ICMP redirect"),
    ],
)
def test_what_is_left_out(frame: Packet, reason: str) -> None:
    result = run(frame)
    assert result.icmp == []
    assert result.reasons == {reason: 1}


def test_behind_a_vlan_tag_and_in_order() -> None:
    tagged = ETHER / Dot1Q() / ROUTER4[IP] / ICMP(type=11) / QUOTED4
    plain = ROUTER4 / ICMP(type=3) / QUOTED4
    six = ROUTER6 / ICMPv6TimeExceeded() / QUOTED6
    assert [e.number for e in run(tagged, six, plain, tagged).icmp] == [1, 2, 3, 4]


def test_a_real_capture() -> None:
    result = decode(frames_of(CAPTURES / "06d_proxy_admin_prohibited_icmp.pcap"))
    (error,) = result.icmp
    (syn,) = result.segments
    assert (error.type, error.code) == (3, 13)
    assert (error.sport, error.dport, error.seq) == (syn["sport"], syn["dport"], syn["seq"])
    assert error.ip_length == syn["ip_length"]


@given(st.binary(max_size=120), st.sampled_from([(4, 3), (4, 11), (6, 1), (6, 2)]))
def test_any_quote_is_harmless(quote: bytes, kind: tuple[int, int]) -> None:
    version, number = kind
    message = bytes((number, 0)) + bytes(6) + quote
    packet = IP(proto=1) if version == 4 else IPv6(nh=58)
    result = run(ETHER / packet / Raw(message))
    assert len(result.icmp) + sum(result.reasons.values()) == 1


def test_errors_of_a_capture_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoder_module, "MAX_ICMP", 2)
    result = run(*[ROUTER4 / ICMP(type=3) / QUOTED4] * 5)
    assert len(result.icmp) == 2
    assert result.reasons == {"ICMP errors beyond the first 2": 3}
