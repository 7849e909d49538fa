"""The packet index: one row a frame, as growing columns, for the screen.

Row i is frame number i + 1, until a live capture reaches its bound and lets rows go: what
maps rows to numbers and back is asked of the view. The engine appends, anybody may read the
first ``len(view)`` rows: arrays only grow by replacement, so a ``PacketView`` taken once
stays valid.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from capture.record import record

PACKET_DTYPE: Final = np.dtype(
    [
        ("time_ns", "i8"),
        ("position", "i8"),  # of the frame's bytes in the file or spool
        ("caplen", "u4"),
        ("wirelen", "u4"),
        ("flow", "u4"),  # FlowFacts.id; 0: not TCP
        ("seq", "u4"),  # relative to the direction's first
        ("ack", "u4"),  # relative to the other direction's first
        ("length", "u4"),  # TCP payload on the wire
        ("window", "u4"),  # scaled where the scale is known
        ("analysis", "u2"),  # AnalysisFlag bits
        ("flags", "u1"),  # TCP flags
        ("sender", "u1"),  # CLIENT or PROXY
        ("linktype", "u2"),
        ("interface", "u2"),
    ]
)

RETRANSMISSION: Final = 1
FAST_RETRANSMISSION: Final = 2
SPURIOUS_RETRANSMISSION: Final = 4
OUT_OF_ORDER: Final = 8
DUPLICATE: Final = 16
KEEP_ALIVE: Final = 32
KEEP_ALIVE_ACK: Final = 64
DUP_ACK: Final = 128
ZERO_WINDOW: Final = 256
ZERO_WINDOW_PROBE: Final = 512
ZERO_WINDOW_PROBE_ACK: Final = 1024
WINDOW_FULL: Final = 2048
WINDOW_UPDATE: Final = 4096
LOST_SEGMENT: Final = 8192
ACKED_UNSEEN: Final = 16384
PORT_REUSED: Final = 32768

ANALYSIS_NAMES: Final = {
    RETRANSMISSION: "retransmission",
    FAST_RETRANSMISSION: "fast retransmission",
    SPURIOUS_RETRANSMISSION: "spurious retransmission",
    OUT_OF_ORDER: "out of order",
    DUPLICATE: "duplicate in capture",
    KEEP_ALIVE: "keep-alive",
    KEEP_ALIVE_ACK: "keep-alive ACK",
    DUP_ACK: "duplicate ACK",
    ZERO_WINDOW: "zero window",
    ZERO_WINDOW_PROBE: "zero window probe",
    ZERO_WINDOW_PROBE_ACK: "zero window probe ACK",
    WINDOW_FULL: "window full",
    WINDOW_UPDATE: "window update",
    LOST_SEGMENT: "previous segment not captured",
    ACKED_UNSEEN: "ACKed unseen segment",
    PORT_REUSED: "port numbers reused",
}
"""Wireshark's words for its ``tcp.analysis`` flags."""


@record
class PacketView:
    """A snapshot of the packet index."""

    rows: NDArray[np.void]
    """Structured array of ``PACKET_DTYPE``; never written to again."""
    numbers: NDArray[np.int64] | None = None
    """Frame number of each row, ascending; None: all rows are there, row i is frame i + 1."""

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def last_number(self) -> int:
        """Number of the newest frame; 0 when there is none."""
        return self.number(len(self.rows) - 1) if len(self.rows) else 0

    def number(self, row: int) -> int:
        """Frame number of a row."""
        return row + 1 if self.numbers is None else int(self.numbers[row])

    def numbers_of(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Frame numbers of several rows."""
        return rows + 1 if self.numbers is None else self.numbers[rows]

    def row(self, number: int) -> int | None:
        """Row of a frame; None when there is no such frame, or no more."""
        if self.numbers is None:
            return number - 1 if 1 <= number <= len(self.rows) else None
        at = int(np.searchsorted(self.numbers, number))
        return at if at < len(self.numbers) and self.numbers[at] == number else None

    def row_from(self, number: int) -> int:
        """Row of a frame, or of the next one that there is; ``len`` beyond the last."""
        if self.numbers is None:
            return max(0, min(number - 1, len(self.rows)))
        return int(np.searchsorted(self.numbers, number))

    def of_flow(self, flow: int) -> NDArray[np.int64]:
        """Row indices of one flow's packets, in capture order (a scan: under a
        millisecond for a million)."""
        return np.flatnonzero(self.rows["flow"] == flow)


EMPTY: Final = PacketView(np.zeros(0, PACKET_DTYPE))
