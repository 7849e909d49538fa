"""What is remembered of irregular segments: ranges sent again, holes, windows, resets."""

from __future__ import annotations

import random

import pytest

from capture.facts import CLIENT, PROXY, Direction, FlowFacts, Mark
from capture.tracking.events import Gap, Oddities, _fill
from tests.capture.tracking.building import HANDSHAKE, START_NS, every, story, track

SIZES = (1, 2, 3, 100)


def facts(text: str, size: int = 100, *, start: str = HANDSHAKE) -> FlowFacts:
    built = story(start + text)
    return track(built.frames, every(size, built.frames)).facts()


def numbers(marks: object) -> list[int]:
    return [mark.number for mark in marks]  # type: ignore[attr-defined]


@pytest.mark.parametrize("size", SIZES)
def test_a_range_sent_again_and_again(size: int) -> None:
    text = "21 c A 1+1440 1\n" + "".join(f"{at} c A 1+1440 1\n" for at in (300, 900, 2100, 4500))
    side = facts(text, size).sides[CLIENT]
    assert side.run is not None
    assert (side.run.first_seq, side.run.length, side.run.ip_length) == (1, 1440, 1480)
    assert side.run.sent == 5
    assert numbers(side.run.marks) == [5, 6, 7, 8]
    assert not side.run.acked
    assert not side.run.smaller_resent
    assert side.retransmissions == 4
    assert side.unacked == 1440
    assert side.unacked_since is not None
    assert side.unacked_since.number == 8
    assert side.last_payload is not None
    assert side.last_payload.number == 4
    assert (side.bytes, side.stream_bytes) == (5 * 1440, 1440)


@pytest.mark.parametrize("size", SIZES)
def test_a_range_that_got_through_in_smaller_segments(size: int) -> None:
    run = facts("""
        21   c A 1+1440 1
        300  c A 1+1440 1
        900  c A 1+1440 1
        2100 c A 1+512  1
        2120 p A 1 513
    """, size).sides[CLIENT].run  # fmt: skip
    assert run is not None
    assert (run.sent, run.acked, run.smaller_resent) == (3, True, True)


def test_twice_is_no_run() -> None:
    side = facts("21 c A 1+1440 1\n300 c A 1+1440 1\n").sides[CLIENT]
    assert (side.run, side.retransmissions) == (None, 1)


def test_marks_of_a_long_run_are_bounded() -> None:
    text = "21 c A 1+100 1\n" + "".join(f"{100 + at} c A 1+100 1\n" for at in range(20))
    run = facts(text).sides[CLIENT].run
    assert run is not None
    assert (run.sent, len(run.marks)) == (21, 8)
    assert run.marks[-1].number == 24


def test_many_ranges_are_bounded() -> None:
    """The range sent most often is kept, however many others come."""
    text = "".join(f"{30 + at} c A {1 + at * 10}+10 1\n" for at in range(100))
    text += "".join(f"{300 + at} c A 1+10 1\n" for at in range(3))
    text += "".join(f"{400 + at} c A {1 + at * 10}+10 1\n" for at in range(100))
    run = facts(text).sides[CLIENT].run
    assert run is not None
    assert (run.first_seq, run.sent) == (1, 5)


@pytest.mark.parametrize("size", SIZES)
def test_a_hole_stays_open(size: int) -> None:
    side = facts("""
        21   p A 1+1000    1
        21.1 p A 2001+1000 1
        21.2 c A 1 1001 sack=2001-3001
        21.3 p A 3001+500  1
    """, size).sides[PROXY]  # fmt: skip
    (hole,) = side.holes
    assert (hole.left, hole.right, hole.mark.number, hole.beyond) == (1001, 2001, 5, 1000)
    assert not hole.acked
    assert side.sacked_beyond_hole
    assert (side.lost_segments, side.unacked) == (1, 2500)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("rest", "left"),
    [
        ("30 p A 1001+1000 1\n", []),
        ("30 p A 1001+400 1\n", [(1401, 2001)]),
        ("30 p A 1601+400 1\n", [(1001, 1601)]),
        ("30 p A 1301+100 1\n", [(1001, 1301), (1401, 2001)]),
        ("30 p A 501+2000 1\n", []),
    ],
)
def test_a_hole_is_filled(rest: str, left: list[tuple[int, int]], size: int) -> None:
    text = "21 p A 1+1000 1\n21.1 p A 2001+1000 1\n"
    side = facts(text + rest, size).sides[PROXY]
    assert [(hole.left, hole.right) for hole in side.holes] == left


@pytest.mark.parametrize("size", SIZES)
def test_what_the_receiver_acknowledged_is_no_hole_of_the_network(size: int) -> None:
    side = facts("21 p A 1+1000 1\n21.1 p A 2001+1000 1\n22 c A 1 3001\n", size).sides[PROXY]
    assert side.holes == ()
    assert side.acked_unseen == 1
    assert side.acked_beyond == 0
    assert side.unacked == 0


@pytest.mark.parametrize("size", SIZES)
def test_nor_is_what_had_been_acknowledged_before(size: int) -> None:
    side = facts("21 c A 1 3001\n22 p A 1+1000 1\n22.1 p A 2001+1000 1\n", size).sides[PROXY]
    assert [hole.acked for hole in side.holes] == [True]


@pytest.mark.parametrize("size", SIZES)
def test_acknowledged_beyond_what_was_captured(size: int) -> None:
    side = facts("21 p A 1+1000 1\n22 c A 1 1190\n", size).sides[PROXY]
    assert side.acked_unseen == 1
    assert side.acked_beyond == 189


@pytest.mark.parametrize("size", SIZES)
def test_a_closed_window(size: int) -> None:
    flow = facts("""
        21   c A 1+1000 1
        41   p A 1 1001 w=0
        300  c A 1001+1 1
        320  p A 1 1001 w=0
        541  p A 1 1001 w=500
        560  c A 1001+100 1
        600  p A 1 1101 w=0
        700  p A 1 1101 w=9
    """, size)  # fmt: skip
    client, proxy = flow.sides
    assert proxy.zero_windows == 3
    assert proxy.zero_window_ns == 500_000_000
    assert proxy.zero_window_mark == (5, START_NS + 41_000_000)
    assert not proxy.zero_window_open
    assert client.window_probes == 1
    assert client.zero_windows == 0


@pytest.mark.parametrize("size", SIZES)
def test_a_window_that_stays_closed(size: int) -> None:
    proxy = facts("21 c A 1+9 1\n41 p A 1 10 w=0\n300 c A 10+1 1\n900 c A 10+1 1\n", size).sides[1]
    assert proxy.zero_window_open
    assert proxy.zero_window_mark is not None
    assert proxy.zero_window_mark.number == 5
    assert proxy.zero_window_ns == 859_000_000  # to the flow's last packet


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("seq", "offset"), [("11", 0), ("1", -10), ("500", 489)], ids=["exact", "old", "ahead"]
)
def test_a_reset(seq: str, offset: int, size: int) -> None:
    side = facts(f"21 p PA 1+10 1\n30 p R {seq} 0 ttl=200 w=77\n31 p R 11 0 ttl=9\n", size).sides[1]
    assert side.rst is not None
    assert (side.rst.number, side.rst_ttl, side.rst_window, side.rst_options) == (5, 200, 77, 0)
    assert side.rst_seq_offset == offset


def test_a_reset_as_the_first_packet() -> None:
    flow = facts("", start="0 c S 0 0\n20 p RA 0 1 ttl=61\n")
    side: Direction = flow.sides[PROXY]
    assert (side.rst_ttl, side.rst_seq_offset) == (61, None)
    assert flow.closes[0][0] == "proxy_rst"
    assert flow.syn_ack is None


def test_syns_are_marked_up_to_a_bound() -> None:
    flow = facts("", start="".join(f"{at * 1000} c S 0 0\n" for at in range(20)))
    assert flow.syn_count == 20
    assert numbers(flow.syn_marks) == list(range(1, 13))
    assert flow.sides[CLIENT].retransmissions == 19


def test_oddities_turn_with_the_roles() -> None:
    """What was noted of the sides while they were guessed wrongly."""
    flow = facts("""
        0   c A  1 1 port=80
        1   p A  1 1 w=0 port=80
        20  c R  1 0 port=80 ttl=9
        21  p R  1 0 port=80 ttl=7
        300 c PA 1 1 x=CONNECT_a:443_HTTP/1.1~~ port=80
    """, 2, start="")  # fmt: skip
    client, proxy = flow.sides
    assert flow.client.port == 80
    assert (client.rst_ttl, proxy.rst_ttl) == (9, 7)
    assert (client.zero_windows, proxy.zero_windows) == (0, 1)
    assert proxy.zero_window_mark is not None
    assert not client.zero_window_open


def test_many_holes_are_filled_as_one_by_one() -> None:
    """What is left is what a set of bytes says, also with bytes that come twice."""
    dice = random.Random(1)
    for _ in range(200):
        borders = sorted(dice.sample(range(200), 12))
        odd = Oddities()
        odd.gaps[0] = [
            Gap(left, right, Mark(1, 0), 1)
            for left, right in zip(borders[::2], borders[1::2], strict=True)
        ]
        missing = {byte for gap in odd.gaps[0] for byte in range(gap.left, gap.right)}
        for _ in range(15):
            left = dice.randrange(200)
            come = set(range(left, left + dice.randrange(1, 30)))
            assert _fill(odd, 0, left, max(come) + 1) == bool(missing & come)
            missing -= come
            gaps = odd.gaps.get(0, [])
            assert missing == {byte for gap in gaps for byte in range(gap.left, gap.right)}
            assert gaps == sorted(gaps)
