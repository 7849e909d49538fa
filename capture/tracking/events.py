"""The segments that need a closer look: retransmissions, holes, zero windows, resets.

Few segments are irregular, so these are looked at one by one, in capture order within
each flow, with state kept only for the directions that have any.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
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
    for item in _irregular(table, a, rows, acked):
        position, at = item.position, Mark(item.number, item.time_ns)
        if item.analysis & mark.LOST_SEGMENT:
            _open_gap(odd, item, at)
            continue
        kind, was_missing = _kind(table, odd, a, item)
        a.filled[position] = was_missing
        if not kind:
            continue
        a.analysis[position] |= kind
        if kind & RESENT and item.length:
            ip_length = int(segments.ip_length[a.index[position]])
            _note_range(odd, item, at, ip_length, was_missing)


class _Irregular(NamedTuple):
    """A segment that jumps ahead or does not advance: what ``Analysed`` says of it."""

    position: int
    row: int
    number: int
    time_ns: int
    seq: int
    length: int
    end: int
    before: int
    analysis: int
    acked: int
    """How far the other side had acknowledged."""
    advanced_ns: int
    """Time of its sender's last segment that advanced the stream."""
    rtt_ns: int
    """Of the handshake; 0: not known."""


def _irregular(table: FlowTable, a: Analysed, rows: Ints, acked: Ints) -> Iterator[_Irregular]:
    """The segments at these positions. Numbers of Python's take a third of the time."""
    flows, flow = table.flows, a.flow[rows]
    rtt = np.where(flows.ack_no[flow] != 0, flows.ack_ns[flow] - flows.syn_ns[flow], 0)
    taken = (a.row, a.number, a.time_ns, a.seq, a.length, a.end, a.before, a.analysis, acked)
    columns = [rows, *[column[rows] for column in taken], _last_advance(table, a, rows), rtt]
    return map(_Irregular._make, zip(*[column.tolist() for column in columns], strict=True))


def _last_advance(table: FlowTable, a: Analysed, rows: Ints) -> Ints:
    """Time of each sender's last segment that advanced its stream, before those at ``rows``."""
    advances = np.flatnonzero((a.end > np.maximum(a.before, -1)) & (a.flags & RST == 0))
    result = table.sides.next_ns[a.row[rows]]
    for side in (0, 1):
        own = advances[a.side[advances] == side]
        mine = np.flatnonzero(a.side[rows] == side)
        if len(own) and len(mine):
            last = own[np.maximum(np.searchsorted(own, rows[mine]) - 1, 0)]
            here = (last < rows[mine]) & (last >= a.run_start[a.run[rows[mine]]])
            result[mine[here]] = a.time_ns[last[here]]
    return result


def _kind(table: FlowTable, odd: Oddities, a: Analysed, item: _Irregular) -> tuple[int, bool]:
    """Which kind of repetition a segment is (0: none), and whether it filled a hole."""
    seq, length, before, acked = item.seq, item.length, item.before, item.acked
    late = seq < before and not (length > 1 and seq == before - 1)
    was_missing = _fill(odd, item.row, seq, item.end)
    if late and acked == seq and _dup_acks(table, a, item.position, item.row) >= 2:
        other = int(a.previous_other[item.position])
        heard = int(a.time_ns[other]) if other >= 0 else int(table.sides.seen_ns[item.row ^ 1])
        if item.time_ns - heard < FAST_RETRANSMISSION_NS:
            return mark.FAST_RETRANSMISSION, was_missing
    waited = item.time_ns - item.advanced_ns
    soon = waited < (item.rtt_ns or OUT_OF_ORDER_NS)
    if late and was_missing and soon and seq + length != before:
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
    odd: Oddities, item: _Irregular, at: Mark, ip_length: int, was_missing: bool
) -> None:
    """Count a range that was sent again."""
    ranges = odd.ranges.setdefault(item.row, {})
    seq, length = item.seq, item.length
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


def _open_gap(odd: Oddities, item: _Irregular, at: Mark) -> None:
    gaps = odd.gaps.setdefault(item.row, [])
    if len(gaps) < MAX_HOLES:
        gaps.append(Gap(item.before, item.seq, at, item.length))


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
    index, before = a.index[rows], a.before[rows]
    columns = (
        a.row[rows], segments.ttl[index], segments.window[index], segments.options[index],
        a.seq[rows] - before, before >= 0,
    )  # fmt: skip
    for row, ttl, window, options, offset, known in zip(
        *[column.tolist() for column in columns], strict=True
    ):
        if row not in odd.resets:
            odd.resets[row] = Reset(ttl, window, options, offset if known else None)


def note_syns(table: FlowTable, odd: Oddities, a: Analysed) -> None:
    """Marks of repeated SYNs, the first one included."""
    rows = np.flatnonzero((a.flags & (SYN | ACK | RST) == SYN) & (a.side == 0))
    known = table.flows.syn_no[a.flow[rows]]
    rows = rows[(known != 0) & (known != a.number[rows])]
    flows, flow = table.flows, a.flow[rows]
    columns = (flow, flows.syn_no[flow], flows.syn_ns[flow], a.number[rows], a.time_ns[rows])
    for of, first, first_ns, number, time_ns in zip(
        *[column.tolist() for column in columns], strict=True
    ):
        marks = odd.syns.setdefault(of, [Mark(first, first_ns)])
        if len(marks) < MAX_SYN_MARKS:
            marks.append(Mark(number, time_ns))
