"""Why the screen is empty, in words."""

from __future__ import annotations

from typing import Final

from capture.snapshot import Capturing, Snapshot
from capture.units import count, plural, size

MAX_REASONS: Final = 6


def empty_text(snapshot: Snapshot | None) -> str:
    """What to show instead of tunnels, one reason a line.

    Args:
        snapshot: The newest one; None before there is any.
    """
    if snapshot is None:
        return "Opening …"
    if snapshot.error is not None:
        return snapshot.error
    packets = snapshot.report.source.packets
    capturing = snapshot.capturing
    if capturing is not None and not packets:
        return "\n".join([*_silent(capturing, snapshot.finished), *_warnings(snapshot)])
    if capturing is None and not snapshot.finished:
        read = f", {size(snapshot.bytes_done)} read" if snapshot.bytes_done else ""
        return f"Reading{read} … no tunnel yet"
    if not packets:
        return "\n".join(["0 packets: the capture is empty", *_warnings(snapshot)])
    return "\n".join([*_fruitless(snapshot), *_warnings(snapshot)])


def _silent(capturing: Capturing, finished: bool) -> list[str]:
    """A capture that has seen nothing: is it the filter, or the interface?"""
    where = ", ".join("standard input" if name == "-" else name for name in capturing.interfaces)
    passing = capturing.unfiltered_per_s
    if not capturing.filter:
        lines = [f"0 packets on {where}"]
        if not finished:
            lines.append("nothing comes by: is it the right interface, and is the client trying?")
        return lines
    said = f"0 packets: filter `{capturing.filter}` on {where}"
    if passing is None:
        return [said]
    if passing < 0.5:
        return [f"{said}; nothing passes unfiltered either"]
    return [f"{said}; {plural(round(passing), 'packet')}/s pass unfiltered"]


def _fruitless(snapshot: Snapshot) -> list[str]:
    """Packets, but no tunnel among them."""
    report = snapshot.report
    yet = "" if snapshot.finished else " yet"
    lines = [f"{plural(report.source.packets, 'packet')}, no tunnel through a proxy{yet}"]
    if report.other_flows:
        lines.append(f"{plural(report.other_flows, 'TCP flow')} to no proxy")
    for reason, number in report.not_understood[:MAX_REASONS]:
        lines.append(f"{count(number)} not TCP or not understood: {reason}")
    left = len(report.not_understood) - MAX_REASONS
    if left > 0:
        lines.append(f"and {plural(left, 'further reason')}")
    return lines


def _warnings(snapshot: Snapshot) -> list[str]:
    return [warning.message for warning in snapshot.report.source.warnings[:MAX_REASONS]]
