"""The text of the issue panel: what a flow's findings say, laid out in lines of one width.

Pure functions from report objects to lines; the widget only draws them and moves a cursor
over their *stops*: packets one can go to, and steps one can copy.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from rich.cells import cell_len

from capture.report.model import Finding, FlowReport, Severity, StepState
from capture.units import count, duration, milliseconds, size
from widgets.cells import cut, fit, safe, wrap
from widgets.glyphs import UNICODE, Glyphs
from widgets.steps import strip_steps
from widgets.waiting import wait_of

CODES: Final[Mapping[int, tuple[str, str]]] = {
    400: ("Bad Request", "wrong syntax"),
    401: ("Unauthorized", "missing or wrong credentials"),
    403: ("Forbidden", "access denied"),
    404: ("Not Found", "resource missing"),
    407: ("Proxy Authentication Required", "missing or wrong credentials for the proxy"),
    500: ("Internal Error", "server error"),
    502: ("Bad Gateway", "the proxy could not talk to the server"),
    503: ("Service Unavailable", "overload or maintenance"),
    504: ("Gateway Timeout", "time-out between servers"),
}
"""The error codes a proxy answers with, and what they mean."""

MAX_EVIDENCE: Final = 8
"""Packets listed of one finding; the others are counted."""

_COMMAND_WORDS: Final = (
    "cat|curl|dig|echo|ethtool|getent|grep|host|ip|iptables|journalctl|nc|netstat|nslookup|nstat"
    "|openssl|ping|ping6|ss|sudo|sysctl|systemctl|tail|tcpdump|tracepath|traceroute|tshark"
)
_BACKTICKS: Final = re.compile(r"`([^`]+)`")
_COMMAND: Final = re.compile(rf"(?:^|: )((?:{_COMMAND_WORDS}) \S.*)$")

Segments = tuple[tuple[str, str], ...]
Explain = Callable[[int], str]
"""Describes a packet, by number, in a few words."""


@dataclass(frozen=True, slots=True)
class PanelLine:
    """One line of the panel."""

    segments: Segments
    """(text, part) pairs; a part names a component class of ``LineList``."""
    evidence: int = 0
    """Number of the packet that the line stands for; 0 for none."""
    step: str = ""
    """Text to copy from this line."""


def step_pieces(step: str) -> list[tuple[str, bool]]:
    """Split a next step into words and commands, in order.

    Commands stand in backticks; a step without any may end in a bare one, that begins the
    step or follows a colon.

    Returns:
        (text, whether it is a command) pairs; punctuation that only joined them is gone.
    """
    parts = _BACKTICKS.split(step)
    if len(parts) == 1:
        command = _COMMAND.search(step)
        parts = [step] if command is None else [step[: command.start(1)], command[1]]
    pieces = []
    for place, part in enumerate(parts):
        is_command = place % 2 == 1
        text = part.strip() if is_command else part.strip(" " if len(parts) == 1 else " ,;.")
        if text:
            pieces.append((text, is_command))
    return pieces


def command_of(step: str) -> str | None:
    """The first command inside a next step."""
    return next((text for text, is_command in step_pieces(step) if is_command), None)


class PanelText:
    """Collects the lines of the panel."""

    def __init__(self, width: int, glyphs: Glyphs, explain: Explain | None = None) -> None:
        self.width = max(width, 8)
        self.glyphs = glyphs
        self.explain = explain
        self.lines: list[PanelLine] = []

    def clean(self, text: str) -> str:
        """Text as it may go to this terminal."""
        return safe(text, self.glyphs.done != UNICODE.done)

    def add(
        self, text: str, part: str = "", indent: int = 0, *, evidence: int = 0, step: str = ""
    ) -> None:
        """Add a text, wrapped by words; the stop, if any, is its first line."""
        for number, line in enumerate(wrap(self.clean(text), self.width - indent)):
            stop = (evidence, step) if not number else (0, "")
            self.lines.append(PanelLine(((" " * indent, ""), (line, part)), *stop))

    def blank(self) -> None:
        """Add an empty line, unless there is one or nothing yet."""
        if self.lines and self.lines[-1].segments:
            self.lines.append(PanelLine(()))

    def heading(self, text: str, right: str = "") -> None:
        """Add a section's name, with a remark at the right edge."""
        right = self.clean(right)
        left = fit(text, max(0, self.width - cell_len(right)), self.glyphs.ellipsis)
        self.lines.append(PanelLine(((left, "head"), (right, "dim"))))

    def title(self, severity: Severity | None, text: str) -> None:
        """Add a title behind the sign of its severity."""
        sign, part = severity_sign(severity, self.glyphs)
        for number, line in enumerate(wrap(self.clean(text), self.width - 2)):
            self.lines.append(PanelLine(((f"{' ' if number else sign} ", part), (line, part))))

    # A finding

    def finding(self, finding: Finding) -> None:
        """Add a finding: title, what was seen, its cause, what to do next."""
        self.blank()
        self.title(finding.severity, finding.title)
        if finding.severity is not Severity.INFO and finding.issue_name not in ("", finding.title):
            self.add(finding.issue_name, "dim", 2)
        if finding.code in CODES:
            self.add(code_line(finding.code or 0), "", 2)
        self.heading("Seen")
        self.add(finding.observation, "", 1)
        self.evidence(finding.packets)
        if finding.cause:
            self.heading("Cause", finding.confidence.value)
            self.add(finding.cause, "", 1)
            if finding.raise_by:
                self.add(f"To be surer: {finding.raise_by}", "dim", 1)
        if finding.next_steps:
            self.heading("Next")
            for number, step in enumerate(finding.next_steps, 1):
                self.next_step(number, step)

    def evidence(self, packets: Sequence[int]) -> None:
        """Add a line for each packet that a finding rests on."""
        for number in packets[:MAX_EVIDENCE]:
            words = self.clean(self.explain(number)) if self.explain else ""
            label = f"#{number}"
            line = cut(f"{label}  {words}".rstrip(), self.width - 3, self.glyphs.ellipsis)
            segments = (("  ", ""), (line[: len(label)], "accent"), (line[len(label) :], "dim"))
            self.lines.append(PanelLine(segments, evidence=number))
        if len(packets) > MAX_EVIDENCE:
            self.add(f"and {len(packets) - MAX_EVIDENCE} more packets", "dim", 2)

    def next_step(self, number: int, step: str) -> None:
        """Add a numbered step; each command in it stands on lines of its own."""
        pieces = step_pieces(step)
        alone = not any(is_command for _, is_command in pieces)
        prefix = f"{number} "
        for text, is_command in pieces:
            self._hang(
                text,
                "accent" if is_command else "",
                prefix,
                step=text if is_command or alone else "",
            )
            prefix = " " * len(prefix)

    def _hang(self, text: str, part: str, prefix: str, step: str = "") -> None:
        """Add a text with a prefix before its first line and blanks before the others."""
        indent = len(prefix) + 1
        for number, line in enumerate(wrap(self.clean(text), self.width - indent)):
            lead = f" {prefix}" if not number else " " * indent
            stop = "" if number else step
            self.lines.append(PanelLine(((lead, "dim"), (line, part)), step=stop))

    # The code table

    def codes(self, lit: int | None) -> None:
        """Add the table of codes with one of them marked, and its meaning."""
        self.blank()
        self.heading("Codes")
        segments: list[tuple[str, str]] = [("", "")]
        used = 0
        for code in CODES:
            mark = self.glyphs.cursor if code == lit else " "
            if used and used + 5 > self.width:
                self.lines.append(PanelLine(tuple(segments)))
                segments, used = [("", "")], 0
            segments.append((f"{mark}{code} ", "failed" if code == lit else "dim"))
            used += 5
        self.lines.append(PanelLine(tuple(segments)))
        if lit in CODES:
            self.add(code_line(lit or 0), "", 1)


def severity_sign(severity: Severity | None, glyphs: Glyphs) -> tuple[str, str]:
    """Sign and part of a severity; none means healthy."""
    if severity is Severity.PROBLEM:
        return glyphs.failed, "failed"
    if severity is Severity.WARNING:
        return glyphs.warning, "warning"
    if severity is Severity.INFO:
        return glyphs.info, "accent"
    return glyphs.done, "done"


def code_line(code: int) -> str:
    """``403 Forbidden: access denied``."""
    phrase, meaning = CODES[code]
    return f"{code} {phrase}: {meaning}"


def panel_lines(
    flow: FlowReport | None,
    capture_findings: Iterable[Finding],
    width: int,
    glyphs: Glyphs,
    explain: Explain | None = None,
    clock_ns: int | None = None,
) -> tuple[PanelLine, ...]:
    """Lay out the panel.

    Args:
        flow: The selected flow, if any.
        capture_findings: Findings about the capture as a whole.
        width: Cells of a line.
        glyphs: Signs to draw with.
        explain: Words for a packet of the evidence.
        clock_ns: The moment a live capture has got to: what is waited for shows its age.
    """
    text = PanelText(width, glyphs, explain)
    capture_findings = tuple(capture_findings)
    if flow is not None:
        _flow(text, flow, clock_ns)
    elif not capture_findings:
        text.add("No tunnel selected", "dim")
    if capture_findings:
        if flow is not None:
            text.blank()
            text.heading("The capture")
        for finding in capture_findings:
            text.finding(finding)
    return tuple(text.lines)


def _flow(text: PanelText, flow: FlowReport, clock_ns: int | None) -> None:
    grave = [item for item in flow.findings if item.severity is not Severity.INFO]
    if not grave:
        words = waiting_words(flow, clock_ns)
        if words:
            text.add(f"{text.glyphs.pending} {words}", "warning")
            text.add("no problem found so far", "dim", 2)
        else:
            text.title(None, "No problem found")
        _latencies(text, flow)
    for place, finding in enumerate(flow.findings):
        text.finding(finding)
        if not place and grave and _has_error(flow):
            text.codes(flow.status)
    if grave and flow.notes:
        _not_seen(text, flow)


def waiting_words(flow: FlowReport, clock_ns: int | None) -> str:
    """``Waiting for the proxy's reply, 4.2 s``; empty where nothing is waited for."""
    wait = wait_of(flow, clock_ns)
    return f"Waiting for {wait.what}, {wait.age}" if wait is not None and wait.hopeful else ""


def _has_error(flow: FlowReport) -> bool:
    return flow.status is not None and flow.status >= 400


_WAITS: Final = {
    "SYN": "TCP handshake",
    "200": "Request to reply",
    "TLS": "ClientHello to answer",
}
"""Steps whose time says how the network or a peer did."""


def latencies(flow: FlowReport) -> list[tuple[str, float]]:
    """The waits of a flow that went well, each with its milliseconds."""
    return [
        (_WAITS[step.key], step.elapsed_ms)
        for step in strip_steps(flow)
        if step.key in _WAITS and step.elapsed_ms is not None and step.state is StepState.DONE
    ]


def _latencies(text: PanelText, flow: FlowReport) -> None:
    """A healthy flow: its waits, what it carried, and what could not be seen."""
    text.blank()
    text.heading("Latency")
    rows = [(name, _exact(value)) for name, value in latencies(flow)]
    _table(text, rows or [("no step was timed", "")])
    text.blank()
    text.heading("Carried")
    retransmissions = flow.retransmissions_to_proxy + flow.retransmissions_to_client
    rows = [
        ("to the proxy", size(flow.bytes_to_proxy)),
        ("to the client", size(flow.bytes_to_client)),
        ("duration", duration(flow.duration_s)),
        ("packets", count(flow.packets)),
        ("retransmissions", count(retransmissions)),
    ]
    if flow.tls is not None and flow.tls.version:
        rows.append(("TLS", flow.tls.version))
    _table(text, rows)
    _not_seen(text, flow)


def _exact(value_ms: float) -> str:
    """Milliseconds to the microsecond: this is where they are looked up."""
    return f"{value_ms:.3f} ms" if value_ms < 10_000 else milliseconds(value_ms)


def _not_seen(text: PanelText, flow: FlowReport) -> None:
    if flow.notes:
        text.blank()
        text.heading("Could not be seen")
        for note in flow.notes:
            text._hang(note, "", text.glyphs.bullet + " ")


def _table(text: PanelText, rows: Sequence[tuple[str, str]]) -> None:
    """Name and value a line, values aligned to the right."""
    width = min(text.width - 2, 40)
    for name, value in rows:
        value = text.clean(value)
        left = fit(text.clean(name), width - cell_len(value) - 1, text.glyphs.ellipsis)
        text.lines.append(PanelLine(((" ", ""), (f"{left} ", ""), (value, "strong"))))


def compact_lines(
    flow: FlowReport | None,
    capture_findings: Iterable[Finding],
    width: int,
    glyphs: Glyphs,
    clock_ns: int | None = None,
) -> tuple[PanelLine, PanelLine]:
    """The panel folded to two lines: what it is, and why or what next."""
    text = PanelText(width, glyphs)
    separator = f" {glyphs.separator} "
    findings = flow.findings if flow is not None else tuple(capture_findings)
    grave = [item for item in findings if item.severity is not Severity.INFO]
    if grave:
        first = grave[0]
        sign, part = severity_sign(first.severity, glyphs)
        head = [first.title]
        if first.code in CODES:
            head.append(code_line(first.code or 0))
        if len(grave) > 1:
            head.append(f"+{len(grave) - 1} more")
        second = f"{first.confidence.value}: {first.cause}" if first.cause else first.observation
    elif flow is not None:
        sign, part = severity_sign(None, glyphs)
        waits = [f"{name} {milliseconds(value)}" for name, value in latencies(flow)]
        words = waiting_words(flow, clock_ns)
        if words:
            sign, part = glyphs.pending, "warning"
        head = [words or "No problem found", *waits]
        second = f"Could not be seen: {'; '.join(flow.notes)}" if flow.notes else ""
    else:
        sign, part, head, second = " ", "dim", ["No tunnel selected"], ""
    room = text.width - 2
    first_line = cut(text.clean(separator.join(head)), room, glyphs.ellipsis)
    second_line = cut(text.clean(second), room, glyphs.ellipsis)
    return (
        PanelLine(((f"{sign} ", part), (first_line, part))),
        PanelLine((("  ", ""), (second_line, ""))),
    )
