"""CSV: one row a flow, made for spreadsheets, ``cut`` and ``awk``.

Rows are made with one format expression each: 50,000 flows take a few hundredths of a
second a column less than through ``csv.writer``. The tests read them back with ``csv``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import islice
from typing import Any, Final

from capture.report.model import FlowReport, Report
from capture.report.redact import safe
from capture.report.table import HasRows, TableRow, table_row
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

_WORDS: Final = frozenset({"kind", "verdict", "ended"})
"""Fields that hold one of few words each."""

_ROWS: Final = 1000


def csv_chunks(reports: Iterable[Report], *, many: bool, others: bool = False) -> Iterator[str]:
    """Yield the table; with several files (``many``) each row ends in its ``file``."""
    yield ",".join(COLUMNS) + (",file\n" if many else "\n")
    for report in reports:
        end = f",{cell(report.source.path)}\n" if many else "\n"
        timed = report.source.first_ns is not None
        for flows in (report.flows, report.others if others else ()):
            rows = _rows(flows)
            while chunk := "".join([_line(row, timed, end) for row in islice(rows, _ROWS)]):
                yield chunk
        if report.table is not None:
            numbered = enumerate(report.table.lines, 1)
            while chunk := "".join([f"{id},{line}{end}" for id, line in islice(numbered, _ROWS)]):
                yield chunk


def _rows(flows: Sequence[FlowReport]) -> Iterator[TableRow]:
    return flows.rows() if isinstance(flows, HasRows) else map(table_row, flows)


def _line(row: TableRow, timed: bool, end: str) -> str:
    return f"{row.id},{line_of(row, timed)}{end}"


def line_of(row: TableRow, timed: bool) -> str:
    """A row without its number: a line of a ``Table``."""
    (_, client, proxy, target, kind, status, reason, sni, version, verdict, rules, ended,
     start_ns, duration_s, packets, up, down, resent, rtt, delay) = row  # fmt: skip
    return (
        f"{client if _is_address(client) else cell(client)},"
        f"{proxy if _is_address(proxy) else cell(proxy)},{cell(target)},{kind},"
        f"{'' if status is None else status},{cell(reason)},"
        f"{cell(sni)},{cell(version)},{verdict},"
        f"{cell(rules)},{ended},{rfc3339(start_ns) if timed else ''},"
        f"{duration_s!r},{packets},{up},{down},{resent},"  # formatting a float takes longer
        f"{'' if rtt is None else repr(rtt)},{'' if delay is None else repr(delay)}"
    )


def cells(name: str, values: Iterable[Any], timed: bool) -> Iterator[str]:
    """The cells of a column: each as in ``line_of``.

    Args:
        name: The field of ``TableRow``.
        values: Of so many rows.
        timed: The capture has times.
    """
    if name in ("client", "proxy"):
        return (text if _is_address(text) else cell(text) for text in values)
    if name in ("target", "reason", "sni", "tls_version", "rules"):
        return map(cell, values)
    if name == "start_ns":
        return (f"{rfc3339(time_ns)}" if timed else "" for time_ns in values)
    if name in _WORDS:
        return iter(values)
    return ("" if value is None else repr(value) for value in values)


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
