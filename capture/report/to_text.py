"""The text report: readable in 80 columns, made to be pasted into a ticket.

Plain text without colour or boxes. Problems first, then warnings, each flow in a block;
then the flows without a problem in a table; then what is to be known of the capture.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from capture.names import by_name, with_name
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
from capture.report.wrap import cells, fit_middle, wrap
from capture.units import count, duration, plural, size

WIDTH: Final = 80
BLOCKS: Final = 200
"""Flows described in full; the ones after them get a line each."""
ROWS: Final = 1000
"""Rows of the table of flows without a problem; the ones after them are only counted."""

NAMED: Final = 28
"""Cells of a name with its port in a table."""

BASELINES: Final = 10
"""Up to so many flows without a problem are shown with their steps."""

_LABEL: Final = 10
_BODY: Final = WIDTH - _LABEL


def text_chunks(reports: Iterable[Report], *, many: bool, others: bool = False) -> Iterator[str]:
    """Yield the report of each file, with a line between them when there are several."""
    for index, report in enumerate(reports):
        if many and index:
            yield "\n" + "=" * WIDTH + "\n\n"
        yield from _document(report, others)


def _document(report: Report, others: bool) -> Iterator[str]:
    yield "\n".join(_head(report)) + "\n"
    grave = by_gravity([flow for flow in report.telling if needs_block(flow)])
    fine = len(report.flows) - len(grave)
    for flow in grave[:BLOCKS]:
        yield "\n" + "\n".join(_block(flow, report.names)) + "\n"
    if grave[BLOCKS:]:
        yield f"\nMore flows with a problem or a warning ({count(len(grave) - BLOCKS)})\n"
        yield from _table(grave[BLOCKS:], report.names)
    if fine:
        yield f"\nFlows without a problem ({count(fine)})\n"
        yield from _table(fine_flows(report, ROWS), report.names, fine)
    if others and report.others:
        yield f"\nOther TCP flows ({count(len(report.others))})\n"
        yield from _table(report.others[:ROWS], report.names, len(report.others))
    if report.findings:
        yield "\nCapture\n"
        for finding in report.findings:
            yield "\n".join(_finding(finding, heading=True)) + "\n"
    warnings = _warnings(report)
    if warnings:
        yield "\nCapture warnings\n" + "\n".join(warnings) + "\n"


def _head(report: Report) -> list[str]:
    lines = [
        *wrap(f"tunnelscope: {source_name(report)}", WIDTH),
        *wrap(source_line(report), WIDTH),
    ]
    why = explanation(report)
    return [*lines, *wrap(why or flows_line(report), WIDTH)]


def flow_text(flow: FlowReport, names: Mapping[str, str] | None = None) -> str:
    """One flow as a block of its own, healthy or not; ends with a line break."""
    return "\n".join(_block(flow, names)) + "\n"


def _block(flow: FlowReport, names: Mapping[str, str] | None) -> list[str]:
    """Everything an engineer needs of one flow."""
    gravity = flow.severity.value.upper() if flow.severity is not None else "OK"
    number = f"flow {flow.id}"
    heading = wrap(f"{gravity}: {title(flow)} ({flow.verdict})", WIDTH - len(number) - 2)
    heading[0] = heading[0] + " " * (WIDTH - cells(heading[0]) - len(number)) + number
    lines = [
        *heading,
        *_field("Client", safe(with_name(flow.client, names))),
        *_field("Proxy", safe(with_name(flow.proxy, names))),
        *_field("Target", safe(flow.target) if flow.target else "not seen"),
    ]
    tried = attempts(flow)
    if tried:
        lines += _field("Tried", tried)
    for text in _tls_words(flow):
        lines += _field("TLS", text)
    lines += _steps(flow)
    lines += _field("Traffic", ", ".join(filter(None, (traffic(flow), retransmitted(flow)))))
    for index, finding in enumerate(flow.findings):
        lines += _finding(finding, heading=index > 0)
    return lines


def _tls_words(flow: FlowReport) -> list[str]:
    tls = flow.tls
    if tls is None:
        return []
    name = f"SNI {safe(tls.sni)}" if tls.sni else "no SNI" if tls.sni_seen else ""
    parts = [name, tls.version or "", tls.cipher or ""]
    if tls.alert_name:
        parts.append(f"alert {tls.alert_name} ({tls.alert_code}) from the {tls.alert_from}")
    if tls.certificate_issuer:
        parts.append(f"certificate issued by {safe(tls.certificate_issuer)}")
    words = ", ".join(filter(None, parts))
    return [words] if words else []


def _steps(flow: FlowReport) -> list[str]:
    return _labelled("Steps", _step_lines(flow, _BODY))


def _step_lines(flow: FlowReport, width: int) -> list[str]:
    """The step line, broken only between steps."""
    lines, line = [], ""
    for word in step_words(flow):
        longer = f"{line} > {word}" if line else word
        if line and cells(longer) > width - 2:
            lines.append(f"{line} >")
            line = word
        else:
            line = longer
    return [*lines, line]


def _finding(finding: Finding, *, heading: bool) -> list[str]:
    lines = []
    if heading:
        lines += _field(finding.severity.value.capitalize(), safe(finding.title))
    issue = known_issue(finding)
    if issue:
        lines += _field("Issue", issue)
    seen = safe(finding.observation)
    if finding.packets and "#" not in seen:
        seen = f"{seen} (packets {packet_list(finding)})"
    lines += _field("Seen", seen)
    if finding.cause:
        lines += _field("Cause", f"({finding.confidence.value}) {safe(finding.cause)}")
    if finding.raise_by:
        lines += _field("", f"To be surer: {safe(finding.raise_by)}")
    for index, step in enumerate(finding.next_steps, 1):
        first, *rest = wrap(safe(step), _BODY - 3)
        body = [f"{index}. {first}", *[f"   {line}" for line in rest]]
        lines += _labelled("Next" if index == 1 else "", body)
    return lines


def _field(label: str, text: str) -> list[str]:
    return _labelled(label, wrap(text, _BODY))


def _labelled(label: str, body: Sequence[str]) -> list[str]:
    lead = f"  {label:<{_LABEL - 2}}"
    return [f"{lead if not index else ' ' * _LABEL}{line}" for index, line in enumerate(body)]


def _table(flows: Sequence[FlowReport], names: Mapping[str, str], total: int = 0) -> Iterator[str]:
    """One line a flow. Columns are as wide as they need to be, and share what there is.

    Args:
        flows: Those with a line.
        names: Of hosts, by address.
        total: How many there are, if more.
    """
    rows = [_HEADINGS, *[_cells(flow, names) for flow in flows]]
    widths = _widths(rows)
    for row, flow in zip(rows, (None, *flows), strict=True):
        columns = [
            fit_middle(text, width) if align == "<" else f"{text:>{width}}"
            for text, width, align in zip(row, widths, _ALIGN, strict=True)
        ]
        yield " ".join(columns).rstrip() + "\n"
        if flow is not None and flow.steps and max(total, len(flows)) <= BASELINES:
            for line in _step_lines(flow, WIDTH - widths[0] - 1):
                yield f"{'':{widths[0] + 1}}{line}\n"
        for finding in flow.findings if flow is not None else ():
            if finding.severity is Severity.INFO:
                for line in wrap(f"info: {safe(finding.title)}", WIDTH - widths[0] - 1):
                    yield f"{'':{widths[0] + 1}}{line}\n"
    if total > len(flows):
        left = plural(total - len(flows), "more flow")
        yield f"and {left}; --format csv lists them all\n"


_HEADINGS: Final = ("#", "client", "target", "verdict", "data", "time")
_ALIGN: Final = "><<<>>"
_CLIENT, _TARGET = 1, 2


def _cells(flow: FlowReport, names: Mapping[str, str]) -> tuple[str, ...]:
    return (
        str(flow.id),
        _short(flow.client, names),
        safe(flow.target) if flow.target else "-",
        flow.verdict,
        size(flow.bytes_to_proxy + flow.bytes_to_client),
        duration(flow.duration_s),
    )


def _short(endpoint: str, names: Mapping[str, str]) -> str:
    """The end by its name, which must leave the other columns their room."""
    text = safe(by_name(endpoint, names))
    return text if text == endpoint or cells(text) <= NAMED else fit_middle(text, NAMED)


def _widths(rows: Sequence[tuple[str, ...]]) -> list[int]:
    """Natural widths; where they do not fit, the target gives way first, then the client."""
    widths = [max(cells(text) for text in column) for column in zip(*rows, strict=True)]
    for column, least in ((_TARGET, 16), (_CLIENT, 13)):
        excess = sum(widths) + len(widths) - 1 - WIDTH
        if excess > 0:
            widths[column] = max(min(widths[column], least), widths[column] - excess)
    return widths


def _warnings(report: Report) -> list[str]:
    lines = []
    for item in report.source.warnings:
        lines += _bullet(f"{item.code}: {safe(item.message)}")
    lost = lost_line(report)
    if lost:
        lines += _bullet(lost)
    return lines


def _bullet(text: str) -> list[str]:
    first, *rest = wrap(text, WIDTH - 4)
    return [f"  - {first}", *[f"    {line}" for line in rest]]
