"""From the facts of a flow to its verdict and findings."""

from __future__ import annotations

from capture.facts import CLIENT, PROXY, CaptureFacts, FlowFacts
from capture.judging import baseline
from capture.judging.catalogue import Catalogue
from capture.judging.hints import FILLED
from capture.judging.hit import Hit
from capture.judging.scene import SECOND, Scene
from capture.judging.table import BY_STAGE
from capture.record import record
from capture.report.model import Finding


@record
class Judgement:
    """What the rules say of one flow."""

    verdict: str
    """One of ``capture.report.model.VERDICTS``."""
    findings: tuple[Finding, ...] = ()
    """Gravest first."""
    notes: tuple[str, ...] = ()
    """What could not be seen, in words."""
    until_ns: int | None = None
    """Capture time at which the flow must be judged again even if no packet comes; None:
    time alone does not change the judgement."""


QUIET_GAP_NS = 1 * SECOND
"""A handshake or a silence shorter than this fires no rule."""


def judge(
    flow: FlowFacts, capture: CaptureFacts, catalogue: Catalogue, *, texts: bool = True
) -> Judgement:
    """Judge one flow to a proxy.

    Pure: the same facts give the same judgement. Absence is measured against
    ``capture.last_ns``, so a live flow is judged anew while time goes on.

    Args:
        flow: What was seen of it.
        capture: The capture it was seen in.
        catalogue: Texts of the rules, the user's own known issues and thresholds.
        texts: Dress the findings in the catalogue's texts. Without, they have only what a
            table needs: rule, severity, confidence, packets and code.
    """
    if quiet(flow, capture) and not catalogue.custom:
        return Judgement("ok", (), baseline.notes(flow))
    scene = Scene(flow, capture, lambda: catalogue.signs, catalogue.thresholds)
    hits = [hit for check in BY_STAGE[scene.stage] if (hit := check(scene)) is not None]
    hits.sort(key=lambda hit: -hit.severity.rank)  # stable: the table's order breaks ties
    verdict = next((hit.verdict for hit in hits if hit.verdict), None) or base_verdict(scene)
    findings = [catalogue.finding(hit, scene) if texts else bare(hit) for hit in hits]
    if catalogue.custom:
        own = catalogue.own_findings(scene, verdict, findings)
        findings = sorted([*own, *findings], key=lambda item: -item.severity.rank)
    notes = baseline.notes(flow, capture.text, capture.live)
    return Judgement(verdict, tuple(findings), notes, scene.until_ns)


def bare(hit: Hit) -> Finding:
    """A finding without any text, for a table."""
    return Finding(
        hit.rule, hit.severity, "", "", "", hit.confidence, hit.packets, (), "", hit.code,
        hit.verdict,
    )  # fmt: skip


def base_verdict(scene: Scene) -> str:
    """The verdict of a flow with which nothing is wrong."""
    flow = scene.flow
    if flow.tunnel is not None:
        challenged = any(e.response and e.response.status == 407 for e in flow.exchanges)
        return "auth_ok" if challenged else "ok"
    response, request = scene.response, scene.request
    if request is not None and request.form != "authority" and response is not None:
        answers = [e.response.status for e in flow.exchanges if e.response]
        return "auth_ok" if 407 in answers and answers[-1] < 400 else "plain_http"
    return "ok"


def quiet(flow: FlowFacts, capture: CaptureFacts) -> bool:
    """Whether a flow is so plainly healthy that no rule can fire.

    A gate for captures with many thousand flows: it costs a few microseconds where the
    rules cost a hundred. It may say no to a healthy flow, never yes to another one.
    """
    if flow.tunnel is None or flow.icmp or flow.mid_stream or flow.one_way or capture.text:
        return False
    tls = flow.tls
    if tls is None or tls.server_hello is None or tls.alerts or tls.certificates:
        return False
    if len(flow.exchanges) != 1 or not flow.closes or flow.syn_count > 1 or not tls.client_hello:
        return False
    for side in flow.sides:
        if side.run is not None or side.holes or side.unacked or side.zero_windows:
            return False
        if side.retransmissions or side.acked_unseen or side.cut_by_snaplen:
            return False
        if side.fragments or side.window_full >= FILLED:
            return False
    if not flow.tunnel_bytes[PROXY] or flow.time_backwards or not flow.tunnel_bytes[CLIENT]:
        return False
    exchange = flow.exchanges[0]
    if exchange.request is None or exchange.request.credentials is not None:
        return False
    client, proxy = tls.sides
    if proxy.missing or client.last is None or len(client.records) < 4:
        return False
    # The client said goodbye, then closed: whatever came before, it was done.
    name, mark = flow.closes[0]
    if name != "client_fin" or mark.number < client.last.mark.number:
        return False
    if tls.sides[CLIENT].app_bytes <= QUIET_BYTES or proxy.first_app is None:
        return False
    # Times come last: flows that differ in them only are judged together as long as nobody asks.
    return _prompt(flow) and not any(
        gap is not None and gap.end.time_ns - gap.start.time_ns > QUIET_GAP_NS
        for gap in (flow.longest_silence, flow.longest_wait)
    )


QUIET_BYTES = 160
"""More than a TLS 1.3 Finished (74) and a close_notify (24) with their headers: a request."""


def _prompt(flow: FlowFacts) -> bool:
    """The proxy answered after the client's request, and the handshake was quick."""
    tls = flow.tls
    assert tls is not None
    request = next((r for r in tls.sides[CLIENT].records[3:] if r.length > 41), None)
    last = flow.sides[PROXY].last_payload
    if request is None or last is None or last.number < request.mark.number:
        return False
    first = flow.syn_marks[0] if flow.syn_marks else flow.syn
    if first is None or flow.syn_ack is None:
        return False
    return flow.syn_ack.time_ns - first.time_ns <= QUIET_GAP_NS
