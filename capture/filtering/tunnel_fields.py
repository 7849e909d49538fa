"""Own fields: what the report says of a tunnel."""

from __future__ import annotations

from functools import lru_cache
from operator import attrgetter
from typing import Any, Final

from capture.filtering.fields import TunnelField
from capture.filtering.kinds import Kind, Unit
from capture.report.model import VERDICTS, FlowReport, Severity

__all__ = ["TUNNEL_FIELDS"]

SEVERITIES: Final = tuple(item.value for item in Severity)
ENDINGS: Final = ("client_fin", "client_rst", "none", "proxy_fin", "proxy_rst")
KINDS: Final = ("plain", "tunnel", "unknown")


def _severity(flow: FlowReport) -> str | None:
    return flow.findings[0].severity.value if flow.findings else None


@lru_cache(maxsize=1 << 14)
def _names(text: str) -> tuple[str, ...]:
    """``host:port`` and the host alone: either may be meant."""
    host, colon, port = text.rpartition(":")
    return (text, host) if colon and port.isdecimal() else (text,)


def _targets(flow: FlowReport) -> tuple[str, ...]:
    """Of every request, each once, the last one's first."""
    target, attempts = flow.target, flow.attempts
    if target is not None and (
        not attempts or (len(attempts) == 1 and attempts[0].target == target)
    ):
        return _names(target)
    found = dict.fromkeys(_names(target) if target is not None else ())
    for attempt in attempts:
        found.update(dict.fromkeys(_names(attempt.target)))
    return tuple(found)


def _delays(flow: FlowReport) -> tuple[float, ...]:
    return tuple(item.delay_ms * 1e6 for item in flow.attempts if item.delay_ms is not None)


def _tls(name: str) -> Any:
    def get(flow: FlowReport) -> Any:
        return getattr(flow.tls, name) if flow.tls is not None else None

    return get


def _alpn(flow: FlowReport) -> tuple[str, ...]:
    return flow.tls.alpn if flow.tls is not None else ()


def _of_findings(name: str) -> Any:
    def get(flow: FlowReport) -> tuple[Any, ...]:
        values = (getattr(finding, name) for finding in flow.findings)
        return tuple(value for value in values if value not in (None, ""))

    return get


def _rtt_ns(flow: FlowReport) -> float | None:
    return None if flow.rtt_ms is None else flow.rtt_ms * 1e6


_TEXT, _NUMBER = Kind.TEXT, Kind.NUMBER

TUNNEL_FIELDS: Final = (
    TunnelField(name="verdict", kind=_TEXT, help="what became of the tunnel", words=VERDICTS,
                get=attrgetter("verdict")),
    TunnelField(name="severity", kind=Kind.ORDERED, help="of the gravest finding",
                words=SEVERITIES, get=_severity),
    TunnelField(name="rule", kind=_TEXT, help="rules that found something", several=True,
                get=_of_findings("rule")),
    TunnelField(name="issue", kind=_TEXT, help="known issues, by their id", several=True,
                get=_of_findings("issue")),
    TunnelField(name="finding", kind=_TEXT, help="titles of the findings", several=True,
                get=_of_findings("title")),
    TunnelField(name="target", kind=_TEXT, help="host:port asked for, or the host alone",
                several=True, get=_targets),
    TunnelField(name="client", kind=Kind.ENDPOINT, help="the client's address and port",
                get=attrgetter("client")),
    TunnelField(name="proxy", kind=Kind.ENDPOINT, help="the proxy's address and port",
                get=attrgetter("proxy")),
    TunnelField(name="status", kind=_NUMBER, help="final reply to the request",
                get=attrgetter("status")),
    TunnelField(name="reason", kind=_TEXT, help="reason phrase of that reply",
                get=attrgetter("reason")),
    TunnelField(name="kind", kind=_TEXT, help="tunnel, plain or unknown", words=KINDS,
                get=attrgetter("kind")),
    TunnelField(name="sni", kind=_TEXT, help="name in the ClientHello", get=_tls("sni")),
    TunnelField(name="tls_version", kind=_TEXT, help="TLSv1.3; as negotiated",
                get=_tls("version")),
    TunnelField(name="cipher", kind=_TEXT, help="cipher suite chosen", get=_tls("cipher")),
    TunnelField(name="alpn", kind=_TEXT, help="protocols offered in ALPN", several=True,
                get=_alpn),
    TunnelField(name="alert", kind=_TEXT, help="TLS alert, by its name",
                get=_tls("alert_name")),
    TunnelField(name="certificate", kind=_TEXT, help="subject of the server's certificate",
                get=_tls("certificate_subject")),
    TunnelField(name="issuer", kind=_TEXT, help="issuer of the server's certificate",
                get=_tls("certificate_issuer")),
    TunnelField(name="duration", kind=_NUMBER, unit=Unit.SECONDS,
                help="first packet to last: 1.5s, 200ms",
                get=lambda flow: flow.duration_s * 1e9),
    TunnelField(name="rtt", kind=_NUMBER, unit=Unit.MILLISECONDS,
                help="round trip of the TCP handshake: 20ms", get=_rtt_ns),
    TunnelField(name="delay", kind=_NUMBER, unit=Unit.MILLISECONDS,
                help="request to reply: 150ms", several=True, get=_delays),
    TunnelField(name="bytes", kind=_NUMBER, unit=Unit.BYTES, help="payload both ways: 1MB",
                get=lambda flow: flow.bytes_to_proxy + flow.bytes_to_client),
    TunnelField(name="bytes_to_proxy", kind=_NUMBER, unit=Unit.BYTES, help="payload sent",
                get=attrgetter("bytes_to_proxy")),
    TunnelField(name="bytes_to_client", kind=_NUMBER, unit=Unit.BYTES,
                help="payload received", get=attrgetter("bytes_to_client")),
    TunnelField(name="packets", kind=_NUMBER, help="packets both ways",
                get=attrgetter("packets")),
    TunnelField(name="retransmissions", kind=_NUMBER, help="segments sent again, both ways",
                get=lambda flow: flow.retransmissions_to_proxy
                + flow.retransmissions_to_client),
    TunnelField(name="ended", kind=_TEXT, help="who closed first, and how", words=ENDINGS,
                get=attrgetter("ended")),
    TunnelField(name="start", kind=Kind.TIME, help='first packet: "2025-03-14 11:30:12"',
                get=attrgetter("start_ns")),
    TunnelField(name="id", kind=_NUMBER, help="number in the list", get=attrgetter("id")),
)  # fmt: skip
