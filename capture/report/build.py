"""Turns the facts of a flow and what was judged of them into a ``FlowReport``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

from capture.facts import (
    PROXY,
    SENDERS,
    CaptureFacts,
    Exchange,
    FlowFacts,
    TlsFacts,
    final_exchange,
)
from capture.protocols.events import Request
from capture.protocols.tls_names import alert_name, chosen_cipher, version_name
from capture.report.model import Attempt, Finding, FlowReport, Step, TlsReport
from capture.report.steps import build_steps

ALWAYS_STEPS: Final = 20
"""The first flows have their steps in any case: short reports show healthy ones, too."""


class Judged(Protocol):
    """What ``capture.judging.judge`` returns, as far as a report needs it."""

    @property
    def verdict(self) -> str: ...
    @property
    def findings(self) -> tuple[Finding, ...]: ...
    @property
    def notes(self) -> tuple[str, ...]: ...


def flow_report(
    facts: FlowFacts,
    judgement: Judged,
    capture: CaptureFacts,
    id: int,
    *,
    kind: str | None = None,
    steps: bool = True,
    bare: bool = False,
    rev: int = 0,
) -> FlowReport:
    """Describe one flow as the outside sees it.

    Args:
        facts: What was seen of the flow.
        judgement: Verdict and findings (gravest first).
        capture: The capture it was seen in.
        id: Number in the report, from 1.
        kind: ``tunnel``, ``plain``, ``unknown`` or ``other``; None: told by the requests.
        steps: Build the steps of all flows. Without, only those with a finding and the
            first few have them: nine objects a flow count when there are 50,000 flows and
            the output has no place for them.
        bare: No steps at all, for tables.
        rev: See ``FlowReport.rev``.
    """
    exchanges = facts.exchanges
    final = final_exchange(exchanges, facts.sides[PROXY].fin)
    request = final.request if final else None
    response = final.response if final else None
    to_proxy, to_client = facts.sides
    closes = tuple([name for name, _ in facts.closes])
    timed = capture.times_known
    built: tuple[Step, ...] = ()
    if not bare and (steps or judgement.findings or id <= ALWAYS_STEPS):
        built = build_steps(facts, judgement.verdict, judgement.findings, capture)
    return FlowReport(
        id=id,
        uid=facts.id,
        client=str(facts.client),
        proxy=str(facts.proxy),
        kind=kind or kind_of(exchanges),
        target=_target(request) if request else None,
        status=response.status if response else None,
        reason=response.reason if response else None,
        attempts=tuple([_attempt(item, capture) for item in exchanges if item.request]),
        tls=_tls(facts.tls) if facts.tls else None,
        steps=built,
        packets=facts.packets,
        bytes_to_proxy=to_proxy.bytes,
        bytes_to_client=to_client.bytes,
        retransmissions_to_proxy=to_proxy.retransmissions,
        retransmissions_to_client=to_client.retransmissions,
        rtt_ms=facts.rtt_ns / 1e6 if facts.rtt_ns is not None and timed else None,
        start_ns=facts.first.time_ns,
        duration_s=max(0, facts.last.time_ns - facts.first.time_ns) / 1e9 if timed else 0.0,
        ended=closes[0] if closes else "none",
        closes=closes,
        verdict=judgement.verdict,
        findings=judgement.findings,
        notes=judgement.notes,
        rev=rev,
    )


def _target(request: Request) -> str | None:
    """The authority asked for; None where the capture cut it off."""
    if request.form == "absolute" and not request.complete:
        return request.authority or None
    return request.authority or request.target or None


def kind_of(exchanges: Sequence[Exchange]) -> str:
    """``tunnel`` when a CONNECT was seen, ``plain`` for other requests, else ``unknown``."""
    kind = "unknown"
    for item in exchanges:
        if item.request is not None:
            if item.request.form == "authority":
                return "tunnel"
            kind = "plain"
    return kind


def _attempt(item: Exchange, capture: CaptureFacts) -> Attempt:
    request, response = item.request, item.response
    asked, answered = item.request_mark, item.response_mark
    assert request is not None
    delay_ms = None
    if asked and answered and capture.timed(asked, answered):
        # Division by 1e6 rounds correctly: whole nanoseconds print as themselves.
        delay_ms = (answered.time_ns - asked.time_ns) / 1e6
    return Attempt(
        method=request.method,
        target=request.target,
        status=response.status if response else None,
        reason=response.reason if response else None,
        request_packet=asked.number if asked else None,
        response_packet=answered.number if answered else None,
        delay_ms=delay_ms,
    )


def _tls(tls: TlsFacts) -> TlsReport:
    hello, answer = tls.client_hello, tls.server_hello
    offered = hello.alpn if hello else ()
    if answer and answer.alpn:
        offered = (answer.alpn, *[name for name in offered if name != answer.alpn])
    # close_notify (0) and user_canceled (90) end a connection in order.
    alert = next((item for item in tls.alerts if item.code not in (0, 90)), None)
    certificate = tls.certificates[0] if tls.certificates else None
    expiry = certificate.not_after if certificate else None
    return TlsReport(
        sni=hello.sni if hello else None,
        version=version_name(answer.version) if answer else None,
        cipher=chosen_cipher(answer.cipher) if answer else None,
        alpn=offered,
        server_hello=answer is not None,
        alert_code=alert.code if alert else None,
        alert_name=alert_name(alert.code) if alert else None,
        alert_from=SENDERS[alert.sender] if alert else None,
        certificate_subject=certificate.subject if certificate else None,
        certificate_issuer=certificate.issuer if certificate else None,
        certificate_not_after=expiry.strftime("%Y-%m-%dT%H:%M:%SZ") if expiry else None,
        offered_versions=tuple([version_name(item) for item in hello.versions]) if hello else (),
        sni_seen=hello is None or hello.complete,
    )
