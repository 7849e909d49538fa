"""Traced numbers count and compare as plain ones do, and know how."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.shards.traced import Trace, Untraceable
from capture.units import duration

SECOND = 1_000_000_000
TIMES = st.lists(
    st.integers(1_700_000_000 * SECOND, 1_700_000_009 * SECOND), min_size=3, max_size=3
)


def rule(first: int, second: int, third: int) -> tuple[str, object, object]:
    """Compares as rules do."""
    took = (second - first) / SECOND
    rtt_ns = third - first
    if took < 0 or not rtt_ns:
        return "odd", first, 0
    if abs(took - 5) <= max(0.35, 0.01 * took):
        return "timer", max(0, rtt_ns) / 1e9, second
    if rtt_ns // 2 > 3 * took * SECOND + 5 or min(second, third) == first:
        return "slow", -rtt_ns, took * 2
    return "fine", 1.5, second - 1


@given(TIMES, st.lists(TIMES, min_size=1, max_size=8))
def test_what_holds_is_what_the_rule_says(one: list[int], others: list[list[int]]) -> None:
    trace = Trace()
    word, *results = rule(*[trace.given(value, place) for place, value in enumerate(one)])
    times = np.array([one, *others], np.int64)
    holds = trace.holds(times)
    assert holds[0]
    for at in np.flatnonzero(holds).tolist():
        expected = rule(*times[at].tolist())
        assert word == expected[0]
        for result, value in zip(results, expected[1:], strict=True):
            values = Trace.values(result, times)
            found = values[at] if values is not None else result
            assert found == value
            assert type(found) is type(value)


def test_nothing_decided_holds_for_all() -> None:
    trace = Trace()
    trace.given(5, 0)
    assert trace.holds(np.zeros((3, 1), np.int64)).all()


def test_texts_decide_nothing() -> None:
    trace = Trace()
    assert duration((trace.given(3 * SECOND, 0) - trace.given(0, 1)) / SECOND) == "3.00 s"
    assert f"{trace.given(7, 0)}" == "7"
    assert trace.holds(np.zeros((1, 2), np.int64)).all()


@pytest.mark.parametrize(
    "use",
    [
        hash, int, round, math.floor, math.trunc,
        lambda time: time % 7, lambda time: 2**time, lambda time: time & 1,
        lambda time: {time: 1}, lambda time: round(time / 2),
        lambda time: int(time / 2), lambda time: hash(time / 2),
    ],
)  # fmt: skip
def test_what_cannot_be_followed_is_refused(use: Callable[[int], object]) -> None:
    with pytest.raises((Untraceable, TypeError)):
        use(Trace().given(1, 0))


def test_ranked_numbers_decide_among_themselves_only() -> None:
    trace = Trace()
    first, second = trace.ranked(10, 0), trace.ranked(20, 1)
    assert first < second
    assert first != second
    assert first
    assert len({first, second, first}) == 2
    assert trace.holds(np.array([[4, 5], [7, 7]])).all()
    assert (second - first) / 2 >= 5
    assert trace.given(15, 2) < second
    assert first <= trace.given(15, 2)
    assert trace.holds(np.array([[4, 14, 9], [4, 13, 9], [4, 14, 3], [4, 14, 14]])).tolist() == [
        True, False, False, False,
    ]  # fmt: skip
    assert Trace.values(second, np.array([[4, 14, 9]])) == [14]


RULES = sorted((Path(__file__).parents[3] / "capture" / "judging").glob("*.py"))


@pytest.mark.parametrize("path", RULES, ids=lambda path: path.stem)
def test_no_rule_makes_a_plain_number_of_a_traced_one(path: Path) -> None:
    """What is decided by ``float(x)`` would go unnoticed; words are made in ``capture.units``."""
    assert not re.search(r"\bfloat\(", path.read_text(encoding="utf-8"))
