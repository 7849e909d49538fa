"""The columns of the list of tunnels: how wide, what they say, what they sort by."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from operator import attrgetter
from typing import Any, Final

from capture.report.model import FlowReport, Severity
from capture.units import count, duration, milliseconds, size, time_of_day
from widgets.columns import Column
from widgets.steps import STEP_KEYS

__all__ = [
    "CHOSEN_ONLY",
    "COLUMNS",
    "CONTENT",
    "EXPLAINED",
    "FAILING_FIRST",
    "LARGEST_FIRST",
    "MEASURED",
    "NAMED_LIMIT",
    "SORTED_BY",
    "STEPS_WIDTH",
    "STEP_CELL",
    "arranged",
    "check_columns",
    "sni",
]

STEP_CELL: Final = 3
STEPS_WIDTH: Final = len(STEP_KEYS) * (STEP_CELL + 1)
"""Each step with the blank after it; the sort sign stands in the last one."""

COLUMNS: Final = (
    Column("mark", "", 1, 1, 0, pinned=True),
    Column("id", "#", 1, 3, 1, right=True, pinned=True),
    Column("client", "client", 12, 21, 4),
    Column("proxy", "proxy", 12, 21, 6),
    Column("target", "target", 8, 30, 2, pinned=True),
    Column("steps", "", STEPS_WIDTH, STEPS_WIDTH, 3, pinned=True),
    Column("verdict", "verdict", 10, 20, 5),
    Column("duration", "duration", 8, 11, 7, right=True),
    Column("bytes", "bytes", 7, 8, 8, right=True),
    Column("rtt", "RTT", 7, 8, 9, right=True),
    Column("retrans", "retr", 4, 5, 10, right=True),
    Column("packets", "packets", 7, 7, 11, right=True),
    Column("sni", "SNI", 12, 30, 12),
    Column("start", "start", 8, 15, 13),
    Column("delay", "reply in", 8, 8, 14, right=True),
    Column("status", "status", 6, 6, 15, right=True),
    Column("tls", "TLS", 7, 7, 16),
    Column("ended", "ended", 10, 10, 17),
    Column("rule", "rule", 10, 24, 18),
)
"""In screen order; at 80 cells the first six fit."""

CHOSEN_ONLY: Final = frozenset({"start", "delay", "status", "tls", "ended", "rule"})
"""Columns that are shown to those who ask for them."""

EXPLAINED: Final = {
    "id": "number, in order of the first packet",
    "client": "address (or name) and port of the client",
    "proxy": "address (or name) and port of the proxy",
    "target": "host and port asked for",
    "steps": "SYN to FIN; sorted by it, the failing come first",
    "verdict": "what became of the tunnel",
    "duration": "first packet to last",
    "bytes": "payload both ways",
    "rtt": "round trip of the TCP handshake",
    "retrans": "segments sent again, both ways",
    "packets": "both ways",
    "sni": "name in the ClientHello",
    "start": "time of the first packet",
    "delay": "request to reply",
    "status": "code of the final reply",
    "tls": "version as negotiated",
    "ended": "who closed first, and how",
    "rule": "rule of the gravest finding",
}
"""Each column in a few words."""

FAILING_FIRST: Final = "steps"
"""The column that sorts by gravity: failing, warning, the rest."""

LARGEST_FIRST: Final = frozenset(
    {"duration", "bytes", "rtt", "retrans", "packets", "delay", "status"}
)
"""Columns of which the large values are what one looks for."""

_ENDPOINT_LIMIT: Final = 47
"""Longest ``[IPv6]:port``."""
NAMED_LIMIT: Final = 26
"""Widest ``name:port`` that a column is made for: of a long name the first label tells most."""
_NAME_LIMIT: Final = 60
_WORD_LIMIT: Final = 24


def sni(flow: FlowReport) -> str:
    """The name in the ClientHello; empty when there was none."""
    return (flow.tls.sni or "") if flow.tls else ""


def _tls(flow: FlowReport) -> str:
    return (flow.tls.version or "") if flow.tls else ""


def _rule(flow: FlowReport) -> str:
    return flow.findings[0].rule if flow.findings else ""


def _delay(flow: FlowReport) -> float | None:
    """From the last request that was answered to its reply, in ms."""
    delays = [item.delay_ms for item in flow.attempts if item.delay_ms is not None]
    return delays[-1] if delays else None


def _retransmissions(flow: FlowReport) -> int:
    return flow.retransmissions_to_proxy + flow.retransmissions_to_client


def _bytes(flow: FlowReport) -> int:
    return flow.bytes_to_proxy + flow.bytes_to_client


def _gravity(flow: FlowReport) -> int:
    """0 for a failing flow, rising with health."""
    if not flow.findings:
        return 3
    severity = flow.findings[0].severity
    return 0 if severity is Severity.PROBLEM else 1 if severity is Severity.WARNING else 2


_id = attrgetter("id")
_client = attrgetter("client")
_proxy = attrgetter("proxy")
_target = attrgetter("target")
_verdict = attrgetter("verdict")

SORTED_BY: Final[dict[str, Callable[[FlowReport], Any]]] = {
    "id": _id,
    "client": _client,
    "proxy": _proxy,
    "target": _target,
    "steps": _gravity,
    "verdict": _verdict,
    "duration": attrgetter("duration_s"),
    "bytes": _bytes,
    "rtt": attrgetter("rtt_ms"),
    "retrans": _retransmissions,
    "packets": attrgetter("packets"),
    "sni": lambda flow: sni(flow) or None,
    "start": attrgetter("start_ns"),
    "delay": _delay,
    "status": attrgetter("status"),
    "tls": lambda flow: _tls(flow) or None,
    "ended": attrgetter("ended"),
    "rule": lambda flow: _rule(flow) or None,
}
"""What each column sorts by; None is nothing to sort by, and comes last either way."""

CONTENT: Final[dict[str, Callable[[FlowReport], str]]] = {
    "id": lambda flow: str(flow.id),
    "verdict": _verdict,
    "duration": lambda flow: duration(flow.duration_s),
    "bytes": lambda flow: size(_bytes(flow)),
    "rtt": lambda flow: "" if flow.rtt_ms is None else milliseconds(flow.rtt_ms),
    "retrans": lambda flow: count(_retransmissions(flow)),
    "packets": lambda flow: count(flow.packets),
    "sni": sni,
    "start": lambda flow: time_of_day(flow.start_ns),
    "delay": lambda flow: "" if (ms := _delay(flow)) is None else milliseconds(ms),
    "status": lambda flow: "" if flow.status is None else str(flow.status),
    "tls": _tls,
    "ended": attrgetter("ended"),
    "rule": _rule,
}
"""What the plain columns say."""

MEASURED: Final[tuple[tuple[str, Callable[[Sequence[FlowReport]], Iterable[str]], int], ...]] = (
    ("id", lambda flows: [str(max(map(_id, flows), default=0))], 9),
    ("client", lambda flows: map(_client, flows), _ENDPOINT_LIMIT),
    ("proxy", lambda flows: set(map(_proxy, flows)), _ENDPOINT_LIMIT),
    ("target", lambda flows: filter(None, map(_target, flows)), _NAME_LIMIT),
    ("sni", lambda flows: [tls.sni for flow in flows if (tls := flow.tls) and tls.sni],
     _NAME_LIMIT),
    ("verdict", lambda flows: set(map(_verdict, flows)), _WORD_LIMIT),
    ("rule", lambda flows: {flow.findings[0].rule for flow in flows if flow.findings},
     _WORD_LIMIT),
)  # fmt: skip
"""Columns whose width follows their content, up to a limit: the texts of some flows, without a
call of ours for each of them. A seek changes fifty thousand."""

_BY_KEY: Final = {column.key: column for column in COLUMNS}


def check_columns(keys: Iterable[str]) -> tuple[str, ...]:
    """Keys of columns that can be chosen, each once.

    Raises:
        ValueError: There is no such column; names those that there are.
    """
    known = [key for key in _BY_KEY if key != "mark"]
    chosen = tuple(dict.fromkeys(keys))
    for key in chosen:
        if key not in known:
            raise ValueError(f"no such column: {key} (there are {', '.join(known)})")
    return chosen


def arranged(chosen: Sequence[str], sort: str) -> tuple[Column, ...]:
    """The columns to place on a line, in screen order.

    Args:
        chosen: Keys of those that the user wants to see, the most wanted first; empty: as
            they come.
        sort: Key of the column that decides the order: it is seen, whatever the width.
    """
    wanted = list(chosen)
    if sort not in wanted and not _BY_KEY[sort].pinned:
        wanted.insert(0, sort)
    ranks = {key: rank for rank, key in enumerate(wanted)}
    columns = []
    for column in COLUMNS:
        rank = ranks.get(column.key)
        if rank is not None and not column.pinned:
            # Right behind number, target and steps; pinned columns have a place before any
            # column gets more than it needs.
            columns.append(replace(column, priority=3.5 + rank / 100, pinned=True))
        elif column.pinned or not (chosen or column.key in CHOSEN_ONLY):
            columns.append(column)
    return tuple(columns)
