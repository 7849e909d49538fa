"""The report: immutable objects that every output, screen and test rests on.

They mirror the JSON contract (schema 1) field by field; ``None`` is absent knowledge,
never a guess. Times are ns since the epoch inside and RFC 3339 or seconds at the edges.
Text in here is safe to print: control characters are gone and credentials masked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from enum import StrEnum
from typing import Final

from capture.record import record

SCHEMA: Final = 1


class Severity(StrEnum):
    """How grave a finding is; ordered by ``rank``."""

    INFO = "info"
    WARNING = "warning"
    PROBLEM = "problem"

    @property
    def rank(self) -> int:
        return ("info", "warning", "problem").index(self.value)


class Confidence(StrEnum):
    """How sure a cause is."""

    CERTAIN = "certain"
    LIKELY = "likely"
    POSSIBLE = "possible"


class StepState(StrEnum):
    """State of one step of a tunnel."""

    DONE = "done"
    FAILED = "failed"
    MISSING = "missing"
    PENDING = "pending"


STEP_NAMES: Final = (
    "syn", "syn_ack", "ack", "connect", "response", "client_hello", "server_hello", "data", "close",
)  # fmt: skip

VERDICTS: Final = (
    "ok", "auth_ok", "auth_required", "acl_denied", "bad_request", "not_found", "server_error",
    "bad_gateway", "service_unavailable", "gateway_timeout", "captive_redirect", "proxy_refused",
    "proxy_unreachable", "connect_no_reply", "tunnel_closed_early", "tls_stall",
    "tls_untrusted_ca", "tls_cert_expired", "tls_version", "tls_to_plain_proxy",
    "transfer_stalled", "transfer_reset", "mtu_blackhole", "mtu_rst", "plain_http",
)  # fmt: skip


@record
class Finding:
    """One judgement: what the packets show, what it means, how sure, what next."""

    rule: str
    """Kebab-case id in the catalogue: ``acl-deny``."""
    severity: Severity
    title: str
    observation: str
    """Only what the packets show, with packet numbers as ``#8``."""
    cause: str
    confidence: Confidence
    packets: tuple[int, ...]
    next_steps: tuple[str, ...]
    issue: str
    """Known issue of the catalogue it belongs to (``proxy-acl``); may be empty."""
    code: int | None = None
    """HTTP status or TLS alert that it rests on."""
    verdict: str | None = None
    """Verdict it would give the flow; None for findings that give none (not serialised)."""
    raise_by: str = ""
    """What would raise the confidence; empty where the cause is certain (not serialised; shown
    beside the cause)."""
    issue_name: str = ""
    """The known issue in words, ``Proxy ACL restriction`` (not serialised)."""
    symptom: str = ""
    """What the user's own program will have said: ``curl: (56) …`` (not serialised)."""


@record
class Attempt:
    """One request and what became of it."""

    method: str
    target: str
    status: int | None
    reason: str | None
    request_packet: int | None
    response_packet: int | None
    delay_ms: float | None
    """First byte of the request to first byte of the reply."""


@record
class TlsReport:
    """What the handshake inside the tunnel (or on the bare flow) showed."""

    sni: str | None
    version: str | None
    cipher: str | None
    alpn: tuple[str, ...]
    """Offered by the client; the chosen one first where visible."""
    server_hello: bool
    alert_code: int | None = None
    alert_name: str | None = None
    alert_from: str | None = None
    certificate_subject: str | None = None
    certificate_issuer: str | None = None
    certificate_not_after: str | None = None
    offered_versions: tuple[str, ...] = ()
    """Not serialised."""
    sni_seen: bool = True
    """False: the capture ends before the place of a server name, so that none means nothing.
    Not serialised."""


@record
class Step:
    """One step of a tunnel."""

    name: str
    """One of ``STEP_NAMES``."""
    state: StepState
    packet: int | None = None
    time_s: float | None = None
    """Since the flow's first packet."""
    elapsed_ms: float | None = None
    """Since the step before (reply: since its request)."""
    detail: str = ""


@record
class FlowReport:
    """One tunnel (or plain request flow) as the outside sees it."""

    id: int
    uid: int
    """The tracker's flow number (``FlowFacts.id``); links to packets, not serialised."""
    client: str
    proxy: str
    kind: str
    """``tunnel``, ``plain``, ``unknown``; with ``--all`` also ``other``."""
    target: str | None
    status: int | None
    reason: str | None
    attempts: tuple[Attempt, ...]
    tls: TlsReport | None
    steps: tuple[Step, ...]
    packets: int
    bytes_to_proxy: int
    bytes_to_client: int
    retransmissions_to_proxy: int
    retransmissions_to_client: int
    rtt_ms: float | None
    start_ns: int
    duration_s: float
    ended: str
    closes: tuple[str, ...]
    verdict: str
    findings: tuple[Finding, ...]
    """Gravest first."""
    notes: tuple[str, ...] = ()
    """What could not be seen (``certificate: encrypted in TLS 1.3``); not serialised."""
    rev: int = 0
    """Raised whenever the report changes (live); not serialised."""

    @property
    def severity(self) -> Severity | None:
        """Of the gravest finding; None when there is none."""
        return self.findings[0].severity if self.findings else None

    @property
    def failing(self) -> bool:
        return self.severity is Severity.PROBLEM


@record
class Warning:
    """Something about the input that a reader must know."""

    code: str
    message: str


@record
class SourceReport:
    """The capture that was read."""

    path: str
    format: str
    link_types: tuple[str, ...]
    packets: int
    bytes: int
    first_ns: int | None
    last_ns: int | None
    lost_kernel: int | None = None
    lost_queue: int | None = None
    warnings: tuple[Warning, ...] = ()

    @property
    def duration_s(self) -> float:
        if self.first_ns is None or self.last_ns is None:
            return 0.0
        return max(0, self.last_ns - self.first_ns) / 1e9


class Table:
    """The rows of a report whose flows were not kept, as text.

    Attributes:
        lines: The cells of each row but the first, as CSV.
        gravest: Rank of the gravest finding of all rows; -1 without one.
    """

    __slots__ = ("gravest", "lines")

    def __init__(self, lines: list[str], gravest: int) -> None:
        self.lines = lines
        self.gravest = gravest


@record
class Report:
    """Everything ``check`` says of one capture."""

    source: SourceReport
    flows: Sequence[FlowReport]
    """In order of first packet; a tuple, or a sequence that makes healthy ones when asked."""
    other_flows: int
    """TCP flows that are not to a proxy."""
    findings: tuple[Finding, ...] = ()
    """About the capture as a whole."""
    not_understood: tuple[tuple[str, int], ...] = ()
    """Frames that were not decoded, by reason; explains an empty report."""
    others: tuple[FlowReport, ...] = field(default=())
    """The other flows, kept only when asked for (``--all``)."""

    names: Mapping[str, str] = field(default_factory=dict)
    """Names of hosts by address, as far as they are known and wanted."""
    made: Sequence[FlowReport] | None = None
    """The flows that may have a finding, where ``flows`` makes the others when asked."""
    table: Table | None = None
    """The rows, where only a table was asked for and no flow was kept: ``flows`` is empty."""

    @property
    def telling(self) -> Sequence[FlowReport]:
        """The flows that may have a finding: all others are healthy."""
        return self.flows if self.made is None else self.made

    @property
    def gravest(self) -> int:
        """Rank of the gravest finding of the capture and of its flows; -1 without one."""
        ranks = [finding.severity.rank for finding in self.findings]
        ranks += [flow.findings[0].severity.rank for flow in self.telling if flow.findings]
        return max([*ranks, self.table.gravest if self.table else -1])

    @property
    def failing(self) -> int:
        # As ``FlowReport.failing``, at a tenth of its cost: a replay asks for fifty thousand
        # flows several times a second.
        worst = Severity.PROBLEM
        return sum([flow.findings[0].severity is worst for flow in self.telling if flow.findings])
