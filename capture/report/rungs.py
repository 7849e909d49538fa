"""The rungs of a ladder diagram, whatever it is drawn with: one arrow a message.

``check`` draws them of a report's steps; the screen, which keeps the packets, of the whole
ladder (``capture.timeline.ladder``).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from capture.facts import CLIENT, PROXY
from capture.report.model import FlowReport, Severity, StepState
from capture.report.redact import safe

if TYPE_CHECKING:
    from capture.timeline.ladder import LadderLine

MOST: Final = 200
"""Rungs drawn of one flow; of more, the middle is left out and said so."""

_SENDERS: Final = {
    "syn": CLIENT,
    "syn_ack": PROXY,
    "ack": CLIENT,
    "connect": CLIENT,
    "response": PROXY,
    "client_hello": CLIENT,
    "server_hello": PROXY,
}
_LABELS: Final = {
    "syn": "SYN",
    "syn_ack": "SYN-ACK",
    "ack": "ACK",
    "connect": "request",
    "response": "reply",
    "client_hello": "ClientHello",
    "server_hello": "ServerHello",
    "data": "data",
    "close": "close",
}


@dataclass(frozen=True, slots=True)
class Rung:
    """One line of the diagram."""

    text: str
    """Safe to print; not escaped for any markup."""
    sender: int | None
    """``CLIENT`` or ``PROXY``: an arrow from there; None: a remark between the two."""
    time_s: float | None = None
    """Since the flow's first packet."""
    packet: int | None = None
    """Number of its first packet."""
    failing: bool = False
    seen: bool = True
    """False: what should have come and did not."""


def rungs_of_steps(flow: FlowReport) -> tuple[Rung, ...]:
    """A ladder of what ``check`` keeps of a flow: its steps.

    Steps that never came are left out but for the one at which the tunnel broke.
    """
    rungs = []
    for step in flow.steps:
        failing = step.state is StepState.FAILED
        if step.packet is None and not failing:
            continue
        label = _LABELS.get(step.name, step.name)
        if step.name in ("connect", "response", "data", "close") and step.detail:
            label = step.detail
        elif step.detail:
            label = f"{label} {step.detail}"
        sender = _SENDERS.get(step.name)
        if step.name == "close":
            sender = CLIENT if flow.ended.startswith("client") else PROXY
        if step.packet is None:
            label = f"no {_LABELS.get(step.name, step.name)}"
        rungs.append(
            Rung(
                safe(label),
                sender,
                step.time_s,
                step.packet,
                failing=failing,
                seen=step.packet is not None,
            )
        )
    return tuple(rungs)


def rungs_of_ladder(lines: Iterable[LadderLine], start_ns: int) -> tuple[Rung, ...]:
    """A ladder of what the screen shows.

    Args:
        lines: As ``capture.timeline.ladder.build_ladder`` makes them.
        start_ns: Time of the flow's first packet.
    """
    from capture.timeline.ladder import LineKind

    rungs = []
    for line in lines:
        arrow = line.kind in (LineKind.MESSAGE, LineKind.DATA, LineKind.MISSING)
        sender = line.sender if arrow and line.sender in (CLIENT, PROXY) else None
        text = line.text
        if line.second:
            way = "proxy to server" if line.sender == CLIENT else "server to proxy"
            sender, text = None, f"{way}: {text}"
        rungs.append(
            Rung(
                safe(text),
                sender,
                (line.time_ns - start_ns) / 1e9 if line.time_ns else None,
                line.first_number or None,
                failing=line.failing or line.severity is Severity.PROBLEM,
                seen=line.kind is not LineKind.MISSING,
            )
        )
    return fitting(rungs)


def fitting(rungs: Sequence[Rung]) -> tuple[Rung, ...]:
    """At most ``MOST`` rungs: the first and the last ones, and all that failed."""
    if len(rungs) <= MOST:
        return tuple(rungs)
    half = MOST // 2
    middle = [rung for rung in rungs[half:-half] if rung.failing][: MOST // 4]
    left_out = len(rungs) - 2 * half - len(middle)
    remark = Rung(f"{left_out} more lines", None)
    return (*rungs[:half], remark, *middle, *rungs[-half:])
