"""The nine steps of a tunnel, each done, failed, missing or pending.

The states follow from the verdict and the facts together: the facts say which steps were
seen, the verdict says that one of them is where the tunnel broke. Nothing is ``pending``
unless the flow is still open and nothing is wrong with it.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from capture.facts import (
    CLIENT,
    PROXY,
    SENDERS,
    CaptureFacts,
    Exchange,
    FlowFacts,
    Mark,
    TlsFacts,
    final_exchange,
)
from capture.protocols.tls_names import alert_name, version_name
from capture.report.model import STEP_NAMES, Finding, Severity, Step, StepState
from capture.units import plural, size

HEALTHY: Final = frozenset({"ok", "auth_ok", "plain_http"})
"""Verdicts under which no step failed."""

_RESPONSE_VERDICTS: Final = frozenset({
    "auth_required", "acl_denied", "bad_request", "not_found", "server_error", "bad_gateway",
    "service_unavailable", "gateway_timeout", "captive_redirect", "connect_no_reply",
})  # fmt: skip

_HANDSHAKE_VERDICTS: Final = frozenset(
    {"tls_stall", "tls_untrusted_ca", "tls_cert_expired", "tls_version"}
)

_LANGUAGES: Final = {
    "tls": "TLS instead of a request",
    "socks4": "SOCKS4 instead of a request",
    "socks5": "SOCKS5 instead of a request",
    "ssh": "SSH instead of a request",
    "http2": "HTTP/2 instead of a request",
    "http-part": "request not complete",
}
"""What a client said first where no request could be read."""

_APPLICATION_DATA: Final = 23
_TLS13: Final = 0x0304
_MAX_DETAIL: Final = 120


class _Seen(NamedTuple):
    """A step as the packets show it, before it is judged."""

    mark: Mark | None = None
    detail: str = ""
    done: bool = False
    since: Mark | None = None
    """What its time is measured from, where that is not the step before."""


def build_steps(
    facts: FlowFacts, verdict: str, findings: tuple[Finding, ...], capture: CaptureFacts
) -> tuple[Step, ...]:
    """Return the steps of one flow, in the order of ``STEP_NAMES``."""
    exchange = _shown_exchange(facts, verdict)
    seen = {
        "syn": _syn(facts),
        "syn_ack": _syn_ack(facts, verdict),
        "ack": _Seen(facts.ack, done=facts.ack is not None),
        "connect": _connect(facts, exchange),
        "response": _response(facts, exchange, verdict),
        "client_hello": _client_hello(facts),
        "server_hello": _server_hello(facts, verdict),
        "data": _data(facts, verdict),
        "close": _close(facts),
    }
    failed = {_failed_step(facts, verdict, seen)}
    if _refused(exchange) and verdict not in HEALTHY and facts.tunnel is None:
        failed.add("response")  # an error reply is never "done", whatever led to it
    wrong = bool(findings) and findings[0].severity is Severity.PROBLEM
    still_open = not facts.closes and verdict in HEALTHY and not wrong
    can_wait = _expected(facts, verdict) if still_open else frozenset()
    return _timed(facts, capture, seen, failed, can_wait)


def _timed(
    facts: FlowFacts,
    capture: CaptureFacts,
    seen: dict[str, _Seen],
    failed: set[str | None],
    can_wait: frozenset[str],
) -> tuple[Step, ...]:
    """Give the steps their states and times."""
    steps = []
    before: Mark | None = None
    for name in STEP_NAMES:
        item = seen[name]
        mark = item.mark
        if name in failed:
            state = StepState.FAILED
        elif item.done:
            state = StepState.DONE
        elif name in can_wait:
            state = StepState.PENDING
        else:
            state = StepState.MISSING
        time_s = elapsed_ms = None
        if mark is not None and capture.timed(mark):
            time_s = (mark.time_ns - facts.first.time_ns) / 1e9
            since = item.since or before or (mark if name == "syn" else None)
            if since is not None and capture.timed(since):
                elapsed_ms = (mark.time_ns - since.time_ns) / 1e6
        number = mark.number if mark is not None else None
        steps.append(Step(name, state, number, time_s, elapsed_ms, item.detail[:_MAX_DETAIL]))
        if item.done and mark is not None:
            before = mark
    return tuple(steps)


def _shown_exchange(facts: FlowFacts, verdict: str) -> Exchange | None:
    """The exchange that the connect and response steps show: the last one, except where a
    connection that carried several requests is judged by an earlier, failed one."""
    if not facts.exchanges:
        return None
    last = final_exchange(facts.exchanges, facts.sides[PROXY].fin)
    assert last is not None
    if verdict in HEALTHY or verdict not in _RESPONSE_VERDICTS or facts.tunnel is not None:
        return last
    if last.response is None or last.response.status < 300:
        for item in reversed(facts.exchanges):
            if item.response is not None and item.response.status >= 300:
                return item if verdict != "connect_no_reply" else last
    return last


def _refused(exchange: Exchange | None) -> bool:
    return (
        exchange is not None and exchange.response is not None and (exchange.response.status >= 300)
    )


def _syn(facts: FlowFacts) -> _Seen:
    parts = []
    if facts.sides[CLIENT].mss:
        parts.append(f"MSS {facts.sides[CLIENT].mss}")
    if facts.syn_count > 1:
        parts.append(f"sent {facts.syn_count} times")
    return _Seen(facts.syn, ", ".join(parts), done=facts.syn is not None)


def _syn_ack(facts: FlowFacts, verdict: str) -> _Seen:
    if facts.syn_ack is not None:
        mss = facts.sides[PROXY].mss
        # Measured from the SYN it answers, not from the first of several.
        since = next(
            (m for m in reversed(facts.syn_marks) if m.number < facts.syn_ack.number), None
        )
        return _Seen(facts.syn_ack, f"MSS {mss}" if mss else "", done=True, since=since)
    if verdict == "proxy_refused":
        reset = _closed_by(facts, "proxy_rst")
        return _Seen(reset, "RST" if reset else "")
    if verdict == "proxy_unreachable":
        if facts.icmp:
            error = facts.icmp[0]
            name = "ICMPv6" if error.version == 6 else "ICMP"
            detail = f"{name} type {error.type} code {error.code}"
            return _Seen(Mark(error.number, error.time_ns), detail)
        return _Seen(None, f"no answer to {plural(facts.syn_count, 'SYN')}")
    return _Seen()


def _connect(facts: FlowFacts, exchange: Exchange | None) -> _Seen:
    if exchange is not None and exchange.request is not None:
        request = exchange.request
        return _Seen(exchange.request_mark, f"{request.method} {request.target}", done=True)
    if not _spoke_no_http(facts):
        return _Seen()
    spoken = _LANGUAGES[facts.first_language[CLIENT]]
    return _Seen(facts.sides[CLIENT].first_payload, spoken)


def _spoke_no_http(facts: FlowFacts) -> bool:
    """Whether the client's first words were in a language that a proxy port does not speak."""
    if facts.mid_stream or facts.first_language[CLIENT] not in _LANGUAGES:
        return False
    return not any(item.request is not None for item in facts.exchanges)


def _response(facts: FlowFacts, exchange: Exchange | None, verdict: str) -> _Seen:
    if exchange is not None and exchange.response is not None:
        response = exchange.response
        detail = f"{response.status} {response.reason}".rstrip()
        return _Seen(exchange.response_mark, detail, done=True, since=exchange.request_mark)
    if facts.tunnel is not None:
        return _Seen(facts.tunnel, done=True)
    if verdict != "connect_no_reply" or exchange is None:
        return _Seen()
    for name, mark in facts.closes:
        if name.startswith("proxy"):
            return _Seen(mark, "closed without a reply" if name == "proxy_fin" else "RST, no reply")
    return _Seen(None, "no reply")


def _client_hello(facts: FlowFacts) -> _Seen:
    tls = _tunnel_tls(facts)
    if tls is None or tls.client_hello_mark is None:
        other = {"ssh": "SSH in the tunnel", "http": "HTTP in the tunnel"}
        return _Seen(None, other.get(facts.tunnel_protocol, ""))
    hello = tls.client_hello
    detail = ""
    if hello is not None and (hello.sni or hello.complete):
        detail = f"SNI {hello.sni}" if hello.sni else "no SNI"
    return _Seen(tls.client_hello_mark, detail, done=True)


def _server_hello(facts: FlowFacts, verdict: str) -> _Seen:
    tls = _tunnel_tls(facts)
    if tls is None:
        return _Seen()
    alert = next((item for item in tls.alerts if item.code not in (0, 90)), None)
    refusal = ""
    if alert is not None and verdict in _HANDSHAKE_VERDICTS:
        refusal = f"alert {alert_name(alert.code)} from {SENDERS[alert.sender]}"
    if tls.server_hello_mark is None or tls.server_hello is None:
        return _Seen(alert.mark if alert is not None and refusal else None, refusal)
    version = version_name(tls.server_hello.version)
    detail = f"{version}, {refusal}" if refusal else version
    return _Seen(tls.server_hello_mark, detail, done=True, since=tls.client_hello_mark)


def _data(facts: FlowFacts, verdict: str) -> _Seen:
    mark = _first_data(facts, verdict)
    if mark is None:
        return _Seen()
    up, down = facts.tunnel_bytes
    if facts.tunnel is None and not facts.mid_stream:
        up, down = (side.stream_bytes for side in facts.sides)
    return _Seen(mark, f"{size(up)} to proxy, {size(down)} to client", done=True)


def _first_data(facts: FlowFacts, verdict: str) -> Mark | None:
    """First packet of the work the flow was opened for."""
    tls = _tunnel_tls(facts)
    if tls is not None and (tls.client_hello_mark or facts.tunnel_protocol == "tls"):
        return None if verdict in _HANDSHAKE_VERDICTS else _first_tls_data(tls)
    if facts.tunnel is not None:
        marks = [mark for mark in facts.tunnel_first if mark is not None]
        return min(marks) if marks else None
    for item in facts.exchanges:  # plain requests: the first body is the work
        if item.request is None or item.request.form == "authority" or item.response is None:
            continue
        if item.body_received and item.response.status < 400:
            return item.response_mark
    if facts.mid_stream and not facts.exchanges:
        marks = [side.first_payload for side in facts.sides if side.first_payload is not None]
        return min(marks) if marks else None
    return None


def _first_tls_data(tls: TlsFacts) -> Mark | None:
    """First application-data record that is more than the end of the handshake.

    TLS 1.3 sends the rest of the handshake as records of type 23, too (RFC 8446 section
    5.1): the client's first one is its Finished, the server's may be its certificate or
    a session ticket. So the client's second one counts there, or the server's next after
    the client's Finished once the client is known to have gone on.
    """
    client, proxy = tls.sides
    if client.asked is not None:
        return client.asked
    hello = tls.server_hello
    if hello is None or hello.version < _TLS13:
        marks = [side.first_app for side in tls.sides if side.first_app is not None]
        return min(marks) if marks else None
    records = [item for item in client.records if item.type == _APPLICATION_DATA]
    if len(records) > 1:
        return records[1].mark
    if not records:
        return None
    finished = records[0].mark
    later = [r.mark for r in proxy.records if r.type == _APPLICATION_DATA and r.mark > finished]
    return later[0] if later else None


def _close(facts: FlowFacts) -> _Seen:
    if not facts.closes:
        return _Seen()
    words = []
    for name, _ in facts.closes:
        sender, _, how = name.partition("_")
        words.append(f"{how.upper()} from {sender}")
    return _Seen(facts.closes[0][1], ", ".join(words), done=True)


def _tunnel_tls(facts: FlowFacts) -> TlsFacts | None:
    """TLS inside the tunnel; TLS spoken to a port that answers in HTTP is no step of it."""
    if facts.tls is None:
        return None
    answered_in_http = bool(facts.exchanges) and facts.tunnel is None
    return None if answered_in_http else facts.tls


def _closed_by(facts: FlowFacts, name: str) -> Mark | None:
    return next((mark for close, mark in facts.closes if close == name), None)


def _failed_step(facts: FlowFacts, verdict: str, seen: dict[str, _Seen]) -> str | None:
    """The step at which the tunnel broke; None for a healthy one."""
    if verdict in HEALTHY:
        return None
    if verdict in ("proxy_refused", "proxy_unreachable"):
        return "syn_ack"
    if verdict in _RESPONSE_VERDICTS:
        return "connect" if _spoke_no_http(facts) else "response"
    if verdict == "tls_to_plain_proxy":
        return "connect"
    if verdict in _HANDSHAKE_VERDICTS:
        return "server_hello"
    if verdict in ("transfer_stalled", "transfer_reset"):
        return "data"
    return _where_it_stopped(facts, seen)


def _where_it_stopped(facts: FlowFacts, seen: dict[str, _Seen]) -> str:
    """Size-dependent loss and early closes strike anywhere: the first step not done."""
    if not seen["response"].done:
        if seen["syn"].done and not seen["syn_ack"].done:
            return "syn_ack"
        return "response" if not facts.mid_stream else "data"
    if seen["client_hello"].done and not seen["server_hello"].done:
        return "server_hello"
    if seen["client_hello"].done or seen["data"].done:
        return "data"
    return "client_hello"


def _expected(facts: FlowFacts, verdict: str) -> frozenset[str]:
    """Steps that a flow still open may yet take."""
    if facts.tunnel is None and verdict != "ok":
        return frozenset({"data", "close"})
    steps = {"data", "close"}
    if facts.tunnel_protocol in ("", "tls"):
        steps |= {"client_hello", "server_hello"}
    if facts.tunnel is None and not facts.mid_stream and not facts.one_way:
        steps |= {"syn_ack", "ack", "connect", "response"}
    return frozenset(steps)
