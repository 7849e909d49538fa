"""Gives every segment's payload to whoever follows that direction.

A flow that opens as tunnels do stays in columns: its first segments are kept as bytes
(``openings``), its record borders are followed (``records``). Everything else is fed,
from its first byte, to a ``Conversation``, which puts it in order and parses it; once a
side of that sends encrypted records only, it is left to the record walker, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from capture.decode.columns import SYN, Segments
from capture.facts import CLIENT, PROXY, Mark
from capture.frames import Ints
from capture.tracking.openings import KEPT_SEGMENTS, Kept, Openings, sort_out
from capture.tracking.records import FRESH, RECORDS, TALK, RecordWalker
from capture.tracking.sequence import Analysed
from capture.tracking.streams import Conversation
from capture.tracking.table import FlowTable, distinct, renumbered

_REQUESTS: Final = (b"CONNECT ", b"GET http", b"POST http", b"GET /", b"POST /")


def replay(kept: Sequence[Kept]) -> Conversation:
    """Parse what was kept of a flow."""
    talk, rest = Conversation(), kept
    if len(kept) > 1 and kept[0].seq == kept[1].seq == 1 and kept[0].row + 1 == kept[1].row:
        asked, told = kept[0], kept[1]
        try:
            talk = Conversation.of_tunnel(
                asked.payload, Mark(asked.number, asked.time_ns),
                told.payload, Mark(told.number, told.time_ns),
            )  # fmt: skip
            rest = kept[2:]
        except ValueError:
            talk = Conversation()
    for item in rest:
        mark = Mark(item.number, item.time_ns)
        talk.feed(item.side, item.seq, len(item.payload), item.payload, mark)
    return talk


class Payload:
    """Follows the payload of all flows.

    Attributes:
        conversations: Parsed flows, by flow number.
        openings: First segments of the others.
        walker: Record borders of all encrypted directions.
    """

    def __init__(self, table: FlowTable) -> None:
        self.conversations: dict[int, Conversation] = {}
        self.openings = Openings()
        self.walker = RecordWalker(table)
        self._flipped: list[int] = []
        self._table = table
        self._waiting: set[int] = set()

    def feed(self, segments: Segments, a: Analysed) -> None:
        """Take a block's payload."""
        sides = self._table.sides
        start = a.seq + (a.flags & SYN != 0)
        end = start + a.length
        # What lies inside a record is nobody's business, unless it is the rest of a hello.
        kept = sides.kept[a.row]
        wanted = (end > sides.want[a.row]) | (kept > 0) & (kept < KEPT_SEGMENTS)
        rows = np.flatnonzero((a.length > 0) & wanted)
        new = (end > a.before) | a.filled  # else sent again
        if len(rows):
            talking = sides.mode[a.row[rows]] == TALK
            plain = rows[~talking]
            row = a.row[plain]  # a side that its conversation left to the walker is no opening
            plain = plain[(sides.mode[row] == FRESH) | (sides.kept[row] > 0)]
            plain = plain[new[plain]]
            sorted_out = sort_out(self._table, segments, a, start, plain)
            self.openings.keep(segments, a, start, sorted_out.keep, sorted_out.rank)
            heads = sorted_out.heads
            self.walker.begin(a.row[heads], end[heads])
            if len(sorted_out.odd):
                self._hand_over(sorted_out.odd)
                talking |= np.isin(a.flow[rows], sorted_out.odd, kind="table")
            self._talk(segments, a, rows[talking], start)
            rows = rows[~talking]
            rows = rows[(end[rows] > sides.want[a.row[rows]]) & new[rows]]
            rows = rows[sides.mode[a.row[rows]] >= RECORDS]
            if len(rows):
                self.walker.walk(segments, a, rows)
        elif self._waiting:
            self._catch_up(set())

    def renumber(self, number: Ints) -> None:
        """Follow the flow table when flows were let go (see ``FlowTable.keep``)."""
        self.conversations = renumbered(self.conversations, number, 1)
        self.openings.renumber(number)
        self.walker.renumber(number)
        self._waiting = {new for flow in self._waiting if (new := int(number[flow])) >= 0}

    def resume(self, flow: int, talk: Conversation) -> None:
        """Go on with a flow's conversation."""
        self.conversations[flow] = talk
        if talk.waiting:
            self._waiting.add(flow)

    def take_flipped(self) -> list[int]:
        """Flows whose guessed roles were exchanged since this was asked last."""
        flipped, self._flipped = self._flipped, []
        return flipped

    def kept(self, flows: Sequence[int]) -> dict[int, list[Kept]]:
        """Openings of those of the flows that have one."""
        numbers = distinct(np.array(flows, np.int64))
        sides = self._table.sides
        some = (sides.kept[2 * numbers] | sides.kept[2 * numbers + 1]) > 0
        found = self.openings.of_flows(numbers[some])
        return {flow: kept for flow, kept in found.items() if kept}

    def _hand_over(self, flows: Ints) -> None:
        """Flows that do not go as tunnels do: parse them from their first byte on."""
        sides = self._table.sides
        kept = self.kept(flows.tolist())
        for flow in flows.tolist():
            self.conversations[flow] = replay(kept.get(flow, []))
            for row in (2 * flow, 2 * flow + 1):
                if sides.mode[row] == FRESH or sides.kept[row] < KEPT_SEGMENTS:
                    sides.mode[row] = TALK
                sides.kept[row] = 0
        if kept:
            self.openings.drop(flows)

    # -- segment by segment -----------------------------------------------------------

    def _talk(self, segments: Segments, a: Analysed, rows: Ints, start: Ints) -> None:
        """Feed conversations, in capture order within each flow."""
        data = memoryview(segments.data.data)
        index = a.index[rows]
        changed: set[int] = set()
        flow, flip = -1, 0
        talk = Conversation()
        modes = self._table.sides.mode
        for row, seq, length, ack, at, captured, number, time_ns in zip(
            a.row[rows].tolist(),
            start[rows].tolist(),
            a.length[rows].tolist(),
            a.ack[rows].tolist(),
            segments.payload_at[index].tolist(),
            segments.payload_captured[index].tolist(),
            a.number[rows].tolist(),
            a.time_ns[rows].tolist(),
            strict=True,
        ):
            if row >> 1 != flow:
                flow, flip = row >> 1, 0
                talk = self.conversations[flow]
                changed.add(flow)
            side = row & 1 ^ flip
            if seq + length <= talk.next[side] or modes[row] != TALK:
                continue
            payload = bytes(data[at : at + captured])
            if not talk.languages[side] and self._wrong_way(flow, side, payload):
                flip, side = flip ^ 1, side ^ 1
                self._flip(flow)
            if talk.waiting:  # what this answers comes first, though bytes before it are missing
                talk.acked(side ^ 1, ack)
            talk.feed(side, seq, length, payload, Mark(number, time_ns))
        self._catch_up(changed)

    def _catch_up(self, changed: set[int]) -> None:
        """Bring ``want`` up to date, give up on bytes that were not captured, and leave
        encrypted sides to the walker."""
        sides = self._table.sides
        for flow in changed | self._waiting:
            talk = self.conversations[flow]
            if talk.waiting:
                for side in (CLIENT, PROXY):
                    talk.acked(side, int(sides.max_ack[2 * flow + 1 - side]))
            if talk.waiting:
                self._waiting.add(flow)
            else:
                self._waiting.discard(flow)
            for side in (CLIENT, PROXY):
                row = 2 * flow + side
                if sides.mode[row] != TALK:
                    continue
                border = talk.border(side)
                if border is None:
                    sides.want[row] = talk.want(side)
                else:
                    rows = np.array([row])
                    self.walker.begin(rows, np.array([border]), talk.data_seen(side))

    def _wrong_way(self, flow: int, side: int, payload: bytes) -> bool:
        """Whether guessed roles are contradicted: a request from the proxy's side, or a
        status line from the client's."""
        if self._table.flows.certain[flow]:
            return False
        return payload.startswith(_REQUESTS if side == PROXY else b"HTTP/1.")

    def _flip(self, flow: int) -> None:
        self._table.flip(flow)
        self.conversations[flow].flip()
        self._table.flows.certain[flow] = True
        self._flipped.append(flow)
