"""Second legs in captures taken on a proxy: found, judged by, and drawn."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from capture.analysis import Analysis
from capture.judging import Catalogue
from capture.judging.baseline import SECOND_LEG
from capture.options import AnalysisOptions
from capture.packets.index import PacketView
from capture.report.model import Confidence, Report
from capture.report.rungs import rungs_of_ladder
from capture.second_leg.looking import Legs
from capture.second_leg.pairing import Grounds, Outcome
from capture.sources.opening import open_source
from capture.timeline.ladder import LadderLine, LineKind, build_ladder
from capture.watching.analysis import LiveAnalysis

DATA = Path(__file__).parents[2] / "data" / "captures"
BOTH = "01z_on_proxy_both_legs.pcap"
DEAD = "04z_on_proxy_server_dead.pcap"


def read(
    name: str, kind: type[Analysis] = Analysis, *, screen: bool = True
) -> tuple[Analysis, Report]:
    source = open_source(str(DATA / name))
    analysis = kind(source.info, AnalysisOptions(keep_packets=screen), Catalogue.load())
    for block in source.blocks():
        analysis.take(block)
    source.close()
    return analysis, analysis.report()


def after_one_another(*names: str) -> Analysis:
    """Several captures as one, whatever their times."""
    first = open_source(str(DATA / names[0]))
    analysis = Analysis(first.info, AnalysisOptions(keep_packets=True), Catalogue.load())
    for source in (first, *[open_source(str(DATA / name)) for name in names[1:]]):
        for block in source.blocks():
            analysis.take(replace(block, first_number=1 + analysis.packets))
        source.close()
    analysis.report()
    return analysis


def ladder(name: str, packets: int | None = None) -> list[LadderLine]:
    """The ladder of the capture's tunnel, of its first packets only if so many are given."""
    analysis, report = read(name)
    assert analysis.index is not None
    view, flow = analysis.index.view(), report.flows[0]
    view = PacketView(view.rows[:packets])
    facts, legs = analysis.facts()[flow.uid], analysis.legs()[flow.uid]
    return list(build_ladder(flow, facts, view, view.of_flow(flow.uid), legs))


@pytest.mark.parametrize(
    ("name", "grounds", "outcome", "rule", "confidence"),
    [
        (BOTH, Grounds.HELLO, Outcome.OPEN, "", None),
        ("01y_on_proxy_one_interface.pcap", Grounds.HELLO, Outcome.OPEN, "", None),
        ("03z_on_proxy_server_refuses.pcap", Grounds.ADDRESS, Outcome.REFUSED, "up-refused",
         Confidence.CERTAIN),
        ("03y_on_proxy_no_route.pcap", Grounds.ADDRESS, Outcome.UNREACHABLE, "up-no-route",
         Confidence.CERTAIN),
        (DEAD, Grounds.ADDRESS, Outcome.SILENT, "up-timeout", Confidence.CERTAIN),
        ("04y_on_proxy_server_dead_by_name.pcap", Grounds.ALONE, Outcome.SILENT, "up-timeout",
         Confidence.CERTAIN),
        ("08z_on_proxy_server_silent.pcap", Grounds.HELLO, Outcome.OPEN, "tls-stall",
         Confidence.CERTAIN),
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", [Analysis, LiveAnalysis])
@pytest.mark.parametrize("screen", [True, False])
def test_real_captures(
    name: str,
    grounds: Grounds,
    outcome: Outcome,
    rule: str,
    confidence: Confidence | None,
    kind: type[Analysis],
    screen: bool,
) -> None:
    analysis, report = read(name, kind, screen=screen)
    (flow,) = report.flows
    (leg,) = analysis.legs()[flow.uid]
    assert (leg.grounds, leg.outcome) == (grounds, outcome)
    assert leg.certain is (grounds is not Grounds.ALONE)
    assert SECOND_LEG not in flow.notes
    if not rule:
        assert flow.findings == ()
        return
    finding = flow.findings[0]
    assert (finding.rule, finding.confidence) == (rule, confidence)
    syn = leg.facts.first.number
    assert syn in finding.packets or rule == "tls-stall"
    assert str(leg.facts.proxy) in finding.observation


def test_a_capture_at_the_client_has_none() -> None:
    analysis, report = read("01a_success_302_tls13.pcap")
    assert analysis.legs() == {}
    assert SECOND_LEG in report.flows[0].notes


def test_a_second_report_says_the_same() -> None:
    analysis, first = read(DEAD, LiveAnalysis)
    second = analysis.report()
    assert second.flows == first.flows


def test_facts_are_gathered_once() -> None:
    analysis, report = read(BOTH)
    legs, capture = Legs(analysis.tracker), analysis.capture_facts()
    first = legs.of(analysis.judged(), capture)
    again = legs.of(analysis.judged(), capture)
    (one,), (two,) = first.values(), again.values()
    assert one[0].facts is two[0].facts
    assert len(report.flows) == 1


def test_both_legs_stand_in_one_ladder() -> None:
    lines = [(line.second, line.sender, line.text) for line in ladder(BOTH)]
    asked = next(at for at, line in enumerate(lines) if line[2].startswith("CONNECT"))
    assert lines[asked + 1] == (True, 0, "SYN to 72.163.4.161:443")
    assert lines[asked + 2][:2] == (True, 1)
    assert lines[asked + 4] == (False, 1, "200 Connection established")
    hellos = [second for second, _, text in lines if text.startswith("ClientHello")]
    assert hellos == [False, True]
    numbers = [line.first_number for line in ladder(BOTH)]
    assert numbers == sorted(numbers)


def test_tries_that_nobody_answers() -> None:
    lines = ladder(DEAD)
    second = [line for line in lines if line.second]
    assert [line.text for line in second] == [
        "SYN to 72.163.4.161:443",
        *["SYN again to 72.163.4.161:443"] * 4,
        "no answer",
    ]
    assert second[-1].kind is LineKind.MISSING
    texts = [line.text for line in lines]
    assert texts.index("no answer") < texts.index("503 Service Unavailable")
    (failing,) = [line for line in lines if line.failing]
    assert failing.text == "503 Service Unavailable"


def test_a_guess_is_marked_as_one() -> None:
    texts = [line.text for line in ladder("04y_on_proxy_server_dead_by_name.pcap")]
    assert "SYN to 72.163.4.161:443  (likely)" in texts


def test_an_icmp_error_stands_on_its_leg() -> None:
    lines = [line for line in ladder("03y_on_proxy_no_route.pcap") if "ICMP" in line.text]
    assert [line.second for line in lines] == [True]


def test_a_moment_of_a_replay_shows_no_future() -> None:
    early = [line for line in ladder(DEAD, packets=8) if line.second]
    assert [line.first_number for line in early] == [6, 7, 8]
    assert [line for line in ladder(BOTH, packets=11) if line.second] == []


def test_a_diagram_tells_the_second_leg_beside_the_arrows() -> None:
    lines = ladder(DEAD)
    rungs = rungs_of_ladder(lines, lines[0].time_ns)
    beside = [rung for rung in rungs if rung.text.startswith(("proxy to", "server to"))]
    assert len(beside) == 6
    assert all(rung.sender is None for rung in beside)
    assert beside[-1].text == "server to proxy: no answer"


def test_of_too_many_those_that_explain_a_failure_are_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    analysis = after_one_another(DEAD, "01y_on_proxy_one_interface.pcap")
    judged, capture = analysis.judged(), analysis.capture_facts()
    both = Legs(analysis.tracker).of(judged, capture)
    assert {leg.outcome for (leg,) in both.values()} == {Outcome.SILENT, Outcome.OPEN}
    monkeypatch.setattr("capture.second_leg.looking.MOST", 1)
    (found,) = Legs(analysis.tracker).of(judged, capture).values()
    assert found[0].outcome is Outcome.SILENT
