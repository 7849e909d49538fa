from __future__ import annotations

import socket
import struct
from ipaddress import ip_address

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from capture.live import bpf, libpcap
from capture.live.bpf import AD_PROTOCOL, FilterError, Program
from capture.live.filter_language import compile_common
from capture.live.filters import compile_filter
from capture.live.ring import ETHERNET, RAW_IP, SLL2
from tests.capture.live.bpf_machine import run

with_libpcap = pytest.mark.skipif(not libpcap.available(), reason="libpcap is not installed")

V4 = ["10.1.2.3", "10.1.2.4", "10.77.0.1", "192.168.0.9", "1.1.1.1"]
V6 = ["fd00::1", "fd00::2", "fd00:1::7", "2001:db8::1", "::1"]
PORTS = [22, 53, 80, 443, 3128, 8080]


def ip4(source: str, target: str, protocol: int, payload: bytes, fragment: int = 0) -> bytes:
    options = b"\x01\x01\x01\x00" if payload[:1] == b"\x00" else b""
    length = 20 + len(options) + len(payload)
    words = struct.pack(
        ">BBHHHBBH", 0x45 + len(options) // 4, 0, length, 1, fragment, 64, protocol, 0
    )
    return words + ip_address(source).packed + ip_address(target).packed + options + payload


def ip6(source: str, target: str, protocol: int, payload: bytes) -> bytes:
    words = struct.pack(">IHBB", 0x60000000, len(payload), protocol, 64)
    return words + ip_address(source).packed + ip_address(target).packed + payload


def arp(source: str, target: str) -> bytes:
    head = struct.pack(">HHBBH", 1, 0x0800, 6, 4, 1)
    sender, wanted = ip_address(source).packed, ip_address(target).packed
    return head + bytes(6) + sender + bytes(6) + wanted


transport = st.builds(
    lambda source, target, rest: struct.pack(">HH", source, target) + rest,
    st.sampled_from(PORTS),
    st.sampled_from(PORTS),
    st.just(bytes(60)),
)
protocols = st.sampled_from([1, 6, 17, 58, 132, 47])
packets = st.one_of(
    st.tuples(
        st.just(0x0800),
        st.builds(
            ip4,
            st.sampled_from(V4),
            st.sampled_from(V4),
            protocols,
            transport,
            st.sampled_from([0, 0, 0x2000, 0x2010, 0x00B9, 0x4000]),
        ),
    ),
    st.tuples(
        st.just(0x86DD),
        st.builds(ip6, st.sampled_from(V6), st.sampled_from(V6), protocols, transport),
    ),
    st.tuples(
        st.just(0x86DD),
        st.builds(
            lambda source, target, inner, rest: ip6(
                source, target, 44, bytes([inner]) + bytes(7) + rest
            ),
            st.sampled_from(V6),
            st.sampled_from(V6),
            protocols,
            transport,
        ),
    ),
    st.tuples(
        st.just(0x0806),
        st.builds(lambda source, target: arp(source, target) + bytes(60),
                  st.sampled_from(V4), st.sampled_from(V4)),
    ),
    st.tuples(st.just(0x88CC), st.just(bytes(80))),
)  # fmt: skip

directions = st.sampled_from(["", "src ", "dst ", "src or dst ", "src and dst ", "dst and src "])
port_texts = st.builds(
    "{}{}port {}".format, st.sampled_from(["", "tcp ", "udp ", "sctp "]), directions,
    st.sampled_from(PORTS),
)  # fmt: skip
range_texts = st.builds(
    "{}{}portrange {}-{}".format, st.sampled_from(["", "tcp "]), directions,
    st.sampled_from(PORTS), st.sampled_from(PORTS),
)  # fmt: skip
host_texts = st.one_of(
    st.builds("{}{}host {}".format, st.sampled_from(["", "ip "]), directions, st.sampled_from(V4)),
    st.builds("{}{}host {}".format, st.sampled_from(["", "ip6 "]), directions, st.sampled_from(V6)),
    st.builds("{}{}".format, st.sampled_from(["src ", "dst ", ""]), st.sampled_from(V4)),
)
net_texts = st.builds(
    "{}net {}".format,
    directions,
    st.sampled_from(
        ["10.0.0.0/8", "10.1", "10.1.2.0/30", "192.168.0.0 mask 255.255.0.0", "0.0.0.0/0",
         "fd00::/16", "fd00::/48", "fd00::1/128", "2001:db8::/32"]
    ),
)  # fmt: skip
protocol_texts = st.sampled_from(["tcp", "udp", "sctp", "icmp", "icmp6", "ip", "ip6", "arp"])
primitives = st.one_of(port_texts, range_texts, host_texts, net_texts, protocol_texts)
filters = st.recursive(
    primitives,
    lambda inner: st.one_of(
        st.builds("{} {} {}".format, inner, st.sampled_from(["and", "or", "&&", "||"]), inner),
        st.builds("{} ({})".format, st.sampled_from(["not", "!"]), inner),
        st.builds("({})".format, inner),
        st.builds("not {}".format, inner),
        st.builds("{} or {}".format, port_texts, st.sampled_from(PORTS)),
    ),
    max_leaves=8,
)


def compiled(text: str, linktype: int) -> Program | None:
    """libpcap's program; None where it found out that nothing can pass."""
    try:
        return libpcap.compile_text(text, linktype)
    except FilterError as error:
        # A value alone repeats qualifiers, which may make no sense.
        assume("rejects all packets" in str(error))
        return None


@with_libpcap
@settings(deadline=None, max_examples=100)
@given(filters, st.lists(packets, min_size=12, max_size=12))
def test_common_forms_mean_what_libpcap_makes_of_them(
    text: str, sent: list[tuple[int, bytes]]
) -> None:
    theirs, ours = compiled(text, ETHERNET), compile_common(text, ETHERNET)
    for ethertype, packet in sent:
        frame = bytes(12) + ethertype.to_bytes(2, "big") + packet
        assert bool(run(ours, frame)) == bool(theirs and run(theirs, frame)), packet


@with_libpcap
@settings(deadline=None, max_examples=40)
@given(filters, st.lists(packets, min_size=12, max_size=12))
def test_cooked_frames_are_filtered_by_what_the_kernel_knows_of_them(
    text: str, sent: list[tuple[int, bytes]]
) -> None:
    plain, ours = compiled(text, ETHERNET), compile_common(text, SLL2)
    theirs = compile_filter(text, SLL2) if compiled(text, SLL2) else None
    for ethertype, packet in sent:
        frame = bytes(12) + ethertype.to_bytes(2, "big") + packet
        expected = bool(plain and run(plain, frame))
        beside = {AD_PROTOCOL: ethertype}
        assert bool(run(ours, packet, beside)) == expected
        assert bool(theirs and run(theirs, packet, beside)) == expected


@with_libpcap
@settings(deadline=None, max_examples=40)
@given(filters, st.lists(packets, min_size=12, max_size=12))
def test_raw_ip_frames(text: str, sent: list[tuple[int, bytes]]) -> None:
    theirs, ours = compiled(text, RAW_IP), compile_common(text, RAW_IP)
    for ethertype, packet in sent:
        if ethertype in (0x0800, 0x86DD):
            assert bool(run(ours, packet)) == bool(theirs and run(theirs, packet))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("tcp[13] = 2", "without libpcap a filter can use host, net, port"),
        ("vlan", "not `vlan`"),
        ("port 80 or less 100", "not `less`"),
        ("proxy", "not `proxy`"),
        ("port 80 80", "not `80`"),
        ("port", "is not complete"),
        ("port 80 and", "is not complete"),
        ("(port 80", "lacks a closing bracket"),
        ("port 80)", "not `)`"),
        ("(" * 60 + "tcp" + ")" * 60, "brackets"),
        ("tcp or " * 2000 + "udp", "too long"),
        ("port 65536", "no port 65536"),
        ("port nosuchservice", "no port `nosuchservice`"),
        ("portrange 1-2-3", "no range"),
        ("port 80 or 10.1.2.3", "say host"),
        ("icmp port 80", "has no ports"),
        ("udp host 10.1.2.3", "has no addresses"),
        ("ip6 host 10.1.2.3", "no address of ip6"),
        ("host 10.1.2.3/8", "say net"),
        ("host 10.1.2.300", "is no address"),
        ("net 10.1.2.3/8", "bits set behind"),
        ("net 10.1.2.0/33", "is no network"),
        ("net 10.0.0.0 mask 255.0.255.0", "is no network"),
        ("port \x1b[2J", "·[2j"),
        ("host a\u202eb", "without libpcap"),
    ],
)
def test_anything_else_is_refused_in_one_line(text: str, why: str) -> None:
    with pytest.raises(FilterError) as refused:
        compile_common(text, ETHERNET)
    assert why in str(refused.value)
    assert "\n" not in str(refused.value)
    assert "\x1b" not in str(refused.value)


def test_names_of_hosts_are_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def look_up(name: str, port: None, type: int) -> list[tuple[object, ...]]:
        if name != "proxy.example":
            raise socket.gaierror
        return [(0, 0, 0, "", ("10.1.2.3", 0)), (0, 0, 0, "", ("fd00::1", 0, 0, 0))]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    program = compile_common("host proxy.example", ETHERNET)
    assert run(program, bytes(12) + b"\x08\x00" + ip4("10.1.2.3", "1.1.1.1", 6, bytes(20)))
    assert run(program, bytes(12) + b"\x86\xdd" + ip6("::1", "fd00::1", 6, bytes(20)))
    assert not run(program, bytes(12) + b"\x08\x00" + ip4("1.1.1.1", "1.1.1.1", 6, bytes(20)))
    with pytest.raises(FilterError, match="is not known"):
        compile_common("host nowhere.example", ETHERNET)


def test_long_filters_jump_far() -> None:
    text = " or ".join(f"host 10.1.{number // 200}.{number % 200}" for number in range(400))
    program = compile_common(text, ETHERNET)
    assert len(program) > 1000
    assert all(one.jt <= 255 and one.jf <= 255 for one in program)
    for target, passes in (("10.1.0.0", True), ("10.1.1.199", True), ("10.1.2.0", False)):
        frame = bytes(12) + b"\x08\x00" + ip4("1.1.1.1", target, 6, bytes(20))
        assert bool(run(program, frame)) is passes


def test_without_libpcap_the_common_forms_still_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libpcap, "available", lambda: False)
    program = compile_filter("port 3128", ETHERNET, snaplen=96)
    assert program == tuple(
        one._replace(k=96) if one.code == bpf.RET and one.k else one
        for one in compile_common("port 3128", ETHERNET)
    )
    with pytest.raises(FilterError, match="without libpcap"):
        compile_filter("vlan 7", ETHERNET)


def test_other_kinds_of_interfaces_need_libpcap() -> None:
    with pytest.raises(FilterError, match="need libpcap"):
        compile_common("port 80", 127)
