"""CSV: one row a flow, made for spreadsheets, ``cut`` and ``awk``.

Rows are made with one format expression each: 50,000 flows take a few hundredths of a
second a column less than through ``csv.writer``. The tests read them back with ``csv``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Final

from capture.report.model import FlowReport, Report
from capture.report.redact import safe
from capture.report.times import rfc3339

COLUMNS: Final = (
    "id", "client", "proxy", "target", "kind", "status", "reason", "sni", "tls_version", "verdict",
    "rules", "ended", "start_time", "duration_s", "packets", "bytes_to_proxy", "bytes_to_client",
    "retransmissions", "rtt_ms", "connect_delay_ms",
)  # fmt: skip

_FORMULA: Final = frozenset("=+-@\t\r\uff1d\uff0b\uff0d\uff20")
"""What makes a spreadsheet run a cell (OWASP, CSV injection), the full-width forms too."""

_is_address = re.compile(r"[0-9.]+:[0-9]+|\[[0-9a-f:.]+\]:[0-9]+").fullmatch
"""An address with its port needs no further look; every client is a different one."""

_ROWS: Final = 1000


def csv_chunks(reports: Iterable[Report], *, many: bool, others: bool = False) -> Iterator[str]:
    """Yield the table; with several files (``many``) each row ends in its ``file``."""
    yield ",".join(COLUMNS) + (",file\n" if many else "\n")
    for report in reports:
        end = f",{cell(report.source.path)}\n" if many else "\n"
        timed = report.source.first_ns is not None
        flows = (*report.flows, *report.others) if others else report.flows
        for start in range(0, len(flows), _ROWS):
            yield "".join([_row(flow, timed, end) for flow in flows[start : start + _ROWS]])


def _row(flow: FlowReport, timed: bool, end: str) -> str:
    tls, client, proxy = flow.tls, flow.client, flow.proxy
    attempts = flow.attempts
    status, rtt = flow.status, flow.rtt_ms
    delay = attempts[-1].delay_ms if attempts else None
    rules = " ".join([item.rule for item in flow.findings]) if flow.findings else ""
    return (
        f"{flow.id},{client if _is_address(client) else cell(client)},"
        f"{proxy if _is_address(proxy) else cell(proxy)},{cell(flow.target)},{flow.kind},"
        f"{'' if status is None else status},{cell(flow.reason)},"
        f"{cell(tls.sni) if tls else ''},{cell(tls.version) if tls else ''},{flow.verdict},"
        f"{cell(rules)},{flow.ended},{rfc3339(flow.start_ns) if timed else ''},"
        f"{flow.duration_s},{flow.packets},{flow.bytes_to_proxy},{flow.bytes_to_client},"
        f"{flow.retransmissions_to_proxy + flow.retransmissions_to_client},"
        f"{'' if rtt is None else rtt},{'' if delay is None else delay}{end}"
    )


@lru_cache(maxsize=8192)
def cell(text: str | None) -> str:
    """One text cell: printable, quoted where CSV needs it (RFC 4180), and never a formula.

    A cell that a spreadsheet would run gets an apostrophe in front, which spreadsheets
    take for "this is text".
    """
    if not text:
        return ""
    text = safe(text)
    if text.lstrip(" \"'")[:1] in _FORMULA and text.strip(" \"'"):
        text = "'" + text
    if "," in text or '"' in text or text[0] in " '" or text[-1] == " ":
        return '"' + text.replace('"', '""') + '"'
    return text
