"""Bounds hold for exactly the numbers for which all that was noted would come out the same."""

from __future__ import annotations

import operator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.shards.bounds import NONE, Bounds, Linear

PLACES = st.integers(NONE, 3)
LINEAR = st.builds(Linear, PLACES, PLACES, st.integers(-3, 3)).filter(
    lambda it: it.plus == NONE or it.plus != it.minus
)
ROWS = st.lists(st.lists(st.integers(-4, 4), min_size=4, max_size=4), min_size=1, max_size=9)
LIMITS = st.integers(-5, 5) | st.sampled_from([-0.5, 1.5, 2.0, 2.25])
NAMES = st.sampled_from(["lt", "le", "gt", "ge", "eq", "ne"])


def worth(what: Linear, row: list[int]) -> int:
    one = row[what.plus] if what.plus != NONE else 0
    return one - (row[what.minus] if what.minus != NONE else 0) + what.more


@given(LINEAR, LINEAR, ROWS)
def test_differences(left: Linear, right: Linear, rows: list[list[int]]) -> None:
    apart = left.less(right)
    for row in rows if apart is not None else ():
        assert apart is not None
        assert worth(apart, row) == worth(left, row) - worth(right, row)


def test_what_is_no_simple_difference() -> None:
    assert Linear(0, 1, 5).less(Linear(2, NONE, 0)) is None
    assert Linear(0, NONE, 5).less(Linear(NONE, 0, 0)) is None
    assert Linear(0, 1, 5).less(Linear(0, 1, 2)) == Linear(NONE, NONE, 3)


@given(LINEAR, ROWS)
def test_values(what: Linear, rows: list[list[int]]) -> None:
    found = np.broadcast_to(what.of(np.array(rows)), len(rows)).tolist()
    assert found == [worth(what, row) for row in rows]


@given(st.lists(st.tuples(LINEAR, NAMES, LIMITS), max_size=8), ROWS)
def test_they_hold_where_all_comes_out_the_same(
    asked: list[tuple[Linear, str, float]], rows: list[list[int]]
) -> None:
    bounds = Bounds()
    outcomes = [getattr(operator, name)(worth(what, rows[0]), limit) for what, name, limit in asked]
    for (what, name, limit), outcome in zip(asked, outcomes, strict=True):
        assert bounds.note(what, name, limit, outcome)
    expected = [
        [getattr(operator, name)(worth(what, row), limit) for what, name, limit in asked]
        == outcomes
        for row in rows
    ]
    assert bounds.hold(np.array(rows)).tolist() == expected


def test_times_are_compared_to_the_nanosecond() -> None:
    bounds = Bounds()
    now = 1_700_000_000_123_456_789
    assert bounds.note(Linear(0, NONE, 0), "ge", now, True)
    assert bounds.hold(np.array([[now - 1], [now], [now + 1]])).tolist() == [False, True, True]


@pytest.mark.parametrize("limit", [float("inf"), float("-inf"), float("nan")])
def test_no_bound_without_end(limit: float) -> None:
    assert not Bounds().note(Linear(0, NONE, 0), "lt", limit, limit > 0)


@pytest.mark.parametrize("limit", [1 << 70, -1 << 70])
@pytest.mark.parametrize("name", ["lt", "ge", "eq", "ne"])
def test_limits_that_no_column_holds(name: str, limit: int) -> None:
    bounds = Bounds()
    assert bounds.note(Linear(0, NONE, 0), name, limit, getattr(operator, name)(5, limit))
    assert bounds.hold(np.array([[5], [-7]])).all()
