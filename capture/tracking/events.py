"""The segments that need a closer look: retransmissions, holes, zero windows, resets.

Few segments are irregular, so these are looked at one by one, in capture order within
each flow, with state kept only for the directions that have any.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Final, NamedTuple

import numpy as np

from capture.decode.columns import ACK, FIN, RST, SYN, Segments
from capture.facts import Mark
from capture.frames import Ints
from capture.packets import index as mark
from capture.tracking.sequence import Analysed
from capture.tracking.table import FlowTable, renumbered

FAST_RETRANSMISSION_NS: Final = 20_000_000
"""A fast retransmission follows the last duplicate ACK within 20 ms (Wireshark)."""
OUT_OF_ORDER_NS: Final = 3_000_000
"""Without a measured RTT, what arrives within 3 ms was only reordered (Wireshark)."""

MAX_RANGES: Final = 64
MAX_HOLES: Final = 256
MAX_MARKS: Final = 8
MAX_SYN_MARKS: Final = 12

RESENT: Final = mark.RETRANSMISSION | mark.FAST_RETRANSMISSION | mark.SPURIOUS_RETRANSMISSION
_SPECIAL: Final = SYN | FIN | RST


@dataclass(slots=True)
class Range:
    """A range of sequence numbers that was sent more than once."""

    length: int
    ip_length: int
    sent: int
    marks: list[Mark]
    smaller: bool = False

    def again(self, at: Mark) -> None:
        self.sent += 1
        if len(self.marks) < MAX_MARKS:
            self.marks.append(at)
        else:
            self.marks[-1] = at


class Gap(NamedTuple):
    """Missing bytes ``[left, right)`` and the packet that came beyond them."""

    left: int
    right: int
    mark: Mark
    beyond: int


@dataclass(slots=True)
class ZeroWindow:
    """Time a side's receive window stayed closed."""

    since: Mark | None = None
    longest_ns: int = 0
    longest: Mark | None = None


class Reset(NamedTuple):
    """The first RST of a side, with what tells who sent it."""

    ttl: int
    window: int
    options: int
    offset: int | None
    """Its sequence number minus the next expected one."""


@dataclass(slots=True)
class Oddities:
    """State of the directions and flows that had irregular segments, by row or flow."""

    ranges: dict[int, dict[int, Range]] = field(default_factory=dict)
    gaps: dict[int, list[Gap]] = field(default_factory=dict)
    windows: dict[int, ZeroWindow] = field(default_factory=dict)
    resets: dict[int, Reset] = field(default_factory=dict)
    syns: dict[int, list[Mark]] = field(default_factory=dict)
    """Marks of each SYN, by flow; only of flows that sent more than one."""

    def renumber(self, number: Ints) -> None:
        """Follow the flow table when flows were let go (see ``FlowTable.keep``)."""
        self.ranges = renumbered(self.ranges, number, 2)
        self.gaps = renumbered(self.gaps, number, 2)
        self.windows = renumbered(self.windows, number, 2)
        self.resets = renumbered(self.resets, number, 2)
        self.syns = renumbered(self.syns, number, 1)

    def flip(self, flow: int) -> None:
        """Exchange the two sides of a flow."""
        for table in (self.ranges, self.gaps, self.windows, self.resets):
            rows: dict[int, object] = table  # type: ignore[assignment]
            left, right = rows.pop(2 * flow, None), rows.pop(2 * flow + 1, None)
            if left is not None:
                rows[2 * flow + 1] = left
            if right is not None:
                rows[2 * flow] = right


def classify(table: FlowTable, odd: Oddities, segments: Segments, a: Analysed) -> None:
    """Fill the retransmission bits of ``a.analysis`` and ``a.filled``, and note what is odd."""
    special = a.flags & _SPECIAL
    bits = a.analysis
    sends = (a.length > 0) | (special & (SYN | FIN) != 0)
    sends &= (bits & (mark.KEEP_ALIVE | mark.ZERO_WINDOW_PROBE)) == 0
    sends &= special & RST == 0
    inside = a.previous_other >= 0
    acked = np.where(inside, a.ack[a.previous_other], table.sides.rel_ack[a.row ^ 1])
    again = sends & (a.before >= 0) & (
        (a.seq < a.before) | ((a.length > 0) & (a.seq + a.length <= acked))
    )  # fmt: skip
    jumps = bits & mark.LOST_SEGMENT != 0
    _note_windows(table, odd, a)
    _note_resets(odd, segments, a, np.flatnonzero(special & RST != 0))
    rows = np.flatnonzero(again | jumps)
    if len(rows):
        _one_by_one(table, odd, segments, a, rows, acked)
    if odd.gaps:
        _close_acked_gaps(table, odd, a)


def _one_by_one(
    table: FlowTable, odd: Oddities, segments: Segments, a: Analysed, rows: Ints, acked: Ints
) -> None:
    """Walk the segments that jump ahead or do not advance."""
    advanced = _last_advance(table, a)
    for position in rows.tolist():
        row = int(a.row[position])
        at = Mark(int(a.number[position]), int(a.time_ns[position]))
        if a.analysis[position] & mark.LOST_SEGMENT:
            _open_gap(odd, a, position, row, at)
            continue
        kind, was_missing = _kind(table, odd, a, position, row, int(acked[position]), advanced)
        a.filled[position] = was_missing
        if not kind:
            continue
        a.analysis[position] |= kind
        if kind & RESENT and a.length[position]:
            ip_length = int(segments.ip_length[a.index[position]])
            _note_range(odd, a, position, row, at, ip_length, was_missing)


def _last_advance(table: FlowTable, a: Analysed) -> Ints:
    """Time of each sender's last segment that advanced its stream, before each segment."""
    advances = (a.end > np.maximum(a.before, -1)) & (a.flags & RST == 0)
    count = np.arange(len(a))
    result = table.sides.next_ns[a.row]
    head = a.run_start[a.run]
    for side in (0, 1):
        last = np.maximum.accumulate(np.where(advances & (a.side == side), count, -1))
        before = np.concatenate(([-1], last[:-1]))
        use = (a.side == side) & (before >= head)
        result = np.where(use, a.time_ns[before], result)
    return result


def _kind(
    table: FlowTable,
    odd: Oddities,
    a: Analysed,
    position: int,
    row: int,
    acked: int,
    advanced: Ints,
) -> tuple[int, bool]:
    """Which kind of repetition a segment is (0: none), and whether it filled a hole."""
    seq, length, before = int(a.seq[position]), int(a.length[position]), int(a.before[position])
    late = seq < before and not (length > 1 and seq == before - 1)
    was_missing = _fill(odd, row, seq, int(a.end[position]))
    if late and acked == seq and _dup_acks(table, a, position, row) >= 2:
        other = int(a.previous_other[position])
        heard = int(a.time_ns[other]) if other >= 0 else int(table.sides.seen_ns[row ^ 1])
        if int(a.time_ns[position]) - heard < FAST_RETRANSMISSION_NS:
            return mark.FAST_RETRANSMISSION, was_missing
    flow = int(a.flow[position])
    flows = table.flows
    rtt = int(flows.ack_ns[flow]) - int(flows.syn_ns[flow]) if flows.ack_no[flow] else 0
    waited = int(a.time_ns[position]) - int(advanced[position])
    if late and was_missing and waited < (rtt or OUT_OF_ORDER_NS) and seq + length != before:
        return mark.OUT_OF_ORDER, was_missing
    if length and acked >= 0 and seq + length <= acked:
        return mark.SPURIOUS_RETRANSMISSION, was_missing
    return (mark.RETRANSMISSION if late else 0), was_missing


def _dup_acks(table: FlowTable, a: Analysed, position: int, row: int) -> int:
    """Duplicate ACKs the other side had sent in a row, counted as far as 3."""
    count = 0
    at = int(a.previous_other[position])
    if at < 0:
        return int(table.sides.dup_run[row ^ 1])
    ack = int(a.raw_ack[at])
    while at >= 0 and int(a.raw_ack[at]) == ack and count < 3:
        count += bool(a.analysis[at] & mark.DUP_ACK)
        at = int(a.previous[at])
    if at < 0 and int(table.sides.last_ack[row ^ 1]) == ack:
        count += int(table.sides.dup_run[row ^ 1])
    return count


def _note_range(
    odd: Oddities,
    a: Analysed,
    position: int,
    row: int,
    at: Mark,
    ip_length: int,
    was_missing: bool,
) -> None:
    """Count a range that was sent again."""
    ranges = odd.ranges.setdefault(row, {})
    seq, length = int(a.seq[position]), int(a.length[position])
    known = ranges.get(seq)
    if known is not None:
        if length < known.length:
            known.smaller = True
        else:
            known.again(at)
        return
    if len(ranges) >= MAX_RANGES:
        del ranges[min(ranges, key=lambda key: ranges[key].sent)]
    ranges[seq] = Range(length, ip_length, 1 if was_missing else 2, [at])


def _open_gap(odd: Oddities, a: Analysed, position: int, row: int, at: Mark) -> None:
    gaps = odd.gaps.setdefault(row, [])
    if len(gaps) < MAX_HOLES:
        left, right = int(a.before[position]), int(a.seq[position])
        gaps.append(Gap(left, right, at, int(a.length[position])))


def _fill(odd: Oddities, row: int, left: int, right: int) -> bool:
    """Take a segment's bytes out of the gaps; whether any were missing."""
    gaps = odd.gaps.get(row)
    if not gaps:
        return False
    # They are in order and apart: each begins where the stream had ended.
    first = last = bisect_right(gaps, left, key=_right)
    rest: list[Gap] = []
    while last < len(gaps) and gaps[last].left < right:
        gap = gaps[last]
        if gap.left < left:
            rest.append(gap._replace(right=left))
        if right < gap.right:
            rest.append(gap._replace(left=right))
        last += 1
    if first == last:
        return False
    gaps[first:last] = rest
    if not gaps:
        del odd.gaps[row]
    return True


_right = attrgetter("right")


def _close_acked_gaps(table: FlowTable, odd: Oddities, a: Analysed) -> None:
    """Gaps whose bytes the receiver acknowledged: the capture missed them, not it."""
    open_rows = np.array(list(odd.gaps))
    for row in open_rows[np.isin(open_rows >> 1, a.run_flow)].tolist():
        rows = np.flatnonzero(a.row == row ^ 1)
        if not len(rows):
            continue
        acks = a.ack[rows]
        rest: list[Gap] = []
        for gap in odd.gaps[row]:
            after = (acks > gap.left) & (a.number[rows] > gap.mark.number)
            if not after.any():
                rest.append(gap)
                continue
            a.analysis[rows[np.argmax(after)]] |= mark.ACKED_UNSEEN
        if rest:
            odd.gaps[row] = rest
        else:
            del odd.gaps[row]


def _note_windows(table: FlowTable, odd: Oddities, a: Analysed) -> None:
    """Zero windows: when they began and how long they lasted."""
    closed = a.analysis & mark.ZERO_WINDOW != 0
    last = np.where(
        a.previous >= 0, a.window[a.previous], table.sides.last_window[a.row]
    )  # fmt: skip
    begins = closed & (last != 0)
    ends = (a.window > 0) & (last == 0) & (a.flags & (SYN | RST) == 0)
    for position in np.flatnonzero(begins | ends).tolist():
        row = int(a.row[position])
        at = Mark(int(a.number[position]), int(a.time_ns[position]))
        state = odd.windows.setdefault(row, ZeroWindow())
        if begins[position]:
            state.since = state.since or at
        elif state.since is not None:
            lasted = at.time_ns - state.since.time_ns
            if lasted >= state.longest_ns:
                state.longest_ns, state.longest = lasted, state.since
            state.since = None


def _note_resets(odd: Oddities, segments: Segments, a: Analysed, rows: Ints) -> None:
    """Keep what the first RST of each side looked like."""
    for position in rows.tolist():
        row = int(a.row[position])
        if row in odd.resets:
            continue
        index = int(a.index[position])
        before = int(a.before[position])
        offset = int(a.seq[position]) - before if before >= 0 else None
        ttl, window = int(segments.ttl[index]), int(segments.window[index])
        odd.resets[row] = Reset(ttl, window, int(segments.options[index]), offset)


def note_syns(table: FlowTable, odd: Oddities, a: Analysed) -> None:
    """Marks of repeated SYNs, the first one included."""
    rows = np.flatnonzero((a.flags & (SYN | ACK | RST) == SYN) & (a.side == 0))
    known = table.flows.syn_no[a.flow[rows]]
    for position in rows[(known != 0) & (known != a.number[rows])].tolist():
        flow, number = int(a.flow[position]), int(a.number[position])
        first = int(table.flows.syn_no[flow])
        marks = odd.syns.setdefault(flow, [Mark(first, int(table.flows.syn_ns[flow]))])
        if len(marks) < MAX_SYN_MARKS:
            marks.append(Mark(number, int(a.time_ns[position])))
