"""The report as one self-contained HTML page: no script, no link, no outside resource.

Light and dark follow the reader's system, tables scroll by themselves on a phone. The
text is pure ASCII with character references, so that no server's or mail program's idea
of the encoding can change it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from typing import Final

from capture import __version__
from capture.names import by_name, with_name
from capture.report.ladder_svg import STYLE as LADDER_STYLE
from capture.report.ladder_svg import ladder_svg
from capture.report.model import Finding, FlowReport, Report, StepState
from capture.report.prose import (
    VERDICT_TITLES,
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
from capture.report.rungs import Rung, rungs_of_steps
from capture.report.strip import StripStep, strip
from capture.units import count, duration, milliseconds, plural, size

BLOCKS: Final = 1000
ROWS: Final = 5000

_STYLE: Final = """
:root{color-scheme:light dark;--fg:#1c2128;--dim:#59636e;--bg:#fff;--box:#f3f5f8;--line:#d0d7de;
--bad:#b3261e;--warn:#8a5300;--good:#1a6b35}
@media(prefers-color-scheme:dark){:root{--fg:#e6e9ee;--dim:#9aa4b0;--bg:#14171c;--box:#1d2229;
--line:#3a424d;--bad:#ff8a80;--warn:#ffc266;--good:#7fd99a}}
*{box-sizing:border-box}
body{margin:0 auto;padding:1rem;max-width:70rem;color:var(--fg);background:var(--bg);
font:16px/1.5 system-ui,sans-serif;overflow-wrap:anywhere}
h1{font-size:1.4rem}h2{font-size:1.15rem;margin:0 0 .5rem}h3{font-size:1rem;margin:1rem 0 .25rem}
p{margin:.25rem 0}.dim{color:var(--dim)}
code,.mono{font-family:ui-monospace,monospace;font-size:.9em;unicode-bidi:isolate}
section.flow{background:var(--box);border:1px solid var(--line);border-left:.4rem solid var(--line);
border-radius:.4rem;padding:1rem;margin:1rem 0}
section.problem{border-left-color:var(--bad)}section.warning{border-left-color:var(--warn)}
section.ok{border-left-color:var(--good)}
.problem h2 b{color:var(--bad)}.warning h2 b{color:var(--warn)}.ok h2 b{color:var(--good)}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.1rem 1rem;margin:.5rem 0}
dt{color:var(--dim)}dd{margin:0}
ol.steps{list-style:none;display:flex;flex-wrap:wrap;gap:.4rem;padding:0;margin:.75rem 0}
ol.steps li{border:1px solid var(--line);border-radius:.3rem;padding:.1rem .5rem;
background:var(--bg)}
li.done{color:var(--good)}
li.failed{color:var(--bad);border-color:var(--bad)!important;font-weight:700}
li.missing,li.pending{color:var(--dim)}
.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%}
th,td{text-align:left;padding:.25rem .6rem;border-bottom:1px solid var(--line);white-space:nowrap}
td.n,th.n{text-align:right}
@media(max-width:30rem){dl{gap:.1rem .6rem}body{padding:.6rem}
section.flow{padding:.6rem;border-left-width:.25rem}}
@media print{section.flow{break-inside:avoid}}
"""

_WORDS: Final = {
    StepState.DONE: "ok",
    StepState.FAILED: "failed",
    StepState.MISSING: "not seen",
    StepState.PENDING: "open",
}


Ladders = Mapping[int, Sequence[Rung]]
"""Ladders by ``FlowReport.uid``, where more is known of them than the report's steps. These flows
are shown in full, the healthy ones, too."""


def html_chunks(
    reports: Iterable[Report],
    *,
    many: bool,
    others: bool = False,
    ladders: Ladders | None = None,
) -> Iterator[str]:
    """Yield the page; several files become several parts of it."""
    for chunk in _page(reports, others, ladders or {}):
        yield chunk.encode("ascii", "xmlcharrefreplace").decode("ascii")


def _text(text: str | None) -> str:
    return escape(safe(text or ""))


def _code(text: str | None) -> str:
    return f"<code>{_text(text)}</code>" if text else '<span class="dim">not seen</span>'


def _prose(text: str) -> str:
    """Escaped text whose back-quoted parts are code."""
    parts = safe(text).split("`")
    if len(parts) % 2 == 0:  # a back-quote without its partner is only a character
        return escape(safe(text))
    return "".join(
        f"<code>{escape(part)}</code>" if index % 2 else escape(part)
        for index, part in enumerate(parts)
    )


def _page(reports: Iterable[Report], others: bool, ladders: Ladders) -> Iterator[str]:
    yield (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        '<meta name="referrer" content="no-referrer">\n'
        f"<title>tunnelscope report</title>\n"
        f"<style>{_STYLE}{LADDER_STYLE}</style>\n</head>\n<body>\n"
    )
    for report in reports:
        yield "<main>\n"
        yield from _document(report, others, ladders)
        yield "</main>\n"
    yield f'<footer class="dim"><p>tunnelscope {escape(__version__)}</p></footer>\n'
    yield "</body>\n</html>\n"


def _document(report: Report, others: bool, ladders: Ladders) -> Iterator[str]:
    why = explanation(report)
    yield f"<h1>{_code(source_name(report))}</h1>\n"
    yield f'<p class="dim">{_text(source_line(report))}</p>\n'
    yield f"<p>{_text(why or flows_line(report))}</p>\n"
    grave = by_gravity([flow for flow in report.telling if needs_block(flow)])
    found = fine_flows(report, len(report.flows) if ladders else ROWS)
    drawn = [flow for flow in found if flow.uid in ladders]
    rows = [flow for flow in found if flow.uid not in ladders][:ROWS]
    fine = len(report.flows) - len(grave) - len(drawn)
    for flow in (*grave[:BLOCKS], *drawn):
        yield _block(flow, ladders.get(flow.uid) or rungs_of_steps(flow), report.names)
    if grave[BLOCKS:]:
        yield f"<h2>More flows with a problem or a warning ({count(len(grave) - BLOCKS)})</h2>\n"
        yield from _table(grave[BLOCKS:], report.names)
    if fine:
        yield f"<h2>Flows without a problem ({count(fine)})</h2>\n"
        yield from _table(rows, report.names, fine)
    if others and report.others:
        yield f"<h2>Other TCP flows ({count(len(report.others))})</h2>\n"
        yield from _table(report.others[:ROWS], report.names, len(report.others))
    if report.findings:
        yield "<h2>Capture</h2>\n"
        for finding in report.findings:
            name = finding.severity.value
            yield f'<section class="flow {name}">\n{_finding(finding)}</section>\n'
    lost = lost_line(report)
    if report.source.warnings or lost:
        yield "<h2>Capture warnings</h2>\n<ul>\n"
        for item in report.source.warnings:
            yield f"<li>{_code(item.code)} {_prose(item.message)}</li>\n"
        if lost:
            yield f"<li>{_text(lost)}</li>\n"
        yield "</ul>\n"


def _block(flow: FlowReport, rungs: Sequence[Rung], names: Mapping[str, str]) -> str:
    word, name = "ok", VERDICT_TITLES.get(flow.verdict, flow.verdict)
    if flow.severity and needs_block(flow):  # others have what is merely worth knowing
        word, name = flow.severity.value, title(flow)
    facts = [
        ("Client", _code(with_name(flow.client, names))),
        ("Proxy", _code(with_name(flow.proxy, names))),
        ("Target", _code(flow.target)),
        ("Verdict", _code(flow.verdict)),
    ]
    if flow.tls is not None and flow.tls.sni:
        facts.append(("SNI", _code(flow.tls.sni)))
    tried = attempts(flow)
    if tried:
        facts.append(("Tried", _text(tried)))
    facts.append(("Traffic", _text(", ".join(filter(None, (traffic(flow), retransmitted(flow)))))))
    rows = "".join(f"<dt>{label}</dt><dd>{value}</dd>\n" for label, value in facts)
    steps = "".join(_step(item) for item in strip(flow))
    findings = "".join(_finding(item) for item in flow.findings)
    ladder = ladder_svg(rungs, by_name(flow.client, names), by_name(flow.proxy, names))
    return (
        f'<section class="flow {word}" id="flow-{flow.id}">\n'
        f"<h2><b>{word.upper()}</b> {_text(name)} "
        f'<span class="dim">flow {flow.id}</span></h2>\n'
        f'<dl>\n{rows}</dl>\n<ol class="steps">\n{steps}</ol>\n'
        f"{ladder}{findings}</section>\n"
    )


def _step(item: StripStep) -> str:
    timed = item.elapsed_ms is not None and item.state in (StepState.DONE, StepState.FAILED)
    time = f" {milliseconds(item.elapsed_ms)}" if timed and item.elapsed_ms is not None else ""
    word = "seen" if item.label == "RST" and item.state is StepState.DONE else _WORDS[item.state]
    hint = f' title="packet {item.packet}"' if item.packet is not None else ""
    return f'<li class="{item.state.value}"{hint}>{escape(item.label)} {word}{escape(time)}</li>\n'


def _finding(finding: Finding) -> str:
    seen = _prose(finding.observation)
    if finding.packets and "#" not in finding.observation:
        seen += f' <span class="dim">({escape(packet_list(finding))})</span>'
    parts = [
        f"<h3>{_text(finding.title)} "
        f'<span class="dim">{finding.severity.value}, {_text(finding.rule)}</span></h3>\n',
    ]
    issue = known_issue(finding)
    if issue:
        parts.append(f"<p><b>Known issue:</b> {_text(issue)}</p>\n")
    parts.append(f"<p><b>Seen:</b> {seen}</p>\n")
    if finding.cause:
        parts.append(f"<p><b>Cause</b> ({finding.confidence.value}): {_prose(finding.cause)}</p>\n")
    if finding.raise_by:
        parts.append(f'<p class="dim">To be surer: {_prose(finding.raise_by)}</p>\n')
    if finding.next_steps:
        items = "".join(f"<li>{_prose(step)}</li>\n" for step in finding.next_steps)
        parts.append(f"<p><b>Next:</b></p>\n<ol>\n{items}</ol>\n")
    return "".join(parts)


def _table(flows: Sequence[FlowReport], names: Mapping[str, str], total: int = 0) -> Iterator[str]:
    """One row a flow; ``total``: how many there are, if more."""
    yield (
        '<div class="scroll"><table>\n<thead><tr><th class="n">#</th><th>client</th><th>proxy</th>'
        '<th>target</th><th class="n">status</th><th>verdict</th><th class="n">data</th>'
        '<th class="n">time</th></tr></thead>\n<tbody>\n'
    )
    for flow in flows:
        status = "" if flow.status is None else str(flow.status)
        data = size(flow.bytes_to_proxy + flow.bytes_to_client)
        client, proxy = with_name(flow.client, names), with_name(flow.proxy, names)
        yield (
            f'<tr><td class="n">{flow.id}</td><td>{_code(client)}</td>'
            f"<td>{_code(proxy)}</td><td>{_code(flow.target)}</td>"
            f'<td class="n">{status}</td><td>{_text(flow.verdict)}</td>'
            f'<td class="n">{escape(data)}</td>'
            f'<td class="n">{escape(duration(flow.duration_s))}</td></tr>\n'
        )
    yield "</tbody></table></div>\n"
    if total > len(flows):
        yield f"<p>and {plural(total - len(flows), 'more flow')}</p>\n"
