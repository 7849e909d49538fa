"""The tracker: decoded blocks in, facts of any flow out.

It owns all state of the analysis; one thread drives it. See ``table`` (who is who),
``sequence`` and ``events`` (TCP analysis), ``state`` (columns) and ``streams`` (payload).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from capture.decode.columns import SYN, Decoded, IcmpError, Segments
from capture.facts import CLIENT, PROXY, FlowFacts, Mark
from capture.tracking.build import flow_facts
from capture.tracking.events import Oddities, classify
from capture.tracking.sequence import Analysed, analyse
from capture.tracking.state import commit, note_milestones
from capture.tracking.streams import Conversation
from capture.tracking.table import FlowTable

MAX_ICMP: Final = 16
"""ICMP errors kept of a flow."""
MAX_STRAY_ICMP: Final = 64
"""ICMP errors kept that belong to no flow."""

_RECORD_HEADER: Final = 5


class Tracker:
    """Tracks every TCP flow of a capture.

    Args:
        address_text: Makes an address number printable (or a name, where the source has
            one).
    """

    def __init__(self, address_text: Callable[[int], str]) -> None:
        self.table = FlowTable()
        self.odd = Oddities()
        self.conversations: dict[int, Conversation] = {}
        self.icmp: dict[int, list[IcmpError]] = {}
        self.stray_icmp: list[IcmpError] = []
        self.flipped: list[int] = []
        """Flows whose guessed roles were exchanged since the caller last cleared it."""
        self._address_text = address_text
        self._waiting: set[int] = set()

    def __len__(self) -> int:
        """Flows so far."""
        return self.table.count

    def add(self, decoded: Decoded) -> Analysed | None:
        """Take a block; returns its analysis (None for a block without TCP)."""
        analysed = None
        segments = decoded.segments
        if len(segments):
            runs = self.table.assign(segments)
            analysed = analyse(self.table, segments, runs)
            note_milestones(self.table, self.odd, analysed)
            classify(self.table, self.odd, segments, analysed)
            commit(self.table, self.odd, segments, analysed)
            self._feed(segments, analysed)
        for error in decoded.icmp:
            self._note_icmp(error)
        return analysed

    def facts(self, flow: int) -> FlowFacts:
        """Everything known of a flow (0-based number) at this moment."""
        conversation = self.conversations.get(flow)
        if conversation is not None:
            for side in (CLIENT, PROXY):
                row = 2 * flow + side
                conversation.finish(side, int(self.table.sides.next_seq[row]))
        return flow_facts(
            self.table, self.odd, flow, conversation,
            tuple(self.icmp.get(flow, ())), self._address_text,
        )  # fmt: skip

    def _note_icmp(self, error: IcmpError) -> None:
        left, right = error.src << 16 | error.sport, error.dst << 16 | error.dport
        flow = self.table.find(left, right) if error.sport else None
        if flow is None:
            if len(self.stray_icmp) < MAX_STRAY_ICMP:
                self.stray_icmp.append(error)
            return
        errors = self.icmp.setdefault(flow, [])
        if len(errors) < MAX_ICMP:
            errors.append(error)

    # -- payload ----------------------------------------------------------------------

    def _feed(self, segments: Segments, a: Analysed) -> None:
        """Give the conversations the payload they want."""
        sides = self.table.sides
        start = a.seq + (a.flags & SYN != 0)
        rows = np.flatnonzero((a.length > 0) & (start + a.length > sides.want[a.row]))
        if len(rows):
            rows = self._at_speed(segments, a, rows)
        changed: set[int] = set()
        if len(rows):
            self._feed_rows(segments, a, rows, start, changed)
        for flow in self._waiting | changed:
            self._after(flow)

    def _feed_rows(
        self, segments: Segments, a: Analysed, rows: np.ndarray, start: np.ndarray, changed: set[int]
    ) -> None:
        data = memoryview(segments.data)
        index = a.index[rows]
        want: dict[int, int] = {}
        conversations = self.conversations
        swapped: set[int] = set()
        for row, seq, length, at, captured, number, time_ns in zip(
            a.row[rows].tolist(),
            start[rows].tolist(),
            a.length[rows].tolist(),
            segments.payload_at[index].tolist(),
            segments.payload_captured[index].tolist(),
            a.number[rows].tolist(),
            a.time_ns[rows].tolist(),
            strict=True,
        ):
            if seq + length <= want.get(row, 0):
                continue
            flow, side = row >> 1, row & 1
            conversation = conversations.get(flow)
            if conversation is None:
                conversation = conversations[flow] = Conversation()
            if flow in swapped:
                side ^= 1
            payload = bytes(data[at : at + captured])
            if not conversation.languages[side] and self._wrong_way(flow, side, payload):
                self._flip(flow)
                swapped ^= {flow}
                side ^= 1
            conversation.feed(side, seq, length, payload, Mark(number, time_ns))
            want[row] = conversation.want(side)
            changed.add(flow)

    def _after(self, flow: int) -> None:
        """Bring a flow's ``want`` up to date and give up on bytes that were not captured."""
        conversation = self.conversations[flow]
        sides = self.table.sides
        if conversation.waiting:
            for side in (CLIENT, PROXY):
                conversation.acked(side, int(sides.max_ack[2 * flow + 1 - side]))
        if conversation.waiting:
            self._waiting.add(flow)
        else:
            self._waiting.discard(flow)
        for side in (CLIENT, PROXY):
            sides.want[2 * flow + side] = conversation.want(side)
            sides.pace[2 * flow + side] = conversation.pace(side)

    def _at_speed(self, segments: Segments, a: Analysed, rows: np.ndarray) -> np.ndarray:
        """Jump over runs of encrypted records without looking at each.

        In a direction that sends nothing but encrypted records, a segment that is exactly
        one record is a sure place to go on from: of such segments only the last one of the
        block is fed, and nothing before it. Directions whose record borders were lost go
        on only from such a segment.
        """
        pace = self.table.sides.pace[a.row[rows]]
        fast = np.flatnonzero(pace > 0)
        if not len(fast):
            return rows
        picked = rows[fast]
        at = segments.payload_at[a.index[picked]]
        enough = segments.payload_captured[a.index[picked]] >= _RECORD_HEADER
        data = segments.data
        at = np.where(enough, at, 0)
        kind = data[at]
        length = data[at + 3].astype(np.int64) << 8 | data[at + 4]
        exact = (
            enough & (kind >= 20) & (kind <= 23) & (data[at + 1] == 3)
            & (length + _RECORD_HEADER == a.length[picked])
        )  # fmt: skip
        keep = np.ones(len(rows), np.bool_)
        keep[fast[(pace[fast] == 2) & ~exact]] = False
        anchors = np.flatnonzero(exact)
        if not len(anchors):
            return rows[keep]
        by_row = a.row[picked[anchors]]
        order = np.argsort(by_row, kind="stable")
        last = order[np.append(np.flatnonzero(np.diff(by_row[order])), len(order) - 1)]
        counts = np.bincount(np.unique(by_row, return_inverse=True)[1])
        jump_to = dict(zip(by_row[last].tolist(), anchors[last].tolist(), strict=True))
        for (row, anchor), count in zip(sorted(jump_to.items()), counts.tolist(), strict=True):
            position = picked[anchor]
            seq = int(a.seq[position])
            self.conversations[row >> 1].jump(row & 1, seq, count - 1)
            behind = (a.row[picked] == row) & (a.seq[picked] < seq)
            keep[fast[behind]] = False
        return rows[keep]

    def _wrong_way(self, flow: int, side: int, payload: bytes) -> bool:
        """Whether guessed roles are contradicted: a request from the proxy's side, or a
        status line from the client's."""
        if self.table.flows.certain[flow]:
            return False
        if side == PROXY:
            return payload.startswith((b"CONNECT ", b"GET http", b"POST http", b"GET /", b"POST /"))
        return payload.startswith(b"HTTP/1.")

    def _flip(self, flow: int) -> None:
        self.table.flip(flow)
        self.odd.flip(flow)
        self.conversations[flow].flip()
        self.table.flows.certain[flow] = True
        self.flipped.append(flow)
