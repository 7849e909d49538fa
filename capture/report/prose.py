"""What the three readable outputs (text, Markdown, HTML) say in the same words."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Final

from capture.report.model import Finding, FlowReport, Report, Severity
from capture.report.redact import safe
from capture.report.times import readable
from capture.units import count, duration, plural, size

VERDICT_TITLES: Final = {
    "ok": "Tunnel works",
    "auth_ok": "Works after authentication",
    "auth_required": "Proxy authentication failed",
    "acl_denied": "Denied by the proxy",
    "bad_request": "Bad request",
    "not_found": "Not found",
    "server_error": "Proxy or server error",
    "bad_gateway": "Bad gateway",
    "service_unavailable": "Service unavailable",
    "gateway_timeout": "Gateway timeout",
    "captive_redirect": "Redirected instead of connected",
    "proxy_refused": "Proxy refuses the connection",
    "proxy_unreachable": "Proxy does not answer",
    "connect_no_reply": "No reply to CONNECT",
    "tunnel_closed_early": "Tunnel closed early",
    "tls_stall": "TLS handshake stalls",
    "tls_untrusted_ca": "Certificate not trusted",
    "tls_cert_expired": "Certificate expired",
    "tls_version": "TLS handshake refused",
    "tls_to_plain_proxy": "TLS sent to a plain proxy port",
    "transfer_stalled": "Transfer stalled",
    "transfer_reset": "Transfer reset",
    "mtu_blackhole": "Large packets are lost (MTU)",
    "mtu_rst": "Large packets are reset (MTU)",
    "plain_http": "Plain HTTP through the proxy",
}
"""Shown where a flow has no finding whose title says it better."""

_MOST_REASONS: Final = 5
_MOST_ATTEMPTS: Final = 6


def needs_block(flow: FlowReport) -> bool:
    """Whether the flow is described in full: it has a problem or a warning."""
    return flow.severity in (Severity.PROBLEM, Severity.WARNING)


def by_gravity(flows: Sequence[FlowReport]) -> list[FlowReport]:
    """Problems first, then warnings, each in the order of their first packets."""
    return sorted(flows, key=lambda flow: -(flow.severity.rank if flow.severity else -1))


def fine_flows(report: Report, most: int) -> list[FlowReport]:
    """The first flows without a problem. Of a large capture each is made when asked for, so no
    more than ``most`` are (measured: a third of the time of a report of 54,000 tunnels)."""
    return list(islice((flow for flow in report.flows if not needs_block(flow)), most))


def title(flow: FlowReport) -> str:
    """Title of the gravest finding, else of the verdict."""
    if flow.findings:
        return safe(flow.findings[0].title)
    return VERDICT_TITLES.get(flow.verdict, flow.verdict)


def source_name(report: Report) -> str:
    """What was read."""
    return "standard input" if report.source.path == "-" else safe(report.source.path)


def source_line(report: Report) -> str:
    """``pcap, EN10MB: 412 packets, 96.3 kB, 12.4 s from 2025-03-14 11:30:12 UTC``."""
    source = report.source
    kinds = ", ".join((source.format, *source.link_types))
    parts = [plural(source.packets, "packet"), size(source.bytes)]
    if source.first_ns is not None:
        parts.append(f"{duration(source.duration_s)} from {readable(source.first_ns)}")
    return f"{safe(kinds)}: {', '.join(parts)}"


def flows_line(report: Report) -> str:
    """``8 flows through a proxy: 4 failing, 1 warning, 3 without a problem; 2 other TCP flows``."""
    failing = report.failing
    warned = sum(flow.severity is Severity.WARNING for flow in report.telling)
    fine = len(report.flows) - failing - warned
    parts = []
    if failing:
        parts.append(f"{count(failing)} failing")
    if warned:
        parts.append(f"{count(warned)} with a warning")
    if fine or not parts:
        parts.append(f"{count(fine)} without a problem")
    line = f"{plural(len(report.flows), 'flow')} through a proxy: {', '.join(parts)}"
    if report.other_flows:
        line += f"; {plural(report.other_flows, 'other TCP flow')}"
    return line


def lost_line(report: Report) -> str | None:
    """What the capture lost, where the source says so and it is not nothing."""
    kernel, queue = report.source.lost_kernel, report.source.lost_queue
    parts = []
    if kernel:
        parts.append(f"{count(kernel)} dropped by the kernel or the interface")
    if queue:
        parts.append(f"{count(queue)} dropped by the reading queue")
    return f"Packets lost while capturing: {', '.join(parts)}" if parts else None


def explanation(report: Report) -> str | None:
    """Why there is no flow to a proxy in the report; None when there is one."""
    if report.flows:
        return None
    packets = report.source.packets
    if not packets:
        return "No packets: the capture is empty."
    if report.other_flows:
        return (
            f"No flow through a proxy was found: {plural(report.other_flows, 'TCP flow')} carried "
            "no CONNECT and no request to a proxy. If one of the addresses is a proxy, say so "
            "with --proxy HOST:PORT; --all lists the flows."
        )
    reasons = [
        f"{safe(reason)} ({count(number)})"
        for reason, number in report.not_understood[:_MOST_REASONS]
    ]
    left = len(report.not_understood) - len(reasons)
    if left > 0:
        reasons.append(f"{left} more kinds")
    told = ", ".join(reasons) if reasons else "nothing in them that belongs to a TCP connection"
    return f"{plural(packets, 'packet')}, none TCP: {told}."


def attempts(flow: FlowReport) -> str | None:
    """``CONNECT 407 (#8, #10), CONNECT 403 (#12, #14)``; None for a single attempt."""
    if len(flow.attempts) < 2:
        return None
    words = []
    for item in flow.attempts[:_MOST_ATTEMPTS]:
        numbers = [f"#{n}" for n in (item.request_packet, item.response_packet) if n is not None]
        answer = "no reply" if item.status is None else str(item.status)
        words.append(f"{safe(item.method)} {answer} ({', '.join(numbers)})")
    left = len(flow.attempts) - len(words)
    return ", ".join(words) + (f" and {left} more" if left > 0 else "")


def known_issue(finding: Finding) -> str:
    """The known issue that a grave finding is a case of, in words; else empty."""
    if finding.severity is Severity.INFO or finding.issue_name == finding.title:
        return ""
    return safe(finding.issue_name)


def packet_list(finding: Finding) -> str:
    """``#8, #11``; long lists are cut and say so."""
    shown = [f"#{number}" for number in finding.packets[:12]]
    left = len(finding.packets) - len(shown)
    return ", ".join(shown) + (f" and {count(left)} more" if left > 0 else "")


def retransmitted(flow: FlowReport) -> str | None:
    """``3 retransmissions to the proxy, 1 to the client``; None when there are none."""
    parts = []
    if flow.retransmissions_to_proxy:
        parts.append(f"{count(flow.retransmissions_to_proxy)} to the proxy")
    if flow.retransmissions_to_client:
        parts.append(f"{count(flow.retransmissions_to_client)} to the client")
    return f"retransmitted: {', '.join(parts)}" if parts else None


def traffic(flow: FlowReport) -> str:
    """``16 packets, 4.1 kB to the proxy, 5.2 kB to the client, 23.4 ms``."""
    return (
        f"{plural(flow.packets, 'packet')}, {size(flow.bytes_to_proxy)} to the proxy, "
        f"{size(flow.bytes_to_client)} to the client, {duration(flow.duration_s)}"
    )
