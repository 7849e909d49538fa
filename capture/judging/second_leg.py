"""What the proxy's own connection to the server says of a tunnel that failed.

From the client's side, "the server refuses" and "the proxy is ill" look alike. Where the second
leg is in the capture, it tells them apart: with packet numbers instead of a guess. A verdict
never depends on it; a table, whose flows may lie with several processes, does without.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import chain
from typing import Final

from capture.decode.columns import IcmpError
from capture.facts import PROXY, CaptureFacts, FlowFacts, Mark
from capture.judging.baseline import SECOND_LEG
from capture.judging.catalogue import Catalogue
from capture.judging.hit import CERTAIN, LIKELY, Hit
from capture.judging.judge import Judgement, bare
from capture.judging.scene import Scene
from capture.protocols.icmp_names import icmp_name
from capture.report.model import Finding
from capture.second_leg.pairing import Outcome, SecondLeg
from capture.units import plural

GUESSED: Final = frozenset({
    "bad-gateway", "service-unavailable", "gateway-timeout", "server-error", "connect-hang",
    "connect-closed", "up-cannot-forward",
})  # fmt: skip
"""Rules that can only guess what went wrong behind the proxy."""

NAMED: Final = frozenset({"up-refused", "up-timeout", "up-no-route"})
"""Rules that name it by the proxy's own words."""

BROKEN: Final = frozenset({"tls_stall", "tunnel_closed_early", "transfer_reset"})
"""Verdicts of which the second leg may show on which side it began."""

CLOSED: Final = frozenset({"tls-hello-closed", "tls-hello-reset"})
STALLED: Final = "tls-stall"
"""Rules that cannot tell the server from the proxy, unless the server is seen to be the one."""

RULE_OF: Final = {
    Outcome.REFUSED: "up-refused",
    Outcome.UNREACHABLE: "up-no-route",
    Outcome.SILENT: "up-timeout",
}

SERVERS: Final = 3
"""Servers that are named of those that the proxy tried."""


def in_light_of_legs(
    judgement: Judgement,
    flow: FlowFacts,
    legs: Sequence[SecondLeg],
    capture: CaptureFacts,
    catalogue: Catalogue,
    *,
    texts: bool = True,
) -> Judgement:
    """A judgement with what the second leg proves.

    Pure. No finding is added: one that is there is raised, or says more.

    Args:
        judgement: Of the tunnel, alone or in the light of other tunnels.
        flow: The tunnel.
        legs: Its second legs (``capture.second_leg.pairing.find_legs``).
        capture: The capture.
        catalogue: Texts of the rules.
        texts: Dress the findings in the catalogue's texts.
    """
    if not legs:
        return judgement
    notes = tuple(note for note in judgement.notes if note != SECOND_LEG)
    findings = list(judgement.findings)
    for place, finding in enumerate(findings):
        if finding.rule in GUESSED or finding.rule in NAMED:
            findings[place] = _explained(finding, flow, legs, capture, catalogue, texts)
        elif finding.verdict in BROKEN:
            findings[place] = _who_broke_it(finding, flow, legs, capture, catalogue, texts)
    if notes == judgement.notes and findings == list(judgement.findings):
        return judgement
    return replace(judgement, findings=tuple(findings), notes=notes)


def _explained(
    finding: Finding,
    flow: FlowFacts,
    legs: Sequence[SecondLeg],
    capture: CaptureFacts,
    catalogue: Catalogue,
    texts: bool,
) -> Finding:
    """A failed CONNECT whose cause lies behind the proxy, if every attempt shows so."""
    tried = _tries(legs)
    said = "; ".join(_words(outcome, group) for (_, outcome), group in tried[:SERVERS])
    seen = _observed(finding, said, chain.from_iterable(map(_proof, legs[:SERVERS])))
    outcomes = {outcome for (_, outcome), _ in tried}
    if finding.rule in NAMED or not outcomes.issubset(RULE_OF):
        return seen
    # Of several: that nobody answers explains how long it took, a refusal does not.
    outcome = next(item for item in reversed(RULE_OF) if item in outcomes)
    sure = CERTAIN if all(leg.certain for leg in legs) else LIKELY
    detail = next(_short(item, group) for (_, item), group in tried if item is outcome)
    hit = Hit(
        RULE_OF[outcome],
        finding.severity,
        sure,
        seen.observation,
        seen.packets,
        finding.verdict,
        finding.code,
        {"detail": detail},
    )
    return catalogue.finding(hit, Scene(flow, capture)) if texts else bare(hit)


Tries = list[tuple[tuple[str, Outcome], list[SecondLeg]]]


def _tries(legs: Sequence[SecondLeg]) -> Tries:
    """Attempts by server and outcome, in order of the first one."""
    tries: dict[tuple[str, Outcome], list[SecondLeg]] = {}
    for leg in legs:
        tries.setdefault((str(leg.facts.proxy), leg.outcome), []).append(leg)
    return list(tries.items())


def _words(outcome: Outcome, legs: Sequence[SecondLeg]) -> str:
    """``#9 SYN from the proxy (10.10.10.1) to 72.163.4.161:443 sent 3 times, never answered``."""
    first = legs[0].facts
    text = f"#{first.first.number} SYN from the proxy ({first.client.host}) to {first.proxy}"
    sent = sum(leg.facts.syn_count for leg in legs)
    if sent > 1:
        text += f", sent {plural(sent, 'time')}"
    if not all(leg.certain for leg in legs):
        text += f" (taken for this tunnel's: {legs[0].grounds})"
    answer = first.sides[PROXY]
    if outcome is Outcome.REFUSED and answer.rst is not None:
        return f"{text}, refused by #{answer.rst.number} RST"
    if outcome is Outcome.UNREACHABLE:
        error = first.icmp[0]
        return f"{text}, answered by #{error.number} ICMP {_icmp(error)}"
    if outcome is Outcome.SILENT:
        return f"{text}, never answered"
    if outcome is Outcome.OPEN and first.syn_ack is not None:
        return f"{text}, answered by #{first.syn_ack.number} SYN-ACK"
    return text


def _short(outcome: Outcome, legs: Sequence[SecondLeg]) -> str:
    """The proof in a few words, for the cause."""
    first = legs[0].facts
    answer = first.sides[PROXY].rst
    if outcome is Outcome.REFUSED and answer is not None:
        return f"#{answer.number} RST from {first.proxy}"
    if outcome is Outcome.UNREACHABLE:
        return f"#{first.icmp[0].number} ICMP {_icmp(first.icmp[0])}"
    sent = sum(leg.facts.syn_count for leg in legs)
    return f"{plural(sent, 'SYN')} to {first.proxy}, none answered"


def _icmp(error: IcmpError) -> str:
    name = icmp_name(error.version, error.type, error.code)
    return name or f"type {error.type} code {error.code}"


def _who_broke_it(
    finding: Finding,
    flow: FlowFacts,
    legs: Sequence[SecondLeg],
    capture: CaptureFacts,
    catalogue: Catalogue,
    texts: bool,
) -> Finding:
    """Whether the server's side ended or fell silent, where the bytes prove the second leg."""
    leg = legs[-1]
    if not leg.certain or leg.outcome is not Outcome.OPEN:
        return finding
    mark = _ended(leg.facts, flow)
    if mark is not None:
        name = leg.facts.closes[0][0][-3:].upper()
        detail = f"#{mark.number} {name} from {leg.facts.proxy}"
        seen = _observed(finding, f"#{mark.number} {name} from the server ({leg.facts.proxy})",
                         (mark.number,))  # fmt: skip
        raised = finding.rule in CLOSED
    else:
        mark = _passed_on(leg.facts) if finding.verdict == "tls_stall" else None
        if mark is None:
            return finding
        detail = f"#{mark.number} to {leg.facts.proxy}"
        seen = _observed(finding, f"#{mark.number} the proxy passed the ClientHello on to "
                         f"{leg.facts.proxy}, which never replied", (mark.number,))  # fmt: skip
        raised = finding.rule == STALLED
    if not raised:
        return seen
    hit = Hit(
        finding.rule,
        finding.severity,
        CERTAIN,
        seen.observation,
        seen.packets,
        finding.verdict,
        finding.code,
        {"detail": detail},
    )
    return catalogue.finding(hit, Scene(flow, capture)) if texts else bare(hit)


def _ended(leg: FlowFacts, flow: FlowFacts) -> Mark | None:
    """The server's FIN or RST, where it came first and before the tunnel ended."""
    if not leg.closes or not leg.closes[0][0].startswith("proxy"):
        return None
    mark = leg.closes[0][1]
    over = flow.closes[0][1].number if flow.closes else None
    return mark if over is None or mark.number < over else None


def _passed_on(leg: FlowFacts) -> Mark | None:
    """The ClientHello on the second leg, where the server was heard but never replied to it."""
    server, tls = leg.sides[PROXY], leg.tls
    unheard = leg.syn_ack is None or leg.one_way or server.acked_unseen or server.bytes
    return tls.client_hello_mark if tls is not None and not unheard else None


def _observed(finding: Finding, said: str, numbers: Iterable[int]) -> Finding:
    """A finding that has also seen the second leg."""
    observation = f"{finding.observation.rstrip('.')}; {said}." if finding.observation else ""
    packets = tuple(sorted({*finding.packets, *numbers}))
    return replace(finding, observation=observation, packets=packets)


def _proof(leg: SecondLeg) -> set[int]:
    """Packets of a second leg that show what became of it."""
    facts = leg.facts
    proof = {mark.number for mark in facts.syn_marks[:4]} or {facts.first.number}
    if facts.syn_ack is not None:
        proof = {facts.first.number, facts.syn_ack.number}
    proof.update(error.number for error in facts.icmp[:1])
    proof.update(mark.number for name, mark in facts.closes[:1] if name.startswith("proxy"))
    return proof
