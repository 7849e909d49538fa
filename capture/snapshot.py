"""What the engine publishes for a screen: one immutable snapshot at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from capture.facts import FlowFacts
from capture.flow_ends import FlowEnds
from capture.packets.index import EMPTY, PacketView
from capture.report.model import Report
from capture.second_leg.pairing import SecondLeg


@dataclass(frozen=True, slots=True)
class Capturing:
    """State of a live source at one moment."""

    interfaces: tuple[str, ...]
    filter: str = ""
    """The capture filter, as the user wrote it."""
    clock_ns: int = 0
    """The moment the source has got to: later than the last packet when none come."""
    packets_per_s: float = 0.0
    bytes_per_s: float = 0.0
    unfiltered_per_s: float | None = None
    """Packets a second that pass the interfaces without the filter; None: not known."""
    file: str = ""
    """Where the packets are kept (``-w``); empty: a temporary file."""
    file_bytes: int = 0
    trouble: str = ""
    """One line for a banner: a sniffer that died, a disk that is full, an interface down."""
    evicted_flows: int = 0
    """Flows let go of to stay within the bounds of memory."""
    evicted_packets: int = 0


@dataclass(frozen=True, slots=True)
class ReplayClock:
    """State of the replay clock at one moment."""

    now_ns: int
    """Capture time that the panes show."""
    first_ns: int
    last_ns: int
    speed: float = 1.0
    """Capture seconds a second; ``math.inf``: as fast as it goes."""
    playing: bool = False
    at_packet: int = 0
    """Number of the last packet shown (1-based; 0: before the first)."""
    packets: int = 0
    """Packets of the whole recording."""
    share: float = 1.0
    """Which part of the recording is behind the clock, 0 to 1; by packets without times."""
    timed: bool = True
    """False: the file has no times, and the clock goes by packets."""
    at_end: bool = False
    """The state shown is the final one."""
    skipping: bool = False
    """Long silences are skipped."""
    flow: int | None = None
    """Uid of the failing tunnel that the last step led to, while the clock stands there."""
    note: str = ""
    """One line about the last command, where it could not be done."""
    asked: int = 0
    """Commands obeyed so far."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """State of the analysis at one moment. Flows that did not change since the snapshot
    before are the same objects."""

    rev: int
    report: Report
    facts: Mapping[int, FlowFacts]
    """By flow uid, of the reported flows. Do not change."""
    packets: PacketView = field(default=EMPTY)
    bytes_done: int = 0
    bytes_total: int | None = None
    finished: bool = False
    """The source is read to its end."""
    error: str | None = None
    """One line, when the source could not be read at all."""
    capturing: Capturing | None = None
    """Live sources only."""
    ends: FlowEnds | None = None
    """Ends of all TCP flows, also of those that are not reported."""
    legs: dict[int, tuple[SecondLeg, ...]] = field(default_factory=dict)
    """By flow uid: the proxies' own connections for it, as far as the capture has them and is
    read. Do not change."""
    clock: ReplayClock | None = None
    """Where a capture is replayed: the state shown is that at this clock."""

    def is_merely_later(self, other: Snapshot) -> bool:
        """Whether both are of a live capture, and nothing came and nothing was found between
        them: only the time, and what is told of the source, may differ."""
        return (
            self.capturing is not None
            and other.capturing is not None
            and self.report is other.report
            and len(self.packets) == len(other.packets)
            and self.packets.last_number == other.packets.last_number
        )
