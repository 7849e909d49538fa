"""A tunnel over time as numbers to plot: sequence, throughput, round trips, window.

All from the columns of the packet index, with array operations. Times are seconds since the
flow's first packet; a direction is named by the side whose data flows in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from capture.decode.columns import ACK, RST, SYN
from capture.packets.index import (
    DUPLICATE,
    FAST_RETRANSMISSION,
    KEEP_ALIVE,
    OUT_OF_ORDER,
    RETRANSMISSION,
    SPURIOUS_RETRANSMISSION,
    PacketView,
)
from capture.stream.assembly import unwrapped

__all__ = ["Points", "Sequence", "round_trips", "sequence", "throughput", "window"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

RESENT: Final = RETRANSMISSION | FAST_RETRANSMISSION | SPURIOUS_RETRANSMISSION


@dataclass(frozen=True, slots=True)
class Points:
    """Values over time, ascending; shape ``(n,)``."""

    x: Floats
    """Seconds."""
    y: Floats
    row: Ints
    """Row of the packet that each value comes from; empty where it comes from many."""

    def __len__(self) -> int:
        return len(self.x)


@dataclass(frozen=True, slots=True)
class Sequence:
    """One direction's bytes over time, as tcptrace draws them."""

    sent: Points
    """Offset behind the last byte of each new segment."""
    resent: Points
    """The same of segments that were sent before."""
    late: Points
    """Of segments that came out of order."""
    acked: Points
    """Offset up to which the receiver has everything."""


def sequence(view: PacketView, rows: Ints, side: int) -> Sequence:
    """The bytes that one side sent, and the other acknowledged."""
    data = _data(view, rows, side)
    ends = _ends(view, data)
    analysis = view.rows["analysis"][data]
    again = analysis & RESENT != 0
    late = ~again & (analysis & OUT_OF_ORDER != 0)
    x = _seconds(view, rows, data)
    acks = _acks(view, rows, side)
    acked = np.maximum.accumulate(unwrapped(view.rows["ack"][acks]) - 1)
    return Sequence(
        sent=_points(x, ends, data, ~again & ~late),
        resent=_points(x, ends, data, again),
        late=_points(x, ends, data, late),
        acked=Points(_seconds(view, rows, acks), np.maximum(acked, 0).astype(float), acks),
    )


def throughput(view: PacketView, rows: Ints, side: int, bins: int) -> Points:
    """Payload that one side sent, in bits per second, over equal stretches of time.

    Args:
        view: The packet index.
        rows: The flow's packets.
        side: Whose payload.
        bins: Number of stretches.
    """
    data = _data(view, rows, side)
    if not len(rows) or not len(data):
        return Points(np.zeros(0), np.zeros(0), np.zeros(0, np.int64))
    span = float(_seconds(view, rows, rows[-1:])[0])
    width = max(span, 1e-6) / bins
    place = np.clip((_seconds(view, rows, data) / width).astype(np.int64), 0, bins - 1)
    counts = np.bincount(place, weights=view.rows["length"][data], minlength=bins)
    octets = counts.astype(np.float64)
    middles = (np.arange(bins, dtype=np.float64) + 0.5) * width
    return Points(middles, octets * 8 / width, np.zeros(0, np.int64))


def round_trips(view: PacketView, rows: Ints, side: int) -> Points:
    """Time from a segment of ``side`` to the acknowledgement of its last byte, in seconds.

    Segments sent more than once are left out: nobody knows which of them was acknowledged
    (Karn's algorithm, RFC 6298 section 3). What is measured lies between the place of the
    capture and the receiver.
    """
    data = _data(view, rows, side)
    acks = _acks(view, rows, side)
    if not len(data) or not len(acks):
        return Points(np.zeros(0), np.zeros(0), np.zeros(0, np.int64))
    ends = _ends(view, data) + 1
    clean = view.rows["analysis"][data] & (RESENT | OUT_OF_ORDER) == 0
    numbers, first, times = np.unique(ends, return_index=True, return_counts=True)
    once = (times == 1) & clean[first]
    acked, first_ack = np.unique(unwrapped(view.rows["ack"][acks]), return_index=True)
    at = np.searchsorted(numbers, acked)
    inside = at < len(numbers)
    at[~inside] = 0
    match = inside & (numbers[at] == acked) & once[at]
    sent, answered = data[first[at[match]]], acks[first_ack[match]]
    later = answered > sent
    sent, answered = sent[later], answered[later]
    order = np.argsort(answered)
    sent, answered = sent[order], answered[order]
    elapsed = view.rows["time_ns"][answered] - view.rows["time_ns"][sent]
    return Points(_seconds(view, rows, answered), np.maximum(elapsed, 0) / 1e9, answered)


def window(view: PacketView, rows: Ints, side: int) -> Points:
    """Bytes that the receiver of ``side``'s data is ready to take, as it says itself."""
    acks = _acks(view, rows, side)
    acks = acks[view.rows["flags"][acks] & SYN == 0]
    values = view.rows["window"][acks].astype(float)
    return Points(_seconds(view, rows, acks), values, acks)


def _points(x: Floats, y: Ints, row: Ints, chosen: NDArray[np.bool_]) -> Points:
    return Points(x[chosen], y[chosen].astype(float), row[chosen])


def _data(view: PacketView, rows: Ints, side: int) -> Ints:
    """Segments of one side with payload, without copies and keep-alives."""
    table = view.rows
    wanted = (table["sender"][rows] == side) & (table["length"][rows] > 0)
    wanted &= table["analysis"][rows] & (DUPLICATE | KEEP_ALIVE) == 0
    wanted &= table["flags"][rows] & RST == 0
    chosen: Ints = rows[wanted]
    return chosen


def _acks(view: PacketView, rows: Ints, side: int) -> Ints:
    """Packets of the other side with an acknowledgement and a window."""
    table = view.rows
    wanted = (table["sender"][rows] == 1 - side) & (table["flags"][rows] & ACK != 0)
    wanted &= (table["flags"][rows] & RST == 0) & (table["analysis"][rows] & DUPLICATE == 0)
    chosen: Ints = rows[wanted]
    return chosen


def _ends(view: PacketView, data: Ints) -> Ints:
    """Offset behind the last byte of each segment, from 0."""
    ends: Ints = unwrapped(view.rows["seq"][data]) + view.rows["length"][data]
    ends -= view.rows["flags"][data] & SYN == 0
    return ends


def _seconds(view: PacketView, rows: Ints, chosen: Ints) -> Floats:
    if not len(rows):
        return np.zeros(0)
    times = view.rows["time_ns"][chosen] - view.rows["time_ns"][rows[0]]
    # A clock that was set back must not make a plot go back.
    ordered: Floats = np.maximum.accumulate(np.maximum(times, 0)) / 1e9
    return ordered
