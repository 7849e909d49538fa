from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capture.frames import FrameBlock
from capture.live.ring import (
    ETHERNET,
    HEADER,
    LOOPBACK,
    OUTGOING,
    RAW_IP,
    SLL2,
    VLAN_TPID_VALID,
    VLAN_VALID,
    Cut,
    Run,
    frames,
    linktype_of,
)

SOCKADDR = struct.Struct("=HHiHBB8s")
FIRST = 48
"""Where the kernel puts a block's first packet."""


def packet(
    frame: bytes,
    *,
    cooked: bool = False,
    status: int = 0,
    tci: int = 0,
    tpid: int = 0,
    hatype: int = 1,
    pkttype: int = 0,
    wirelen: int | None = None,
    seconds: int = 1_700_000_000,
    nanoseconds: int = 123_456_789,
    protocol: int = 0x0800,
    last: bool = False,
) -> bytes:
    """One packet as the kernel lays it out: SOCK_DGRAM (cooked) or SOCK_RAW."""
    mac = 96 if cooked else 82
    length = mac + len(frame)
    padding = -length % 8
    head = struct.pack(
        "=IIIIIIHHIIHH8x",
        0 if last else length + padding,
        seconds,
        nanoseconds,
        len(frame),
        len(frame) if wirelen is None else wirelen,
        status,
        mac,
        96,
        0,
        tci,
        tpid,
        0,
    )
    address = SOCKADDR.pack(
        17, int.from_bytes(protocol.to_bytes(2, "big"), "little"), 3, hatype, pkttype, 6, b"\2" * 6
    )
    gap = bytes(mac - len(head) - len(address))
    return head + address + gap + frame + bytes(padding)


def parse(packets: list[bytes], linktype: int = ETHERNET, snaplen: int = 1 << 18) -> FrameBlock:
    block = bytearray(bytes(FIRST) + b"".join(packets))
    data = np.frombuffer(block, np.uint8)
    run = Run(0, len(block), FIRST, len(packets))
    return frames(data, memoryview(block), [run], Cut(linktype, 2, snaplen))


def bytes_of(block: FrameBlock) -> list[bytes]:
    return [
        bytes(block.data[start : start + length])
        for start, length in zip(block.offset.tolist(), block.caplen.tolist(), strict=True)
    ]


ETHERNET_FRAME = bytes(range(12)) + b"\x08\x00" + b"E" + bytes(40)


def test_header_is_the_kernels() -> None:
    assert HEADER.itemsize == 48 + 20
    assert HEADER.fields is not None
    assert HEADER.fields["family"][1] == 48


def test_frames_have_their_times_and_lengths() -> None:
    block = parse([packet(b"abc", wirelen=1500), packet(b"", last=True)])
    assert bytes_of(block) == [b"abc", b""]
    assert block.wirelen.tolist() == [1500, 0]
    assert block.time_ns.tolist() == [1_700_000_000_123_456_789] * 2
    assert block.linktype.tolist() == [1, 1]
    assert block.interface.tolist() == [2, 2]


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.lists(st.binary(max_size=200), min_size=1, max_size=20), min_size=1, max_size=5),
    st.integers(1, 300),
)
def test_blocks_one_behind_the_other(contents: list[list[bytes]], snaplen: int) -> None:
    data, runs = bytearray(), []
    for content in contents:
        start = len(data)
        data += bytes(FIRST)
        for number, frame in enumerate(content):
            data += packet(frame, last=number == len(content) - 1)
        runs.append(Run(start, len(data), start + FIRST, len(content)))
    array = np.frombuffer(data, np.uint8)
    block = frames(array, memoryview(data), runs, Cut(RAW_IP, 0, snaplen))
    expected = [frame for content in contents for frame in content]
    assert bytes_of(block) == [frame[:snaplen] for frame in expected]
    assert block.wirelen.tolist() == [len(frame) for frame in expected]


@pytest.mark.parametrize(
    ("status", "tpid", "tag"),
    [
        (VLAN_VALID | VLAN_TPID_VALID, 0x88A8, b"\x88\xa8"),
        (VLAN_VALID, 0, b"\x81\x00"),
    ],
)
def test_vlan_tag_is_put_back(status: int, tpid: int, tag: bytes) -> None:
    block = parse(
        [
            packet(ETHERNET_FRAME),
            packet(ETHERNET_FRAME, status=status, tci=0x6005, tpid=tpid),
            packet(ETHERNET_FRAME, last=True),
        ]
    )
    tagged = ETHERNET_FRAME[:12] + tag + b"\x60\x05" + ETHERNET_FRAME[12:]
    assert bytes_of(block) == [ETHERNET_FRAME, tagged, ETHERNET_FRAME]
    assert block.wirelen.tolist() == [len(ETHERNET_FRAME), len(tagged), len(ETHERNET_FRAME)]


def test_vlan_tag_of_a_frame_without_addresses_stays_away() -> None:
    block = parse([packet(b"short", status=VLAN_VALID, tci=5)])
    assert bytes_of(block) == [b"short"]


def test_cooked_frames_get_a_header() -> None:
    block = parse([packet(b"E-packet", cooked=True, pkttype=OUTGOING)], SLL2)
    header = b"\x08\x00\x00\x00\x00\x00\x00\x03\x00\x01\x04\x06" + b"\2" * 6 + bytes(2)
    assert bytes_of(block) == [header + b"E-packet"]
    assert block.wirelen.tolist() == [28]


def test_cooked_frames_get_their_tag_behind_the_header() -> None:
    block = parse(
        [packet(b"E", cooked=True, status=VLAN_VALID, tci=7), packet(b"F", cooked=True)], SLL2
    )
    first, second = bytes_of(block)
    assert first[:2] == b"\x81\x00"
    assert first[20:] == b"\x00\x07\x08\x00E"
    assert second[20:] == b"F"


def test_what_a_loopback_sends_is_left_out() -> None:
    packets = [
        packet(b"out", hatype=LOOPBACK, pkttype=OUTGOING),
        packet(b"in", hatype=LOOPBACK, pkttype=0),
        packet(b"other", hatype=1, pkttype=OUTGOING),
    ]
    assert bytes_of(parse(packets)) == [b"in", b"other"]


def test_a_header_that_points_beyond_its_block_is_left_out() -> None:
    good, bad = packet(b"good"), bytearray(packet(b"bad", last=True))
    struct.pack_into("=I", bad, 12, 1 << 31)
    assert bytes_of(parse([good, bytes(bad)])) == [b"good"]


@settings(deadline=None)
@given(st.binary(max_size=600), st.integers(0, 700), st.integers(0, 9))
def test_no_bytes_do_harm(noise: bytes, first: int, packets: int) -> None:
    for linktype in (ETHERNET, SLL2):
        data = np.frombuffer(bytearray(noise), np.uint8)
        run = Run(0, len(noise), first, packets)
        block = frames(data, data.data, [run], Cut(linktype, 0, 100))
        assert (block.offset >= 0).all()
        assert (block.offset + block.caplen <= len(noise)).all()


@pytest.mark.parametrize(
    ("hatype", "linktype"),
    [(1, 1), (772, 1), (65534, 101), (768, 101), (512, 276), (801, 105), (803, 127), (9999, 276)],
)
def test_link_types(hatype: int, linktype: int) -> None:
    assert linktype_of(hatype) == linktype
