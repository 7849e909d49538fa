"""What is known of a capture itself: what must be known of it first, then what it holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from capture.frames import Interface
from capture.report.model import Report, Severity
from capture.report.prose import VERDICT_TITLES, lost_line, source_name
from capture.report.times import readable
from capture.snapshot import Snapshot
from capture.units import count, duration, octets, plural, size

__all__ = ["AboutFact", "about"]

WHOLE: Final = 65_535
"""Snaplens from here on leave nothing out: no IP packet is longer, and offloading makes frames
that are longer only of packets that were not."""

MAX_INTERFACES: Final = 50
"""Lines about interfaces at most: a hostile pcapng declares as many as it has blocks."""


class AboutFact(NamedTuple):
    """One line: what it is, and how it is. Without a value it is a heading."""

    label: str
    value: str = ""
    tone: str = ""
    """``failed``, ``warning``, ``dim``, or empty: how the value is to be taken."""
    row: int = -1
    """Row of the packet that shows it; no single packet shows any of these."""


def about(snapshot: Snapshot, interfaces: Sequence[Interface] = ()) -> tuple[AboutFact, ...]:
    """Everything worth knowing of a capture, warnings first.

    Args:
        snapshot: What was read so far; of a replay, the state at its clock.
        interfaces: Those that the source names.
    """
    report = snapshot.report
    return (
        *_warnings(snapshot),
        *_source(snapshot),
        *_interfaces(interfaces),
        *_tunnels(report),
        *_others(report),
    )


def _warnings(snapshot: Snapshot) -> Iterator[AboutFact]:
    report, capturing = snapshot.report, snapshot.capturing
    found = [AboutFact(item.code, item.message, "warning") for item in report.source.warnings]
    if lost := lost_line(report):
        found.append(AboutFact("lost", lost, "failed"))
    if capturing is not None and capturing.trouble:
        found.append(AboutFact("capture", capturing.trouble, "failed"))
    found += [
        AboutFact(finding.rule, f"{finding.title}: {finding.observation}", "warning")
        for finding in report.findings
    ]
    if found:
        yield AboutFact("To be known first")
        yield from found


def _source(snapshot: Snapshot) -> Iterator[AboutFact]:
    source, capturing = snapshot.report.source, snapshot.capturing
    yield AboutFact("Capture")
    yield AboutFact("source", source_name(snapshot.report))
    yield AboutFact("format", ", ".join((source.format, *source.link_types)))
    if source.first_ns is not None:
        yield AboutFact("first packet", readable(source.first_ns))
    if source.last_ns is not None:
        yield AboutFact("last packet", readable(source.last_ns))
        yield AboutFact("duration", duration(source.duration_s))
    if capturing is None and not snapshot.finished:
        yield AboutFact("read", "not yet to its end: what is said here is said so far", "warning")
    yield AboutFact("packets", f"{source.packets:,}")
    yield AboutFact("bytes", octets(source.bytes))
    known = [number for number in (source.lost_kernel, source.lost_queue) if number is not None]
    if not known:
        yield AboutFact("lost", "the source does not say", "dim")
    elif not sum(known):
        yield AboutFact("lost", "none")
    if capturing is not None:
        if capturing.filter:
            yield AboutFact("filter", capturing.filter)
        kept = f"{capturing.file}, {size(capturing.file_bytes)}" if capturing.file else ""
        yield AboutFact("kept in", kept or "no file", "" if kept else "dim")
        if capturing.evicted_flows:
            gone = f"the oldest {plural(capturing.evicted_flows, 'tunnel')}, to bound memory"
            yield AboutFact("dropped", gone, "warning")


def _interfaces(interfaces: Sequence[Interface]) -> Iterator[AboutFact]:
    told = [(one.name, _limits(one)) for one in interfaces if one.name or _limits(one)]
    if not told:
        return
    yield AboutFact("Interfaces")
    for name, limits in told[:MAX_INTERFACES]:
        yield AboutFact(name or "without a name", limits or "whole packets, no filter")
    if len(told) > MAX_INTERFACES:
        yield AboutFact("and", f"{count(len(told) - MAX_INTERFACES)} more")


def _limits(interface: Interface) -> str:
    """What an interface leaves out of its packets, and which of them."""
    parts = []
    if 0 < interface.snaplen < WHOLE:
        parts.append(f"at most {octets(interface.snaplen)} of a packet")
    if interface.filter:
        parts.append(f"filter {interface.filter}")
    return "; ".join(parts)


def _tunnels(report: Report) -> Iterator[AboutFact]:
    """How many failed of what, the most frequent first."""
    yield AboutFact("Tunnels through a proxy")
    failing = Counter(flow.verdict for flow in report.telling if flow.failing)
    warned = sum(flow.severity is Severity.WARNING for flow in report.telling)
    for verdict, number in failing.most_common():
        # Verdicts are longer than a label may be: the number is the label.
        title = VERDICT_TITLES.get(verdict)
        words = f"{verdict}: {title}" if title else verdict
        yield AboutFact(f"{number:,}", words, "failed")
    if warned:
        yield AboutFact(f"{warned:,}", "with a warning", "warning")
    fine = len(report.flows) - failing.total() - warned
    yield AboutFact(f"{fine:,}", "without a problem")


def _others(report: Report) -> Iterator[AboutFact]:
    """What was not judged, and why."""
    if not report.other_flows and not report.not_understood:
        return
    yield AboutFact("Not judged")
    if report.other_flows:
        yield AboutFact("TCP flows", f"{report.other_flows:,} that go to no proxy")
    for reason, number in report.not_understood:
        yield AboutFact(plural(number, "packet"), reason)
