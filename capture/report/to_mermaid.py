"""Ladders as Mermaid sequence diagrams, which wikis and ticket systems draw by themselves.

Mermaid reads ``;`` and ``#`` as its own, and ``end`` closes a block: every text is put through
``_words``, which leaves nothing of its language in it (Mermaid manual, "sequence diagrams").
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from capture.facts import CLIENT
from capture.names import with_name
from capture.report.model import FlowReport, Report
from capture.report.prose import by_gravity, needs_block, title
from capture.report.redact import safe
from capture.report.rungs import Rung, rungs_of_steps
from capture.units import milliseconds

DIAGRAMS: Final = 50
"""Flows drawn of one report, the gravest first."""

_PLAIN: Final = re.compile(r"[^A-Za-z0-9 .,:/()\[\]_=?!+*'-]")
_END: Final = re.compile(r"\bend\b", re.IGNORECASE)


def mermaid_chunks(
    reports: Iterable[Report],
    *,
    many: bool,
    others: bool = False,
    ladders: Mapping[int, Sequence[Rung]] | None = None,
) -> Iterator[str]:
    """Yield one diagram a flow: of the failing ones, or of all where none fails.

    A renderer wants one diagram a block; each begins with ``sequenceDiagram`` after a blank
    line and a ``%%`` remark that names its flow. ``ladders``, by uid, are drawn instead of
    the steps where more is known.
    """
    first = True
    for report in reports:
        grave = by_gravity([flow for flow in report.telling if needs_block(flow)])
        flows: Sequence[FlowReport] = grave or report.flows[:DIAGRAMS]
        for flow in flows[:DIAGRAMS]:
            if not first:
                yield "\n"
            first = False
            rungs = (ladders or {}).get(flow.uid) or rungs_of_steps(flow)
            name = report.source.path if many else ""
            yield diagram(flow, rungs, report.names, source=name)
        if len(flows) > DIAGRAMS:
            yield f"\n%% and {len(flows) - DIAGRAMS} more\n"


def diagram(
    flow: FlowReport,
    rungs: Iterable[Rung],
    names: Mapping[str, str] | None = None,
    *,
    source: str = "",
) -> str:
    """One flow as a ``sequenceDiagram``; ends with a line break."""
    name = f"flow {flow.id}: {title(flow)}"
    lines = [
        f"%% {_comment(f'{source} {name}'.strip())}",
        "sequenceDiagram",
        f"    participant C as {_words(with_name(flow.client, names))}",
        f"    participant P as {_words(with_name(flow.proxy, names))}",
    ]
    for rung in rungs:
        lines.extend(_rung(rung))
    for finding in flow.findings[:1]:
        lines.append(f"    Note over C,P: {_words(finding.title)}")
    return "\n".join(lines) + "\n"


def _rung(rung: Rung) -> Iterator[str]:
    text = _words(("FAILED: " if rung.failing else "") + rung.text)
    if rung.packet is not None:
        text += f" (packet {rung.packet})"
    if rung.time_s is not None:
        text = f"{milliseconds(rung.time_s * 1e3)} {text}"
    if rung.sender is None:
        yield f"    Note over C,P: {text}"
        return
    ends = "C", "P"
    if rung.sender != CLIENT:
        ends = "P", "C"
    arrow = "-x" if rung.failing else "->>"
    if not rung.seen:
        arrow = "--x"
    yield f"    {ends[0]}{arrow}{ends[1]}: {text}"


def _comment(text: str) -> str:
    return _PLAIN.sub(" ", safe(text))


def _words(text: str) -> str:
    """Text without a character that Mermaid could take for its own."""
    plain = _PLAIN.sub(lambda found: f"#{ord(found[0])};", safe(text))
    open_ended = _END.sub(lambda found: f"{found[0][0]}#{ord(found[0][1])};{found[0][2]}", plain)
    return open_ended.strip() or "-"
