"""Reports to take away: of chosen flows, in the format that a file's name asks for."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from capture.report.model import FlowReport, Report

if TYPE_CHECKING:
    from capture.report.rungs import Rung

SUFFIXES: Final = {
    ".md": "markdown",
    ".markdown": "markdown",
    ".html": "html",
    ".htm": "html",
    ".json": "json",
    ".ndjson": "ndjson",
    ".csv": "csv",
    ".mmd": "mermaid",
    ".mermaid": "mermaid",
    ".txt": "text",
}
"""Format by suffix, lower case."""


_AUTHORITY: Final = re.compile(r"[A-Za-z0-9._:\[\]-]{1,300}")
"""A host with its port as far as a shell takes it for nothing else."""


def format_of(path: str) -> str | None:
    """The format that a file's name asks for; None for a name that asks for none."""
    dot = path.rfind(".")
    return SUFFIXES.get(path[dot:].lower()) if dot > path.rfind("/") else None


def of_flows(report: Report, uids: Collection[int]) -> Report:
    """The report with only these flows; findings about the capture as a whole stay."""
    flows = tuple(flow for flow in report.flows if flow.uid in uids)
    return replace(report, flows=flows, others=(), made=None)


def export_chunks(
    format: str, report: Report, ladders: Mapping[int, Sequence[Rung]] | None = None
) -> Iterator[str]:
    """Yield the report.

    Args:
        format: One of ``capture.report.render.FORMATS``.
        report: Of the flows that were chosen.
        ladders: By ``FlowReport.uid``, where more is known than a report's steps; HTML and
            Mermaid draw them.
    """
    if format == "html":
        from capture.report.to_html import html_chunks

        return html_chunks([report], many=False, ladders=ladders)
    if format == "mermaid":
        from capture.report.to_mermaid import mermaid_chunks

        return mermaid_chunks([report], many=False, ladders=ladders)
    from capture.report.render import render

    return render(format, [report])


def finding_text(flow: FlowReport, names: Mapping[str, str] | None = None) -> str:
    """What is known of a flow as text for a ticket: its block of the text report."""
    from capture.report.to_text import flow_text

    return flow_text(flow, names)


def repeat_command(flow: FlowReport) -> str | None:
    """The command that asks the same proxy for the same once more (curl(1)), without the
    credentials that were sent; None where it is not known, or not fit for a shell."""
    scheme = {"tunnel": "https", "plain": "http"}.get(flow.kind)
    known = (flow.proxy, flow.target or "")
    if scheme is None or not all(map(_AUTHORITY.fullmatch, known)):
        return None
    return f"curl -v -x http://{flow.proxy} -I {scheme}://{flow.target}/"


def capture_filter(flow: FlowReport) -> str:
    """A filter for tcpdump and dumpcap that takes this flow's packets (pcap-filter(7))."""
    hosts = [_split(flow.client), _split(flow.proxy)]
    return " and ".join(
        [*(f"host {host}" for host, _ in hosts), *(f"tcp port {port}" for _, port in hosts)]
    )


def display_filter(flow: FlowReport) -> str:
    """A display filter, in Wireshark's language, that shows this flow's packets."""
    parts = []
    for host, port in (_split(flow.client), _split(flow.proxy)):
        parts.append(f"{'ipv6' if ':' in host else 'ip'}.addr == {host}")
        parts.append(f"tcp.port == {port}")
    return " and ".join(parts)


def _split(endpoint: str) -> tuple[str, str]:
    """``[::1]:80`` as ``("::1", "80")``."""
    host, _, port = endpoint.rpartition(":")
    return host.removeprefix("[").removesuffix("]"), port
