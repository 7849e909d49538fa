"""Findings about the capture as a whole."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from capture.decode.columns import IPV6_BASE, DnsMessage, IcmpError
from capture.facts import PROXY, CaptureFacts, FlowFacts
from capture.judging import Catalogue, Judgement, judge_capture
from capture.report.model import Finding, Severity
from tests.capture.judging.build import PROXY_END, START_NS, capture, healthy

CLIENT_IP, SERVER_IP, PROXY_IP = 0x0A282801, 0x0A000035, 0x0A0A0A01


def found(around: CaptureFacts, *flows: FlowFacts) -> tuple[Finding, ...]:
    return judge_capture(flows, [Judgement("ok")] * len(flows), around, Catalogue.load())


def rules(around: CaptureFacts, *flows: FlowFacts) -> list[str]:
    return [item.rule for item in found(around, *flows)]


def dns(
    name: str, *answers: int, rcode: int = 0, query: bool = False, at: float = 0.0, number: int = 1
) -> DnsMessage:
    time = START_NS + round(at * 1e9)
    return DnsMessage(
        number, time, CLIENT_IP, SERVER_IP, 7, name, 1, not query, rcode, tuple(answers)
    )


def around(**fields: Any) -> CaptureFacts:
    return capture(None, 60.0, **fields)


def test_a_clean_capture_has_no_findings() -> None:
    assert rules(around(), healthy().facts()) == []


def test_losses() -> None:
    item = found(around(lost_kernel=12, lost_queue=0))[0]
    assert (item.rule, item.severity) == ("capture-drops", Severity.WARNING)
    assert "12 packets" in item.observation
    assert rules(around(lost_kernel=0, lost_queue=0)) == []


def test_one_direction_only() -> None:
    lame = replace(healthy().facts(), one_way=True)
    assert rules(around(), lame) == ["capture-one-way-all"]
    assert rules(around(), lame, healthy().facts(), healthy().facts()) == []


def test_snapshot_length_is_not_a_matter_of_text() -> None:
    cut = healthy().set(PROXY, cut_by_snaplen=3).facts()
    assert rules(around(snaplen=96), cut) == ["capture-snaplen"]
    assert rules(around(text=True), cut) == []


def test_clock() -> None:
    assert rules(around(), healthy().set(time_backwards=2).facts()) == ["capture-clock"]


def test_fragments_and_what_was_not_understood() -> None:
    fragments = around(fragments_dropped=2, capture_filter="tcp port 80")
    assert rules(fragments) == ["capture-fragments"]
    strange = around(not_understood=(("GRE 0x88be", 412),))
    assert "412 x GRE 0x88be" in found(strange)[0].observation
    assert rules(strange, healthy().facts()) == []


def test_the_proxys_name_does_not_resolve() -> None:
    asked = dns("proxy.lab.example", query=True)
    failed = dns("proxy.lab.example", rcode=3, at=0.1, number=2)
    item = found(around(dns=(asked, failed)))[0]
    assert (item.rule, item.severity) == ("proxy-name-unresolved", Severity.PROBLEM)
    assert "NXDOMAIN" in item.observation
    assert "dig @10.0.0.53 proxy.lab.example" in item.next_steps[0]
    assert rules(around(dns=(asked,))) == ["proxy-name-unresolved"]


def test_other_names_and_names_that_resolve_say_nothing_of_the_proxy() -> None:
    asked = dns("proxy.lab.example", query=True)
    good = dns("proxy.lab.example", PROXY_IP, at=0.1)
    assert rules(around(dns=(asked, good))) == []
    assert rules(around(dns=(dns("www.example.com", query=True),))) == []
    failed = dns("proxy.lab.example", rcode=3, at=0.1)
    assert rules(around(dns=(asked, failed)), healthy(at=1.0).facts()) == []


def test_wpad_and_names_that_the_client_resolves_itself() -> None:
    assert rules(around(dns=(dns("wpad.lab.example", query=True),))) == ["wpad-unresolved"]
    direct = dns("tools.cisco.com", query=True)
    assert rules(around(dns=(direct,)), healthy().facts()) == ["name-resolved-by-client"]


def test_icmp_about_a_proxy_without_its_flow() -> None:
    error = IcmpError(
        9, START_NS, IPV6_BASE, CLIENT_IP, 4, 3, 1, 0, CLIENT_IP, PROXY_IP, 0, 0, -1, 0
    )
    names = {IPV6_BASE: "fd00::1"}
    item = found(around(icmp=(error,), proxies=frozenset({PROXY_END}), names=names))[0]
    assert item.rule == "icmp-without-flow"
    assert "fd00::1" in item.observation
    assert rules(around(icmp=(error,), names=names)) == []


def test_gravest_first() -> None:
    asked = dns("proxy.lab.example", query=True)
    items = found(around(dns=(asked,), lost_kernel=5, fragments_dropped=1))
    assert [item.severity for item in items] == [
        Severity.PROBLEM, Severity.WARNING, Severity.INFO,
    ]  # fmt: skip
