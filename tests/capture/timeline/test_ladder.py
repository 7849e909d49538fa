from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from capture.decode.columns import IcmpError
from capture.facts import CLIENT, PROXY, Direction, Exchange, FlowFacts
from capture.packets.index import (
    DUPLICATE,
    KEEP_ALIVE,
    OUT_OF_ORDER,
    RETRANSMISSION,
    ZERO_WINDOW,
    PacketView,
)
from capture.report.model import FlowReport, Severity
from capture.timeline.ladder import (
    MAX_CONTROL,
    MAX_RESENT,
    MAX_SILENCES,
    LadderLine,
    LineKind,
    build_ladder,
)
from capture.timeline.telling import NETWORK
from tests.widgets import build
from tests.widgets.build import ACK, FIN, PSH, RST, SYN


def ladder(flow: FlowReport, facts: FlowFacts, view: PacketView) -> tuple[LadderLine, ...]:
    return build_ladder(flow, facts, view, view.of_flow(1))


def sides(*lines: LadderLine) -> list[str]:
    arrows = {CLIENT: "->", PROXY: "<-", NETWORK: "  "}
    return [f"{arrows[line.sender]} {line.text}" for line in lines]


def tunnel(*rows: tuple[Any, ...], **changes: Any) -> tuple[LadderLine, ...]:
    """The ladder of an open TLS tunnel with more packets after its handshake (packet 9 on)."""
    start = build.tunnel_packets(0).rows[:8]
    more = build.packets(*rows).rows
    view = PacketView(np.concatenate([start, more]))
    open_facts = build.tunnel_facts(sides=(Direction(mss=1460), Direction(mss=1300)))
    return ladder(build.flow(1), replace(open_facts, **changes), view)[7:]


def test_a_denied_tunnel() -> None:
    lines = ladder(build.denied(), build.denied_facts(), build.denied_packets())
    assert sides(*lines) == [
        "-> SYN  mss 1460  ws 128",
        "<- SYN-ACK  mss 1300  ws 64",
        "-> ACK",
        "-> CONNECT tools.cisco.com:443 HTTP/1.1",
        "<- 403 Forbidden",
        "<- FIN",
        "-> FIN",
    ]
    assert [line.failing for line in lines].index(True) == 4
    assert sum(line.failing for line in lines) == 1
    assert [line.first_number for line in lines] == [1, 2, 3, 4, 5, 7, 8]


def test_a_stalled_transfer_is_marked_where_the_finding_says() -> None:
    stall = replace(build.ACL, packets=(40, 69))
    flow = build.flow(1, steps=build.steps("data"), findings=(stall,))
    (line,) = [n for n in ladder(flow, build.tunnel_facts(), build.tunnel_packets()) if n.failing]
    assert line.first_number <= 40 <= line.last_number
    assert line.kind is LineKind.DATA


def test_runs_of_data_are_folded_and_acks_vanish() -> None:
    lines = ladder(build.flow(1), build.tunnel_facts(), build.tunnel_packets(412))
    data = [line for line in lines if line.kind is LineKind.DATA]
    assert sides(*data) == ["<- 412 segments, 536 kB"]
    assert (data[0].first_number, data[0].last_number) == (9, 625)
    assert data[0].end_ns - data[0].time_ns == 411_000_000
    assert not any(line.failing for line in lines)


def test_retransmitted_data_is_counted_once() -> None:
    (line,) = tunnel(
        (300, PROXY, ACK, 1000),
        (301, PROXY, ACK, 1000, {"analysis": RETRANSMISSION}),
        (302, PROXY, ACK, 1000, {"analysis": OUT_OF_ORDER}),
        (303, PROXY, ACK, 1000, {"analysis": DUPLICATE}),
    )
    assert line.text == "3 segments, 2 kB, 1 retransmitted, 1 out of order"
    assert line.severity is Severity.WARNING
    (line,) = tunnel((300, CLIENT, ACK, 1000, {"analysis": RETRANSMISSION, "seq": 5000}))
    assert line.text == "1 retransmission, 1 kB"


def test_a_few_turns_are_shown_and_many_are_folded_by_direction() -> None:
    few = [(300 + n, n % 2, ACK, 100) for n in range(4)]
    assert sides(*tunnel(*few)) == ["-> 1 segment, 100 B", "<- 1 segment, 100 B"] * 2
    many = [(300 + n, n % 2, ACK, 100) for n in range(100)]
    assert sides(*tunnel(*many)) == ["-> 50 segments, 5 kB", "<- 50 segments, 5 kB"]


def test_silences_get_lines() -> None:
    lines = tunnel((300, PROXY, ACK, 100), (12_600, PROXY, ACK, 100))
    assert sides(*lines) == ["<- 1 segment, 100 B", "   silence 12.3 s", "<- 1 segment, 100 B"]
    assert (lines[1].first_number, lines[1].last_number) == (9, 10)


def test_only_the_longest_silences_of_very_many() -> None:
    rows = [(2000 * n + (n == 50) * 900, PROXY, ACK, 0) for n in range(1, 1000)]
    lines = tunnel(*rows)
    assert len(lines) == MAX_SILENCES
    assert "silence 2.90 s" in [line.text for line in lines]


def test_silence_up_to_the_end_of_the_capture() -> None:
    view = build.tunnel_packets(0)
    rows = np.concatenate([view.rows[:8], view.rows[:1]])
    rows["flow"][8] = 2
    rows["time_ns"][8] = rows["time_ns"][7] + 30 * 10**9
    lines = ladder(build.flow(1), build.tunnel_facts(), PacketView(rows))
    assert lines[-1].text == "nothing more in 30.0 s of capture"
    closed = build.tunnel_facts(closes=(("client_fin", build.mark(8)),))
    assert "nothing more" not in ladder(build.flow(1), closed, PacketView(rows))[-1].text


def test_what_never_came_stands_after_all_tries_and_before_the_close() -> None:
    view = build.packets(
        (0, CLIENT, SYN, 0),
        (20, PROXY, SYN | ACK, 0),
        (21, CLIENT, ACK, 0),
        (22, CLIENT, PSH | ACK, 122),
        (222, CLIENT, PSH | ACK, 122, {"seq": 1, "analysis": RETRANSMISSION}),
        (622, CLIENT, PSH | ACK, 122, {"seq": 1, "analysis": RETRANSMISSION}),
        (20_000, CLIENT, FIN | ACK, 0),
    )
    facts = build.denied_facts(
        exchanges=(Exchange(build.request(), build.mark(4, 22)),),
        closes=(("client_fin", build.mark(7, 20_000)),),
        sides=(Direction(fin=build.mark(7, 20_000)), Direction()),
    )
    steps = tuple(
        replace(step, packet=None) if step.name == "response" else step
        for step in build.steps("response")
    )
    lines = ladder(build.denied(steps=steps), facts, view)
    connect = "-> CONNECT tools.cisco.com:443 HTTP/1.1"
    assert sides(*lines[3:]) == [
        connect,
        f"{connect}  [retransmission]",
        f"{connect}  [retransmission]",
        "   silence 19.4 s",
        "<- no reply",
        "-> FIN",
    ]
    assert lines[7].kind is LineKind.MISSING
    assert lines[7].failing
    assert sum(line.failing for line in lines) == 1


def test_syn_without_an_answer() -> None:
    view = build.packets(
        (0, CLIENT, SYN, 0),
        (1000, CLIENT, SYN, 0, {"seq": 0, "analysis": RETRANSMISSION}),
        (3000, CLIENT, SYN, 0, {"seq": 0, "analysis": RETRANSMISSION}),
    )
    facts = build.denied_facts(
        exchanges=(), closes=(), syn_ack=None, ack=None, sides=(Direction(), Direction()),
        syn_marks=(build.mark(1), build.mark(2, 1000), build.mark(3, 3000)), syn_count=3,
    )  # fmt: skip
    steps = tuple(replace(s, packet=None) if s.name != "syn" else s for s in build.steps("syn_ack"))
    lines = ladder(build.denied(steps=steps), facts, view)
    assert sides(*lines) == [
        "-> SYN",
        "-> SYN  [retransmission]",
        "-> SYN  [retransmission]",
        "<- no answer",
    ]


def test_icmp_stands_where_it_came() -> None:
    rows = build.denied_packets().rows.copy()
    rows["flow"][5] = 0
    error = IcmpError(6, 0, 167772161, 0, 4, 3, 4, 1400, 0, 0, 1, 80, 0, 1500)
    lines = ladder(build.denied(), build.denied_facts(icmp=(error,)), PacketView(rows))
    assert sides(*lines[4:6]) == [
        "<- 403 Forbidden",
        "   ICMP fragmentation needed, MTU 1400, from 10.0.0.1",
    ]


def test_a_hello_of_two_packets_is_one_line() -> None:
    view = build.tunnel_packets(0).rows[:8].copy()
    view["sender"][7] = CLIENT
    facts = build.tunnel_facts()
    assert facts.tls is not None
    tls = replace(
        facts.tls, client_hello_end=build.mark(8, 275), client_hello_packets=2, server_hello=None
    )
    lines = ladder(build.flow(1), replace(facts, tls=tls), PacketView(view))
    assert lines[-1].text == "ClientHello SNI=tools.cisco.com"
    assert (lines[-1].first_number, lines[-1].last_number) == (7, 8)


def test_transport_notes() -> None:
    lines = tunnel(
        (300, PROXY, ACK, 1, {"analysis": KEEP_ALIVE}),
        (400, PROXY, ACK, 1, {"analysis": KEEP_ALIVE}),
        (500, CLIENT, ACK, 0, {"analysis": ZERO_WINDOW}),
    )
    assert sides(*lines) == ["-> zero window", "<- 2 keep-alives"]
    assert all(line.kind is LineKind.NOTE for line in lines)


@pytest.mark.parametrize("flags", [SYN, FIN | ACK, RST])
def test_floods_of_control_packets_stay_bounded(flags: int) -> None:
    lines = tunnel(*[(300 + n, CLIENT, flags, 0) for n in range(5000)])
    assert len(lines) <= MAX_CONTROL


def test_tries_of_a_close_and_waits_between_them() -> None:
    again = {"seq": 0, "analysis": RETRANSMISSION}
    lines = tunnel(
        (300, CLIENT, FIN | ACK, 0, {"seq": 0}),
        (500, CLIENT, FIN | PSH | ACK, 24, again),
        (1900, CLIENT, FIN | PSH | ACK, 24, again),
        (4000, PROXY, RST | ACK, 0),
    )
    assert sides(*lines) == [
        "-> FIN",
        "-> FIN  [retransmission]",
        "-> FIN  [retransmission]",
        "   silence 2.10 s",
        "<- RST",
    ]


def test_floods_of_retransmitted_requests_stay_bounded() -> None:
    again = {"analysis": RETRANSMISSION, "seq": 1}
    view = build.packets(
        (0, CLIENT, SYN, 0),
        (1, PROXY, SYN | ACK, 0),
        (2, CLIENT, ACK, 0),
        *[(3 + n, CLIENT, PSH | ACK, 122, again if n else {}) for n in range(3000)],
    )
    facts = build.denied_facts(
        exchanges=(Exchange(build.request(), build.mark(4, 3)),),
        closes=(), sides=(Direction(), Direction()),
    )  # fmt: skip
    lines = ladder(build.denied(findings=()), facts, view)
    assert len(lines) <= 4 + MAX_RESENT + 2


def test_facts_without_packets_still_give_their_messages() -> None:
    empty = np.zeros(0, np.int64)
    lines = build_ladder(build.denied(), build.denied_facts(), build.denied_packets(), empty)
    assert "<- 403 Forbidden" in sides(*lines)


def test_time_going_backwards_does_no_harm() -> None:
    rows = build.tunnel_packets().rows.copy()
    rows["time_ns"] = rows["time_ns"][::-1]
    assert ladder(build.flow(1), build.tunnel_facts(), PacketView(rows))


def test_a_long_flow_has_a_short_ladder() -> None:
    view = PacketView(np.resize(build.tunnel_packets(500).rows, 300_000))
    assert len(ladder(build.flow(1), build.tunnel_facts(), view)) < 200


@pytest.mark.parametrize(
    ("demo", "words"),
    [("transfer-reset", "RST"), ("mtu-rst", "RST"), ("transfer-stalled", "segments"),
     ("acl-denied", "403 Forbidden"), ("mtu-blackhole", "retransmitted")],
)  # fmt: skip
def test_the_failing_line_is_where_it_broke(demo: str, words: str) -> None:
    from capture.analysis import Analysis
    from capture.demo import find_demo
    from capture.judging import Catalogue
    from capture.options import AnalysisOptions
    from capture.sources import open_source

    source = open_source(str(find_demo(demo).path))
    analysis = Analysis(source.info, AnalysisOptions(keep_packets=True), Catalogue.load())
    for block in source.blocks():
        analysis.take(block)
    source.close()
    (flow,) = analysis.report().flows
    assert analysis.index is not None
    view = analysis.index.view()
    lines = build_ladder(flow, analysis.facts()[flow.uid], view, view.of_flow(flow.uid))
    (failing,) = [line.text for line in lines if line.failing]
    assert words in failing
