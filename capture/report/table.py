"""A flow as one row of a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

from capture.report.model import Finding, FlowReport


class TableRow(NamedTuple):
    """The cells of a row, in the order of the CSV's columns; ``None`` is an empty cell."""

    id: int
    client: str
    proxy: str
    target: str | None
    kind: str
    status: int | None
    reason: str | None
    sni: str | None
    tls_version: str | None
    verdict: str
    rules: str
    ended: str
    start_ns: int
    duration_s: float
    packets: int
    bytes_to_proxy: int
    bytes_to_client: int
    retransmissions: int
    rtt_ms: float | None
    connect_delay_ms: float | None


@runtime_checkable
class HasRows(Protocol):
    """A sequence of flows that knows a shorter way to its rows than by reports."""

    def rows(self) -> Iterator[TableRow]:
        """One row a flow, in order."""
        ...


def table_row(flow: FlowReport) -> TableRow:
    """The row of a report."""
    tls, attempts = flow.tls, flow.attempts
    return TableRow(
        flow.id, flow.client, flow.proxy, flow.target, flow.kind, flow.status, flow.reason,
        tls.sni if tls else None, tls.version if tls else None, flow.verdict,
        rules_of(flow.findings),
        flow.ended, flow.start_ns, flow.duration_s, flow.packets, flow.bytes_to_proxy,
        flow.bytes_to_client, flow.retransmissions_to_proxy + flow.retransmissions_to_client,
        flow.rtt_ms, attempts[-1].delay_ms if attempts else None,
    )  # fmt: skip


def rules_of(findings: Sequence[Finding]) -> str:
    """The cell that tells what was found."""
    return " ".join([item.rule for item in findings]) if findings else ""
