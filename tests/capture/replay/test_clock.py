from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.replay.clock import LEAP, SPEEDS, UNTIMED_PER_S, Clock, Times
from capture.replay.when import NoSuchMoment, go

START = 1_741_951_812_000_000_000  # 2025-03-14 11:30:12 UTC
SECOND = 1_000_000_000


def clock(*seconds: float) -> Clock:
    """A clock over packets that came then, standing before the first one."""
    times = [START + round(second * SECOND) for second in seconds]
    made = Clock(Times(np.array(times, np.int64)))
    made.go_to_packet(0)
    return made


def since(made: Clock) -> float:
    return (made.now_ns - START) / SECOND


def test_it_stands_at_the_end_and_plays_from_the_start() -> None:
    made = Clock(Times(np.array([START, START + SECOND], np.int64)))
    assert made.at_end
    assert (made.at, since(made), made.share) == (2, 1, 1)
    made.play()
    assert (made.at, since(made), made.playing) == (0, 0, True)


def test_real_time_goes_by_at_the_speed_and_stops_at_the_end() -> None:
    made = clock(0, 1, 1.5, 10)
    made.play()
    made.advance(1.2)
    assert (made.at, since(made)) == (2, 1.2)
    made.faster(2)
    made.advance(1.0)
    assert (made.speed, made.at, since(made)) == (4, 3, 5.2)
    made.advance(60)
    assert (made.at, since(made), made.playing, made.at_end) == (4, 10, False, True)


def test_a_paused_clock_stands_still() -> None:
    made = clock(0, 1)
    made.advance(5)
    assert (made.at, since(made)) == (0, 0)


def test_speeds_end_at_both_ends() -> None:
    made = clock(0, 1)
    made.faster(100)
    assert math.isinf(made.speed)
    made.faster(-100)
    assert made.speed == SPEEDS[0]


def test_as_fast_as_it_goes_takes_packets_by_the_thousand() -> None:
    made = clock(*range(LEAP + 10))
    made.faster(100)
    made.play()
    made.advance(0.001)
    assert (made.at, made.playing) == (LEAP, True)
    made.advance(0.001)
    assert made.at_end


def test_a_leap_ends_where_it_costs_little_to_stand() -> None:
    times = clock(*range(4 * LEAP)).times
    made = Clock(times, [0, 100, LEAP - 7, LEAP + 100, 3 * LEAP + 5])
    made.faster(100)
    made.play()
    stood = []
    while not made.at_end:
        made.advance(0.001)
        stood.append(made.at)
    # No such place on the way of the second leap, nor one far enough.
    assert stood == [LEAP - 7, 2 * LEAP - 7, 3 * LEAP - 7, 4 * LEAP - 7, 4 * LEAP]


def test_long_silences_take_a_second_when_they_are_skipped() -> None:
    made = clock(0, 1, 101, 102, 103.5)
    made.skipping = True
    made.play()
    made.advance(1.25)
    assert since(made) == pytest.approx(26)
    made.advance(0.75)
    assert (made.at, since(made)) == (3, 101)
    made.advance(2)
    assert since(made) == 103


def test_several_long_silences_in_one_step() -> None:
    made = clock(0, 100, 200, 300)
    made.skipping = True
    made.play()
    made.advance(2.5)
    assert since(made) == pytest.approx(250)


def test_steps_stand_between_packets_of_the_same_time() -> None:
    made = clock(0, 1, 1, 1, 2)
    made.go_to_packet(2)
    assert (made.at, since(made)) == (2, 1)
    made.go_to_packet(3)
    assert (made.at, since(made)) == (3, 1)
    made.go_to(START + SECOND)
    assert made.at == 4


def test_times_that_step_back_do_not_turn_the_clock_back() -> None:
    made = clock(0, 5, 3, 6)
    made.go_to_packet(3)
    assert since(made) == 5
    made.go_to(START + 4 * SECOND)
    assert made.at == 1


@pytest.mark.parametrize("wrong", [[86400 * 365], [-86400 * 365], [86400, -86400, 9e8, -9e8]])
def test_few_times_of_another_year_do_not_count(wrong: list[float]) -> None:
    made = clock(*range(10), *wrong, *range(10, 30))
    assert (made.times.first_ns, made.times.last_ns) == (START, START + 29 * SECOND)
    made.go_to(START + 5 * SECOND)
    assert made.at == 6
    made.go_to_packet(10 + len(wrong))
    assert since(made) == 9


def test_packets_without_a_time_came_when_the_first_known_one_did() -> None:
    made = Clock(Times(np.array([0, 0, START, START + SECOND, 0], np.int64)))
    assert made.times.first_ns == START
    assert made.times.last_ns == START + SECOND


def test_a_file_without_times_plays_packet_by_packet() -> None:
    made = Clock(Times(np.zeros(100, np.int64)))
    made.play()
    assert made.at == 0
    for _ in range(12):
        made.advance(0.125)
    assert made.at == 1.5 * UNTIMED_PER_S
    assert made.share == made.at / 100
    made.go_to_share(0.5)
    assert made.at == 50
    with pytest.raises(NoSuchMoment, match="no times"):
        go(made, "11:30")


def test_a_single_packet() -> None:
    made = clock(0)
    assert not made.at_end or made.at == 0
    made.play()
    made.advance(0.1)
    assert (made.at, made.at_end, made.playing) == (1, True, False)


@given(
    st.lists(st.floats(0, 1e6), min_size=1, max_size=30),
    st.lists(st.floats(0, 100), max_size=10),
    st.booleans(),
    st.integers(-10, 10),
)
def test_it_only_goes_on_and_shows_every_packet_of_its_time(
    seconds: Sequence[float], steps: Sequence[float], skipping: bool, speed: int
) -> None:
    made = clock(*seconds)
    made.skipping = skipping
    made.faster(speed)
    made.play()
    for step in steps:
        before = made.at, made.now_ns
        made.advance(step)
        assert (made.at, made.now_ns) >= before
        assert 0 <= made.share <= 1
        if made.at:
            assert made.times.of(made.at) <= made.now_ns
        if made.at < len(made.times) and made.at > before[0]:
            assert made.times.of(made.at + 1) >= made.now_ns


@pytest.mark.parametrize(
    ("text", "at", "second"),
    [
        ("#2", 2, 1.0),
        ("# 4", 4, 172800.0),
        ("11:30:12", 1, 0.0),
        ("11:30:12.5", 1, 0.5),
        ("11:31", 2, 48.0),
        ("11:30", 1, 0.0),
        ("2025-03-15 11:00", 3, 84588.0),
        ("5.2", 2, 5.2),
        ("250ms", 1, 0.25),
        ("1h", 3, 3600.0),
        ("50%", 3, 86400.0),
        ("0%", 0, 0.0),
        ("-5", 1, 0.0),
        ("  +0.5 s ", 1, 0.5),
    ],
)
def test_where_a_text_leads(text: str, at: int, second: float) -> None:
    made = clock(0, 1, 60, 2 * 86400)
    go(made, text)
    assert (made.at, since(made)) == (at, second)


def test_a_signed_time_counts_from_the_clock() -> None:
    made = clock(0, 1, 60, 2 * 86400)
    go(made, "+1m")
    go(made, "-2.5")
    assert since(made) == 57.5


def test_a_time_of_day_is_that_of_the_clocks_day() -> None:
    made = clock(0, 1, 60, 2 * 86400)
    made.go_to(START + 86400 * SECOND)
    go(made, "12:00:00")
    assert since(made) == 86400 + 29 * 60 + 48
    go(made, "2025-03-16 11:30:12")
    go(made, "12:00:00")  # not within that day: the nearest one before
    assert since(made) == 86400 + 29 * 60 + 48


@pytest.mark.parametrize(
    "text",
    [
        "", "x", "24:00", "11:60", "#9", "#", "101%", "+", "2025-02-30 11:30", "1e9",
        "0000-01-01 00:00", "2025-03-19 11:00", "9" * 50, "#99999999999999999999",
        "\u0661\u0661:\u0663\u0660", "+9999999999999d",
    ],
)  # fmt: skip
def test_other_texts_are_refused_in_one_line(text: str) -> None:
    made = clock(0, 1, 60)
    with pytest.raises(NoSuchMoment, match=r"\A[^\n]+\Z"):
        go(made, text)
    assert (made.at, made.now_ns) == (0, START)


def test_a_time_beyond_the_end_leads_to_the_end() -> None:
    made = clock(0, 1, 60)
    go(made, "+999999999999d")
    assert made.at_end


@given(st.text(max_size=20) | st.from_regex(r"[-+#]?[0-9:.%msh ]{0,20}"))
def test_no_text_breaks_it(text: str) -> None:
    made = clock(0, 1, 60)
    try:
        go(made, text)
    except NoSuchMoment:
        return
    assert made.times.first_ns <= made.now_ns <= made.times.last_ns
