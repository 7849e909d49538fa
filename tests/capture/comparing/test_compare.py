from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from capture.comparing.compare import CompareRow, Comparison, Gravity, Subject, compare, partners
from capture.facts import CLIENT, PROXY, Direction, Exchange, FlowFacts
from capture.protocols.events import Certificate, Credentials
from capture.report.model import FlowReport
from tests.widgets.build import (
    CLIENT_HELLO,
    START_NS,
    denied,
    denied_facts,
    flow,
    mark,
    request,
    response,
    steps,
    tunnel_facts,
)


def subject(report: FlowReport | None = None, facts: FlowFacts | None = None) -> Subject:
    return Subject(report or flow(), facts or tunnel_facts())


def with_side(sender: int, **changes: object) -> FlowFacts:
    facts = tunnel_facts()
    side = replace(Direction(packets=9, mss=1460, wscale=7, ttl=64), **changes)  # type: ignore[arg-type]
    sides = (side, facts.sides[1]) if sender == CLIENT else (facts.sides[0], side)
    return replace(facts, sides=sides)


def row(comparison: Comparison, step: str, name: str) -> CompareRow:
    (found,) = [row for row in comparison.rows if (row.step, row.name) == (step, name)]
    return found


def first(comparison: Comparison) -> tuple[str, str]:
    assert comparison.first is not None
    found = comparison.rows[comparison.first]
    return found.step, found.name


def test_a_tunnel_is_like_itself() -> None:
    comparison = compare(subject(), subject())
    assert comparison.first is None
    assert not any(row.differs for row in comparison.rows)


def test_ports_sizes_and_times_of_two_healthy_tunnels_are_no_difference() -> None:
    other = flow(
        2, client="10.40.40.1:50000", steps=steps(elapsed={"response": 180.0}), duration_s=9.0
    )
    facts = replace(tunnel_facts(2), tunnel_bytes=(9, 9), rtt_ns=21_000_000)
    mine = replace(tunnel_facts(), tunnel_bytes=(700, 40_000))
    assert compare(subject(flow(), mine), subject(other, facts)).first is None


def test_a_refusal_parts_from_a_success_at_the_reply() -> None:
    comparison = compare(subject(denied(), denied_facts()), subject())
    assert first(comparison) == ("reply", "reply")
    assert row(comparison, "reply", "status")[2:] == (
        "403 Forbidden", "200 Connection established", Gravity.GRAVE,
    )  # fmt: skip
    assert row(comparison, "TLS", "ServerHello").gravity is Gravity.GRAVE
    assert row(comparison, "TLS", "SNI")[2:] == ("-", "tools.cisco.com", Gravity.MINOR)


@pytest.mark.parametrize(
    ("change", "step", "name", "gravity"),
    [
        ({"mss": 1300}, "SYN", "MSS", Gravity.NOTABLE),
        ({"wscale": -1}, "SYN", "window scale", Gravity.MINOR),
        ({"timestamps": True}, "SYN", "timestamps", Gravity.MINOR),
        ({"ttl": 61}, "SYN", "TTL", Gravity.MINOR),
        ({"ttl": 125}, "SYN", "TTL", Gravity.NOTABLE),
        ({"ttl": 0}, "SYN", "TTL", Gravity.SAME),
        ({"unacked": 9}, "data", "never acknowledged of the client", Gravity.NOTABLE),
        ({"zero_windows": 9}, "data", "zero windows of the client", Gravity.NOTABLE),
        ({"retransmissions": 9, "data_packets": 90}, "data", "retransmitted of the client",
         Gravity.NOTABLE),
        ({"retransmissions": 2, "data_packets": 90}, "data", "retransmitted of the client",
         Gravity.SAME),
    ],
)  # fmt: skip
def test_what_the_sides_say(
    change: dict[str, object], step: str, name: str, gravity: Gravity
) -> None:
    comparison = compare(
        subject(facts=with_side(CLIENT, **change)), subject(facts=with_side(CLIENT))
    )
    assert row(comparison, step, name).gravity is gravity


def test_sack_is_a_matter_of_each_side() -> None:
    left = replace(subject(), sack=(True, False))
    right = replace(subject(), sack=(True, True))
    left, right = (replace(s, facts=with_side(PROXY)) for s in (left, right))
    comparison = compare(left, right)
    assert row(comparison, "SYN-ACK", "SACK permitted")[2:] == ("no", "yes", Gravity.MINOR)


@pytest.mark.parametrize(
    ("times", "gravity"),
    [((3.0, 9.0), Gravity.SAME), ((10.0, 50.0), Gravity.MINOR), ((100.0, 150.0), Gravity.SAME),
     ((100.0, 9000.0), Gravity.NOTABLE)],
)  # fmt: skip
def test_latencies(times: tuple[float, float], gravity: Gravity) -> None:
    sides = [subject(flow(steps=steps(elapsed={"response": ms}))) for ms in times]
    assert row(compare(*sides), "reply", "reply").gravity is gravity


def asked(**changes: Any) -> Subject:
    exchange = Exchange(
        request(**changes), mark(4), response(200, "Connection established"), mark(5, 196.8)
    )
    return subject(facts=tunnel_facts(exchanges=(exchange,)))


def test_header_fields_are_paired_by_name() -> None:
    left = asked(headers=(("host", "a:443"), ("user-agent", "curl/8"), ("x", "1"), ("x", "2")))
    right = asked(headers=(("x", "1, 2"), ("host", "b:443"), ("proxy-connection", "close")))
    comparison = compare(left, right)
    assert row(comparison, "request", "x").gravity is Gravity.SAME
    assert row(comparison, "request", "host").gravity is Gravity.SAME  # each its own target
    assert row(comparison, "request", "user-agent")[2:] == ("curl/8", "-", Gravity.NOTABLE)
    assert row(comparison, "request", "proxy-connection")[2:] == ("-", "close", Gravity.NOTABLE)


def test_credentials_and_oddities_of_the_request() -> None:
    comparison = compare(asked(credentials=Credentials("basic"), malformed=("no port",)), asked())
    assert row(comparison, "request", "credentials")[2:] == ("basic", "-", Gravity.NOTABLE)
    assert row(comparison, "request", "malformed")[2:] == ("no port", "-", Gravity.NOTABLE)


def test_the_exchange_that_opened_the_tunnel_is_the_one_compared() -> None:
    opened = tunnel_facts().exchanges[0]
    asking = Exchange(request(), mark(2), response(407, "Proxy Authentication Required"), mark(3))
    retried = subject(facts=tunnel_facts(exchanges=(asking, opened)))
    comparison = compare(retried, subject())
    assert row(comparison, "request", "replies in order")[2:4] == ("407, 200", "200")
    assert row(comparison, "reply", "status").gravity is Gravity.SAME


def test_tls_parameters() -> None:
    mine = tunnel_facts()
    assert mine.tls is not None
    old = CLIENT_HELLO._replace(versions=(0x0301,), ciphers=(0x002F, 0x1301))
    chain = (Certificate("CN=a", "CN=ca", None, None, (), False),)
    tls = replace(mine.tls, client_hello=old, certificates=chain)
    comparison = compare(subject(facts=replace(mine, tls=tls)), subject())
    assert first(comparison) == ("TLS", "versions")
    assert row(comparison, "TLS", "ciphers only here")[2:4] == ("TLS_RSA_WITH_AES_128_CBC_SHA", "-")
    assert row(comparison, "TLS", "certificate")[2:] == ("CN=a", "-", Gravity.MINOR)


def test_partners() -> None:
    fails = denied(1)
    flows = (
        fails,
        flow(2, target="other:443"),
        flow(3, client="10.9.9.9:1"),
        flow(4, start_ns=START_NS + 10**9),
        flow(5, start_ns=START_NS - 10**10),
        denied(6),
    )
    healthy = flows[3]
    assert partners(flows, fails)[0] is healthy  # same client, proxy and target, and nearest
    assert partners(flows, healthy)[0] is fails
    assert partners((fails, flows[5]), fails) == [flows[5]]
    assert partners((fails,), fails) == []
    assert len(partners(flows, fails, limit=2)) == 2


def test_a_partner_in_another_capture_may_have_the_same_number() -> None:
    assert partners((flow(1),), denied(1), same_capture=False) == [flow(1)]
