"""From facts to a flow report: the worked example, and where each verdict breaks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from capture.decode.columns import IcmpError
from capture.facts import (
    Alert,
    CaptureFacts,
    Direction,
    Endpoint,
    Exchange,
    FlowFacts,
    Mark,
    Record,
    TlsDirection,
    TlsFacts,
)
from capture.protocols.events import Certificate, ClientHello, Request, Response, ServerHello
from capture.report.build import ALWAYS_STEPS, flow_report
from capture.report.model import (
    STEP_NAMES,
    Confidence,
    Finding,
    FlowReport,
    Severity,
    StepState,
)

BASE = 1_741_951_812_000_000_000
CAPTURE = CaptureFacts(first_ns=BASE, last_ns=BASE + 10**10, packets=40)


def at(number: int, microseconds: int) -> Mark:
    return Mark(number, BASE + microseconds * 1000)


@dataclass
class Judged:
    verdict: str = "ok"
    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()


def problem(verdict: str) -> Judged:
    finding = Finding(
        rule="rule",
        severity=Severity.PROBLEM,
        title="title",
        observation="seen",
        cause="cause",
        confidence=Confidence.LIKELY,
        packets=(1,),
        next_steps=(),
        issue="",
        verdict=verdict,
    )
    return Judged(verdict, (finding,))


def request(method: str = "CONNECT", target: str = "tools.cisco.com:443", **more: Any) -> Request:
    form = "authority" if method == "CONNECT" else "absolute"
    defaults: dict[str, Any] = {
        "form": form,
        "version": "HTTP/1.1",
        "headers": (),
        "authority": target,
        "credentials": None,
        "length": 122,
        "complete": True,
    }
    return Request(method, target, **(defaults | more))


def response(status: int = 200, reason: str = "Connection established") -> Response:
    return Response(status, reason, "HTTP/1.1", (), (), 39, True)


CONNECTED = Exchange(request(), at(8, 536_989), response(), at(11, 713_622))
HELLO = ClientHello(
    "tools.cisco.com", (0x0304, 0x0303), (0x1301,), ("h2", "http/1.1"), (), (), 517, True
)
SERVER = ServerHello(0x0304, 0x1301, None, False)
APP = 23


def tls(**changes: Any) -> TlsFacts:
    facts = TlsFacts(
        client_hello=HELLO,
        client_hello_mark=at(13, 752_166),
        client_hello_end=at(13, 752_166),
        client_hello_packets=1,
        server_hello=SERVER,
        server_hello_mark=at(15, 900_000),
        sides=(
            TlsDirection(
                records=(
                    Record(at(13, 752_166), 22, 512),
                    Record(at(16, 910_000), APP, 53),
                    Record(at(17, 911_000), APP, 200),
                )
            ),
            TlsDirection(
                records=(Record(at(15, 900_000), 22, 90), Record(at(15, 900_000), APP, 40))
            ),
        ),
    )
    return replace(facts, **changes)


def worked(**changes: Any) -> FlowFacts:
    """The appliance capture of the worked example, frames 5 to 13, and a plausible rest."""
    facts = FlowFacts(
        id=7,
        client=Endpoint("10.40.40.1", 40716),
        proxy=Endpoint("10.10.10.1", 80),
        first=at(5, 517_129),
        last=at(20, 1_000_000),
        packets=16,
        sides=(
            Direction(packets=9, bytes=900, stream_bytes=890, mss=1460, wscale=7),
            Direction(packets=7, bytes=4000, stream_bytes=4000, mss=1300, retransmissions=2),
        ),
        roles_certain=True,
        syn=at(5, 517_129),
        syn_count=1,
        syn_marks=(at(5, 517_129),),
        syn_ack=at(6, 536_846),
        syn_ack_count=1,
        ack=at(7, 536_913),
        rtt_ns=19_784_000,
        exchanges=(CONNECTED,),
        tunnel=at(11, 713_622),
        tunnel_first=(at(13, 752_166), at(15, 900_000)),
        tunnel_bytes=(768, 3961),
        tunnel_protocol="tls",
        first_language=("http", "http"),
        tls=tls(),
        closes=(("client_fin", at(18, 990_000)), ("proxy_fin", at(19, 995_000))),
    )
    return replace(facts, **changes)


def build(facts: FlowFacts, judged: Judged | None = None, **options: Any) -> FlowReport:
    return flow_report(facts, judged or Judged(), options.pop("capture", CAPTURE), 1, **options)


def states(flow: FlowReport) -> str:
    """One letter a step: Done, Failed, Missing, Pending."""
    assert tuple(step.name for step in flow.steps) == STEP_NAMES
    return "".join(step.state.value[0].upper() for step in flow.steps)


def failed(flow: FlowReport) -> list[str]:
    return [step.name for step in flow.steps if step.state is StepState.FAILED]


def test_the_worked_example_comes_out_to_the_digit() -> None:
    flow = build(worked())
    (attempt,) = flow.attempts
    assert (attempt.request_packet, attempt.response_packet) == (8, 11)
    assert attempt.delay_ms == 176.633
    assert (flow.target, flow.status, flow.reason) == (
        "tools.cisco.com:443", 200, "Connection established",
    )  # fmt: skip
    assert (flow.client, flow.proxy, flow.kind) == ("10.40.40.1:40716", "10.10.10.1:80", "tunnel")
    assert flow.rtt_ms == 19.784
    shown = [(s.packet, s.time_s, s.elapsed_ms, s.detail) for s in flow.steps]
    assert shown[:6] == [
        (5, 0.0, 0.0, "MSS 1460"),
        (6, 0.019717, 19.717, "MSS 1300"),
        (7, 0.019784, 0.067, ""),
        (8, 0.01986, 0.076, "CONNECT tools.cisco.com:443"),
        (11, 0.196493, 176.633, "200 Connection established"),
        (13, 0.235037, 38.544, "SNI tools.cisco.com"),
    ]
    assert flow.steps[6].detail == "TLSv1.3"
    assert states(flow) == "DDDDDDDDD"
    assert (flow.ended, flow.closes) == ("client_fin", ("client_fin", "proxy_fin"))
    assert flow.uid == 7
    assert flow.id == 1
    assert flow.duration_s == 0.482871


def test_bytes_and_retransmissions_are_named_by_where_they_go() -> None:
    flow = build(worked())
    assert (flow.bytes_to_proxy, flow.bytes_to_client) == (900, 4000)
    assert (flow.retransmissions_to_proxy, flow.retransmissions_to_client) == (0, 2)


def test_tls_block() -> None:
    report = build(worked()).tls
    assert report is not None
    assert (report.sni, report.version, report.server_hello) == ("tools.cisco.com", "TLSv1.3", True)
    assert report.cipher == "TLS_AES_128_GCM_SHA256"
    assert report.alpn == ("h2", "http/1.1")
    assert report.offered_versions == ("TLSv1.3", "TLSv1.2")
    assert (report.alert_code, report.certificate_subject) == (None, None)


def test_tls_block_with_chosen_protocol_alert_and_certificate() -> None:
    certificate = Certificate("CN=a", "CN=ca", None, None, ("a",), False)
    facts = tls(
        server_hello=SERVER._replace(version=0x0303, cipher=0xC02F, alpn="http/1.1"),
        certificates=(certificate,),
        alerts=(Alert(at(16, 0), 0, 1, 0), Alert(at(17, 0), 0, 2, 48)),
    )
    report = build(worked(tls=facts)).tls
    assert report is not None
    assert report.alpn == ("http/1.1", "h2")
    assert (report.alert_code, report.alert_name, report.alert_from) == (48, "unknown_ca", "client")
    assert (report.certificate_subject, report.certificate_issuer) == ("CN=a", "CN=ca")
    assert report.certificate_not_after is None


def test_the_last_request_gives_target_and_status() -> None:
    refused = Exchange(request(), at(4, 0), response(407, "Auth"), at(5, 1000))
    flow = build(worked(exchanges=(refused, CONNECTED)), Judged("auth_ok"))
    assert [item.status for item in flow.attempts] == [407, 200]
    assert flow.status == 200
    unanswered = Exchange(request(target="b:443"), at(9, 0))
    flow = build(worked(exchanges=(refused, unanswered), tunnel=None, tls=None))
    assert (flow.target, flow.status, flow.reason) == ("b:443", None, None)
    assert flow.attempts[1].delay_ms is None


def test_a_target_that_the_snapshot_length_cut_is_unknown() -> None:
    cut = Exchange(request(target="", complete=False), at(8, 0), response(), at(9, 2500))
    flow = build(worked(exchanges=(cut,)))
    assert (flow.kind, flow.target, flow.status) == ("tunnel", None, 200)


def test_an_absolute_target_that_the_snapshot_length_cut_is_unknown() -> None:
    asked = request("GET", "http://tools.cis…", authority="", complete=False)
    cut = Exchange(asked, at(8, 0), response(404, "Not Found"), at(9, 2500))
    flow = build(worked(exchanges=(cut,), tunnel=None, tls=None))
    assert (flow.kind, flow.target, flow.status) == ("plain", None, 404)


def test_what_was_asked_after_the_proxys_fin_had_no_answer_to_come() -> None:
    refused = Exchange(request(), at(4, 0), response(407, "Auth"), at(5, 1000))
    late = Exchange(request(target="b:443"), at(9, 0))
    sides = (Direction(), Direction(fin=at(8, 0)))
    flow = build(worked(exchanges=(refused, late), tunnel=None, tls=None, sides=sides))
    assert (flow.target, flow.status) == ("tools.cisco.com:443", 407)
    assert len(flow.attempts) == 2
    flow = build(worked(exchanges=(late,), tunnel=None, tls=None, sides=sides))
    assert (flow.target, flow.status) == ("b:443", None)


def test_a_plain_request_is_named_by_host_and_port() -> None:
    asked = request("GET", "http://tools.cisco.com/x", authority="tools.cisco.com:80")
    exchange = Exchange(asked, at(8, 0), response(404, "Not Found"), at(9, 2500))
    flow = build(
        worked(exchanges=(exchange,), tunnel=None, tunnel_protocol="", tls=None),
        problem("not_found"),
    )
    assert (flow.kind, flow.target, flow.status) == ("plain", "tools.cisco.com:80", 404)
    assert flow.attempts[0].target == "http://tools.cisco.com/x"
    assert states(flow) == "DDDDFMMMD"


def test_a_reply_without_a_request_gives_a_status_and_no_attempt() -> None:
    alone = Exchange(None, None, response(400, "Bad Request"), at(9, 0))
    facts = worked(
        exchanges=(alone,),
        tunnel=None,
        first_language=("tls", "http"),
        sides=(Direction(first_payload=at(8, 0)), Direction()),
    )
    flow = build(facts, problem("tls_to_plain_proxy"))
    assert (flow.kind, flow.target, flow.status, flow.attempts) == ("unknown", None, 400, ())
    assert failed(flow) == ["connect", "response"]
    assert flow.steps[3].packet == 8
    assert flow.steps[3].detail == "TLS instead of a request"
    assert flow.steps[5].state is StepState.MISSING


def without_reply(**changes: Any) -> FlowFacts:
    defaults: dict[str, Any] = {
        "exchanges": (Exchange(request(), at(8, 536_989)),),
        "tunnel": None,
        "tunnel_first": (None, None),
        "tunnel_protocol": "",
        "tls": None,
    }
    return worked(**(defaults | changes))


def only_syns(**changes: Any) -> FlowFacts:
    defaults: dict[str, Any] = {
        "exchanges": (),
        "syn_ack": None,
        "ack": None,
        "rtt_ns": None,
        "syn_count": 3,
        "closes": (),
        "first_language": ("", ""),
    }
    return without_reply(**(defaults | changes))


NO_SERVER_HELLO = tls(
    server_hello=None, server_hello_mark=None, sides=(TlsDirection(), TlsDirection())
)


SOCKS = without_reply(
    exchanges=(),
    first_language=("socks5", ""),
    sides=(Direction(first_payload=at(8, 536_989)), Direction()),
)
REFUSED = replace(NO_SERVER_HELLO, alerts=(Alert(at(17, 0), 1, 2, 70),))
SILENT: dict[str, Any] = {"tls": None, "tunnel_first": (None, None), "tunnel_protocol": ""}


@pytest.mark.parametrize(
    ("verdict", "facts", "expected"),
    [
        ("proxy_refused", only_syns(closes=(("proxy_rst", at(6, 0)),)), "DFMMMMMMD"),
        ("proxy_unreachable", only_syns(), "DFMMMMMMM"),
        ("connect_no_reply", without_reply(closes=()), "DDDDFMMMM"),
        ("connect_no_reply", without_reply(), "DDDDFMMMD"),
        ("bad_request", SOCKS, "DDDFMMMMD"),
        ("connect_no_reply", SOCKS, "DDDFMMMMD"),
        ("tls_stall", worked(tls=NO_SERVER_HELLO), "DDDDDDFMD"),
        ("tls_untrusted_ca", worked(tls=tls(alerts=(Alert(at(17, 0), 0, 2, 48),))), "DDDDDDFMD"),
        ("tls_version", worked(tls=REFUSED), "DDDDDDFMD"),
        ("transfer_stalled", worked(closes=()), "DDDDDDDFM"),
        ("transfer_reset", worked(), "DDDDDDDFD"),
        ("tunnel_closed_early", worked(**SILENT), "DDDDDFMMD"),
        ("tunnel_closed_early", worked(tls=NO_SERVER_HELLO), "DDDDDDFMD"),
        ("tunnel_closed_early", worked(), "DDDDDDDFD"),
        ("mtu_blackhole", without_reply(closes=()), "DDDDFMMMM"),
        ("mtu_blackhole", worked(tls=NO_SERVER_HELLO, closes=()), "DDDDDDFMM"),
        ("mtu_blackhole", worked(closes=()), "DDDDDDDFM"),
        ("mtu_rst", worked(), "DDDDDDDFD"),
    ],
)  # fmt: skip
def test_a_failing_flow_breaks_at_one_step(verdict: str, facts: FlowFacts, expected: str) -> None:
    assert states(build(facts, problem(verdict))) == expected


@pytest.mark.parametrize(
    "verdict",
    ["acl_denied", "auth_required", "bad_request", "server_error", "bad_gateway", "not_found",
     "service_unavailable", "gateway_timeout", "captive_redirect"],
)  # fmt: skip
def test_an_error_reply_fails_the_response(verdict: str) -> None:
    exchange = Exchange(request(), at(8, 0), response(403, "Forbidden"), at(9, 3100))
    facts = without_reply(exchanges=(exchange,))
    flow = build(facts, problem(verdict))
    assert failed(flow) == ["response"]
    assert flow.steps[4].detail == "403 Forbidden"
    assert flow.steps[4].elapsed_ms == 3.1


def test_an_earlier_error_is_the_reply_that_is_shown() -> None:
    denied = Exchange(request(target="a:443"), at(8, 0), response(403, "Forbidden"), at(9, 3100))
    later = Exchange(request(target="b:443"), at(12, 5000))
    flow = build(without_reply(exchanges=(denied, later)), problem("acl_denied"))
    assert flow.steps[3].detail == "CONNECT a:443"
    assert flow.steps[4].detail == "403 Forbidden"
    assert (flow.target, flow.status) == ("b:443", None)


def test_an_open_flow_waits_and_a_failed_one_does_not() -> None:
    assert states(build(worked(closes=()))) == "DDDDDDDDP"
    assert states(build(worked(closes=(), tls=NO_SERVER_HELLO))) == "DDDDDDPPP"
    assert states(build(worked(closes=()), problem("transfer_stalled"))) == "DDDDDDDFM"
    ssh = worked(closes=(), tls=None, tunnel_protocol="ssh")
    assert states(build(ssh)) == "DDDDDMMDP"


def test_middle_of_a_connection() -> None:
    facts = worked(
        syn=None, syn_count=0, syn_marks=(), syn_ack=None, ack=None, mid_stream=True,
        exchanges=(), tunnel=None, tunnel_protocol="", tls=None,
        sides=(Direction(first_payload=at(5, 517_129)), Direction(first_payload=at(6, 518_000))),
    )  # fmt: skip
    flow = build(facts)
    assert states(flow) == "MMMMMMMDD"
    assert flow.steps[7].elapsed_ms is None
    assert flow.kind == "unknown"


def test_tls13_data_begins_after_the_finished_message() -> None:
    assert build(worked()).steps[7].packet == 17
    client = TlsDirection(records=(Record(at(16, 910_000), APP, 53),))
    only_handshake = tls(sides=(client, tls().sides[1]))
    assert build(worked(tls=only_handshake)).steps[7].state is StepState.MISSING
    server = TlsDirection(records=(Record(at(19, 950_000), APP, 900),))
    assert build(worked(tls=tls(sides=(client, server)))).steps[7].packet == 19


def test_unreachable_shows_the_icmp_error() -> None:
    icmp = IcmpError(6, BASE + 520_000_000, 1, 2, 4, 3, 13, 0, 2, 3, 40716, 80, 0, 60)
    flow = build(only_syns(icmp=(icmp,)), problem("proxy_unreachable"))
    assert (flow.steps[1].packet, flow.steps[1].detail) == (6, "ICMP type 3 code 13")
    assert flow.steps[0].detail == "MSS 1460, sent 3 times"


def test_a_late_syn_ack_is_measured_from_the_syn_it_answers() -> None:
    facts = worked(syn_count=2, syn_marks=(at(3, 0), at(5, 517_129)), syn=at(3, 0), first=at(3, 0))
    assert build(facts).steps[1].elapsed_ms == 19.717


def test_without_times_there_are_no_durations() -> None:
    flow = build(worked(), capture=replace(CAPTURE, times_known=False))
    assert flow.attempts[0].delay_ms is None
    assert flow.rtt_ms is None
    assert all(step.time_s is None and step.elapsed_ms is None for step in flow.steps)


def test_steps_can_be_left_out_but_never_those_of_a_finding() -> None:
    assert len(build(worked(), steps=False).steps) == 9  # one of the first
    late = ALWAYS_STEPS + 1
    assert flow_report(worked(), Judged(), CAPTURE, late, steps=False).steps == ()
    kept = flow_report(worked(), problem("mtu_rst"), CAPTURE, late, steps=False)
    assert len(kept.steps) == 9


@pytest.mark.parametrize("change", [
    lambda: worked(exchanges=(Exchange(),)),
    lambda: worked(exchanges=(Exchange(request()),), tls=TlsFacts()),
    lambda: worked(exchanges=(Exchange(response=response()),), closes=()),
    lambda: worked(tls=TlsFacts(client_hello=HELLO), tunnel_protocol="tls"),
    lambda: worked(tls=tls(alerts=(Alert(at(1, 0), 1, 9, 255),))),
    lambda: only_syns(first=at(0, 0), last=at(0, 0), syn=None, syn_count=0),
])  # fmt: skip
def test_odd_facts_never_fail(change: Callable[[], FlowFacts]) -> None:
    from capture.report.model import VERDICTS

    for verdict in VERDICTS:
        for judged in (Judged(verdict), problem(verdict)):
            assert len(build(change(), judged).steps) == 9
