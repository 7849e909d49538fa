"""JSON (schema 1) and NDJSON, the public contract of the report.

One line a flow: a report of 50,000 flows can be read by people, by ``grep`` and by a
streaming parser, and is written without ever being held as one string. Everything is
ASCII with escapes, so that no terminal and no locale can spoil it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from capture import __version__
from capture.names import host_of
from capture.report.model import (
    SCHEMA,
    VERDICTS,
    Attempt,
    Finding,
    FlowReport,
    Report,
    Severity,
    Step,
    TlsReport,
)
from capture.report.redact import safe
from capture.report.times import rfc3339

_encode = json.JSONEncoder(ensure_ascii=True, allow_nan=False, check_circular=False).encode


def json_chunks(reports: Iterable[Report], *, many: bool, others: bool = False) -> Iterator[str]:
    """Yield the document: one object, or an array of objects when there were several files.

    Args:
        reports: One report a readable file.
        many: Several files were named (even if only one of them could be read).
        others: Add ``others``, the flows that are not to a proxy.
    """
    if not many:
        for report in reports:
            yield from _document(report, others)
            yield "\n"
        return
    first = True
    for report in reports:
        yield "[" if first else ",\n"
        first = False
        yield from _document(report, others)
    yield "[]\n" if first else "]\n"


def ndjson_chunks(reports: Iterable[Report], *, others: bool = False) -> Iterator[str]:
    """Yield one line a flow, each with its ``source``."""
    for report in reports:
        path = safe(report.source.path)
        timed = report.source.first_ns is not None
        for flow in (*report.flows, *report.others) if others else report.flows:
            yield _encode({"source": path, **flow_dict(flow, timed, report.names)}) + "\n"


def report_dict(report: Report, *, others: bool = False) -> dict[str, Any]:
    """The whole report as plain data, in the contract's key order."""
    timed = report.source.first_ns is not None
    head = _head(report)
    head["flows"] = [flow_dict(flow, timed, report.names) for flow in report.flows]
    head["findings"] = [_finding(item) for item in report.findings]
    if others:
        head["others"] = [flow_dict(flow, timed, report.names) for flow in report.others]
    return head


def _document(report: Report, others: bool) -> Iterator[str]:
    yield "{\n"
    for key, value in _head(report).items():
        yield f' "{key}": {_encode(value)},\n'
    yield from _array("flows", _flows(report, report.flows))
    yield ",\n"
    yield from _array("findings", (_encode(_finding(item)) for item in report.findings))
    if others:
        yield ",\n"
        yield from _array("others", _flows(report, report.others))
    yield "\n}"


def _flows(report: Report, flows: Iterable[FlowReport]) -> Iterator[str]:
    timed = report.source.first_ns is not None
    return (_encode(flow_dict(flow, timed, report.names)) for flow in flows)


def _array(key: str, items: Iterator[str]) -> Iterator[str]:
    first = True
    for item in items:
        yield f' "{key}": [\n  {item}' if first else f",\n  {item}"
        first = False
    yield f' "{key}": []' if first else "\n ]"


def _head(report: Report) -> dict[str, Any]:
    source = report.source
    verdicts = Counter(flow.verdict for flow in report.telling)
    if len(report.flows) > len(report.telling):
        verdicts["ok"] += len(report.flows) - len(report.telling)
    severities = Counter(str(item.severity) for flow in report.telling for item in flow.findings)
    severities.update(str(item.severity) for item in report.findings)
    known = [name for name in VERDICTS if name in verdicts]
    return {
        "schema": SCHEMA,
        "tool": {"name": "tunnelscope", "version": __version__},
        "source": {
            "path": safe(source.path),
            "format": source.format,
            "link_types": list(source.link_types),
            "packets": source.packets,
            "bytes": source.bytes,
            "first_time": rfc3339(source.first_ns),
            "last_time": rfc3339(source.last_ns),
            "duration_s": source.duration_s,
            "lost": {"kernel": source.lost_kernel, "queue": source.lost_queue},
            "warnings": [
                {"code": item.code, "message": safe(item.message)} for item in source.warnings
            ],
        },
        "summary": {
            "flows": len(report.flows),
            "other_flows": report.other_flows,
            "verdicts": {
                name: verdicts[name] for name in (*known, *sorted(verdicts.keys() - set(known)))
            },
            "findings": {
                severity.value: severities[severity.value]
                for severity in (Severity.PROBLEM, Severity.WARNING, Severity.INFO)
            },
        },
    }


def flow_dict(
    flow: FlowReport, timed: bool = True, names: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """One flow as plain data.

    Args:
        flow: The flow.
        timed: False where the source tells no times.
        names: Names of hosts by address; where there are any, ``client_name`` and
            ``proxy_name`` are added.
    """
    added = {}
    if names:
        for end, endpoint in (("client", flow.client), ("proxy", flow.proxy)):
            added[f"{end}_name"] = names.get(host_of(endpoint))
    return {
        "id": flow.id,
        "client": safe(flow.client),
        "proxy": safe(flow.proxy),
        "kind": flow.kind,
        "target": _text(flow.target),
        "status": flow.status,
        "reason": _text(flow.reason),
        "attempts": [_attempt(item) for item in flow.attempts],
        "tls": _tls(flow.tls) if flow.tls is not None else None,
        "steps": [_step(item) for item in flow.steps],
        "packets": flow.packets,
        "bytes_to_proxy": flow.bytes_to_proxy,
        "bytes_to_client": flow.bytes_to_client,
        "retransmissions": {
            "to_proxy": flow.retransmissions_to_proxy,
            "to_client": flow.retransmissions_to_client,
        },
        "rtt_ms": flow.rtt_ms,
        "start_time": rfc3339(flow.start_ns) if timed else None,
        "duration_s": flow.duration_s,
        "ended": flow.ended,
        "closes": list(flow.closes),
        "verdict": flow.verdict,
        "findings": [_finding(item) for item in flow.findings],
        **added,
    }


def _text(text: str | None) -> str | None:
    return safe(text) if text is not None else None


def _attempt(item: Attempt) -> dict[str, Any]:
    return {
        "method": safe(item.method),
        "target": safe(item.target),
        "status": item.status,
        "reason": _text(item.reason),
        "request_packet": item.request_packet,
        "response_packet": item.response_packet,
        "delay_ms": item.delay_ms,
    }


def _tls(tls: TlsReport) -> dict[str, Any]:
    alert = certificate = None
    if tls.alert_code is not None:
        alert = {"code": tls.alert_code, "name": tls.alert_name, "from": tls.alert_from}
    if tls.certificate_subject is not None or tls.certificate_issuer is not None:
        certificate = {
            "subject": _text(tls.certificate_subject),
            "issuer": _text(tls.certificate_issuer),
            "not_after": tls.certificate_not_after,
        }
    return {
        "sni": _text(tls.sni),
        "version": tls.version,
        "cipher": tls.cipher,
        "alpn": [safe(name) for name in tls.alpn],
        "server_hello": tls.server_hello,
        "alert": alert,
        "certificate": certificate,
    }


def _step(step: Step) -> dict[str, Any]:
    return {
        "name": step.name,
        "state": step.state.value,
        "packet": step.packet,
        "time_s": step.time_s,
        "elapsed_ms": step.elapsed_ms,
        "detail": safe(step.detail),
    }


def _finding(item: Finding) -> dict[str, Any]:
    return {
        "rule": item.rule,
        "severity": item.severity.value,
        "title": safe(item.title),
        "observation": safe(item.observation),
        "cause": safe(item.cause),
        "confidence": item.confidence.value,
        "packets": list(item.packets),
        "code": item.code,
        "next_steps": [safe(step) for step in item.next_steps],
        "issue": item.issue,
    }
