from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.packets.index import PACKET_DTYPE
from capture.replay.begun import EVERY, Begun, FactsThen, Totals
from tests.capture.replay.recordings import record
from tests.capture.replay.test_past import TOUR


@given(st.lists(st.integers(1, 50), min_size=1, max_size=8), st.integers(0, 60), st.booleans())
def test_which_flows_had_begun_by_a_packet(first: list[int], number: int, ordered: bool) -> None:
    if ordered:
        first.sort()
    flows = list(range(len(first)))[::2]
    begun = Begun(flows, np.array(first, np.int64))
    expected = [flow for flow in flows if first[flow] <= number]
    assert begun.by(number).tolist() == expected
    assert begun.some([f"flow {flow}" for flow in flows], number) == [
        f"flow {flow}" for flow in expected
    ]


def test_facts_of_a_moment_are_those_of_the_end_but_for_the_flows_that_changed() -> None:
    past = record(TOUR).past
    some, other, later, gone = list(past._ends)[:4]
    now = past._ends[other].facts
    facts = FactsThen(np.array([some, later]), past._ends, {later: now})
    assert dict(facts) == {some + 1: past._ends[some].facts, later + 1: now}
    assert later + 1 in facts
    assert None not in facts
    assert facts.get(gone + 1) is None
    assert isinstance(facts, Mapping)
    with pytest.raises(KeyError):
        facts[0]


@pytest.mark.parametrize("packets", [0, 5, EVERY, 3 * EVERY + 7])
def test_running_totals(packets: int) -> None:
    rows = np.zeros(packets, PACKET_DTYPE)
    random = np.random.default_rng(packets)
    rows["wirelen"] = random.integers(60, 1500, packets)
    rows["time_ns"] = random.integers(1, 1 << 60, packets)
    totals = Totals(rows)
    for number in {0, min(3, packets), min(EVERY, packets), packets}:
        then = rows[:number]
        found = totals.by(number)
        assert found.bytes == then["wirelen"].sum(dtype=np.int64)
        if number:
            assert (found.first_ns, found.last_ns) == (then["time_ns"].min(), then["time_ns"].max())
