"""Sequence analysis: the classes of every segment, however the capture is cut into blocks."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capture.packets import index as packets
from tests.capture.tracking.building import (
    HANDSHAKE,
    NAMES,
    START_NS,
    Story,
    Tracked,
    every,
    names_of,
    story,
    track,
)
from tests.capture.tracking.scenarios import SCENARIOS, Scenario

BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}
WRAPS = ((0xFFFFFFFF, 0), (0xFFFFFFFE, 0xFFFFFFFE), (0xFFFFFF00, 0xFFFFFC00), (0, 0x7FFFFFFF))
"""Initial sequence numbers near which 32-bit arithmetic goes wrong."""


def check(built: Story, seen: Tracked) -> None:
    wrong = {
        number: (names_of(seen.bits.get(number, 0)), names_of(bits))
        for number, bits in enumerate(built.expected, 1)
        if seen.bits.get(number, 0) != bits
    }
    assert not wrong, "frame number: (found, expected)"


def cuts_between_copies(built: Story, cuts: list[int]) -> list[int]:
    """The cuts that do not part a copy from its original: copies are looked for in a block."""
    copies = [at for at, bits in enumerate(built.expected) if bits & packets.DUPLICATE]
    return [cut for cut in cuts if not any(at - 6 < cut <= at for at in copies)]


@pytest.mark.parametrize("name", BY_NAME)
def test_classes(name: str) -> None:
    built = story(BY_NAME[name].text)
    check(built, track(built.frames))


@pytest.mark.parametrize("isn", WRAPS)
@pytest.mark.parametrize("name", BY_NAME)
def test_classes_where_sequence_numbers_wrap(name: str, isn: tuple[int, int]) -> None:
    built = story(BY_NAME[name].text, isn=isn)
    check(built, track(built.frames))


@pytest.mark.parametrize("name", BY_NAME)
def test_classes_with_a_block_for_every_packet(name: str) -> None:
    built = story(BY_NAME[name].text)
    check(built, track(built.frames, cuts_between_copies(built, list(every(1, built.frames)))))


@settings(max_examples=60)
@given(st.sampled_from(SCENARIOS), st.data())
def test_blocks_change_nothing(scenario: Scenario, data: st.DataObject) -> None:
    built = story(scenario.text, udp_between=data.draw(st.booleans()))
    places = st.lists(st.integers(1, len(built.frames) - 1), unique=True)
    cuts = cuts_between_copies(built, data.draw(places))
    whole, parts = track(built.frames), track(built.frames, cuts)
    check(built, parts)
    assert steady(parts) == steady(whole)


def steady(seen: Tracked) -> dict[str, list[object]]:
    """The columns that say the same in every state between two blocks.

    Left out: which of several equally long silences counts, ``largest_acked`` and
    ``largest_end``, from which facts tell what was acknowledged, and ``want``, which moves
    with what the readers were told.
    """
    loose = ("silence", "wait", "want", "largest_acked", "largest_end")
    return {
        name: values
        for name, values in seen.columns().items()
        if not name.partition(".")[2].startswith(loose)
    }


SEGMENTS = st.lists(
    st.tuples(
        st.sampled_from("cp"),
        st.sampled_from(["A", "A", "PA", "FA", "S", "SA", "R", "RA", "U", "FSRPAU"]),
        st.integers(0, 30).map(lambda n: n * 50),
        st.sampled_from([0, 0, 1, 2, 50, 100, 500]),
        st.integers(0, 30).map(lambda n: n * 50),
        st.sampled_from([0, 1, 100, 500]),
        st.sampled_from([0.01, 0.5, 2.5, 10, 50, 1000]),
    ),
    min_size=1,
    max_size=30,
)
"""Sender, flags, sequence number, length, acknowledgement, window, milliseconds since."""


@settings(max_examples=50)
@given(SEGMENTS, st.sampled_from([(1000, 5000), *WRAPS]), st.lists(st.integers(1, 29)))
def test_no_segment_gets_lost_whatever_it_says(
    segments: list[tuple[str, str, int, int, int, int, float]],
    isn: tuple[int, int],
    cuts: list[int],
) -> None:
    lines, now = [], 0.0
    for sender, flags, seq, length, ack, window, step in segments:
        now += step
        lines.append(f"{now} {sender} {flags} {seq}+{length} {ack} w={window}")
    built = story("\n".join(lines), isn=isn)
    seen = track(built.frames, cuts)
    assert sorted(seen.bits) == list(range(1, len(built.frames) + 1))
    facts = seen.all_facts()
    assert sum(flow.packets for flow in facts) == len(built.frames)
    assert [flow.packets for flow in facts] == [f.packets for f in track(built.frames).all_facts()]
    for flow in facts:
        for side in flow.sides:
            assert side.stream_bytes >= 0
            assert side.unacked >= 0
            assert side.data_packets <= side.packets
            assert side.bytes >= side.largest >= side.largest_acked


@settings(max_examples=50)
@given(SEGMENTS, st.lists(st.integers(1, 32)))
def test_blocks_change_nothing_between_two_hosts(
    segments: list[tuple[str, str, int, int, int, int, float]], cuts: list[int]
) -> None:
    """Data in any order, acknowledged as far as it came; nothing is missing in the capture."""
    lines, now = [HANDSHAKE], 30.0
    sent: dict[str, list[tuple[int, int]]] = {"c": [], "p": []}
    heard = {"c": 1, "p": 1}
    for sender, _, seq, length, lazy, window, step in segments:
        now += step
        reach = heard[sender]
        for left, right in sorted(sent["p" if sender == "c" else "c"]):
            reach = max(reach, right) if left <= reach else reach
        heard[sender] = reach if lazy % 100 else heard[sender]
        sent[sender].append((seq + 1, seq + 1 + length))
        lines.append(f"{now} {sender} A {seq + 1}+{length} {heard[sender]} w={window}")
    built = story("\n".join(lines))
    whole, parts = track(built.frames), track(built.frames, cuts)
    assert {n: names_of(b) for n, b in parts.bits.items()} == {
        n: names_of(b) for n, b in whole.bits.items()
    }
    assert steady(parts) == steady(whole)


@pytest.mark.parametrize("frames", [1, 2, 5])
def test_a_stream_longer_than_the_sequence_numbers(frames: int) -> None:
    """Relative sequence numbers go on where 32 bits begin anew."""
    step, size = 1 << 29, 1000
    lines, now = [HANDSHAKE], 30.0
    for at in range(24):  # 12 GiB, most of them not captured
        now += 1
        lines.append(f"{now} p A {1 + at * step}+{size} 1")
        lines.append(f"{now + 0.1} c A 1 {1 + at * step + size}")
    built = story("\n".join(lines), isn=(1, 0xFFFFF000))
    proxy = track(built.frames, every(frames, built.frames)).facts().sides[1]
    assert proxy.stream_bytes == 23 * step + size
    assert (proxy.lost_segments, proxy.retransmissions, proxy.unacked) == (23, 0, 0)


def test_segments_merged_by_an_offload() -> None:
    """Sixty thousand bytes at once are larger than the MSS and otherwise in order."""
    step = 60_000
    lines, now = [HANDSHAKE], 30.0
    for at in range(20):
        now += 1
        lines.append(f"{now} p A {1 + at * step}+{step} 1 cut=10")
        lines.append(f"{now + 0.1} c A 1 {1 + (at + 1) * step}")
    built = story("\n".join(lines), isn=(1, 0xFFFFF000))
    proxy = track(built.frames).facts().sides[1]
    assert proxy.stream_bytes == proxy.bytes == 20 * step
    assert (proxy.lost_segments, proxy.retransmissions, proxy.acked_unseen) == (0, 0, 0)
    assert (proxy.oversized, proxy.cut_by_snaplen) == (20, 20)


def test_every_class_has_a_scenario() -> None:
    shown = 0
    for scenario in SCENARIOS:
        for bits in story(scenario.text).expected:
            shown |= bits
    assert shown | packets.PORT_REUSED == sum(set(NAMES.values()))


def test_times_are_those_of_the_frames() -> None:
    facts = track(story(HANDSHAKE).frames).facts()
    assert facts.first == (1, START_NS)
    assert facts.rtt_ns == 20_100_000


def test_a_block_may_hold_nothing_of_a_flow_but_a_copy() -> None:
    """The original was the last packet of the block before."""
    twice = "0 c S 0 0\n0.1 c S 0 0 copy"
    frames = [
        *story(twice, port=41000).frames,
        *story("0.2 c S 0 0\n1 p SA 0 1\n2 c A 1 1", port=41001).frames,
    ]
    whole, parts = track(frames), track(frames, [1])
    assert [flow.sides[0].duplicates for flow in parts.all_facts()] == [1, 0]
    assert parts.all_facts() == whole.all_facts()
