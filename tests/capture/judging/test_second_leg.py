"""What the proxy's own connection says of a tunnel that failed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from capture.facts import Endpoint, FlowFacts, Mark
from capture.judging import Catalogue, Judgement, judge
from capture.judging.baseline import SECOND_LEG
from capture.judging.second_leg import in_light_of_legs
from capture.report.model import Confidence
from capture.second_leg.pairing import Grounds, SecondLeg
from tests.capture.judging.build import Story, capture, healthy, opened
from tests.capture.judging.stories import icmp

CATALOGUE = Catalogue.load()
SERVER = Endpoint("72.163.4.161", 443)
CERTAIN, LIKELY, POSSIBLE = Confidence.CERTAIN, Confidence.LIKELY, Confidence.POSSIBLE


def dialled(at: float = 0.05, to: Endpoint = SERVER) -> Story:
    return Story(client=Endpoint("10.10.10.1", 50_000), proxy=to, at=at, number=70, id=9)


def leg(story: Story | FlowFacts, *, certain: bool = True) -> SecondLeg:
    facts = story.facts() if isinstance(story, Story) else story
    return SecondLeg(facts, Grounds.ADDRESS if certain else Grounds.ALONE, certain)


def refused() -> Story:
    return dialled().syn().close("proxy_rst")


def failed(status: int, reason: str = "Bad Gateway", after: float = 0.2) -> Story:
    return Story().connect().ask(target=str(SERVER)).answer(status, reason, after=after)


def seen(story: Story, *legs: SecondLeg, texts: bool = True) -> tuple[Judgement, Judgement]:
    """The judgement alone, and in the light of these legs."""
    flow = story.facts()
    around = capture(flow, 30.0)
    alone = judge(flow, around, CATALOGUE, texts=texts)
    return alone, in_light_of_legs(alone, flow, legs, around, CATALOGUE, texts=texts)


@pytest.mark.parametrize(
    ("status", "rule"),
    [
        (500, "server-error"),
        (502, "bad-gateway"),
        (503, "service-unavailable"),
        (504, "gateway-timeout"),
    ],
)
def test_a_bare_error_gets_its_cause(status: int, rule: str) -> None:
    alone, told = seen(failed(status), leg(refused()))
    assert alone.findings[0].rule == rule
    (finding, *_) = told.findings
    assert told.verdict == alone.verdict == finding.verdict
    assert (finding.rule, finding.confidence, finding.code) == ("up-refused", CERTAIN, status)
    assert "#70 SYN from the proxy (10.10.10.1) to 72.163.4.161:443, refused by #71 RST" in (
        finding.observation
    )
    assert {70, 71} <= set(finding.packets)
    assert "#71 RST from 72.163.4.161:443" in finding.cause


def test_an_answer_that_never_came() -> None:
    _, told = seen(failed(503, after=5), leg(dialled().syn(3)))
    (finding,) = told.findings
    assert (finding.rule, finding.confidence) == ("up-timeout", CERTAIN)
    assert "to 72.163.4.161:443, sent 3 times, never answered" in finding.observation
    assert "3 SYNs to 72.163.4.161:443, none answered" in finding.cause


def test_a_router_that_says_no() -> None:
    _, told = seen(failed(503), leg(replace(dialled().syn().facts(), icmp=(icmp(3, 1),))))
    assert told.findings[0].rule == "up-no-route"
    assert "answered by #9 ICMP host unreachable" in told.findings[0].observation


def test_a_proxy_that_waits_for_a_dead_server_does_not_hang() -> None:
    waiting = Story().connect().ask(target=str(SERVER)).wait(25).close("client_fin")
    alone, told = seen(waiting, leg(dialled().syn(5)))
    assert (alone.findings[0].rule, alone.findings[0].confidence) == ("connect-hang", POSSIBLE)
    assert (told.findings[0].rule, told.findings[0].confidence) == ("up-timeout", CERTAIN)
    assert told.verdict == "connect_no_reply"


def test_what_is_only_likely_stays_likely_and_says_why() -> None:
    _, told = seen(failed(502), leg(refused(), certain=False))
    (finding,) = told.findings
    assert (finding.rule, finding.confidence) == ("up-refused", LIKELY)
    assert "taken for this tunnel's: the proxy's only connection" in finding.observation


def test_one_attempt_that_worked_leaves_the_cause_open() -> None:
    alone, told = seen(failed(502), leg(refused()), leg(dialled(0.06).connect()))
    assert told.findings[0].rule == alone.findings[0].rule == "bad-gateway"
    assert told.findings[0].cause == alone.findings[0].cause
    assert "answered by #71 SYN-ACK" in told.findings[0].observation


def test_one_syn_without_an_answer_proves_nothing() -> None:
    alone, told = seen(failed(502), leg(dialled().syn()))
    assert told.findings[0].rule == alone.findings[0].rule
    assert told.findings[0].confidence == alone.findings[0].confidence


def test_several_servers_are_each_named_and_silence_explains_the_delay() -> None:
    other = Endpoint("2001:db8::1", 443)
    legs = leg(dialled(to=other).syn().close("proxy_rst")), leg(dialled(0.2).syn(3))
    _, told = seen(failed(503, after=5), *legs)
    assert told.findings[0].rule == "up-timeout"
    assert "[2001:db8::1]:443, refused" in told.findings[0].observation


def test_attempts_at_one_server_are_counted_together() -> None:
    _, told = seen(failed(503), *[leg(refused())] * 4)
    assert "sent 4 times, refused" in told.findings[0].observation


def test_what_the_proxy_names_itself_keeps_its_words() -> None:
    headers = (("x-squid-error", "ERR_CONNECT_FAIL 111"),)
    story = Story().connect().ask().answer(503, "Service Unavailable", headers=headers)
    alone, told = seen(story, leg(refused(), certain=False))
    assert alone.findings[0].rule == told.findings[0].rule == "up-refused"
    assert told.findings[0].cause == alone.findings[0].cause
    assert "refused by #71 RST" in told.findings[0].observation


def test_a_denial_is_none_of_its_business() -> None:
    alone, told = seen(failed(403, "Forbidden"), leg(refused()))
    assert told.findings == alone.findings


def test_a_healthy_tunnel_only_loses_the_note() -> None:
    flow = healthy().facts()
    around = capture(flow, 1.0)
    alone = judge(flow, around, CATALOGUE)
    assert SECOND_LEG in alone.notes
    told = in_light_of_legs(alone, flow, [leg(dialled().connect())], around, CATALOGUE)
    assert SECOND_LEG not in told.notes
    assert (told.verdict, told.findings) == (alone.verdict, ())
    assert in_light_of_legs(alone, flow, [], around, CATALOGUE) is alone


def test_a_table_gets_no_texts() -> None:
    _, told = seen(failed(502), leg(refused()), texts=False)
    (finding,) = told.findings
    assert (finding.rule, finding.title, finding.observation) == ("up-refused", "", "")
    assert 71 in finding.packets


def silent_server() -> Story:
    return opened().client_hello().wait(20).close("client_fin")


def test_a_silent_server_behind_a_proxy_that_passed_the_hello_on() -> None:
    alone, told = seen(silent_server(), leg(dialled().connect().client_hello()))
    assert alone.verdict == told.verdict == "tls_stall"
    assert "#73 the proxy passed the ClientHello on to 72.163.4.161:443, which never replied" in (
        told.findings[0].observation
    )
    assert told.findings[0].confidence is CERTAIN
    assert "(#73 to 72.163.4.161:443), and nothing came back" in told.findings[0].cause
    unsure, same = seen(silent_server(), leg(dialled().connect().client_hello(), certain=False))
    assert unsure.findings == same.findings


def test_who_closed_first() -> None:
    story = opened().client_hello().wait(0.5).close("proxy_fin")
    behind = dialled().connect().client_hello().close("proxy_fin").facts()
    early = Mark(story.facts().closes[0][1].number - 1, behind.last.time_ns)
    _, told = seen(story, leg(replace(behind, closes=(("proxy_fin", early),))))
    assert f"#{early.number} FIN from the server (72.163.4.161:443)" in (
        told.findings[0].observation
    )
    assert (told.findings[0].rule, told.findings[0].confidence) == ("tls-hello-closed", CERTAIN)
    assert f"(#{early.number} FIN from 72.163.4.161:443)" in told.findings[0].cause
    alone, late = seen(story, leg(behind))
    assert late.findings == alone.findings  # the tunnel was over by then
