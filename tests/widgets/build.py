"""Reports, facts and packets as data, with healthy defaults, for the widgets' tests."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from capture.facts import CLIENT, PROXY, Direction, Endpoint, Exchange, FlowFacts, Mark, TlsFacts
from capture.packets.index import PACKET_DTYPE, PacketView
from capture.protocols.events import ClientHello, Request, Response, ServerHello
from capture.report.model import (
    STEP_NAMES,
    Confidence,
    Finding,
    FlowReport,
    Report,
    Severity,
    SourceReport,
    Step,
    StepState,
    TlsReport,
)

START_NS = 1_741_951_812_517_129_000
"""2025-03-14 11:30:12.517129 UTC, the worked example's SYN."""

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16


_PACKET_OF_STEP = (1, 2, 3, 4, 5, 7, 8, 9, 7)


def steps(failed: str | None = None, elapsed: dict[str, float] | None = None) -> tuple[Step, ...]:
    """Nine steps, done up to ``failed`` and missing after it (the close is done)."""
    times = {"syn_ack": 19.717, "ack": 0.067, "connect": 0.076, "response": 176.633}
    times |= elapsed or {}
    made = []
    state = StepState.DONE
    for number, name in zip(_PACKET_OF_STEP, STEP_NAMES, strict=True):
        if name == failed:
            made.append(Step(name, StepState.FAILED, number, 0.1, times.get(name)))
            state = StepState.MISSING
        elif state is StepState.DONE or name == "close":
            made.append(Step(name, StepState.DONE, number, 0.1, times.get(name)))
        else:
            made.append(Step(name, StepState.MISSING))
    return tuple(made)


ACL = Finding(
    rule="acl-deny",
    severity=Severity.PROBLEM,
    title="Proxy ACL restriction",
    observation="#8 CONNECT tools.cisco.com:443 was answered by 403 Forbidden in #11 after 3.1 ms.",
    cause="An access rule on the proxy forbids this destination.",
    confidence=Confidence.CERTAIN,
    packets=(8, 11),
    next_steps=(
        "Ask the proxy's owner to allow tools.cisco.com:443 for 10.40.40.1.",
        "curl -x http://10.10.10.1:80 -I https://tools.cisco.com",
    ),
    issue="proxy-acl",
    code=403,
)

SLOW = replace(
    ACL,
    rule="tcp-slow",
    severity=Severity.WARNING,
    title="Slow handshake",
    observation="#6 came 1.2 s after #5.",
    cause="The first packet was lost.",
    confidence=Confidence.POSSIBLE,
    packets=(5, 6),
    next_steps=("ping 10.10.10.1",),
    code=None,
    raise_by="a capture on the proxy",
)


def flow(uid: int = 1, **changes: Any) -> FlowReport:
    """A healthy tunnel."""
    base = FlowReport(
        id=uid,
        uid=uid,
        client=f"10.40.40.1:{40_000 + uid}",
        proxy="10.10.10.1:80",
        kind="tunnel",
        target="tools.cisco.com:443",
        status=200,
        reason="Connection established",
        attempts=(),
        tls=TlsReport("tools.cisco.com", "TLSv1.3", "TLS_AES_128_GCM_SHA256", ("h2",), True),
        steps=steps(),
        packets=24,
        bytes_to_proxy=1_460,
        bytes_to_client=12_500,
        retransmissions_to_proxy=0,
        retransmissions_to_client=1,
        rtt_ms=19.784,
        start_ns=START_NS,
        duration_s=1.25,
        ended="client_fin",
        closes=("client_fin", "proxy_fin"),
        verdict="ok",
        findings=(),
        notes=("certificate: encrypted in TLS 1.3",),
    )
    return replace(base, **changes)


def denied(uid: int = 4, **changes: Any) -> FlowReport:
    """A tunnel that the proxy refused with 403."""
    base = flow(
        uid,
        status=403,
        reason="Forbidden",
        steps=steps("response", {"response": 3.1}),
        verdict="acl_denied",
        findings=(ACL,),
        tls=None,
        notes=(),
    )
    return replace(base, **changes)


def report(*flows: FlowReport, **changes: Any) -> Report:
    """A report over a pcap of 12,500 packets."""
    source = SourceReport(
        "fmc.pcapng", "pcapng", ("EN10MB",), 12_500, 9_000_000, START_NS, START_NS + 10**10, 0
    )
    return replace(Report(source, flows, other_flows=0), **changes)


def packets(*rows: tuple[Any, ...], flow: int = 1) -> PacketView:
    """Packets from (milliseconds, sender, TCP flags, payload length[, columns]).

    Sequence and acknowledgement numbers follow by themselves unless a dict of columns at
    the end of a row says otherwise.
    """
    made = np.zeros(len(rows), PACKET_DTYPE)
    following = [0, 0]
    for place, (milliseconds, sender, flags, length, *rest) in enumerate(rows):
        row = made[place]
        row["time_ns"] = START_NS + round(milliseconds * 1e6)
        row["flow"] = flow
        row["sender"], row["flags"], row["length"] = sender, flags, length
        row["wirelen"] = row["caplen"] = 66 + length
        row["seq"], row["ack"] = following[sender], following[1 - sender]
        row["window"] = 64_000
        for column, value in (rest[0] if rest else {}).items():
            row[column] = value
        after = int(row["seq"]) + length + bool(flags & SYN) + bool(flags & FIN)
        following[sender] = max(following[sender], after)
    return PacketView(made)


def denied_packets() -> PacketView:
    """The packets of ``denied_facts``: SYN to FIN with a 403."""
    return packets(
        (0, CLIENT, SYN, 0),
        (19.717, PROXY, SYN | ACK, 0),
        (19.784, CLIENT, ACK, 0),
        (19.86, CLIENT, PSH | ACK, 122),
        (22.96, PROXY, PSH | ACK, 350),
        (23.0, CLIENT, ACK, 0),
        (23.1, PROXY, FIN | ACK, 0),
        (23.2, CLIENT, FIN | ACK, 0),
        (23.3, PROXY, ACK, 0),
    )


def mark(number: int, milliseconds: float = 0.0) -> Mark:
    return Mark(number, START_NS + round(milliseconds * 1e6))


def request(target: str = "tools.cisco.com:443", **changes: Any) -> Request:
    base = Request(
        "CONNECT", target, "authority", "HTTP/1.1", (("host", target),), target, None, 122, True
    )
    return base._replace(**changes)


def response(status: int = 403, reason: str = "Forbidden") -> Response:
    return Response(status, reason, "HTTP/1.1", (("server", "squid"),), (), 39, True)


def denied_facts(uid: int = 1, **changes: Any) -> FlowFacts:
    """Facts of ``denied_packets``."""
    base = FlowFacts(
        id=uid,
        client=Endpoint("10.40.40.1", 40_000 + uid),
        proxy=Endpoint("10.10.10.1", 80),
        first=mark(1),
        last=mark(9, 23.3),
        packets=9,
        sides=(
            Direction(packets=5, mss=1460, wscale=7, fin=mark(8, 23.2)),
            Direction(packets=4, mss=1300, wscale=6, fin=mark(7, 23.1)),
        ),
        roles_certain=True,
        syn=mark(1),
        syn_count=1,
        syn_marks=(mark(1),),
        syn_ack=mark(2, 19.717),
        syn_ack_count=1,
        ack=mark(3, 19.784),
        rtt_ns=19_784_000,
        exchanges=(Exchange(request(), mark(4, 19.86), response(), mark(5, 22.96)),),
        closes=(("proxy_fin", mark(7, 23.1)), ("client_fin", mark(8, 23.2))),
    )
    return replace(base, **changes)


CLIENT_HELLO = ClientHello(
    "tools.cisco.com", (0x0304, 0x0303), (0x1301,), ("h2",), (29,), (29,), 512, True
)
SERVER_HELLO = ServerHello(0x0304, 0x1301, None, False)


def tunnel_packets(segments: int = 40) -> PacketView:
    """A healthy TLS tunnel with a download of so many full segments."""
    rows: list[tuple[Any, ...]] = [
        (0, CLIENT, SYN, 0),
        (20, PROXY, SYN | ACK, 0),
        (20.1, CLIENT, ACK, 0),
        (20.2, CLIENT, PSH | ACK, 122),
        (196.8, PROXY, PSH | ACK, 39),
        (196.9, CLIENT, ACK, 0),
        (235, CLIENT, PSH | ACK, 517),
        (275, PROXY, PSH | ACK, 1300),
    ]
    for number in range(segments):
        rows.append((300 + number, PROXY, ACK, 1300))
        if number % 2:
            rows.append((300.2 + number, CLIENT, ACK, 0))
    end = 300 + segments
    rows += [
        (end, CLIENT, FIN | ACK, 0),
        (end + 20, PROXY, FIN | ACK, 0),
        (end + 20.1, CLIENT, ACK, 0),
    ]
    return packets(*rows)


def tunnel_facts(uid: int = 1, **changes: Any) -> FlowFacts:
    """Facts of ``tunnel_packets``."""
    base = denied_facts(
        uid,
        exchanges=(
            Exchange(request(), mark(4, 20.2), response(200, "Connection established"),
                     mark(5, 196.8)),
        ),
        sides=(Direction(mss=1460), Direction(mss=1300)),
        closes=(),
        tunnel=mark(5, 196.8),
        tunnel_protocol="tls",
        tls=TlsFacts(
            client_hello=CLIENT_HELLO,
            client_hello_mark=mark(7, 235),
            client_hello_end=mark(7, 235),
            client_hello_packets=1,
            server_hello=SERVER_HELLO,
            server_hello_mark=mark(8, 275),
        ),
    )  # fmt: skip
    return replace(base, **changes)
