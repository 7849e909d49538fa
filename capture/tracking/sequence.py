"""TCP sequence analysis of a block, by columns.

The classes and their precedence are Wireshark's (``tcp_analyze_sequence_number`` in
packet-tcp.c, 4.0), so that counts match ``tcp.analysis.*``. What depends only on the last
packet of each side and on the highest sequence number is computed for all segments at
once; only segments that do not advance the stream, or jump beyond it, are looked at one by
one (``events.py``). Copies of one packet in a capture are taken out first and counted as
duplicates, where Wireshark calls them retransmissions.

Sequence numbers are relative to the direction's first (a SYN is 0, the first byte 1) and
unwrapped to 64 bits, so that streams may be longer than 4 GiB.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from capture.decode.columns import ACK, FIN, RST, SYN, Segments
from capture.frames import Ints
from capture.packets import index as mark
from capture.tracking.table import UNKNOWN, FlowTable, Runs

Mask = NDArray[np.bool_]

DUPLICATE_NS: Final = 2_000_000
"""Copies of a packet (mirror ports, ``any``) come within 2 ms."""

COPIES: Final = 3
"""How many segments of its side may stand between a segment and its copy."""

_MIX: Final = 0x1E3779B97F4A7C15
_HALF: Final = 1 << 31
_MOD: Final = (1 << 32) - 1
_LIFT: Final = 1 << 42
"""Distance between runs when one running maximum serves all: streams under 2 TiB."""
_BELOW: Final = -(1 << 33)
"""Below any relative sequence number: no packet of that side yet."""


@dataclass(slots=True)
class Analysed:
    """A block's segments in flow order with what the analysis found.

    Every array has one entry a kept segment, sorted by flow, in capture order within it.
    """

    index: Ints
    """Index into the block's ``Segments``."""
    run: Ints
    flow: Ints
    side: Ints
    row: Ints
    """Row of the sender's per-direction columns: ``2 * flow + side``."""
    number: Ints
    time_ns: Ints
    flags: Ints
    length: Ints
    seq: Ints
    """Relative and unwrapped."""
    end: Ints
    """``seq`` after this segment; SYN and FIN count one."""
    ack: Ints
    """Relative acknowledgement number; ``UNKNOWN`` without ACK."""
    raw_ack: Ints
    window: Ints
    before: Ints
    """The sender's next expected sequence number before this segment (below 0: none)."""
    before_other: Ints
    """The same of the other side."""
    previous: Ints
    """Position of the sender's previous segment in this run, or -1."""
    previous_other: Ints
    """Position of the other side's last segment before, or -1."""
    analysis: NDArray[np.uint16]
    """``capture.packets.index`` analysis bits; retransmission kinds are filled by events."""
    run_start: Ints
    """First position of each run; shape (runs,)."""
    run_flow: Ints
    duplicates: Ints
    """Segment indices that were copies."""
    duplicate_row: Ints
    """Row of the per-direction columns of each copy."""
    signature: Ints
    """What copies of a segment have in common, mixed into one number."""
    filled: Mask
    """Segments that brought bytes which were missing before later ones; filled by events."""

    def __len__(self) -> int:
        return len(self.index)


def analyse(table: FlowTable, segments: Segments, runs: Runs) -> Analysed:
    """Sort, orient and analyse a block; learns base sequence numbers and SYN options.

    The per-direction columns still hold the state before the block: ``state.commit``
    brings them up to date once the events are classified.
    """
    order, start, flows = runs.order, runs.start, runs.flow
    lengths = np.diff(start, append=len(order))
    run = np.repeat(np.arange(len(start)), lengths)
    source = (segments.src << 16 | segments.sport)[order]
    side = (source != table.flows.client[flows[run]]).astype(np.int64)
    signature = _signatures(segments)[order]
    row = 2 * flows[run] + side
    previous, previous_other = _neighbours(side, start[run])
    copies = _duplicates(table, segments, order, row, previous, signature)
    if copies is not None:
        kept = ~copies
        dropped = order[copies]
        dropped_row = row[copies]
        np.add.at(table.sides.duplicates, dropped_row, 1)
        np.add.at(table.sides.packets, dropped_row, 1)
        order, run, side, signature = order[kept], run[kept], side[kept], signature[kept]
        left = np.flatnonzero(np.bincount(run, minlength=len(flows)))  # not only copies
        flows, run = flows[left], np.searchsorted(left, run)
        start = np.searchsorted(run, np.arange(len(flows)))
        previous, previous_other = _neighbours(side, start[run])
    else:
        dropped = dropped_row = np.zeros(0, np.int64)
    flow = flows[run]
    row = 2 * flow + side
    flags = segments.flags[order]
    count = np.arange(len(order))
    raw_seq, raw_ack = segments.seq[order], segments.ack[order]
    acks = flags & ACK != 0
    _learn_bases(table, raw_seq, raw_ack, flags, run, side, flows)
    sides = table.sides
    known = np.maximum(sides.next_seq, 0)
    seq = _unwrap(raw_seq - sides.base[row], known[row])
    ack = _unwrap(raw_ack - sides.base[row ^ 1], known[row ^ 1])
    ack[~acks | (sides.base[row ^ 1] == UNKNOWN)] = UNKNOWN
    length = segments.length[order]
    end = seq + length + (flags & (SYN | FIN) != 0)
    _learn_options(table, segments, order, row, flags)
    a = Analysed(
        order, run, flow, side, row, segments.number[order], segments.time_ns[order], flags,
        length, seq, end, ack, raw_ack, segments.window[order], count, count, previous,
        previous_other, np.zeros(len(order), np.uint16), start, flows, dropped,
        dropped_row, signature, np.zeros(len(order), np.bool_),
    )  # fmt: skip
    _expected(table, a, end)
    probe = _probes(table, a)
    if probe.any():  # a probe's byte does not advance the stream
        _expected(table, a, np.where(probe, seq, end))
        probe = _probes(table, a)
    a.analysis[probe] |= mark.ZERO_WINDOW_PROBE
    _classify(table, a, ~probe)
    return a


def _neighbours(side: Ints, head: Ints) -> tuple[Ints, Ints]:
    """Position of the last segment before each one in its run, of its sender and of the other
    side; -1 without one. ``head``: where each one's run starts."""
    count, client = np.arange(len(side)), side == 0
    of_client = _last_before(client, count, head)
    of_proxy = _last_before(~client, count, head)
    return np.where(client, of_client, of_proxy), np.where(client, of_proxy, of_client)


def _last_before(mask: Mask, count: Ints, head: Ints) -> Ints:
    """Position of the last masked segment strictly before each one in its run, or -1."""
    last = np.maximum.accumulate(np.where(mask, count, -1))
    before = np.concatenate(([-1], last[:-1])) if len(last) else last
    before[before < head] = -1
    return before


def _unwrap(offset: Ints, near: Ints) -> Ints:
    """32-bit sequence offsets as 64-bit ones, each the nearest to what is expected."""
    return near + ((offset - near + _HALF & _MOD) - _HALF)


def _signatures(segments: Segments) -> Ints:
    """Sequence and acknowledgement numbers, flags, length, window, checksum and IP
    identification of each segment, mixed into one number (63 bits)."""
    mixed = (segments.seq << 31) ^ segments.ack ^ (segments.checksum << 16)
    mixed *= _MIX
    mixed ^= (segments.ip_id & 0xFFFF) << 40 ^ segments.window << 24 ^ segments.length
    mixed *= _MIX
    return mixed ^ segments.flags


def _duplicates(
    table: FlowTable, segments: Segments, order: Ints, row: Ints, previous: Ints, signature: Ints
) -> Mask | None:
    """Segments that are copies of an earlier one of the same side, or None without any.

    A copy has the same sequence and acknowledgement numbers, flags, length, window,
    checksum and IP identification, and follows within ``DUPLICATE_NS``. Without an
    identification (IPv6, or 0 with DF) a segment without payload proves nothing: real
    duplicate ACKs, and a SYN-ACK to a SYN that came twice, look the same.
    """
    sides = table.sides
    first = np.flatnonzero((previous < 0) & (signature == sides.signature[row]))
    found = np.zeros(len(order), np.bool_)
    if len(first):  # the original may be the last packet of the block before
        near = segments.time_ns[order[first]] - sides.seen_ns[row[first]] <= DUPLICATE_NS
        found[first] = near & (sides.packets[row[first]] > 0) & _telling(segments, order[first])
    earlier = previous
    for _ in range(COPIES):  # copies of a burst interleave: A B A' B'
        near = np.flatnonzero((earlier >= 0) & (signature == signature[earlier]))
        if len(near):
            left, right = order[near], order[earlier[near]]
            apart = segments.time_ns[left] - segments.time_ns[right]
            found[near[(apart <= DUPLICATE_NS) & _telling(segments, left)]] = True
        elif earlier is not previous:
            break
        earlier = np.where(earlier >= 0, previous[earlier], -1)
    return found if found.any() else None


def _telling(segments: Segments, index: Ints) -> Mask:
    """Segments of which an equal one can only be a copy."""
    telling: Mask = (segments.ip_id[index] > 0) | (segments.length[index] > 0)
    return telling


def first_of(rows: Ints, keys: Ints, size: int, none: int) -> Ints:
    """First of the (ascending) positions ``rows`` for each key."""
    first = np.full(size, none, np.int64)
    first[keys[::-1]] = rows[::-1]
    return first


def _learn_bases(
    table: FlowTable,
    raw_seq: Ints,
    raw_ack: Ints,
    flags: Ints,
    run: Ints,
    side: Ints,
    flows: Ints,
) -> None:
    """Set the sequence number that counts as 0 for directions that have none yet: the
    SYN's, else one below the first seen or first acknowledged (as Wireshark does)."""
    columns = table.sides
    rows = (2 * flows[:, None] + np.arange(2)).ravel()
    unset = columns.base[rows] == UNKNOWN
    if not unset.any():
        return
    lane = 2 * run + side
    total, none = len(rows), len(run)
    own = first_of(np.arange(none), lane, total, none)
    acks = np.flatnonzero(flags & ACK != 0)
    other = first_of(acks, lane[acks] ^ 1, total, none)
    syn = flags & SYN != 0
    for lanes, take_own in (
        (np.flatnonzero(unset & (own <= other) & (own < none)), True),
        (np.flatnonzero(unset & (other < own)), False),
    ):
        at = (own if take_own else other)[lanes]
        base = raw_seq[at] - ~syn[at] if take_own else raw_ack[at] - 1
        columns.base[rows[lanes]] = base & _MOD


def _learn_options(
    table: FlowTable, segments: Segments, order: Ints, row: Ints, flags: Ints
) -> None:
    """MSS and window scale of the SYNs."""
    syn = np.flatnonzero(flags & SYN != 0)
    if not len(syn):
        return
    at, rows = order[syn], row[syn]
    sides = table.sides
    sides.mss[rows] = segments.mss[at]
    scale = segments.wscale[at]
    sides.wscale[rows] = np.where(scale < 0, -2, np.minimum(scale, 14))
    sides.options[rows] = segments.options[at]


def _expected(table: FlowTable, a: Analysed, end: Ints) -> None:
    """Fill ``before`` and ``before_other``: highest sequence number seen so far."""
    lift = a.run * _LIFT
    advancing = a.flags & RST == 0
    before: list[Ints] = []
    for side in (0, 1):
        carried = table.sides.next_seq[2 * a.run_flow + side]
        value = np.empty(len(end), np.int64)
        value[1:] = np.where((a.side == side) & advancing, end, _BELOW)[:-1]
        value[a.run_start] = carried
        value += lift
        top = np.maximum.accumulate(value)
        top -= lift
        before.append(np.where(top < 0, _BELOW, top))
    a.before = np.where(a.side == 0, before[0], before[1])
    a.before_other = np.where(a.side == 0, before[1], before[0])


def _last(values: NDArray[Any], position: Ints, carried: NDArray[Any]) -> NDArray[Any]:
    """A value of an earlier segment in the run, or what the state carries."""
    return np.where(position >= 0, values[position], carried)


def _probes(table: FlowTable, a: Analysed) -> Mask:
    """Zero window probes: one byte at the expected place into a closed window."""
    probes: Mask = (a.length == 1) & (a.seq == a.before)
    rows = np.flatnonzero(probes)
    if len(rows):
        carried = table.sides.last_window[a.row[rows] ^ 1]
        probes[rows] = _last(a.window, a.previous_other[rows], carried) == 0
    return probes


def _classify(table: FlowTable, a: Analysed, plain: Mask) -> None:
    """All classes that follow from each side's last packet."""
    quiet = plain & (a.flags & (SYN | FIN | RST) == 0)
    data = a.length > 0
    bits = a.analysis
    bits[quiet & (a.window == 0)] |= mark.ZERO_WINDOW
    beyond = plain & (a.before >= 0) & (a.seq > a.before) & (a.flags & RST == 0)
    bits[beyond] |= mark.LOST_SEGMENT
    alive = quiet & (a.length <= 1) & (a.before > 0) & (a.seq == a.before - 1)
    bits[alive] |= mark.KEEP_ALIVE
    _mark_full(table, a, quiet & data)
    _mark_still(table, a, np.flatnonzero(quiet & ~data & (a.seq == a.before)))
    unseen = (a.ack > a.before_other) & (a.before_other > 0) & (a.flags & ACK != 0)
    bits[unseen] |= mark.ACKED_UNSEEN


def _mark_still(table: FlowTable, a: Analysed, rows: Ints) -> None:
    """Segments that send nothing and are where the stream is: answers of some kind."""
    sides, row = table.sides, a.row[rows]
    previous, previous_other = a.previous[rows], a.previous_other[rows]
    window, raw_ack = a.window[rows], a.raw_ack[rows]
    last_ack = _last(a.raw_ack, previous, sides.last_ack[row])
    other = _last(a.analysis, previous_other, sides.last_analysis[row ^ 1])
    zero = window == 0
    same = window == _last(a.window, previous, sides.last_window[row])
    same_ack = raw_ack == last_ack
    bits = np.zeros(len(rows), a.analysis.dtype)
    bits[~zero & ~same & same_ack] |= mark.WINDOW_UPDATE
    alive = same & ~zero & same_ack & (other & mark.KEEP_ALIVE != 0)
    bits[alive] |= mark.KEEP_ALIVE_ACK
    probed = (
        same & zero & (same_ack | (raw_ack == (last_ack + 1 & _MOD)))
        & (other & mark.ZERO_WINDOW_PROBE != 0)
    )  # fmt: skip
    bits[probed] |= mark.ZERO_WINDOW_PROBE_ACK
    bits[same & ~zero & same_ack & ~alive] |= mark.DUP_ACK
    a.analysis[rows] |= bits


def _mark_full(table: FlowTable, a: Analysed, data: Mask) -> None:
    """Segments that fill the window the receiver offered last."""
    rows = np.flatnonzero(data)
    if not len(rows):
        return
    sides = table.sides
    row, other = a.row[rows], a.row[rows] ^ 1
    position = a.previous_other[rows]
    inside = position >= 0
    window = np.where(inside, a.window[position], sides.last_window[other])
    ack = np.where(inside, a.ack[position], sides.rel_ack[other])
    unscaled = np.where(inside, a.flags[position] & SYN != 0, sides.unscaled[other])
    both = (sides.wscale[row] >= 0) & (sides.wscale[other] >= 0) & ~unscaled
    shift = np.where(both, np.maximum(sides.wscale[other], 0), 0).astype(np.int64)
    full = (
        (sides.wscale[other] != UNKNOWN)
        & (window >= 0) & (ack >= 0)
        & (a.end[rows] == ack + (np.maximum(window, 0) << shift))
    )  # fmt: skip
    a.analysis[rows[full]] |= mark.WINDOW_FULL
