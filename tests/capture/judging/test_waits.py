"""Time alone changes a judgement at the moment that it names, and at no other."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capture.facts import PROXY, CaptureFacts, FlowFacts, Mark, Silence
from capture.judging import Catalogue
from capture.judging.judge import Judgement, judge
from tests.capture.judging.scenarios import ALL
from tests.capture.judging.stories import Scenario, download

CATALOGUE = Catalogue.load()
SECOND = 1_000_000_000


def judged(flow: FlowFacts, capture: CaptureFacts, now_ns: int) -> Judgement:
    return judge(flow, replace(capture, last_ns=now_ns), CATALOGUE)


def outcome(found: Judgement) -> tuple[str, list[tuple[str, str]]]:
    return found.verdict, [(item.rule, item.severity) for item in found.findings]


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(ALL), st.lists(st.integers(0, 99), min_size=1, max_size=4))
def test_a_judgement_holds_until_it_says(scenario: Scenario, places: list[int]) -> None:
    flow, capture = scenario.facts()
    now = flow.last.time_ns
    found = judged(flow, capture, now)
    for _ in range(12):
        until = found.until_ns
        end = now + 7_200 * SECOND if until is None else until - 1
        for place in places:
            between = now + (end - now) * place // 99
            assert outcome(judged(flow, capture, between)) == outcome(found)
        if until is None:
            return
        assert until > now
        now, found = until, judged(flow, capture, until)
    pytest.fail("it never settles")


@pytest.mark.parametrize("scenario", ALL, ids=lambda scenario: scenario.name)
def test_a_flow_that_is_over_is_judged_once(scenario: Scenario) -> None:
    flow, capture = scenario.facts()
    ended = all(side.fin is not None and side.fin_acked for side in flow.sides)
    if ended or any(side.rst for side in flow.sides):
        assert judge(flow, capture, CATALOGUE).until_ns is None


@pytest.mark.parametrize(("paused_s", "limit_s"), [(0.0, 10.0), (4.0, 10.0), (11.0, 22.0)])
def test_a_transfer_that_paused_and_went_on_is_given_more_time(
    paused_s: float, limit_s: float
) -> None:
    """A download that trickles must not be called stalled again and again."""
    flow = download().set(PROXY).facts()
    tls = flow.tls
    assert tls is not None
    half = replace(tls, sides=(tls.sides[0], replace(tls.sides[1], missing=100)))
    start = Mark(5, flow.first.time_ns)
    pause = Silence(start, Mark(6, start.time_ns + round(paused_s * SECOND)))
    flow = replace(flow, tls=half, longest_wait=pause)
    last = flow.sides[1].last_payload
    assert last is not None
    at = last.time_ns + round(limit_s * SECOND)
    capture = CaptureFacts(last_ns=at)
    assert outcome(judged(flow, capture, at - 1)) == ("ok", [])
    assert judged(flow, capture, at - 1).until_ns == at
    assert outcome(judged(flow, capture, at)) == (
        "transfer_stalled",
        [("transfer-stall", "problem")],
    )
