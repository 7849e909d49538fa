from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption_Router_Alert, fragment
from scapy.layers.inet6 import IPv6, IPv6ExtHdrFragment, fragment6
from scapy.layers.l2 import GRE, Ether
from scapy.packet import Packet, Raw

from capture.decode.fragments import (
    GRACE_NS,
    MAX_DATAGRAMS,
    NO_FIRST,
    NO_OTHERS,
    OVERLAP,
    TIMEOUT_NS,
)
from tests.capture.decode.building import Frame, Result, decode

PAYLOAD = random.Random(1).randbytes(3000)
SEGMENT = TCP(sport=1, dport=3128, seq=9, flags="PA") / Raw(PAYLOAD)
V4 = IP(src="10.0.0.1", dst="10.0.0.2", id=77, ttl=9) / SEGMENT
V6 = IPv6(src="fd00::1", dst="fd00::2", hlim=9) / IPv6ExtHdrFragment(id=77) / SEGMENT


def pieces(version: int, size: int = 1000, ident: int = 77) -> list[bytes]:
    """The sample as a list of fragments, as raw IP packets."""
    if version == 4:
        packet = V4.copy()
        packet.id = ident
        return [bytes(IP(bytes(part))) for part in fragment(packet, size)]
    packet = V6.copy()
    packet[IPv6ExtHdrFragment].id = ident
    return [bytes(part) for part in fragment6(packet, size + 48)]


def run(packets: list[bytes], step_ns: int = 1000, block_size: int | None = None) -> Result:
    frames = [Frame(packet, 101, i * step_ns) for i, packet in enumerate(packets)]
    return decode(frames, block_size=block_size)


def later(packet: bytes = b"") -> bytes:
    """A frame that only lets time pass: nobody knows protocol 253."""
    return packet or bytes(IP(proto=253))


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("block_size", [None, 1, 2])
@pytest.mark.parametrize("order", ["in order", "backwards", "shuffled"])
def test_fragments_become_one_segment(version: int, block_size: int | None, order: str) -> None:
    packets = pieces(version)
    if order == "backwards":
        packets.reverse()
    elif order == "shuffled":
        random.Random(3).shuffle(packets)
    result = run(packets, block_size=block_size)
    (segment,) = result.segments
    assert segment["payload"] == PAYLOAD
    assert segment["number"] == len(packets)
    assert segment["fragmented"]
    assert segment["length"] == len(PAYLOAD)
    assert segment["ip_length"] == len(PAYLOAD) + (40 if version == 4 else 60)
    assert (segment["sport"], segment["dport"], segment["seq"]) == (1, 3128, 9)
    assert segment["ttl"] == 9
    assert segment["ip_id"] == (77 if version == 4 else -1)
    assert result.decoder.fragments_dropped == 0
    assert result.reasons == {}


@pytest.mark.parametrize("version", [4, 6])
def test_interleaved_with_others_and_another_datagram(version: int) -> None:
    one, two = pieces(version, 800), pieces(version, 800, ident=78)
    plain = bytes(IP(src="10.0.0.3") / TCP(seq=1) / Raw(b"plain"))
    mixed = [part for pair in zip(one, two, strict=True) for part in (*pair, plain)]
    result = run(mixed)
    fragmented = [s for s in result.segments if s["fragmented"]]
    assert [s["number"] for s in fragmented] == [len(mixed) - 2, len(mixed) - 1]
    assert all(s["payload"] == PAYLOAD for s in fragmented)
    assert len(result.segments) == 2 + len(one)
    assert all(s["payload"] == b"plain" for s in result.segments if not s["fragmented"])


def test_options_of_the_first_header_stay() -> None:
    packet = IP(src="10.0.0.1", dst="10.0.0.2", options=[IPOption_Router_Alert()]) / SEGMENT
    (segment,) = run([bytes(part) for part in fragment(packet, 1000)]).segments
    assert segment["payload"] == PAYLOAD
    assert segment["ip_length"] == len(PAYLOAD) + 44


@pytest.mark.parametrize("version", [4, 6])
def test_each_frame_twice_is_one_datagram_each_time_it_is_whole(version: int) -> None:
    packets = pieces(version)
    doubled = run([part for packet in packets for part in (packet, packet)])
    assert [s["payload"] for s in doubled.segments] == [PAYLOAD]
    assert doubled.decoder.fragments_dropped == 0
    again = run([*packets, *packets])
    assert [s["payload"] for s in again.segments] == [PAYLOAD] * 2


@pytest.mark.parametrize("version", [4, 6])
def test_missing_parts_are_counted_after_a_grace(version: int) -> None:
    first, *others = pieces(version)
    soon = run([first])
    assert (soon.decoder.fragments_dropped, soon.reasons) == (0, {})
    waited = run([first, later()], step_ns=GRACE_NS + 1)
    assert waited.decoder.fragments_dropped == 1
    assert waited.reasons[NO_OTHERS] == 1
    headless = run([*others, later()], step_ns=GRACE_NS + 1)
    assert headless.decoder.fragments_dropped == 0
    assert headless.reasons[NO_FIRST] == len(others)
    assert headless.segments == []


@pytest.mark.parametrize("version", [4, 6])
def test_an_old_datagram_is_given_up(version: int) -> None:
    first, *others = pieces(version)
    result = run([first, *others], step_ns=TIMEOUT_NS + 1)
    assert result.segments == []
    assert result.decoder.fragments_dropped == 1


@pytest.mark.parametrize("version", [4, 6])
def test_an_overlap_discards_the_datagram(version: int) -> None:
    packets = pieces(version)
    evil = pieces(version, 504)[1]
    result = run([packets[0], evil, *packets[1:]])
    assert result.segments == []
    assert result.reasons == {OVERLAP: len(packets) + 1}
    assert result.decoder.fragments_dropped == 0


def test_teardrop_and_ping_of_death() -> None:
    head = {"src": "10.0.0.1", "dst": "10.0.0.2", "id": 5, "proto": 6}
    inside = [
        bytes(IP(flags="MF", frag=0, **head) / Raw(bytes(40))),
        bytes(IP(frag=3, **head) / Raw(bytes(4))),
    ]
    assert run(inside).reasons == {OVERLAP: 2}
    beyond = bytes(IP(frag=8190, **head) / Raw(bytes(400)))
    assert run([beyond]).reasons == {"malformed IP fragment": 1}
    odd = bytes(IP(flags="MF", **head) / Raw(bytes(41)))
    empty = bytes(IP(frag=1, **head))
    assert run([odd, empty]).reasons == {"malformed IP fragment": 2}
    two_ends = [bytes(IP(frag=frag, **head) / Raw(bytes(8))) for frag in (4, 9)]
    assert run(two_ends).reasons == {OVERLAP: 2}


def test_a_tiny_first_fragment_hides_no_header() -> None:
    packets = [bytes(part) for part in fragment(V4, 8)]
    result = run(packets)
    assert [s["payload"] for s in result.segments] == [PAYLOAD]


def test_a_snaplen_leaves_the_captured_start() -> None:
    packets = pieces(4)
    frames = [Frame(packet[:200], 101, 0, len(packet)) for packet in packets]
    (segment,) = decode(frames).segments
    assert segment["length"] == len(PAYLOAD)
    assert segment["payload"] == PAYLOAD[:160]
    assert segment["payload_captured"] == 160


def test_pending_datagrams_are_bounded() -> None:
    first = pieces(4)[0]
    packets = [first[:4] + i.to_bytes(2, "big") + first[6:] for i in range(MAX_DATAGRAMS + 10)]
    assert run(packets).decoder.fragments_dropped == 10


def test_a_fragmented_icmp_error_is_read() -> None:
    quoted = bytes(IP(src="10.0.0.2", dst="10.0.0.9") / TCP(sport=7, dport=8, seq=5))
    packet = IP(src="10.0.0.9") / ICMP(type=3, code=4, nexthopmtu=1400) / Raw(quoted + bytes(600))
    (error,) = run([bytes(part) for part in fragment(packet, 304)]).icmp
    assert (error.sport, error.dport, error.seq, error.mtu) == (7, 8, 5, 1400)
    assert error.number == 3


def test_the_inner_packet_of_a_fragmented_tunnel_is_seen() -> None:
    inner = IP(src="10.0.0.1", dst="10.0.0.2") / TCP(sport=5) / Raw(PAYLOAD)
    packets = [bytes(part) for part in fragment(IP(id=3) / GRE() / inner, 1000)]
    result = run(packets)
    (segment,) = result.segments
    assert segment["length"] == len(PAYLOAD)
    assert segment["payload"] == PAYLOAD[:956]
    assert result.reasons == {"later IP fragment of another protocol": len(packets) - 1}


def test_fragments_of_udp_are_only_counted() -> None:
    packets = [bytes(part) for part in fragment(IP() / UDP(sport=9, dport=9) / Raw(PAYLOAD), 1000)]
    reasons = run(packets).reasons
    assert reasons == {"UDP": 1, "later IP fragment of another protocol": len(packets) - 1}


def test_an_ethernet_fragment_with_padding() -> None:
    parts: list[Packet] = fragment(IP(src="10.0.0.1") / TCP() / Raw(b"abcd1234"), 24)
    frames = [
        Frame(
            bytes(Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02", type=0x800) / part)
            + bytes(20)
        )
        for part in parts
    ]
    (segment,) = decode(frames).segments
    assert segment["payload"] == b"abcd1234"


@settings(max_examples=60)
@given(st.data())
def test_any_order_any_loss_any_copies(data: st.DataObject) -> None:
    version = data.draw(st.sampled_from([4, 6]))
    packets = pieces(version, data.draw(st.sampled_from([200, 504, 1400])))
    picks = data.draw(st.lists(st.integers(0, len(packets) - 1), max_size=40))
    result = run([packets[i] for i in picks])
    if not set(range(len(packets))) <= set(picks):
        assert result.segments == []
    else:
        assert result.segments
    assert all(s["payload"] == PAYLOAD for s in result.segments)
    assert OVERLAP not in result.reasons
