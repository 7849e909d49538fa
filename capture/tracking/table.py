"""The flow table: which flow a segment belongs to, and the columns kept for each flow.

A flow is one incarnation of a TCP 4-tuple: a SYN with another initial sequence number on
a known 4-tuple starts a new flow (RFC 9293 section 3.3). Flows are numbered from 0 in the
order of their first packet. Row ``2 * flow + side`` of the per-direction columns holds
what the client (0) or the proxy (1) sent. A live capture lets flows go, and those behind them
move up: what lasts is the ``uid`` column, which counts all flows ever seen, from 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import repeat
from struct import Struct
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from capture.decode.columns import ACK, RST, SYN, Segments
from capture.frames import Ints
from capture.tracking.growing import Columns

SERVER_PORTS: Final = frozenset(
    {80, 443, 1080, 3128, 3129, 8000, 8080, 8081, 8118, 8123, 8443, 8888, 9090}
)
"""Ports that decide who is the server when no SYN was captured."""

UNKNOWN: Final = -1
_PAIR: Final = Struct("=qq")

T = TypeVar("T")

_FLOW_COLUMNS: Final = (
    ("uid", "u4", 0), ("client", "i8", 0), ("proxy", "i8", 0),
    ("first_ns", "i8", 0), ("last_ns", "i8", 0), ("first_no", "u4", 0), ("last_no", "u4", 0),
    ("syn_ns", "i8", 0), ("syn_no", "u4", 0), ("syn_seq", "i8", UNKNOWN), ("syn_count", "u2", 0),
    ("syn_ack_ns", "i8", 0), ("syn_ack_no", "u4", 0), ("syn_ack_count", "u2", 0),
    ("ack_ns", "i8", 0), ("ack_no", "u4", 0),
    ("silence_ns", "i8", 0), ("silence_from_ns", "i8", 0),
    ("silence_from_no", "u4", 0), ("silence_to_no", "u4", 0),
    ("wait_ns", "i8", 0), ("wait_from_ns", "i8", 0),
    ("wait_from_no", "u4", 0), ("wait_to_no", "u4", 0),
    ("backwards", "u2", 0), ("certain", "?", False), ("reused", "?", False),
)  # fmt: skip

_SIDE_COLUMNS: Final = (
    ("packets", "u4", 0), ("bytes", "i8", 0), ("data_packets", "u4", 0),
    ("base", "i8", UNKNOWN), ("next_seq", "i8", UNKNOWN), ("next_ns", "i8", 0),
    ("max_ack", "i8", UNKNOWN), ("last_ack", "i8", UNKNOWN), ("rel_ack", "i8", UNKNOWN),
    ("signature", "i8", 0), ("last_window", "i8", UNKNOWN),
    ("last_analysis", "u2", 0), ("dup_run", "u4", 0),
    ("seen_ns", "i8", 0), ("seen_no", "u4", 0), ("began_ns", "i8", 0), ("began_no", "u4", 0),
    ("first_payload_ns", "i8", 0), ("first_payload_no", "u4", 0),
    ("last_payload_ns", "i8", 0), ("last_payload_no", "u4", 0),
    ("last_sent_ns", "i8", 0), ("last_sent_no", "u4", 0),
    ("mss", "u2", 0), ("wscale", "i1", UNKNOWN), ("ttl", "u1", 0), ("options", "u1", 0),
    ("first_flags", "u1", 0), ("unscaled", "?", False),
    ("largest", "u4", 0), ("largest_end", "i8", 0), ("largest_acked", "u4", 0),
    ("sack_right", "i8", UNKNOWN),
    ("fin_ns", "i8", 0), ("fin_no", "u4", 0), ("fin_end", "i8", UNKNOWN), ("fin_sent", "u2", 0),
    ("rst_ns", "i8", 0), ("rst_no", "u4", 0),
    ("retransmissions", "u4", 0), ("fast", "u4", 0), ("spurious", "u4", 0),
    ("out_of_order", "u4", 0), ("duplicates", "u4", 0), ("keep_alives", "u4", 0),
    ("dup_acks", "u4", 0), ("zero_windows", "u4", 0), ("probes", "u4", 0),
    ("window_full", "u4", 0), ("lost", "u4", 0), ("acked_unseen", "u4", 0),
    ("cut", "u4", 0), ("oversized", "u4", 0), ("fragments", "u4", 0),
    ("want", "i8", 1), ("mode", "u1", 0), ("data_seen", "?", False),
    ("rec_count", "u4", 0), ("rec_type", "u1", 0), ("rec_length", "u2", 0),
    ("rec_no", "u4", 0), ("rec_ns", "i8", 0),
    ("data_at", "i8", 0), ("data_no", "u4", 0), ("data_ns", "i8", 0), ("kept", "u1", 0),
    ("asked_no", "u4", 0), ("asked_ns", "i8", 0),
)  # fmt: skip

_LANE: Final = np.uint64(0xFFFFFF)
_MIX: Final = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F))


@dataclass(slots=True)
class Runs:
    """A block's segments grouped by flow: sorted order, and where each flow's run starts."""

    order: Ints
    """Segment indices sorted by flow, in capture order within a flow; shape (n,)."""
    start: Ints
    """Position in ``order`` where each run starts; shape (runs,)."""
    flow: Ints
    """Flow number of each run; shape (runs,). A flow has one run a block at most."""


class FlowTable:
    """Assigns segments to flows and owns their columns."""

    def __init__(self) -> None:
        self.count = 0
        """Flows in the table."""
        self.born = 0
        """Flows that ever were."""
        self.flows = Columns(_FLOW_COLUMNS, 1)
        self.sides = Columns(_SIDE_COLUMNS, 2)
        self._current: dict[bytes, int] = {}
        """Newest flow of each pair of endpoints, by ``_pair``."""
        self._before: dict[int, int] = {}
        """Of flows on a pair of endpoints that was used before: the one before."""

    def find(self, left: int, right: int, number: int) -> int | None:
        """Flow between two endpoints (``address number << 16 | port``) that a packet belongs
        to, if any: the newest one that had begun by then."""
        flow = self._current.get(_pair(min(left, right), max(left, right)))
        while flow is not None and self.flows.first_no[flow] > number:
            flow = self._before.get(flow)
        return flow

    def resume(self, count: int, room: int) -> None:
        """Stand where a table stood after ``count`` flows; their rows are loaded apart.

        Args:
            count: Flows that had begun.
            room: Flows to make room for at once.
        """
        self.count = self.born = count
        self.flows.grow(room)
        self.sides.grow(room)

    def expect(self, newest: Ints) -> None:
        """Know these flows as the newest ones of their endpoints."""
        left, right = self.flows.client[newest], self.flows.proxy[newest]
        low, high = np.minimum(left, right), np.maximum(left, right)
        self._current = dict(zip(_pairs(low, high), newest.tolist(), strict=True))

    def close(self) -> None:
        """No segment follows: which endpoints belong to which flow need not be known."""
        self._current.clear()
        self._before.clear()

    def keep(self, flows: Ints) -> Ints:
        """Let go of all flows but these (ascending).

        Returns:
            The new number of each old one; ``UNKNOWN`` for flows that are gone.
        """
        number = np.full(self.count, UNKNOWN, np.int64)
        number[flows] = np.arange(len(flows))
        self.flows.keep(flows)
        self.sides.keep(flows)
        self.count = len(flows)
        there = number.tolist()
        self._current = {
            pair: new for pair, old in self._current.items() if (new := there[old]) != UNKNOWN
        }
        self._before = {
            there[new]: there[old]
            for new, old in self._before.items()
            if there[new] != UNKNOWN and there[old] != UNKNOWN
        }
        return number

    def assign(self, segments: Segments) -> Runs:
        """Group a block's segments by flow, making new flows as they appear."""
        source = segments.src << 16 | segments.sport
        target = segments.dst << 16 | segments.dport
        low, high = np.minimum(source, target), np.maximum(source, target)
        order, start = _group(low, high)
        heads = order[start]
        keys = _pairs(low[heads], high[heads])
        flow = np.fromiter(map(self._current.get, keys, repeat(UNKNOWN)), np.int64, len(keys))
        reused = np.zeros(len(flow), np.bool_)
        splits = self._incarnations(segments, order, source, start, flow, reused)
        splits = self._stragglers(segments, order, source, start, flow, reused, splits)
        if splits:
            at = np.searchsorted(start, splits)
            start = np.insert(start, at, splits)
            flow = np.insert(flow, at, UNKNOWN)
            reused = np.insert(reused, at, True)
        runs = Runs(order, start, flow)
        self._give_birth(segments, source, target, runs, reused)
        return runs

    def _incarnations(
        self,
        segments: Segments,
        order: Ints,
        source: Ints,
        start: Ints,
        flow: Ints,
        reused: NDArray[np.bool_],
    ) -> list[int]:
        """Find SYNs that start another flow on a known 4-tuple.

        Returns:
            Positions where a group must be split. A group that begins with such a SYN is
            marked by setting its ``flow`` to ``UNKNOWN`` and ``reused``.
        """
        syns = np.flatnonzero(segments.flags[order] & (SYN | ACK | RST) == SYN)
        if not len(syns):
            return []
        group = np.searchsorted(start, syns, "right") - 1
        counts = np.bincount(group, minlength=len(start))
        plain = (counts[group] == 1) & (start[group] == syns) & (flow[group] == UNKNOWN)
        splits: list[int] = []
        owner: dict[int, tuple[int, int] | None] = {}
        """Sequence number and sender of the SYN that the group's latest flow began with."""
        head_of: dict[int, int] = {}
        syns, group = syns[~plain], group[~plain]
        indices = order[syns]
        columns = (syns, group, indices, segments.seq[indices], source[indices], flow[group])
        for position, number, index, seq, sender, known in zip(
            *[column.tolist() for column in columns], strict=True
        ):
            mine = (seq, sender)
            head = head_of.setdefault(number, int(start[number]))
            if number not in owner:
                owner[number] = self._began_with(known)
                if known == UNKNOWN:
                    began = position == head or _answers(segments, int(order[head]), index)
                elif owner[number] is None:
                    began = self._late_syn(known, segments, index)
                else:
                    began = False
                if began:
                    owner[number] = mine
            if owner[number] == mine:
                continue
            owner[number], head_of[number] = mine, position
            if position == start[number]:
                flow[number], reused[number] = UNKNOWN, True
            else:
                splits.append(position)
        return splits

    def _stragglers(
        self,
        segments: Segments,
        order: Ints,
        source: Ints,
        start: Ints,
        flow: Ints,
        reused: NDArray[np.bool_],
        splits: list[int],
    ) -> list[int]:
        """Leave the old connection what came of it after the SYN of the next.

        A client that resets and at once connects from the same port meets the rest of the
        old reply, and resets it again, before the SYN-ACK. Such segments are moved before
        the SYN.

        Returns:
            The positions of splits, as they are then.
        """
        begun = np.flatnonzero(reused).tolist()
        if not splits and not begun:
            return splits
        bounds = np.sort(np.concatenate((start, np.array(splits, np.int64), [len(order)])))
        moved: list[int] = []
        for position in splits:
            moved.append(position + self._move(segments, order, source, position, bounds))
        for number in begun:
            position = int(start[number])
            late = self._move(segments, order, source, position, bounds)
            if late:
                known = order[position]
                key = self._key(segments, source, int(known))
                flow[number], reused[number] = self._current[key], False
                moved.append(position + late)
        return sorted(moved)

    def _key(self, segments: Segments, source: Ints, index: int) -> bytes:
        left = int(source[index])
        right = int(segments.dst[index]) << 16 | int(segments.dport[index])
        return _pair(min(left, right), max(left, right))

    def _move(
        self, segments: Segments, order: Ints, source: Ints, position: int, bounds: Ints
    ) -> int:
        """Move segments of the old connection before the SYN at ``position``; how many."""
        syn = int(order[position])
        client, next_seq = source[syn], (int(segments.seq[syn]) + 1) & 0xFFFFFFFF
        end = int(bounds[np.searchsorted(bounds, position, "right")])
        run = order[position + 1 : end]
        mine = source[run] == client
        flags = segments.flags[run]
        again = mine & (flags & SYN != 0)
        goes_on = np.where(mine, segments.seq[run], segments.ack[run]) == next_seq
        goes_on &= mine | (flags & ACK != 0)
        first = int(np.argmax(goes_on)) if goes_on.any() else 0
        late = np.flatnonzero(~again[:first])
        if not len(late):
            return 0
        stays = np.flatnonzero(again[:first])
        order[position : position + 1 + first] = np.concatenate((run[late], [syn], run[stays]))
        return len(late)

    def _began_with(self, flow: int) -> tuple[int, int] | None:
        if flow == UNKNOWN or self.flows.syn_seq[flow] == UNKNOWN:
            return None
        return int(self.flows.syn_seq[flow]), int(self.flows.client[flow])

    def _late_syn(self, flow: int, segments: Segments, index: int) -> bool:
        """Whether a SYN belongs to a flow of which so far only its SYN-ACK or the RST that
        refuses it was captured (mirror ports swap packets that are microseconds apart)."""
        reply = 2 * flow + 1
        return bool(
            self.sides.packets[reply - 1] == 0
            and _is_reply(self.sides.first_flags[reply])
            and self.sides.last_ack[reply] == (int(segments.seq[index]) + 1) & 0xFFFFFFFF
        )

    def _give_birth(
        self,
        segments: Segments,
        source: Ints,
        target: Ints,
        runs: Runs,
        reused: NDArray[np.bool_],
    ) -> None:
        """Number the new flows by their first packet and set who is the client."""
        born = np.flatnonzero(runs.flow == UNKNOWN)
        if not len(born):
            return
        at = runs.order[runs.start[born]]
        by_time = np.argsort(at, kind="stable")
        born, at = born[by_time], at[by_time]
        first, self.count = self.count, self.count + len(born)
        self.flows.grow(self.count)
        self.sides.grow(self.count)
        numbers = np.arange(first, self.count)
        runs.flow[born] = numbers
        flags = segments.flags[at]
        syn, ack = flags & SYN != 0, flags & ACK != 0
        from_server = np.where(syn, ack, _is_server(segments.sport[at], segments.dport[at]))
        rows = slice(first, self.count)
        columns = self.flows
        columns.uid[rows] = np.arange(self.born + 1, self.born + 1 + len(born))
        self.born += len(born)
        columns.client[rows] = np.where(from_server, target[at], source[at])
        columns.proxy[rows] = np.where(from_server, source[at], target[at])
        columns.certain[rows] = syn
        columns.reused[rows] = reused[born]
        columns.first_ns[rows] = columns.last_ns[rows] = segments.time_ns[at]
        columns.first_no[rows] = columns.last_no[rows] = segments.number[at]
        low, high = np.minimum(source[at], target[at]), np.maximum(source[at], target[at])
        keys = _pairs(low, high)
        again = reused[born]
        if not again.any():
            self._current.update(zip(keys, numbers.tolist(), strict=True))
            return
        for key, number, used in zip(keys, numbers.tolist(), again.tolist(), strict=True):
            if used and (before := self._current.get(key)) is not None:
                self._before[number] = before
            self._current[key] = number

    def flip(self, flow: int) -> None:
        """Exchange client and proxy of a flow whose roles had been guessed wrongly."""
        client = self.flows.client
        proxy = self.flows.proxy
        client[flow], proxy[flow] = proxy[flow], client[flow]
        self.sides.swap(2 * flow, 2 * flow + 1)


def renumbered(table: dict[int, T], number: Ints, per_flow: int) -> dict[int, T]:
    """A dict by flow (or, with two ``per_flow``, by row) after ``FlowTable.keep``."""
    if not table:
        return {}
    keys = np.array(list(table), np.int64)
    new = number[keys // per_flow]
    moved = (new * per_flow + keys % per_flow).tolist()
    return {
        key: value
        for key, value, there in zip(moved, table.values(), (new >= 0).tolist(), strict=True)
        if there
    }


def _pair(low: int, high: int) -> bytes:
    """Two endpoints as one key, half as large as a tuple of them."""
    return _PAIR.pack(low, high)


def _pairs(low: Ints, high: Ints) -> list[bytes]:
    """Many of them, each as ``_pair`` makes it."""
    keys: list[bytes] = np.stack((low, high), 1).view(f"V{_PAIR.size}").ravel().tolist()
    return keys


def distinct(values: Ints) -> Ints:
    """Ascending distinct values. Not by ``np.unique``: that imports ``numpy.ma``, which takes
    longer than the analysis of a small capture."""
    values = np.sort(values)
    return values[np.concatenate(([True], values[1:] != values[:-1]))] if len(values) else values


def _is_reply(flags: int) -> bool:
    """What answers a SYN: SYN-ACK, or RST with ACK (RFC 9293 section 3.5)."""
    return bool(flags & ACK and flags & (SYN | RST))


def _answers(segments: Segments, reply: int, syn: int) -> bool:
    """Whether one segment answers a SYN that the capture holds after it."""
    acked = segments.ack[reply] == (segments.seq[syn] + 1) & 0xFFFFFFFF
    return bool(acked) and _is_reply(segments.flags[reply])


def _is_server(sport: Ints, dport: Ints) -> NDArray[np.bool_]:
    """Guess from the ports whether the sender is the server: a well-known proxy or server
    port first, else the lower port."""
    known = np.array(sorted(SERVER_PORTS))
    from_known = np.isin(sport, known, kind="table")
    to_known = np.isin(dport, known, kind="table")
    return np.where(from_known != to_known, from_known, sport < dport)


def _group(low: Ints, high: Ints) -> tuple[Ints, Ints]:
    """Stable order by endpoint pair, and where each pair's group starts.

    Sorting one tagged integer (40 bits of hash, 24 bits of index) is several times faster
    than an argsort of the pairs; equal hashes of unequal pairs are seen and sorted exactly.
    """
    count = len(low)
    mixed = low.astype(np.uint64) * _MIX[0] + high.astype(np.uint64) * _MIX[1]
    mixed ^= mixed >> np.uint64(31)
    mixed *= _MIX[1]
    tagged = (mixed & ~_LANE) | np.arange(count, dtype=np.uint64)
    tagged.sort()
    order = (tagged & _LANE).astype(np.int64)
    sorted_low, sorted_high = low[order], high[order]
    apart = (sorted_low[1:] != sorted_low[:-1]) | (sorted_high[1:] != sorted_high[:-1])
    if np.any(apart & (tagged[1:] >> np.uint64(24) == tagged[:-1] >> np.uint64(24))):
        order = np.lexsort((high, low))
        sorted_low, sorted_high = low[order], high[order]
        apart = (sorted_low[1:] != sorted_low[:-1]) | (sorted_high[1:] != sorted_high[:-1])
    heads = np.flatnonzero(np.concatenate(([True], apart))) if count else np.zeros(0, np.int64)
    return order, heads
