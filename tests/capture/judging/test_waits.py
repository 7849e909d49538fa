"""Time alone changes a judgement at the moment that it names, and at no other."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capture.facts import CaptureFacts, FlowFacts
from capture.judging import Catalogue
from capture.judging.judge import Judgement, judge
from tests.capture.judging.scenarios import ALL
from tests.capture.judging.stories import Scenario

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
    if flow.closes:
        assert judge(flow, capture, CATALOGUE).until_ns is None
