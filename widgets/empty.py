"""Why the screen is empty, in words."""

from __future__ import annotations

from typing import Final

from capture.snapshot import Snapshot
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
    report = snapshot.report
    packets = report.source.packets
    if not snapshot.finished:
        read = f", {size(snapshot.bytes_done)} read" if snapshot.bytes_done else ""
        return f"Reading{read} … no tunnel yet"
    if not packets:
        return "\n".join(["0 packets: the capture is empty", *_warnings(snapshot)])
    lines = [f"{plural(packets, 'packet')}, no tunnel through a proxy"]
    if report.other_flows:
        lines.append(f"{plural(report.other_flows, 'TCP flow')} to no proxy")
    for reason, number in report.not_understood[:MAX_REASONS]:
        lines.append(f"{count(number)} not TCP or not understood: {reason}")
    left = len(report.not_understood) - MAX_REASONS
    if left > 0:
        lines.append(f"and {plural(left, 'further reason')}")
    return "\n".join([*lines, *_warnings(snapshot)])


def _warnings(snapshot: Snapshot) -> list[str]:
    return [warning.message for warning in snapshot.report.source.warnings[:MAX_REASONS]]
