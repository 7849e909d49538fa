from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.report.model import FlowReport
from tests.widgets import build
from widgets.tunnel_columns import COLUMNS, CONTENT, EXPLAINED, SORTED_BY, arranged, check_columns
from widgets.tunnel_order import TunnelOrder


def flows(values: list[dict[str, Any]]) -> list[FlowReport]:
    return [build.flow(uid, **changes) for uid, changes in enumerate(values, 1)]


CHANGES = st.sampled_from(
    [{}, {"rtt_ms": None}, {"rtt_ms": 5.0}, {"target": None}, {"status": 502}, {"packets": 3},
     {"tls": None}, {"duration_s": 0.5}, {"findings": (build.ACL,)}]
)  # fmt: skip


@given(st.lists(CHANGES, max_size=12), st.sampled_from(sorted(SORTED_BY)), st.booleans())
def test_sorted_with_ties_by_number_and_nothing_last(
    values: list[dict[str, Any]], key: str, reverse: bool
) -> None:
    order = TunnelOrder()
    made = flows(values)
    order.take(tuple(reversed(made)))
    order.sort_by(key)
    order.reverse = reverse
    found, uids = order.arrange()
    assert uids == [flow.uid for flow in found]
    keys = [SORTED_BY[key](flow) for flow in found]
    present = [value for value in keys if value is not None]
    assert keys == present + [None] * (len(keys) - len(present))
    assert present == sorted(present, reverse=reverse)
    for before, after in pairwise(found):
        if SORTED_BY[key](before) == SORTED_BY[key](after):
            assert before.id < after.id


def test_changed_flows_are_sorted_by_what_they_are_now() -> None:
    order = TunnelOrder()
    made = flows([{"packets": 5}, {"packets": 9}, {"packets": 7}])
    assert order.take(tuple(made)) == made
    order.sort_by("packets")
    assert order.arrange()[1] == [1, 3, 2]
    made[0] = build.flow(1, packets=20)
    assert order.take(tuple(made)) == made[:1]
    assert order.arrange()[1] == [3, 2, 1]
    assert order.take((made[0], made[2])) == [made[2]]
    assert order.arrange()[1] == [3, 1]


def test_only_those_that_are_allowed_and_fail() -> None:
    order = TunnelOrder()
    made = [build.flow(1), build.denied(2), build.denied(3)]
    order.take(tuple(made))
    order.allowed = {1, 2}
    assert order.arrange()[1] == [2, 1]
    order.problems_only = True
    assert order.arrange()[1] == [2]


@given(st.lists(st.lists(st.tuples(st.integers(1, 9), CHANGES), max_size=6), max_size=5))
def test_taken_one_after_the_other_or_at_once_the_order_is_the_same(
    snapshots: list[list[tuple[int, dict[str, Any]]]],
) -> None:
    order = TunnelOrder()
    order.sort_by("packets")
    before: tuple[FlowReport, ...] = ()
    for snapshot in snapshots:
        made = tuple(build.flow(uid, **changes) for uid, changes in dict(snapshot).items())
        # What reads alike is the object it was, as in the engine's snapshots.
        made = tuple(next((old for old in before if old == flow), flow) for flow in made)
        changed = order.take(made)
        assert [flow for flow in changed if flow in made] == [
            flow
            for place, flow in enumerate(made)
            if place >= len(before) or flow is not before[place]
        ] or len(made) < len(before)
        at_once = TunnelOrder()
        at_once.sort_by("packets")
        at_once.take(made)
        assert order.arrange() == at_once.arrange()
        before = made


def test_an_unknown_column_is_refused() -> None:
    with pytest.raises(ValueError, match="no such column"):
        TunnelOrder().sort_by("colour")


def test_every_column_can_be_explained_and_sorted() -> None:
    keys = [column.key for column in COLUMNS if column.key != "mark"]
    assert list(EXPLAINED) == keys
    assert list(SORTED_BY) == keys
    drawn_apart = {"client", "proxy", "target", "steps"}
    assert set(CONTENT) == set(keys) - drawn_apart
    assert check_columns(["bytes", "rtt", "bytes"]) == ("bytes", "rtt")
    with pytest.raises(ValueError, match="there are id, client"):
        check_columns(["mark"])


def test_chosen_columns_and_the_sorted_one_are_pinned() -> None:
    chosen = {column.key: column for column in arranged(["sni", "rtt"], "bytes")}
    assert set(chosen) == {"mark", "id", "target", "steps", "sni", "rtt", "bytes"}
    assert all(column.pinned for column in chosen.values())
    assert chosen["bytes"].priority < chosen["sni"].priority < chosen["rtt"].priority
