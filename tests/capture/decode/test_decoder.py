"""The decoder as a whole: real captures, mixed blocks, and bytes that mean harm."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrHopByHop
from scapy.layers.l2 import CookedLinux, CookedLinuxV2, Ether

from capture.decode import Decoder
from capture.decode.link import LINKS
from capture.decode.linktypes import LINKTYPE_NAMES, linktype_name
from capture.decode.peel import LAYERS
from tests.capture.decode.building import CAPTURES, Frame, block_of, decode, frames_of
from tests.capture.decode.test_encapsulations import ETHER, WRAPPED

SAMPLES = [bytes(frame) for _, frame, _ in WRAPPED.values()]
LINKTYPES = [linktype for linktype, _, _ in WRAPPED.values()]
LINK_LAYERS = {1: Ether, 113: CookedLinux, 276: CookedLinuxV2}
PCAPS = sorted(CAPTURES.glob("*.pcap"))


@pytest.mark.parametrize("path", PCAPS, ids=lambda path: path.stem)
def test_real_captures_as_scapy_reads_them(path: object) -> None:
    frames = frames_of(CAPTURES / str(path))
    expected = []
    for number, frame in enumerate(frames, 1):
        packet = LINK_LAYERS[frame.linktype](frame.data)
        ip = packet.getlayer(IP) or packet.getlayer(IPv6)
        # ICMP errors hold a TCPerror, which is no TCP layer.
        tcp = packet.getlayer(TCP)
        if ip is None or tcp is None:
            continue
        total = ip.len if ip.version == 4 else ip.plen + 40
        headers = (ip.ihl * 4 if ip.version == 4 else 40) + tcp.dataofs * 4
        start = len(frame.data) - len(packet) + frame.data.index(bytes(ip)[:20])
        options = dict(o[:2] for o in tcp.options if len(o) > 1)
        expected.append(
            {
                "number": number,
                "time_ns": frame.time_ns,
                "src": ip.src,
                "dst": ip.dst,
                "sport": tcp.sport,
                "dport": tcp.dport,
                "seq": tcp.seq,
                "ack": tcp.ack,
                "flags": int(tcp.flags),
                "window": tcp.window,
                "length": total - headers,
                "payload": frame.data[start + headers : start + total],
                "mss": options.get("MSS", 0),
                "wscale": options.get("WScale", -1),
                "sack_left": options.get("SAck", (-1,))[0],
                "caplen": len(frame.data),
            }
        )
    result = decode(frames)
    assert expected
    assert [{key: row[key] for key in expected[0]} for row in result.segments] == expected
    others = len(result.icmp) + len(result.dns) + sum(result.reasons.values())
    assert len(expected) + others == result.decoder.frames == len(frames)
    assert decode(frames, block_size=7).segments == result.segments


def test_positions_point_into_the_file() -> None:
    frames = [Frame(SAMPLES[0]), Frame(b"junk"), Frame(SAMPLES[1])]
    block = block_of(frames)
    segments = Decoder().decode(block).segments
    assert segments.position.tolist() == block.position[[0, 2]].tolist()
    assert segments.number.tolist() == [1, 3]
    assert segments.data is block.data


def test_an_empty_block() -> None:
    decoded = Decoder().decode(block_of([]))
    assert len(decoded.segments) == 0
    assert not decoded.icmp
    assert not decoded.dns


def test_headers_at_the_very_end_of_the_buffer() -> None:
    for packet in (IP() / TCP(), IPv6() / TCP(), IPv6() / IPv6ExtHdrHopByHop() / TCP()):
        frame = Frame(bytes(ETHER / packet))
        assert len(decode([frame]).segments) == 1
        data = block_of([frame], before=b"")
        assert len(Decoder().decode(data).segments) == 1


def test_every_link_type_leads_to_a_layer_and_has_a_name() -> None:
    assert set(LINKS.values()) <= set(LAYERS)
    assert set(LINKS) <= set(LINKTYPE_NAMES)
    assert linktype_name(276) == "LINUX_SLL2"
    assert linktype_name(12345) == "LINKTYPE_12345"


linktypes = st.sampled_from(sorted(LINKS)) | st.integers(0, 300)
junk = st.builds(
    Frame,
    data=st.binary(max_size=120),
    linktype=linktypes,
    time_ns=st.integers(0, 1 << 62),
    wirelen=st.none(),
)


@st.composite
def mutated(draw: st.DrawFn) -> Frame:
    """A good frame with some bytes changed and its end cut off."""
    which = draw(st.integers(0, len(SAMPLES) - 1))
    data = bytearray(SAMPLES[which])
    for _ in range(draw(st.integers(0, 6))):
        data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    cut = bytes(data[: draw(st.integers(0, len(data)))])
    wirelen = draw(st.none() | st.integers(len(cut), 70000))
    linktype = draw(st.sampled_from([LINKTYPES[which]] * 4 + [1, 101, 113]))
    return Frame(cut, linktype, draw(st.integers(0, 1 << 62)), wirelen)


@settings(max_examples=150)
@given(st.lists(junk | mutated(), max_size=12))
def test_no_bytes_raise_and_blocks_do_not_matter(frames: list[Frame]) -> None:
    together, apart = decode(frames), decode(frames, block_size=1)
    assert together.segments == apart.segments
    assert together.icmp == apart.icmp
    assert together.dns == apart.dns
    assert together.reasons == apart.reasons


def test_many_mutations_of_good_frames() -> None:
    rng = random.Random(20)
    frames = []
    for _ in range(20_000):
        which = rng.randrange(len(SAMPLES))
        data = bytearray(SAMPLES[which])
        for _ in range(rng.randrange(1, 5)):
            data[rng.randrange(len(data))] = rng.choice((0, 1, 0xFF, rng.randrange(256)))
        frames.append(Frame(bytes(data), LINKTYPES[which], rng.randrange(10**12)))
    result = decode(frames)
    assert result.decoder.frames == len(frames)
    # Most are still TCP: a decoder that gives everything up would not notice the harm.
    assert len(result.segments) > len(frames) // 2
