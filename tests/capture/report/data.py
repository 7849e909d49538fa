"""Reports built as data: one healthy tunnel, one denied, one stalled, a hostile one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from capture.report.model import (
    Attempt,
    Confidence,
    Finding,
    FlowReport,
    Report,
    Severity,
    SourceReport,
    Step,
    StepState,
    TlsReport,
    Warning,
)

START = 1_741_951_812_517_129_000
"""2025-03-14 11:30:12.517129 UTC, the worked example's SYN."""

DONE, FAILED, MISSING, PENDING = StepState


def steps(*items: tuple[str, StepState, int | None, float | None, float | None, str]) -> Any:
    return tuple(Step(*item) for item in items)


def healthy(id: int = 1) -> FlowReport:
    return FlowReport(
        id=id,
        uid=id,
        client="10.40.40.1:40716",
        proxy="10.10.10.1:80",
        kind="tunnel",
        target="tools.cisco.com:443",
        status=200,
        reason="Connection established",
        attempts=(
            Attempt(
                "CONNECT",
                "tools.cisco.com:443",
                200,
                "Connection established",
                8,
                11,
                176.633,
            ),
        ),
        tls=TlsReport(
            sni="tools.cisco.com",
            version="TLSv1.3",
            cipher="TLS_AES_256_GCM_SHA384",
            alpn=("h2", "http/1.1"),
            server_hello=True,
        ),
        steps=steps(
            ("syn", DONE, 5, 0.0, 0.0, "MSS 1460"),
            ("syn_ack", DONE, 6, 0.019717, 19.717, "MSS 1300"),
            ("ack", DONE, 7, 0.019784, 0.067, ""),
            ("connect", DONE, 8, 0.01986, 0.076, "CONNECT tools.cisco.com:443"),
            ("response", DONE, 11, 0.196493, 176.633, "200 Connection established"),
            ("client_hello", DONE, 13, 0.235037, 38.544, "SNI tools.cisco.com"),
            ("server_hello", DONE, 15, 0.402, 166.963, "TLSv1.3"),
            ("data", DONE, 18, 0.405, 3.0, "1.2 kB to proxy, 5.3 kB to client"),
            ("close", DONE, 25, 0.9, 495.0, "FIN from client, FIN from proxy"),
        ),
        packets=28,
        bytes_to_proxy=1240,
        bytes_to_client=5301,
        retransmissions_to_proxy=0,
        retransmissions_to_client=0,
        rtt_ms=19.784,
        start_ns=START,
        duration_s=0.91,
        ended="client_fin",
        closes=("client_fin", "proxy_fin"),
        verdict="ok",
        findings=(),
    )


def denied(id: int = 2) -> FlowReport:
    return replace(
        healthy(id),
        client="10.40.40.1:40718",
        target="blocked.example.com:443",
        status=403,
        reason="Forbidden",
        attempts=(Attempt("CONNECT", "blocked.example.com:443", 403, "Forbidden", 33, 35, 3.1),),
        tls=None,
        steps=steps(
            ("syn", DONE, 30, 0.0, 0.0, "MSS 1460"),
            ("syn_ack", DONE, 31, 0.0197, 19.7, "MSS 1300"),
            ("ack", DONE, 32, 0.0198, 0.1, ""),
            ("connect", DONE, 33, 0.0199, 0.1, "CONNECT blocked.example.com:443"),
            ("response", FAILED, 35, 0.023, 3.1, "403 Forbidden"),
            ("client_hello", MISSING, None, None, None, ""),
            ("server_hello", MISSING, None, None, None, ""),
            ("data", MISSING, None, None, None, ""),
            ("close", DONE, 37, 0.024, 1.0, "FIN from proxy, FIN from client"),
        ),
        packets=9,
        bytes_to_proxy=126,
        bytes_to_client=3920,
        retransmissions_to_client=1,
        start_ns=START + 2 * 10**9,
        duration_s=0.0241,
        ended="proxy_fin",
        closes=("proxy_fin", "client_fin"),
        verdict="acl_denied",
        findings=(
            Finding(
                rule="acl-deny",
                severity=Severity.PROBLEM,
                title="Proxy ACL restriction",
                observation="#33 CONNECT blocked.example.com:443; #35 403 Forbidden after 3.1 ms, "
                "X-Squid-Error: ERR_ACCESS_DENIED 0",
                cause="An access rule on the proxy forbids this destination to this client.",
                confidence=Confidence.CERTAIN,
                packets=(33, 35),
                next_steps=(
                    "Ask the proxy's owner to allow blocked.example.com:443 for 10.40.40.1.",
                    "Repeat by hand: `curl -x http://10.10.10.1:80 -I https://blocked.example.com`",
                ),
                issue="proxy-acl",
                code=403,
                verdict="acl_denied",
                raise_by="the proxy's own access log",
            ),
        ),
    )


def stalled(id: int = 3) -> FlowReport:
    return replace(
        healthy(id),
        client="[fd40:40::1]:40240",
        proxy="[fd10:10::1]:3128",
        tls=TlsReport("tools.cisco.com", "TLSv1.3", "TLS_AES_256_GCM_SHA384", (), True),
        steps=(
            *healthy().steps[:7],
            Step("data", FAILED, 18, 0.405, 3.0, "1.2 kB to proxy, 590 kB to client"),
            Step("close", MISSING),
        ),
        start_ns=START + 10**9,
        duration_s=61.2,
        ended="none",
        closes=(),
        verdict="transfer_stalled",
        findings=(
            Finding(
                rule="xfer-stall-app",
                severity=Severity.WARNING,
                title="Transfer stalled",
                observation="No payload from the proxy for 60.0 s although everything was "
                "acknowledged",
                cause="The proxy or the far server holds the data back, for example to scan it.",
                confidence=Confidence.LIKELY,
                packets=tuple(range(100, 120)),
                next_steps=("Fetch the same file without the proxy and compare.",),
                issue="download-timeout",
            ),
            Finding(
                rule="tls-mismatch",
                severity=Severity.INFO,
                title="SNI differs from the CONNECT host",
                observation="#13 SNI tools.cisco.com",
                cause="",
                confidence=Confidence.POSSIBLE,
                packets=(13,),
                next_steps=(),
                issue="",
            ),
        ),
    )


EVIL = "=cmd|'/c calc'!A1\x1b[2J\x9b31m\u202e<script>alert(1)</script>|`x`](http://evil) @all #8"
SECRET = "s3cr3t-Passw0rd"


def hostile(id: int = 4) -> FlowReport:
    """What a capture made by an attacker could bring past the parsers."""
    return replace(
        denied(id),
        target=f"http://user:{SECRET}@host/{EVIL}",
        reason=EVIL,
        attempts=(Attempt(EVIL, EVIL, 403, EVIL, 1, 2, -1.0),),
        tls=TlsReport(
            EVIL, None, None, (EVIL,), False, 48, "unknown_ca", "client", EVIL, EVIL, None
        ),
        findings=(
            replace(
                denied().findings[0],
                title=EVIL,
                observation=f"Proxy-Authorization: Basic dXNlcjpzM2NyM3QtUGFzc3cwcmQ= {EVIL}",
                cause=EVIL,
                next_steps=(EVIL, f"curl -x http://user:{SECRET}@proxy:80"),
            ),
        ),
    )


def report(*flows: FlowReport, **changes: Any) -> Report:
    source = SourceReport(
        path="fmc.pcapng",
        format="pcapng",
        link_types=("EN10MB",),
        packets=412,
        bytes=96_321,
        first_ns=START,
        last_ns=START + 61_200_000_000,
        lost_kernel=3,
        lost_queue=None,
        warnings=(Warning("truncated-file", "cut inside packet 413, at byte 102400"),),
    )
    result = Report(source=source, flows=flows, other_flows=2)
    return replace(result, **changes)


def mixed() -> Report:
    """The report of the golden files."""
    quality = Finding(
        rule="capture-drops",
        severity=Severity.INFO,
        title="The capture lost packets",
        observation="3 packets were dropped by the kernel",
        cause="The capturing host could not keep up.",
        confidence=Confidence.CERTAIN,
        packets=(),
        next_steps=("Capture again with a filter: `tcpdump -s 0 -w FILE host 10.10.10.1`",),
        issue="",
    )
    return report(healthy(), denied(), stalled(), healthy(4), findings=(quality,))


def empty(**changes: Any) -> Report:
    """A capture without any TCP."""
    base = report(
        other_flows=0, not_understood=(("outer GRE 0x88be", 300), ("ARP", 112)), **changes
    )
    return replace(base, source=replace(base.source, warnings=(), lost_kernel=None))
