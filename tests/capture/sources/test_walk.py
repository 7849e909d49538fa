from __future__ import annotations

import struct
from mmap import mmap

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from capture.sources import walk as module
from capture.sources.walk import Layout, plain, walk
from tests.capture.sources.building import pcap_record

PCAP = Layout("<", 16, 8, 16)


def by_hand(buffer: bytes, start: int, end: int, layout: Layout) -> tuple[list[int], int]:
    """The slow, obvious way."""
    starts = []
    while start + layout.header <= end:
        size = struct.unpack_from(f"{layout.order}I", buffer, start + layout.at)[0] + layout.add
        if size < layout.header or start + size > end:
            break
        starts.append(start)
        start += size
    return starts, start


def check(buffer: bytes, start: int, end: int, layout: Layout, guesses: list[int]) -> None:
    """Walk with guesses that may be anything, wrong ones too."""
    expected = by_hand(buffer, start, end, layout)

    def guess(_: bytearray | mmap, low: int, high: int) -> int:
        return next((item for item in guesses if low <= item < high), -1)

    found = walk(bytearray(buffer), start, end, layout, guess, layout.header)
    assert (found.starts.tolist(), found.stop) == expected


payloads = st.one_of(
    st.binary(max_size=60),
    # A payload that is itself full of believable records.
    st.lists(st.binary(max_size=12), max_size=4).map(
        lambda parts: b"".join(pcap_record(part) for part in parts)
    ),
    st.just(b""),
)


@settings(max_examples=150, deadline=None)
@given(
    records=st.lists(payloads, min_size=60, max_size=300),
    before=st.integers(0, 40),
    cut=st.integers(0, 100),
    wild=st.lists(st.integers(0, 20_000), max_size=40),
    right=st.booleans(),
)
@example(records=[b""] * 300, before=0, cut=0, wild=[], right=True)
def test_lockstep_finds_what_a_plain_walk_finds(
    records: list[bytes], before: int, cut: int, wild: list[int], right: bool
) -> None:
    buffer = bytes(before) + b"".join(map(pcap_record, records))
    end = max(before, len(buffer) - cut)
    starts, _ = by_hand(buffer, before, end, PCAP)
    guesses = sorted({*wild, *(starts if right else [])})
    check(buffer + b"\xff" * 7, before, end, PCAP, [item for item in guesses if item >= before])


@settings(max_examples=60, deadline=None)
@given(noise=st.binary(min_size=2000, max_size=6000), wild=st.lists(st.integers(0, 6000)))
def test_noise(noise: bytes, wild: list[int]) -> None:
    check(noise, 0, len(noise), PCAP, sorted(wild))


def test_lengths_of_pcapng_that_do_not_advance() -> None:
    layout = Layout("<", 12, 4, 0)
    good = struct.pack("<II", 6, 12) + struct.pack("<I", 12)
    for length in (0, 4, 11, 0xFFFFFFFF):
        buffer = good * 400 + struct.pack("<III", 6, length, 0) + good * 400
        check(buffer, 0, len(buffer), layout, list(range(0, len(buffer), 12)))


def test_one_lane_much_longer_than_the_others() -> None:
    # The last half of the block is one run of tiny records behind large ones.
    buffer = pcap_record(bytes(900)) * 300 + pcap_record(b"") * 9000
    starts, _ = by_hand(buffer, 0, len(buffer), PCAP)
    check(buffer, 0, len(buffer), PCAP, starts)


def test_lanes_are_really_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """With good guesses the plain way has next to nothing left to do."""
    steps = 0

    def counted(*arguments: object) -> tuple[list[int], int]:
        nonlocal steps
        starts, at = plain(*arguments)  # type: ignore[arg-type]
        steps += len(starts)
        return starts, at

    monkeypatch.setattr(module, "plain", counted)
    buffer = bytearray(pcap_record(bytes(50)) * 20_000)

    def guess(_: bytearray | mmap, low: int, high: int) -> int:
        return -(-low // 66) * 66

    found = walk(buffer, 0, len(buffer), PCAP, guess, 66)
    assert len(found.starts) == 20_000
    assert steps < 1000


def test_plain_stops_at_its_goal() -> None:
    buffer = bytearray(pcap_record(bytes(4)) * 10)
    assert plain(buffer, 0, 41, len(buffer), PCAP) == ([0, 20, 40], 60)
