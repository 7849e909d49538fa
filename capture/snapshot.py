"""What the engine publishes for a screen: one immutable snapshot at a time."""

from __future__ import annotations

from dataclasses import dataclass, field

from capture.facts import FlowFacts
from capture.packets import EMPTY, PacketView
from capture.report.model import Report


@dataclass(frozen=True, slots=True)
class Snapshot:
    """State of the analysis at one moment. Flows that did not change since the snapshot
    before are the same objects."""

    rev: int
    report: Report
    facts: dict[int, FlowFacts]
    """By flow uid, of the reported flows. Do not change."""
    packets: PacketView = field(default=EMPTY)
    bytes_done: int = 0
    bytes_total: int | None = None
    finished: bool = False
    """The source is read to its end."""
    error: str | None = None
    """One line, when the source could not be read at all."""
