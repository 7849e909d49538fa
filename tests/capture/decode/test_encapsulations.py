"""Every way TCP may be wrapped, against scapy's dissection of the packet inside."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest
from scapy.contrib.erspan import ERSPAN_II, ERSPAN_III
from scapy.contrib.geneve import GENEVE
from scapy.contrib.gtp import GTP_U_Header
from scapy.contrib.mpls import MPLS
from scapy.layers.inet import IP, TCP, UDP, IPOption_Router_Alert
from scapy.layers.inet6 import (
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
    PadN,
)
from scapy.layers.l2 import (
    GRE,
    GRE_PPTP,
    LLC,
    SNAP,
    CookedLinux,
    CookedLinuxV2,
    Dot1AD,
    Dot1AH,
    Dot1Q,
    Dot3,
    Ether,
)
from scapy.layers.ppp import HDLC, PPP, PPPoE
from scapy.layers.vxlan import VXLAN
from scapy.packet import Packet, Raw

from tests.capture.decode.building import Frame, decode

PAYLOAD = b"CONNECT tools.cisco.com:443 HTTP/1.1\r\n\r\n"
SEGMENT = TCP(
    sport=40716, dport=3128, seq=0xFFFFFF00, ack=7, flags="PA", window=501,
    options=[("NOP", None), ("NOP", None), ("Timestamp", (1, 2))],
) / Raw(PAYLOAD)  # fmt: skip
V4 = IP(src="10.40.40.1", dst="10.10.10.1", id=4711, ttl=61, flags="DF") / SEGMENT
V6 = IPv6(src="fd10::1", dst="fd10::2", hlim=60) / SEGMENT
OUTER4 = IP(src="192.0.2.1", dst="192.0.2.2")
OUTER6 = IPv6(src="2001:db8::1", dst="2001:db8::2")
ETHER = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
LIKE_VLAN = IP(src="129.0.0.1", dst="10.10.10.1") / SEGMENT
LIKE_IPV6 = IPv6(src="2001:db8:86dd:6000::1", dst="fd10::2") / SEGMENT
FRAME = ETHER / V4
MAC_LIKE_IP = Ether(src="02:00:00:00:00:01", dst="45:00:00:00:00:01")

MPLS4 = MPLS(label=16, s=0) / MPLS(label=17, s=1)
HOP = IPv6ExtHdrHopByHop(options=[PadN(optdata=b"\0\0")])
ROUTING = IPv6ExtHdrRouting(addresses=["fd10::9"], segleft=0)
DESTINATION = IPv6ExtHdrDestOpt(options=[PadN(optdata=b"\0\0")])


AH = Raw(b"\x06\x04" + bytes(22))


def ipv6_with(*headers: Packet) -> Packet:
    packet = IPv6(src="fd10::1", dst="fd10::2", hlim=60)
    for header in headers:
        packet = packet / header
    return packet / SEGMENT


def nflog(packet: Packet, family: int) -> bytes:
    data = bytes(packet)
    prefix = struct.pack("<HH", 8, 1) + b"\0\0\0\0" + struct.pack("<HH", 5, 10) + b"x\0\0\0"
    return bytes((family, 0, 0, 0)) + prefix + struct.pack("<HH", len(data) + 4, 9) + data


def radiotap(control: int, header: int, packet: Packet) -> bytes:
    mac = struct.pack(">H", control) + bytes(header - 2)
    return struct.pack("<BBHI", 0, 0, 8, 0) + mac + bytes(LLC() / SNAP(code=0x800) / packet)


WRAPPED: dict[str, tuple[int, Packet | bytes, Packet]] = {
    "ethernet": (1, FRAME, V4),
    "ethernet ipv6": (1, ETHER / V6, V6),
    "802.3 snap": (1, Dot3() / LLC() / SNAP(code=0x800) / V4, V4),
    "vlan": (1, ETHER / Dot1Q(vlan=5) / V4, V4),
    "qinq": (1, ETHER / Dot1AD(vlan=5) / Dot1Q(vlan=6) / V6, V6),
    "qinq 9100": (1, ETHER / Dot1Q(type=0x9100) / Dot1Q() / V4, V4),
    "vlan 802.3": (1, ETHER / Dot1Q(type=60) / LLC() / SNAP(code=0x800) / V4, V4),
    "802.1ah": (1, ETHER / Dot1AH() / FRAME, V4),
    "vn-tag": (1, bytes(ETHER)[:12] + b"\x89\x26" + bytes(4) + b"\x08\x00" + bytes(V4), V4),
    "802.1br": (1, bytes(ETHER)[:12] + b"\x89\x3f" + bytes(6) + b"\x86\xdd" + bytes(V6), V6),
    "cisco metadata": (
        1, bytes(ETHER)[:12] + b"\x89\x09\x01\x01\0\x01\0\x05\x08\x00" + bytes(V4), V4,
    ),
    "sll": (113, CookedLinux(proto=0x800) / V4, V4),
    "sll ipv6": (113, CookedLinux(proto=0x86DD) / V6, V6),
    "sll vlan": (113, CookedLinux(proto=0x8100) / Dot1Q() / V4, V4),
    "sll2": (276, CookedLinuxV2(proto=0x800) / V4, V4),
    "raw 101": (101, V4, V4),
    "raw 12 ipv6": (12, V6, V6),
    "raw 14": (14, V4, V4),
    "ipv4": (228, V4, V4),
    "ipv6": (229, V6, V6),
    "null little": (0, b"\x02\0\0\0" + bytes(V4), V4),
    "null big": (0, b"\0\0\0\x02" + bytes(V4), V4),
    "null macos ipv6": (0, b"\x1e\0\0\0" + bytes(V6), V6),
    "loop ipv6": (108, b"\0\0\0\x18" + bytes(V6), V6),
    "enc": (109, bytes(12) + bytes(V4), V4),
    "pflog": (117, bytes((61,)) + bytes(63) + bytes(V6), V6),
    "firewire": (138, bytes(16) + b"\x08\x00" + bytes(V4), V4),
    "ppp": (9, PPP() / V4, V4),
    "ppp framed": (9, HDLC() / PPP() / V6, V6),
    "ppp short": (9, b"\x21" + bytes(V4), V4),
    "ppp serial": (50, HDLC() / PPP() / V4, V4),
    "ppp serial hdlc": (50, b"\x0f\0\x08\0" + bytes(V4), V4),
    "ppp pppd": (166, b"\x01\x03" + bytes(PPP() / V4), V4),
    "ppp direction": (204, b"\x01" + bytes(HDLC() / PPP() / V4), V4),
    "pppoe link": (51, PPPoE(sessionid=3) / PPP() / V4, V4),
    "pppoe": (1, ETHER / PPPoE(sessionid=3) / PPP() / V4, V4),
    "hdlc": (104, b"\x0f\0\x86\xdd" + bytes(V6), V6),
    "hdlc direction": (205, b"\0\x0f\0\x08\x00" + bytes(V4), V4),
    "mpls": (1, ETHER / MPLS4 / V4, V4),
    "mpls address like ethertype": (1, ETHER / MPLS4 / LIKE_VLAN, LIKE_VLAN),
    "mpls address like ethertype ipv6": (1, ETHER / MPLS4 / LIKE_IPV6, LIKE_IPV6),
    "mpls ipv6": (1, ETHER / MPLS(s=1) / V6, V6),
    "mpls pseudowire": (1, ETHER / MPLS4 / FRAME, V4),
    "mpls pseudowire mac like ip": (1, ETHER / MPLS4 / MAC_LIKE_IP / V4, V4),
    "mpls control word": (1, bytes(ETHER / MPLS4 / Raw(bytes(4))) + bytes(FRAME), V4),
    "ipv4 options": (1, ETHER / IP(options=[IPOption_Router_Alert()]) / SEGMENT, V4),
    "ipv6 hop-by-hop": (1, ETHER / ipv6_with(HOP), V6),
    "ipv6 routing": (1, ETHER / ipv6_with(ROUTING), V6),
    "ipv6 all extensions": (
        1, ETHER / ipv6_with(HOP, DESTINATION, ROUTING, IPv6ExtHdrFragment(), DESTINATION), V6,
    ),
    "ipv6 ah": (1, ETHER / IPv6(src="fd10::1", dst="fd10::2", hlim=60, nh=51) / AH / SEGMENT, V6),
    "ipv4 ah": (
        1,
        ETHER / IP(proto=51) / AH / SEGMENT,
        V4,
    ),
    "ip in ip": (1, ETHER / OUTER4 / V4, V4),
    "6in4": (1, ETHER / OUTER4 / V6, V6),
    "4in6": (1, ETHER / OUTER6 / V4, V4),
    "6in6": (1, ETHER / OUTER6 / V6, V6),
    "gre": (1, ETHER / OUTER4 / GRE() / V4, V4),
    "gre all fields": (
        1,
        ETHER / OUTER4 / GRE(chksum_present=1, key_present=1, seqnum_present=1) / V6,
        V6,
    ),
    "gre ethernet": (1, ETHER / OUTER6 / GRE(proto=0x6558) / FRAME, V4),
    "gre vlan": (1, ETHER / OUTER4 / GRE(proto=0x6558) / ETHER / Dot1Q() / V4, V4),
    "gre mpls": (1, ETHER / OUTER4 / GRE(proto=0x8847) / MPLS4 / V4, V4),
    "gre pptp": (
        1,
        ETHER / OUTER4
        / GRE_PPTP(proto=0x880B, seqnum_present=1, acknum_present=1, call_id=1)
        / HDLC() / PPP() / V4,
        V4,
    ),
    "wccp": (1, ETHER / OUTER4 / GRE(proto=0x883E) / Raw(bytes(4) + bytes(V4)), V4),
    "wccp without header": (1, ETHER / OUTER4 / GRE(proto=0x883E) / Raw(bytes(V4)), V4),
    "erspan I": (1, ETHER / OUTER4 / GRE(proto=0x88BE) / FRAME, V4),
    "erspan II": (
        1, ETHER / OUTER4 / GRE(proto=0x88BE, seqnum_present=1) / ERSPAN_II() / FRAME, V4,
    ),
    "erspan III": (
        1, ETHER / OUTER4 / GRE(proto=0x22EB, seqnum_present=1) / ERSPAN_III() / FRAME, V4,
    ),
    "vxlan": (1, ETHER / OUTER4 / UDP(sport=999, dport=4789) / VXLAN(vni=1) / FRAME, V4),
    "vxlan linux": (1, ETHER / OUTER6 / UDP(sport=9, dport=8472) / VXLAN(vni=1) / ETHER / V6, V6),
    "vxlan-gpe": (
        1, ETHER / OUTER4 / UDP(sport=9, dport=4790) / Raw(b"\x0c\0\0\x01\0\0\0\0" + bytes(V4)), V4,
    ),
    "geneve": (1, ETHER / OUTER4 / UDP(sport=9, dport=6081) / GENEVE(proto=0x6558) / FRAME, V4),
    "geneve options": (
        1,
        ETHER / OUTER4 / UDP(sport=9, dport=6081)
        / Raw(b"\x02\0\x65\x58\0\0\1\0" + bytes(8) + bytes(FRAME)),
        V4,
    ),
    "gtp-u": (1, ETHER / OUTER4 / UDP(sport=9, dport=2152) / GTP_U_Header(teid=1) / V4, V4),
    "gtp-u extension": (
        1,
        ETHER / OUTER4 / UDP(sport=9, dport=2152)
        / Raw(b"\x34\xff\0\x10\0\0\0\1\0\0\0\x85\x01\x10\x09\0" + bytes(V4)),
        V4,
    ),
    "etherip": (1, ETHER / IP(proto=97) / Raw(b"\x30\0" + bytes(FRAME)), V4),
    "mpls in udp": (1, ETHER / OUTER4 / UDP(sport=9, dport=6635) / Raw(bytes(MPLS4 / V4)), V4),
    "nflog": (239, nflog(V4, 2), V4),
    "nflog ipv6": (239, nflog(V6, 10), V6),
    "pktap": (258, struct.pack("<III", 108, 1, 1) + bytes(96) + bytes(FRAME), V4),
    "ppi": (192, struct.pack("<BBHI", 0, 0, 32, 101) + bytes(24) + bytes(V4), V4),
    "radiotap": (127, radiotap(0x0801, 24, V4), V4),
    "radiotap qos": (127, radiotap(0x8802, 26, V4), V4),
    "radiotap four addresses": (127, radiotap(0x8803, 32, V4), V4),
    "802.11 ht control": (105, radiotap(0x8881, 30, V4)[8:], V4),
    "two tunnels": (
        1,
        ETHER / Dot1Q() / OUTER6 / UDP(sport=9, dport=4789) / VXLAN()
        / ETHER / MPLS4 / OUTER4 / GRE() / V6,
        V6,
    ),
}  # fmt: skip


def expected(inner: Packet) -> dict[str, int | str | bytes]:
    """The columns scapy's dissection of the inner packet calls for."""
    packet = type(inner)(bytes(inner))
    old, tcp = packet.version == 4, packet[TCP]
    return {
        "src": packet.src,
        "dst": packet.dst,
        "sport": tcp.sport,
        "dport": tcp.dport,
        "seq": tcp.seq,
        "ack": tcp.ack,
        "flags": int(tcp.flags),
        "window": tcp.window,
        "checksum": tcp.chksum,
        "length": len(tcp.payload),
        "payload_captured": len(tcp.payload),
        "payload": bytes(tcp.payload),
        "ip_length": packet.len if old else packet.plen + 40,
        "ttl": packet.ttl if old else packet.hlim,
        "ip_id": packet.id if old else -1,
        "dont_fragment": int("DF" in packet.flags) if old else 1,
        "options": 8,
        "fragmented": 0,
    }


HEADERS_OF_THEIR_OWN = {"ipv4 options", "ipv4 ah"}


@pytest.mark.parametrize("name", WRAPPED)
@pytest.mark.parametrize("padding", [b"", bytes(24)], ids=["", "padded"])
def test_tcp_is_found_inside(name: str, padding: bytes) -> None:
    linktype, frame, inner = WRAPPED[name]
    result = decode([Frame(bytes(frame) + padding, linktype)])
    assert result.reasons == {}
    (segment,) = result.segments
    want = expected(inner)
    if name in HEADERS_OF_THEIR_OWN or name.startswith("ipv6 "):
        # The IP header under test is not the sample's.
        for key in ("src", "dst", "ttl", "ip_id", "dont_fragment", "ip_length", "checksum"):
            del want[key]
    assert {key: segment[key] for key in want} == want


def test_all_at_once_equals_one_by_one() -> None:
    frames = [Frame(bytes(frame), linktype) for linktype, frame, _ in WRAPPED.values()] * 2
    together = decode(frames)
    assert together.segments == decode(frames, block_size=1).segments
    assert [segment["number"] for segment in together.segments] == list(range(1, len(frames) + 1))


@pytest.mark.parametrize("name", WRAPPED)
def test_a_cut_anywhere_does_no_harm(name: str) -> None:
    linktype, frame, _ = WRAPPED[name]
    whole = bytes(frame)
    cuts = [Frame(whole[:size], linktype, 0, len(whole)) for size in range(len(whole) + 1)]
    result = decode(cuts)
    # Of each cut either the segment is there, or one reason why it is not.
    assert len(result.segments) + sum(result.reasons.values()) == len(cuts)
    headers = len(whole) - len(PAYLOAD) - 12
    assert [segment["number"] for segment in result.segments][-1] == len(cuts)
    for segment in result.segments:
        size = int(segment["number"]) - 1
        assert size >= headers
        assert segment["length"] == len(PAYLOAD)
        assert segment["payload"] == PAYLOAD[: max(0, size - headers - 12)]
    short = [Frame(cut.data, linktype) for cut in cuts]
    result = decode(short)
    assert len(result.segments) + sum(result.reasons.values()) == len(cuts)


@pytest.mark.parametrize(
    ("linktype", "frame", "reason"),
    [
        (1, Ether(type=0x806) / Raw(bytes(28)), "ARP"),
        (1, Ether(type=0x88CC) / Raw(bytes(28)), "LLDP"),
        (1, Ether(type=0x88E5) / Raw(bytes(28)), "MACsec (encrypted)"),
        (1, Ether(type=0x1234) / Raw(bytes(28)), "ethertype 0x1234"),
        (1, ETHER / PPPoE(code=9) / Raw(bytes(28)), "PPPoE discovery"),
        (1, Dot3(len=3) / Raw(b"\x42\x42\x03"), "STP"),
        (1, ETHER / IP() / UDP(sport=9, dport=443) / Raw(b"x"), "UDP port 443 (QUIC)"),
        (1, ETHER / IP() / UDP(sport=443, dport=50000) / Raw(b"x"), "UDP port 443 (QUIC)"),
        (1, ETHER / IP() / UDP(sport=9, dport=9999) / Raw(b"x"), "UDP"),
        (1, ETHER / IP(proto=50) / Raw(bytes(28)), "ESP (encrypted IPsec)"),
        (1, ETHER / IP(proto=253) / Raw(bytes(28)), "IP protocol 253"),
        (1, ETHER / IP(proto=1) / Raw(b"\x08" + bytes(7)), "ICMP echo"),
        (1, ETHER / IPv6(nh=58) / Raw(b"\x87" + bytes(23)), "ICMPv6 neighbour discovery"),
        (1, ETHER / OUTER4 / GRE(proto=0x1234) / Raw(bytes(9)), "GRE with ethertype 0x1234"),
        (1, Ether(type=0x800) / Raw(b"\x44" + bytes(40)), "bad IPv4 header length"),
        (1, Ether(type=0x800) / Raw(b"\x65" + bytes(40)), "bad IP version"),
        (1, Ether(type=0x800) / Raw(b"\x45\0\0\x13" + bytes(40)), "bad IPv4 total length"),
        (1, ETHER / IP(proto=6) / Raw(bytes(40)), "bad TCP header length"),
        (101, Raw(bytes(40)), "neither IPv4 nor IPv6"),
        (195, Raw(bytes(40)), "link type 195 (IEEE802_15_4) not supported"),
        (9999, Raw(bytes(40)), "link type 9999 (LINKTYPE_9999) not supported"),
        (105, Raw(b"\x80" + bytes(40)), "802.11 management and control frames"),
        (105, Raw(b"\x08\x41" + bytes(40)), "802.11 data (encrypted)"),
        (9, HDLC() / PPP(proto=0xC021) / Raw(bytes(9)), "PPP link control (LCP)"),
        (1, Raw(bytes(13)), "Ethernet header: frame too short"),
    ],
)  # fmt: skip
def test_the_reason_is_told(linktype: int, frame: Packet, reason: str) -> None:
    result = decode([Frame(bytes(frame), linktype)])
    assert result.reasons == {reason: 1}
    assert result.segments == []


def test_a_snaplen_is_told_from_a_short_frame() -> None:
    whole = bytes(FRAME)
    assert decode([Frame(whole[:50], wirelen=len(whole))]).reasons == {
        "TCP header cut by the snaplen": 1
    }
    assert decode([Frame(whole[:50])]).reasons == {"TCP header cut by the snaplen": 1}
    assert decode([Frame(whole[:20])]).reasons == {"IPv4 header: frame too short": 1}


@pytest.mark.parametrize("wrap", [lambda p: Dot1Q() / p, lambda p: OUTER4 / p], ids=["q", "ip"])
def test_nesting_is_bounded(wrap: Callable[[Packet], Packet]) -> None:
    def nested(times: int) -> Frame:
        packet: Packet = V4
        for _ in range(times):
            packet = wrap(packet)
        return Frame(bytes(ETHER / packet))

    assert len(decode([nested(8)]).segments) == 1
    deep = decode([nested(100)])
    assert deep.segments == []
    assert deep.reasons == {"headers nested too deep": 1}


def test_many_kinds_of_junk_do_not_become_many_reasons() -> None:
    frames = [Frame(bytes(Ether(type=kind) / Raw(b"x"))) for kind in range(0xA000, 0xA400)]
    reasons = decode(frames).reasons
    assert len(reasons) < 300
    assert sum(reasons.values()) == len(frames)
