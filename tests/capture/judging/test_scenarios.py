"""Every scenario brings its verdict and its rules, and nothing else."""

from __future__ import annotations

import re

import pytest

from capture.judging import Catalogue, judge
from capture.judging.judge import quiet
from capture.judging.scene import Scene
from capture.judging.table import BY_STAGE
from capture.report.model import VERDICTS, Severity
from tests.capture.judging.scenarios import ALL, FAILING, HEALTHY
from tests.capture.judging.stories import Scenario

CATALOGUE = Catalogue.load()
NEEDS_CONTEXT = {
    "acl-address", "acl-source", "auth-retried", "auth-retry", "capture-clock", "capture-drops",
    "capture-fragments", "capture-not-understood", "capture-one-way-all", "capture-snaplen",
    "icmp-without-flow", "idle-repeated", "left-together", "name-resolved-by-client",
    "proxy-name-unresolved", "tcp-source-filtered", "tls-name-filtered", "tls-same-issuer",
    "tls-spare", "wpad-unresolved",
}  # fmt: skip
"""Rules that need several flows or the capture; tested with ``relate`` and ``whole``."""


def names(scenario: Scenario) -> str:
    return scenario.name


@pytest.mark.parametrize("scenario", ALL, ids=names)
def test_verdict_and_rules(scenario: Scenario) -> None:
    flow, around = scenario.facts()
    judgement = judge(flow, around, CATALOGUE)
    assert judgement.verdict == scenario.verdict
    assert sorted(item.rule for item in judgement.findings) == sorted(scenario.rules)


@pytest.mark.parametrize("scenario", HEALTHY, ids=names)
def test_healthy_flows_carry_no_more_than_hints(scenario: Scenario) -> None:
    flow, around = scenario.facts()
    judgement = judge(flow, around, CATALOGUE)
    assert all(item.severity is Severity.INFO for item in judgement.findings)


@pytest.mark.parametrize("scenario", ALL, ids=names)
def test_findings_are_complete(scenario: Scenario) -> None:
    flow, around = scenario.facts()
    last = flow.last.number
    ranks = []
    for item in judge(flow, around, CATALOGUE).findings:
        texts = [item.title, item.observation, item.cause, item.raise_by, item.symptom]
        assert item.title
        assert item.cause
        assert item.observation.endswith(".")
        assert item.issue in CATALOGUE.issues
        assert len(item.next_steps) <= 5
        if item.severity is not Severity.INFO:
            assert len(item.next_steps) >= 2 or item.rule == "connect-2xx-body"
        for text in [*texts, *item.next_steps]:
            assert not re.search(r"[{}]|\bNone\b(?! of)|@[a-z]+-", text.replace("@{router}", "")), (
                text
            )
            assert text.count("`") % 2 == 0
        assert item.verdict is None or item.verdict in VERDICTS
        assert all(number >= 1 for number in item.packets)
        assert flow.icmp or max(item.packets, default=0) <= last
        ranks.append(item.severity.rank)
    assert ranks == sorted(ranks, reverse=True)


@pytest.mark.parametrize("scenario", FAILING, ids=names)
def test_failing_flows_have_a_finding_that_gives_the_verdict(scenario: Scenario) -> None:
    if scenario.verdict in ("ok", "plain_http"):
        return
    flow, around = scenario.facts()
    findings = judge(flow, around, CATALOGUE).findings
    assert findings[0].verdict == scenario.verdict
    assert findings[0].packets


@pytest.mark.parametrize("scenario", ALL, ids=names)
def test_the_gate_lets_no_rule_slip(scenario: Scenario) -> None:
    flow, around = scenario.facts()
    if quiet(flow, around):
        scene = Scene(flow, around, lambda: CATALOGUE.signs)
        assert [check(scene) for check in BY_STAGE[scene.stage] if check(scene)] == []


def test_the_gate_opens_for_a_plainly_healthy_tunnel() -> None:
    assert quiet(*HEALTHY[0].facts())


def test_every_rule_fires_somewhere() -> None:
    fired = {rule for scenario in ALL for rule in scenario.rules}
    assert fired | NEEDS_CONTEXT == set(CATALOGUE.rules)
    assert not fired & NEEDS_CONTEXT


def test_every_verdict_is_reached() -> None:
    assert {scenario.verdict for scenario in ALL} == set(VERDICTS)


@pytest.mark.parametrize("scenario", ALL, ids=names)
def test_a_one_way_capture_proves_no_absence(scenario: Scenario) -> None:
    from dataclasses import replace

    flow, around = scenario.facts()
    findings = judge(replace(flow, one_way=True), around, CATALOGUE).findings
    absences = {"connect-hang", "tcp-no-answer", "tls-stall", "transfer-stall", "no-response",
                "mtu-black-hole", "path-dead", "cut-without-goodbye", "idle-timeout"}  # fmt: skip
    assert not absences & {item.rule for item in findings}
