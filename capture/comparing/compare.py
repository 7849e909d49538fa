"""Two tunnels side by side: the same steps, what differs, and where they first part ways.

A pure function of facts. What always differs between two connections (ports, times, sizes)
is shown and not marked; a difference is marked by how much it can explain.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import IntEnum
from heapq import nlargest
from typing import Final, NamedTuple

from capture.comparing.tls import tls_rows
from capture.facts import CLIENT, PROXY, SENDERS, Direction, Exchange, FlowFacts, Mark
from capture.protocols.events import Headers
from capture.record import record
from capture.report.model import FlowReport, Step, StepState
from capture.report.steps import HEALTHY
from capture.units import duration, milliseconds, octets, plural

__all__ = ["CompareRow", "Comparison", "Gravity", "Subject", "compare", "partners"]

ABSENT: Final = "-"
"""Stands for what a tunnel does not have."""

_STEP_WORDS: Final = {
    "syn": "SYN", "syn_ack": "SYN-ACK", "ack": "ACK", "connect": "request", "response": "reply",
    "client_hello": "ClientHello", "server_hello": "ServerHello", "data": "data", "close": "close",
}  # fmt: skip
_CLOSES: Final = {
    "client_fin": "FIN of the client", "proxy_fin": "FIN of the proxy",
    "client_rst": "RST of the client", "proxy_rst": "RST of the proxy",
}  # fmt: skip
_VOLATILE: Final = frozenset(
    ("date", "age", "content-length", "expires", "last-modified", "etag", "x-request-id",
     "x-correlation-id", "set-cookie", "cookie", "traceparent", "x-amz-cf-id", "cf-ray")
)  # fmt: skip
"""Fields that differ between any two messages."""
_TELLING: Final = frozenset(("server", "via", "proxy-agent", "proxy-status", "x-squid-error"))
"""Fields of a reply that say who answered, or why."""
_INITIAL_TTLS: Final = (32, 64, 128, 255)
"""What systems start with: the next above a received one tells which kind has sent it."""

SLOWER: Final = 3.0
SLOWER_S: Final = 0.02
"""Below these (ratio and difference) two times are as good as equal."""
MUCH_SLOWER: Final = 5.0
MUCH_SLOWER_S: Final = 0.5
LOSSY: Final = 0.01
"""Share of retransmissions from which a path is bad enough to explain something."""


class Gravity(IntEnum):
    """How much a difference can explain."""

    SAME = 0
    """No difference, or one that any two connections have."""
    MINOR = 1
    NOTABLE = 2
    GRAVE = 3
    """A step that one of them took and the other did not."""


class CompareRow(NamedTuple):
    """One thing of both tunnels."""

    step: str
    """Part of the tunnel's life it belongs to: ``SYN``, ``reply``, ``TLS`` …"""
    name: str
    left: str
    right: str
    gravity: Gravity = Gravity.SAME

    @property
    def differs(self) -> bool:
        """Whether the difference is worth a mark."""
        return self.gravity > Gravity.SAME


@record
class Subject:
    """One of two tunnels."""

    report: FlowReport
    facts: FlowFacts
    sack: tuple[bool | None, bool | None] = (None, None)
    """Whether the client's SYN and the proxy's SYN-ACK permit SACK; None: not seen."""
    ja4: str = ""
    """Fingerprint of the ClientHello."""
    source: str = ""
    """Name of its capture; empty where both are of one."""


@record
class Comparison:
    """Two tunnels, row by row in the order of a tunnel's life."""

    rows: tuple[CompareRow, ...]

    @property
    def first(self) -> int | None:
        """Index of the first difference that can explain something, else of the first at
        all; None when there is none."""
        for least in (Gravity.NOTABLE, Gravity.MINOR):
            for place, row in enumerate(self.rows):
                if row.gravity >= least:
                    return place
        return None


def compare(left: Subject, right: Subject) -> Comparison:
    """Compare two tunnels."""
    rows = [
        *_identity(left, right),
        *_handshake(left, right),
        *_requests(left, right),
        *_tls(left, right),
        *_data(left, right),
        *_end(left, right),
    ]
    return Comparison(tuple(rows))


def partners(
    flows: Sequence[FlowReport], selected: FlowReport, limit: int = 20, *, same_capture: bool = True
) -> list[FlowReport]:
    """The tunnels that tell most beside another, the best first: healthy ones beside one that
    fails, failing ones beside a healthy one, as alike and as near in time as there are.

    Args:
        flows: All tunnels of a capture.
        selected: The one to find partners for.
        limit: So many at most.
        same_capture: ``selected`` is one of ``flows``.
    """
    want_healthy = selected.verdict not in HEALTHY
    client = _host(selected.client)

    def rank(flow: FlowReport) -> tuple[bool, int, int]:
        alike = (
            4 * (flow.target == selected.target and flow.target is not None)
            + 2 * (flow.proxy == selected.proxy)
            + (_host(flow.client) == client)
        )
        fits = (flow.verdict in HEALTHY) == want_healthy
        return fits, alike, -abs(flow.start_ns - selected.start_ns)

    others = (flow for flow in flows if not same_capture or flow.uid != selected.uid)
    return nlargest(limit, others, key=rank)


def _row(
    step: str, name: str, left: str, right: str, gravity: Gravity = Gravity.MINOR
) -> CompareRow:
    """A row whose difference, if there is one, has this gravity."""
    return CompareRow(step, name, left, right, Gravity.SAME if left == right else gravity)


def _pair(
    step: str, name: str, texts: Sequence[str], gravity: Gravity = Gravity.MINOR
) -> CompareRow:
    """As ``_row``, of both texts together."""
    return _row(step, name, texts[0], texts[1], gravity)


# -- who with whom -----------------------------------------------------------------------


def _identity(left: Subject, right: Subject) -> Iterator[CompareRow]:
    ours, theirs = left.report, right.report
    if left.source or right.source:
        yield CompareRow("tunnel", "capture", left.source, right.source)
    yield CompareRow("tunnel", "number", str(ours.id), str(theirs.id))
    yield _row("tunnel", "client", _host(ours.client), _host(theirs.client))
    yield _row("tunnel", "proxy", ours.proxy, theirs.proxy)
    yield _row("tunnel", "target", ours.target or ABSENT, theirs.target or ABSENT)
    yield _row("tunnel", "verdict", ours.verdict, theirs.verdict)


def _host(endpoint: str) -> str:
    """An endpoint without its port: a client's is new for every connection."""
    return endpoint.rpartition(":")[0]


# -- steps ---------------------------------------------------------------------------------


def _step(step: str, name: str, left: Subject, right: Subject) -> CompareRow:
    """Whether both took a step, and how long they took for it."""
    ours, theirs = _find(left.report, name), _find(right.report, name)
    gravity = _time_gravity(ours.elapsed_ms, theirs.elapsed_ms)
    states = {ours.state, theirs.state}
    if StepState.DONE in states and states & {StepState.FAILED, StepState.MISSING}:
        gravity = Gravity.GRAVE
    return CompareRow(step, _STEP_WORDS[name], _step_text(ours), _step_text(theirs), gravity)


def _find(report: FlowReport, name: str) -> Step:
    return next((s for s in report.steps if s.name == name), Step(name, StepState.MISSING))


def _step_text(step: Step) -> str:
    words = {StepState.DONE: "ok", StepState.FAILED: "failed", StepState.MISSING: ABSENT}
    text = words.get(step.state, "pending")
    if step.elapsed_ms:
        text += f" after {milliseconds(step.elapsed_ms)}"
    return f"{text}  #{step.packet}" if step.packet else text


def _time_gravity(left_ms: float | None, right_ms: float | None) -> Gravity:
    if left_ms is None or right_ms is None:
        return Gravity.SAME
    low, high = sorted((max(left_ms, 0.0) / 1e3, max(right_ms, 0.0) / 1e3))
    if high - low >= MUCH_SLOWER_S and high >= MUCH_SLOWER * low:
        return Gravity.NOTABLE
    slower = high - low >= SLOWER_S and high >= SLOWER * low
    return Gravity.MINOR if slower else Gravity.SAME


def _handshake(left: Subject, right: Subject) -> Iterator[CompareRow]:
    ours, theirs = left.facts, right.facts
    yield _step("SYN", "syn", left, right)
    yield _row("SYN", "SYNs sent", str(ours.syn_count), str(theirs.syn_count), Gravity.NOTABLE)
    yield from _options("SYN", CLIENT, left, right)
    yield _step("SYN-ACK", "syn_ack", left, right)
    yield from _options("SYN-ACK", PROXY, left, right)
    rtt = _ms(ours.rtt_ns), _ms(theirs.rtt_ns)
    gravity = _time_gravity(*rtt)
    yield CompareRow("SYN-ACK", "initial RTT", _time(rtt[0]), _time(rtt[1]), gravity)


def _options(step: str, sender: int, left: Subject, right: Subject) -> Iterator[CompareRow]:
    """What one side's SYN says of it, and the way it came."""
    ours, theirs = left.facts.sides[sender], right.facts.sides[sender]
    if not ours.packets and not theirs.packets:
        return

    def both(name: str, text: Callable[[Direction], str], gravity: Gravity) -> CompareRow:
        return _row(step, name, text(ours), text(theirs), gravity)

    yield both("MSS", lambda side: str(side.mss or ABSENT), Gravity.NOTABLE)
    yield both("window scale", _scale, Gravity.MINOR)
    sack = _yes_no(left.sack[sender]), _yes_no(right.sack[sender])
    yield _pair(step, "SACK permitted", sack, Gravity.MINOR)
    yield both("timestamps", lambda side: _yes_no(side.timestamps), Gravity.MINOR)
    yield _row(step, "TTL", _ttl(ours), _ttl(theirs), _ttl_gravity(ours.ttl, theirs.ttl))


def _scale(side: Direction) -> str:
    return f"{side.wscale} (x {1 << side.wscale})" if side.wscale >= 0 else ABSENT


def _ttl(side: Direction) -> str:
    return str(side.ttl) if side.ttl else ABSENT


def _ttl_gravity(left: int, right: int) -> Gravity:
    """Another distance is a small thing; another kind of system answers is not."""
    if not left or not right:
        return Gravity.SAME
    return Gravity.MINOR if _initial_ttl(left) == _initial_ttl(right) else Gravity.NOTABLE


def _initial_ttl(ttl: int) -> int:
    return next(initial for initial in _INITIAL_TTLS if initial >= min(ttl, 255))


# -- HTTP ----------------------------------------------------------------------------------


def _requests(left: Subject, right: Subject) -> Iterator[CompareRow]:
    yield _step("request", "connect", left, right)
    attempts = _attempts(left.facts), _attempts(right.facts)
    if len(left.facts.exchanges) > 1 or len(right.facts.exchanges) > 1:
        yield _pair("request", "replies in order", attempts, Gravity.NOTABLE)
    ours, theirs = _last(left.facts), _last(right.facts)
    yield from _request_rows(ours, theirs)
    yield _step("reply", "response", left, right)
    yield from _reply_rows(ours, theirs)


def _last(facts: FlowFacts) -> Exchange:
    """The exchange that decided: the one that opened the tunnel, else the last."""
    opened = [item for item in facts.exchanges if facts.tunnel == item.response_mark is not None]
    return (opened or list(facts.exchanges) or [Exchange()])[-1]


def _attempts(facts: FlowFacts) -> str:
    statuses = (item.response.status if item.response else None for item in facts.exchanges)
    return ", ".join(str(status or "none") for status in statuses) or ABSENT


def _request_rows(ours: Exchange, theirs: Exchange) -> Iterator[CompareRow]:
    left, right = ours.request, theirs.request
    if left is None and right is None:
        return
    method = left.method if left else ABSENT, right.method if right else ABSENT
    yield _pair("request", "method", method, Gravity.NOTABLE)
    version = left.version if left else ABSENT, right.version if right else ABSENT
    yield _pair("request", "version", version, Gravity.NOTABLE)
    oddities = [", ".join(item.malformed) if item else "" for item in (left, right)]
    if any(oddities):
        yield _pair("request", "malformed", [text or ABSENT for text in oddities], Gravity.NOTABLE)
    schemes = [
        item.credentials.scheme if item and item.credentials else ABSENT for item in (left, right)
    ]
    yield _pair("request", "credentials", schemes, Gravity.NOTABLE)
    fields = left.headers if left else (), right.headers if right else ()
    for name, value, other in _fields(*fields):
        absent = ABSENT in (value, other)
        gravity = Gravity.NOTABLE if absent else Gravity.MINOR
        own = name == "host" and not absent  # each names its own target
        yield _row("request", name, value, other, Gravity.SAME if own else gravity)


def _reply_rows(ours: Exchange, theirs: Exchange) -> Iterator[CompareRow]:
    left, right = ours.response, theirs.response
    if left is None and right is None:
        return
    status = [f"{item.status} {item.reason}".strip() if item else ABSENT for item in (left, right)]
    kinds = {item.status // 100 if item else 0 for item in (left, right)}
    same_code = left is not None and right is not None and left.status == right.status
    gravity = Gravity.GRAVE if len(kinds) > 1 else Gravity.MINOR if same_code else Gravity.NOTABLE
    yield _pair("reply", "status", status, gravity)
    fields = left.headers if left else (), right.headers if right else ()
    for name, value, other in _fields(*fields):
        yield _row("reply", name, value, other,
                   Gravity.NOTABLE if name in _TELLING else Gravity.MINOR)  # fmt: skip


def _fields(left: Headers, right: Headers) -> Iterator[tuple[str, str, str]]:
    """Header fields by name, the values of both; volatile ones left out."""
    ours, theirs = _by_name(left), _by_name(right)
    for name in dict.fromkeys((*ours, *theirs)):
        if name not in _VOLATILE:
            yield name, ours.get(name, ABSENT), theirs.get(name, ABSENT)


def _by_name(headers: Headers) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in headers:
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found


# -- what follows --------------------------------------------------------------------------


def _tls(left: Subject, right: Subject) -> Iterator[CompareRow]:
    if left.facts.tls is None and right.facts.tls is None:
        spoken = left.facts.tunnel_protocol, right.facts.tunnel_protocol
        if any(spoken):
            yield _pair("tunnel", "speaks", [text or ABSENT for text in spoken], Gravity.NOTABLE)
        return
    yield _step("TLS", "client_hello", left, right)
    client, server = tls_rows(left.facts.tls, right.facts.tls)
    for name, value, other, notable in client:
        yield _row("TLS", name, value, other, Gravity.NOTABLE if notable else Gravity.MINOR)
    if left.ja4 or right.ja4:
        yield _row("TLS", "JA4", left.ja4 or ABSENT, right.ja4 or ABSENT)
    yield _step("TLS", "server_hello", left, right)
    for name, value, other, notable in server:
        yield _row("TLS", name, value, other, Gravity.NOTABLE if notable else Gravity.MINOR)


def _data(left: Subject, right: Subject) -> Iterator[CompareRow]:
    yield _step("data", "data", left, right)
    for sender in (CLIENT, PROXY):
        ours, theirs = left.facts.sides[sender], right.facts.sides[sender]
        of = f"of the {SENDERS[sender]}"
        carried = left.facts.tunnel_bytes[sender], right.facts.tunnel_bytes[sender]
        one_sided = (not carried[0]) != (not carried[1])
        yield CompareRow("data", f"bytes {of}", octets(carried[0]), octets(carried[1]),
                         Gravity.NOTABLE if one_sided else Gravity.SAME)  # fmt: skip
        largest = ours.largest, theirs.largest
        yield CompareRow("data", f"largest segment {of}", octets(largest[0]), octets(largest[1]))
        yield CompareRow("data", f"retransmitted {of}", _resent(ours), _resent(theirs),
                         _loss_gravity(ours, theirs))  # fmt: skip
        windows = ours.zero_windows, theirs.zero_windows
        if any(windows):
            yield _row("data", f"zero windows {of}", str(windows[0]), str(windows[1]),
                       Gravity.NOTABLE)  # fmt: skip
        unacked = ours.unacked, theirs.unacked
        if any(unacked):
            yield CompareRow("data", f"never acknowledged {of}", octets(unacked[0]),
                             octets(unacked[1]),
                             Gravity.NOTABLE if not all(unacked) else Gravity.SAME)  # fmt: skip
    waits = [_silence(subject.facts) for subject in (left, right)]
    gravity = _time_gravity(*(None if wait is None else wait * 1e3 for wait in waits))
    yield CompareRow("data", "longest silence", _seconds(waits[0]), _seconds(waits[1]), gravity)


def _resent(side: Direction) -> str:
    if not side.data_packets:
        return str(side.retransmissions)
    share = side.retransmissions / side.data_packets
    return f"{side.retransmissions} of {plural(side.data_packets, 'segment')} ({share:.1%})"


def _loss_gravity(left: Direction, right: Direction) -> Gravity:
    low, high = sorted(
        (side.retransmissions / max(1, side.data_packets), side.retransmissions)
        for side in (left, right)
    )
    worse = high[0] >= LOSSY and high[1] >= 3 and high[0] >= SLOWER * low[0]
    return Gravity.NOTABLE if worse else Gravity.SAME


def _silence(facts: FlowFacts) -> float | None:
    return facts.longest_silence.seconds if facts.longest_silence else None


def _end(left: Subject, right: Subject) -> Iterator[CompareRow]:
    yield _step("end", "close", left, right)
    closes = [_closes(subject.facts.closes) for subject in (left, right)]
    abrupt = {"RST" in text.partition(",")[0] for text in closes}
    yield _pair("end", "closed by", closes, Gravity.NOTABLE if len(abrupt) > 1 else Gravity.MINOR)
    spans = [subject.report.duration_s for subject in (left, right)]
    yield CompareRow("end", "lasted", duration(spans[0]), duration(spans[1]))
    titles = [_titles(subject.report) for subject in (left, right)]
    yield _pair("end", "findings", titles)


def _closes(closes: Iterable[tuple[str, Mark]]) -> str:
    return ", ".join(_CLOSES.get(name, name) for name, _ in closes) or "nobody"


def _titles(report: FlowReport) -> str:
    return "; ".join(dict.fromkeys(finding.title for finding in report.findings)) or "none"


def _yes_no(value: bool | None) -> str:
    return ABSENT if value is None else "yes" if value else "no"


def _ms(nanoseconds: int | None) -> float | None:
    return None if nanoseconds is None else nanoseconds / 1e6


def _time(value_ms: float | None) -> str:
    return ABSENT if value_ms is None else milliseconds(value_ms)


def _seconds(value: float | None) -> str:
    return ABSENT if value is None else duration(value)
