"""The report as GitHub-flavoured Markdown, for issues, wikis and tickets.

Nothing from the network can become markup, a link, a mention or a reference to another
issue: whatever could is put into a code span, the rest is escaped.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from capture.names import with_name
from capture.report.model import Finding, FlowReport, Report, Severity
from capture.report.prose import (
    attempts,
    by_gravity,
    explanation,
    fine_flows,
    flows_line,
    known_issue,
    lost_line,
    needs_block,
    packet_list,
    retransmitted,
    source_line,
    source_name,
    title,
    traffic,
)
from capture.report.redact import safe
from capture.report.strip import step_words
from capture.units import count, duration, plural, size

BLOCKS: Final = 200
ROWS: Final = 1000

_SPECIAL: Final = re.compile(r"([\\`*_\[\]<>#|~$&])")
_AT_START: Final = re.compile(r"^(\d+(?=[.)])|[-+=:])")
"""What makes a list, a heading or a rule of a paragraph that begins with it."""
_PARTS: Final = re.compile(r"((?<!\S)`[^`]+`(?![^\s.,;:)])|\s+)")
"""Code spans of our own texts, and blanks; what is between them are words."""
_LINKED: Final = re.compile(r"@|://|^www\.|#\d|^\S+\.\S+/|[<>]")
"""What renderers turn into links, mentions or HTML by themselves."""


def markdown_chunks(
    reports: Iterable[Report], *, many: bool, others: bool = False
) -> Iterator[str]:
    """Yield one section a file."""
    for index, report in enumerate(reports):
        if index:
            yield "\n---\n\n"
        yield from _document(report, others)


def prose(text: str) -> str:
    """Escape ``text`` for a paragraph or a table cell; keep its own code spans."""
    out = []
    for part in _PARTS.split(safe(text)):
        if len(part) > 2 and part[0] == part[-1] == "`" and "`" not in part[1:-1]:
            out.append(code(part[1:-1]))
        elif _LINKED.search(part):
            core = part.rstrip(".,;:)")
            out.append(code(core) + _SPECIAL.sub(r"\\\1", part[len(core) :]))
        else:
            out.append(_SPECIAL.sub(r"\\\1", part))
    return _AT_START.sub(_escape_start, "".join(out).strip())


def _escape_start(match: re.Match[str]) -> str:
    return f"{match[0]}\\" if match[0].isdigit() else f"\\{match[0]}"


def code(text: str | None) -> str:
    """A code span that ``text`` cannot leave, in a table either."""
    text = safe(text or "")
    if not text.strip():
        return "\\-"
    fence = "`" * (max((len(run) for run in re.findall("`+", text)), default=0) + 1)
    pad = " " if text[0] in "` " or text[-1] in "` " else ""
    # GFM splits table cells before it looks at code spans: a bar needs its backslash.
    inner = text.replace("|", "\\|")
    return f"{fence}{pad}{inner}{pad}{fence}"


def _document(report: Report, others: bool) -> Iterator[str]:
    why = explanation(report)
    yield f"# tunnelscope: {code(source_name(report))}\n\n"
    yield f"{prose(source_line(report))}\n\n{prose(why or flows_line(report))}\n"
    grave = by_gravity([flow for flow in report.telling if needs_block(flow)])
    fine = len(report.flows) - len(grave)
    for flow in grave[:BLOCKS]:
        yield "\n" + _block(flow, report.names)
    if grave[BLOCKS:]:
        yield f"\n## More flows with a problem or a warning ({count(len(grave) - BLOCKS)})\n\n"
        yield from _table(grave[BLOCKS:], report.names)
    if fine:
        yield f"\n## Flows without a problem ({count(fine)})\n\n"
        yield from _table(fine_flows(report, ROWS), report.names, fine)
    if others and report.others:
        yield f"\n## Other TCP flows ({count(len(report.others))})\n\n"
        yield from _table(report.others[:ROWS], report.names, len(report.others))
    if report.findings:
        yield "\n## Capture\n\n"
        for finding in report.findings:
            yield _finding(finding) + "\n"
    lost = lost_line(report)
    if report.source.warnings or lost:
        yield "\n## Capture warnings\n\n"
        for item in report.source.warnings:
            yield f"- {code(item.code)}: {prose(item.message)}\n"
        if lost:
            yield f"- {prose(lost)}\n"


def _block(flow: FlowReport, names: Mapping[str, str]) -> str:
    severity = flow.severity or Severity.INFO
    facts = [
        ("Client", code(with_name(flow.client, names))),
        ("Proxy", code(with_name(flow.proxy, names))),
        ("Target", code(flow.target) if flow.target else "not seen"),
        ("Verdict", code(flow.verdict)),
    ]
    if flow.tls is not None and flow.tls.sni:
        facts.append(("SNI", code(flow.tls.sni)))
    tried = attempts(flow)
    if tried:
        facts.append(("Tried", prose(tried)))
    facts.append(("Traffic", prose(", ".join(filter(None, (traffic(flow), retransmitted(flow)))))))
    lines = [f"## {severity.value.upper()}: {prose(title(flow))} (flow {flow.id})", ""]
    lines += ["| | |", "|---|---|", *[f"| {label} | {value} |" for label, value in facts], ""]
    lines += [code(" > ".join(step_words(flow))), ""]
    return "\n".join(lines) + "\n" + "\n".join(_finding(item) for item in flow.findings)


def _finding(finding: Finding) -> str:
    seen = prose(finding.observation)
    if finding.packets and "#" not in finding.observation:
        seen += f" ({code(packet_list(finding))})"
    lines = [
        f"**{prose(finding.title)}** ({finding.severity.value}, rule {code(finding.rule)})",
        "",
    ]
    issue = known_issue(finding)
    if issue:
        lines.append(f"- Known issue: {prose(issue)}")
    lines.append(f"- Seen: {seen}")
    if finding.cause:
        lines.append(f"- Cause ({finding.confidence.value}): {prose(finding.cause)}")
    if finding.raise_by:
        lines.append(f"- To be surer: {prose(finding.raise_by)}")
    if finding.next_steps:
        lines.append("- Next:")
        lines += [f"  {index}. {prose(step)}" for index, step in enumerate(finding.next_steps, 1)]
    return "\n".join(lines) + "\n"


def _table(flows: Sequence[FlowReport], names: Mapping[str, str], total: int = 0) -> Iterator[str]:
    """One row a flow; ``total``: how many there are, if more."""
    yield "| # | client | proxy | target | status | verdict | data | time |\n"
    yield "|--:|---|---|---|--:|---|--:|--:|\n"
    for flow in flows:
        columns = (
            str(flow.id),
            code(with_name(flow.client, names)),
            code(with_name(flow.proxy, names)),
            code(flow.target),
            "" if flow.status is None else str(flow.status),
            code(flow.verdict),
            size(flow.bytes_to_proxy + flow.bytes_to_client),
            duration(flow.duration_s),
        )
        yield f"| {' | '.join(columns)} |\n"
    if total > len(flows):
        yield f"\nand {plural(total - len(flows), 'more flow')}\n"
