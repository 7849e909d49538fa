"""Bringing the flow columns up to date after a block.

Everything here is by columns: ``lane`` numbers the directions that occur in the block
(``2 * run + side``), so counting is a ``bincount`` over few lanes, not over all flows.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from capture.decode.columns import ACK, FIN, OPT_SACK, RST, SYN, Segments
from capture.frames import Ints
from capture.packets import index as mark
from capture.tracking.events import RESENT, Oddities, note_syns
from capture.tracking.sequence import Analysed, first_of
from capture.tracking.table import UNKNOWN, FlowTable

BACKWARDS_NS: Final = 1_000_000
"""A clock that steps back by less is noise of several capture queues."""

_COUNTED: Final = (
    (mark.FAST_RETRANSMISSION, "fast"),
    (mark.SPURIOUS_RETRANSMISSION, "spurious"),
    (mark.OUT_OF_ORDER, "out_of_order"),
    (mark.KEEP_ALIVE, "keep_alives"),
    (mark.DUP_ACK, "dup_acks"),
    (mark.ZERO_WINDOW, "zero_windows"),
    (mark.ZERO_WINDOW_PROBE, "probes"),
    (mark.WINDOW_FULL, "window_full"),
    (mark.LOST_SEGMENT, "lost"),
)
_GAP_UNIT: Final = 14
"""Silences are compared in units of 2**14 ns (16 µs), so that a position fits beside."""
_PLACES: Final = 0xFFFFFF
_FAR: Final = 1 << 62
"""Beyond any place in a stream."""


def commit(table: FlowTable, odd: Oddities, segments: Segments, a: Analysed) -> None:
    """Fold a block's analysed segments into the columns."""
    if not len(a):
        return
    lane = 2 * a.run + a.side
    lanes = 2 * len(a.run_flow)
    count = np.arange(len(a))
    last = np.full(lanes, -1)
    last[lane] = count
    present = np.flatnonzero(last >= 0)
    rows = _rows(a)
    _begin(table, segments, a, first_of(count, lane, lanes, len(a))[present], rows[present])
    _count(table, segments, a, lane, lanes, rows)
    _payload(table, a, lane, lanes, rows)
    _last_of_each(table, a, last[present], rows[present])
    _spans(table, a)


def note_milestones(table: FlowTable, odd: Oddities, a: Analysed) -> None:
    """First packets of each kind; counts of SYNs and FINs. Comes before the events are
    classified, which need the handshake's RTT."""
    if not len(a):
        return
    _milestones(table, a)
    note_syns(table, odd, a)
    _handshake_acks(table, a)


def _milestones(table: FlowTable, a: Analysed) -> None:
    flows, sides = table.flows, table.sides
    lane = 2 * a.run + a.side
    kind = a.flags & (SYN | ACK | RST | FIN)
    telling = np.flatnonzero(kind & (SYN | RST | FIN))
    if not len(telling):
        return
    kind = kind[telling]
    syn = telling[(kind & (SYN | ACK | RST) == SYN) & (a.side[telling] == 0)]
    reply = telling[(kind & (SYN | ACK) == SYN | ACK) & (a.side[telling] == 1)]
    _add(flows.syn_count, a.run_flow, a.run[syn])
    _add(flows.syn_ack_count, a.run_flow, a.run[reply])
    first = _unset(syn, a.run, a.flow, flows.syn_no)
    flows.syn_seq[a.flow[first]] = (a.seq[first] + sides.base[a.row[first]]) & 0xFFFFFFFF
    flows.certain[a.flow[first]] = True
    _set_first(a, first, a.flow, flows.syn_ns, flows.syn_no)
    first = _unset(reply, a.run, a.flow, flows.syn_ack_no)
    _set_first(a, first, a.flow, flows.syn_ack_ns, flows.syn_ack_no)
    fin = telling[kind & (FIN | RST) == FIN]
    _add(sides.fin_sent, _rows(a), lane[fin])
    np.maximum.at(sides.fin_end, a.row[fin], a.end[fin])
    _set_first(a, _unset(fin, lane, a.row, sides.fin_no), a.row, sides.fin_ns, sides.fin_no)
    rst = telling[kind & RST != 0]
    _set_first(a, _unset(rst, lane, a.row, sides.rst_no), a.row, sides.rst_ns, sides.rst_no)


def _rows(a: Analysed) -> Ints:
    """Row of the per-direction columns of each lane."""
    return (2 * a.run_flow[:, None] + np.arange(2)).ravel()


def _add(column: Ints, keys: Ints, places: Ints) -> None:
    """Count one for the key at each place; half the time of ``np.add.at``."""
    column[keys] += np.bincount(places, minlength=len(keys)).astype(column.dtype)


def _unset(positions: Ints, lane: Ints, keys: Ints, column: Ints) -> Ints:
    """The first of the (ascending) positions for each key whose column is still 0.

    Args:
        positions: Of segments.
        lane: What stands for each segment's key in this block: small numbers.
        keys: Each segment's row of the column.
        column: Of a direction or flow.
    """
    positions = positions[column[keys[positions]] == 0]
    if not len(positions):
        return positions
    lanes = lane[positions]
    first = first_of(positions, lanes, int(lanes.max()) + 1, UNKNOWN)
    found: Ints = first[first != UNKNOWN]
    return found


def _set_first(a: Analysed, positions: Ints, keys: Ints, times: Ints, numbers: Ints) -> None:
    times[keys[positions]] = a.time_ns[positions]
    numbers[keys[positions]] = a.number[positions]


def _handshake_acks(table: FlowTable, a: Analysed) -> None:
    """The client's first ACK after the SYN-ACK."""
    flows = table.flows
    waiting = (flows.ack_no[a.run_flow] == 0) & (flows.syn_ack_no[a.run_flow] != 0)
    if not waiting.any():
        return
    rows = np.flatnonzero(
        waiting[a.run] & (a.side == 0) & (a.flags & (SYN | ACK | RST) == ACK)
        & (a.number > flows.syn_ack_no[a.flow])
    )  # fmt: skip
    first = _unset(rows, a.run, a.flow, flows.ack_no)
    _set_first(a, first, a.flow, flows.ack_ns, flows.ack_no)


def _begin(table: FlowTable, segments: Segments, a: Analysed, at: Ints, rows: Ints) -> None:
    """What only a direction's first packet tells."""
    sides = table.sides
    new = sides.began_no[rows] == 0
    at, rows = at[new], rows[new]
    sides.began_ns[rows] = a.time_ns[at]
    sides.began_no[rows] = a.number[at]
    sides.ttl[rows] = segments.ttl[a.index[at]]
    sides.first_flags[rows] = a.flags[at] & 0xFF


def _count(
    table: FlowTable, segments: Segments, a: Analysed, lane: Ints, lanes: int, rows: Ints
) -> None:
    """Everything that is a number of packets or bytes."""
    sides = table.sides
    sides.packets[rows] += np.bincount(lane, minlength=lanes).astype(np.uint32)
    sides.bytes[rows] += np.bincount(lane, a.length, lanes).astype(np.int64)

    def add(column: str, where: np.ndarray) -> None:
        if where.any():
            tally = np.bincount(lane[where], minlength=lanes).astype(np.uint32)
            getattr(sides, column)[rows] += tally

    data = a.length > 0
    add("data_packets", data)
    used = int(np.bitwise_or.reduce(a.analysis))
    for bit, column in _COUNTED:
        if used & bit:
            add(column, a.analysis & bit != 0)
    if used & RESENT:
        add("retransmissions", a.analysis & RESENT != 0)
    if used & mark.ACKED_UNSEEN:  # counts against the side whose bytes were not seen
        where = a.analysis & mark.ACKED_UNSEEN != 0
        np.add.at(sides.acked_unseen, a.row[where] ^ 1, 1)
    index = a.index
    add("cut", data & (segments.payload_captured[index] < a.length))
    limit = sides.mss[a.row ^ 1]
    add("oversized", data & (limit > 0) & (a.length > limit))
    fragmented = getattr(segments, "fragmented", None)
    if fragmented is not None and fragmented.any():
        add("fragments", fragmented[index])
    sack = np.flatnonzero(segments.options[index] & OPT_SACK)
    if len(sack):
        right = segments.sack_right[index[sack]]
        base = sides.base[a.row[sack] ^ 1]
        near = np.maximum(sides.next_seq[a.row[sack] ^ 1], 0)
        value = near + ((right - base - near + (1 << 31) & 0xFFFFFFFF) - (1 << 31))
        np.maximum.at(sides.sack_right, a.row[sack], np.where(right >= 0, value, -1))


def _payload(table: FlowTable, a: Analysed, lane: Ints, lanes: int, rows: Ints) -> None:
    """How far the streams got, and their first and last payload."""
    sides = table.sides
    np.maximum.at(sides.max_ack, a.row, a.ack)
    advancing = (
        (a.flags & RST == 0) & (a.analysis & mark.ZERO_WINDOW_PROBE == 0) & (a.end > a.before)
    )  # fmt: skip
    forward = np.flatnonzero(advancing)
    np.maximum.at(sides.next_seq, a.row[forward], a.end[forward])
    last = np.full(lanes, -1)
    last[lane[forward]] = forward
    got = np.flatnonzero(last >= 0)
    sides.next_ns[rows[got]] = a.time_ns[last[got]]
    data = np.flatnonzero(a.length > 0)
    if not len(data):
        return
    first = _unset(data, lane, a.row, sides.first_payload_no)
    _set_first(a, first, a.row, sides.first_payload_ns, sides.first_payload_no)
    last[:] = -1
    last[lane[data]] = data
    got = np.flatnonzero(last >= 0)
    sides.last_sent_ns[rows[got]] = a.time_ns[last[got]]
    sides.last_sent_no[rows[got]] = a.number[last[got]]
    new = data[(a.analysis[data] & mark.DUPLICATE == 0) & (a.end[data] > a.before[data])]
    new = new[a.analysis[new] & mark.ZERO_WINDOW_PROBE == 0]
    _waits(table, a, new)
    last[:] = -1
    last[lane[new]] = new
    got = np.flatnonzero(last >= 0)
    sides.last_payload_ns[rows[got]] = a.time_ns[last[got]]
    sides.last_payload_no[rows[got]] = a.number[last[got]]
    _largest(table, a, data, lane, rows)


def _largest(table: FlowTable, a: Analysed, data: Ints, lane: Ints, rows: Ints) -> None:
    """Largest payload of each direction, and the largest known to be acknowledged."""
    sides = table.sides
    row, length, end = a.row[data], a.length[data], a.end[data]
    bigger = np.flatnonzero(length > sides.largest[row])
    if len(bigger):
        lanes, size = lane[data[bigger]], length[bigger]
        longest = np.zeros(len(rows), np.int64)
        np.maximum.at(longest, lanes, size)
        equal = np.flatnonzero(size == longest[lanes])
        nearest = np.full(len(rows), _FAR)  # of equals, the first in the stream
        np.minimum.at(nearest, lanes[equal], end[bigger[equal]])
        got = np.flatnonzero(longest)
        old = rows[got]
        done = old[sides.largest_end[old] <= sides.max_ack[old ^ 1]]
        sides.largest_acked[done] = np.maximum(sides.largest_acked[done], sides.largest[done])
        sides.largest[old], sides.largest_end[old] = longest[got], nearest[got]
    acked = end <= sides.max_ack[row ^ 1]
    np.maximum.at(sides.largest_acked, row[acked], length[acked].astype(np.uint32))


def _waits(table: FlowTable, a: Analysed, new: Ints) -> None:
    """Longest time between two payloads of the proxy."""
    from_proxy = new[a.side[new] == 1]
    if not len(from_proxy):
        return
    flows, sides = table.flows, table.sides
    flow, times, numbers = a.flow[from_proxy], a.time_ns[from_proxy], a.number[from_proxy]
    head = np.concatenate(([True], flow[1:] != flow[:-1]))
    before = np.concatenate(([0], times[:-1]))
    before_no = np.concatenate(([0], numbers[:-1]))
    row = 2 * flow[head] + 1
    known = sides.last_payload_no[row] != 0
    before[head] = np.where(known, sides.last_payload_ns[row], times[head])
    before_no[head] = np.where(known, sides.last_payload_no[row], numbers[head])
    at, starts = _longest(times - before, head)
    better = (times - before)[at] > flows.wait_ns[flow[starts]]
    at, which = at[better], flow[starts][better]
    flows.wait_ns[which] = (times - before)[at]
    flows.wait_from_ns[which] = before[at]
    flows.wait_from_no[which] = before_no[at]
    flows.wait_to_no[which] = numbers[at]


def _longest(gaps: Ints, head: np.ndarray) -> tuple[Ints, Ints]:
    """Position of the longest gap of each group, and the groups' first positions."""
    starts = np.flatnonzero(head)
    # The place counts down, so that of equal gaps the first one is the longest.
    tagged = (np.maximum(gaps, 0) >> _GAP_UNIT << 24) | (_PLACES - np.arange(len(gaps)))
    return _PLACES - (np.maximum.reduceat(tagged, starts) & _PLACES), starts


def _last_of_each(table: FlowTable, a: Analysed, last: Ints, rows: Ints) -> None:
    """What the next block needs to know of each direction's last packet."""
    sides = table.sides
    dup_run = np.zeros(len(last), np.uint32)
    before = a.previous[last]
    ack_before = np.where(before >= 0, a.raw_ack[before], sides.last_ack[rows])
    # A window update between duplicate ACKs does not end their run.
    goes_on = (a.raw_ack[last] == ack_before) & (a.length[last] == 0)
    for slot in np.flatnonzero(goes_on | (a.analysis[last] & mark.DUP_ACK != 0)).tolist():
        at, row = int(last[slot]), int(rows[slot])
        ack, count = int(a.raw_ack[at]), 0
        while at >= 0 and int(a.raw_ack[at]) == ack and count < 3:
            count += bool(a.analysis[at] & mark.DUP_ACK)
            at = int(a.previous[at])
        if at < 0 and int(sides.last_ack[row]) == ack:  # the run began in an earlier block
            count += int(sides.dup_run[row])
        dup_run[slot] = min(count, 3)
    sides.dup_run[rows] = dup_run
    sides.last_ack[rows] = a.raw_ack[last]
    sides.rel_ack[rows] = a.ack[last]
    sides.signature[rows] = a.signature[last]
    sides.last_window[rows] = a.window[last]
    sides.last_analysis[rows] = a.analysis[last]
    sides.unscaled[rows] = a.flags[last] & SYN != 0
    sides.seen_ns[rows] = a.time_ns[last]
    sides.seen_no[rows] = a.number[last]


def _spans(table: FlowTable, a: Analysed) -> None:
    """Last packet, longest silence and clock steps of each flow."""
    flows = table.flows
    head = np.zeros(len(a), np.bool_)
    head[a.run_start] = True
    before = np.concatenate(([0], a.time_ns[:-1]))
    before_no = np.concatenate(([0], a.number[:-1]))
    before[head] = flows.last_ns[a.run_flow]
    before_no[head] = flows.last_no[a.run_flow]
    gaps = a.time_ns - before
    at, _ = _longest(gaps, head)
    better = gaps[at] > flows.silence_ns[a.run_flow]
    at, which = at[better], a.run_flow[better]
    flows.silence_ns[which] = gaps[at]
    flows.silence_from_ns[which] = before[at]
    flows.silence_from_no[which] = before_no[at]
    flows.silence_to_no[which] = a.number[at]
    back = gaps < -BACKWARDS_NS
    if back.any():
        np.add.at(flows.backwards, a.flow[back], 1)
    last = np.append(a.run_start[1:], len(a)) - 1
    flows.last_ns[a.run_flow] = a.time_ns[last]
    flows.last_no[a.run_flow] = a.number[last]
