"""Gives every segment's payload to whoever follows that direction.

A flow starts ``FRESH``: while it goes as tunnels go (CONNECT, 2xx, TLS), its first segments
are only kept (``Opening``), and parsed when somebody asks. What goes any other way is
handed, from its first byte, to a ``Conversation``, which puts it in order and parses it.
Once a side sends encrypted records only, the ``RecordWalker`` follows its record borders.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from capture.decode.columns import SYN, Segments
from capture.facts import CLIENT, PROXY, Mark
from capture.frames import Ints
from capture.tracking.records import FRESH, LOST, RECORDS, TALK, RecordWalker, chain
from capture.tracking.sequence import Analysed
from capture.tracking.streams import Conversation
from capture.tracking.table import FlowTable

OPENING_SEGMENTS: Final = 4
"""Segments kept of each side before its records may be followed by columns."""
MAX_OPENING: Final = 16
"""Segments of a side after which an opening is parsed like any other conversation."""

_CONNECT: Final = b"CONNECT "
_HEAD_END: Final = b"\r\n\r\n"
_HANDSHAKE: Final = 0x16

_Kept = tuple[int, int, bytes, int, int]
"""Side, sequence number, payload, packet number, time."""


class Opening:
    """The first segments of a flow that so far goes as a tunnel should."""

    __slots__ = ("counts", "expected", "segments")

    def __init__(self) -> None:
        self.segments: list[_Kept] = []
        self.counts = [0, 0]
        self.expected = [1, 1]

    def take(self, side: int, seq: int, payload: bytes, number: int, time_ns: int) -> bool:
        """Keep a segment; False when it is not what comes next in a plain tunnel."""
        if seq != self.expected[side]:
            return False
        count = self.counts[side]
        if count == 0:
            if not self._begins(side, payload):
                return False
        elif count == 1 and (payload[0] != _HANDSHAKE or not self.counts[PROXY]):
            return False
        elif count >= MAX_OPENING:
            return False
        self.segments.append((side, seq, payload, number, time_ns))
        self.counts[side] = count + 1
        self.expected[side] = seq + len(payload)
        return True

    def _begins(self, side: int, payload: bytes) -> bool:
        """A CONNECT head, or a 2xx head, that fills its segment."""
        if payload.find(_HEAD_END) != len(payload) - 4:
            return False
        if side == CLIENT:
            return payload.startswith(_CONNECT)
        return self.counts[CLIENT] == 1 and payload[:7] == b"HTTP/1." and payload[9:10] == b"2"

    def records(self, side: int) -> tuple[int, bool] | None:
        """Place of the side's next record header and whether application data came, once
        it sends encrypted records only; else None."""
        parts = [item[2] for item in self.segments if item[0] == side]
        found = chain(parts[1:])
        if found is None or not found[2]:
            return None
        return 1 + len(parts[0]) + found[0], found[3]

    def replay(self) -> Conversation:
        """Parse what was kept."""
        conversation = Conversation()
        for side, seq, payload, number, time_ns in self.segments:
            conversation.feed(side, seq, len(payload), payload, Mark(number, time_ns))
        return conversation


class Payload:
    """Follows the payload of all flows."""

    def __init__(self, table: FlowTable) -> None:
        self.openings: dict[int, Opening] = {}
        self.conversations: dict[int, Conversation] = {}
        self.walker = RecordWalker(table)
        self.flipped: list[int] = []
        """Flows whose guessed roles were exchanged since the caller last cleared it."""
        self._table = table
        self._waiting: set[int] = set()

    def feed(self, segments: Segments, a: Analysed) -> None:
        """Take a block's payload."""
        sides = self._table.sides
        start = a.seq + (a.flags & SYN != 0)
        wanted = (a.length > 0) & (start + a.length > sides.want[a.row])
        rows = np.flatnonzero(wanted)
        by_record = sides.mode[a.row[rows]] >= RECORDS
        late = self._one_by_one(segments, a, rows[~by_record], start)
        rows = rows[by_record]
        if late:
            rows = np.concatenate((rows, np.array(late, np.int64)))
        if len(rows):
            rows = rows[start[rows] + a.length[rows] > sides.want[a.row[rows]]]
        if len(rows):
            self.walker.walk(segments, a, rows)

    def conversation(self, flow: int) -> Conversation | None:
        """What was said on a flow, as far as it was parsed or can be now."""
        found = self.conversations.get(flow)
        if found is None and flow in self.openings:
            return self.openings[flow].replay()
        return found

    # -- segment by segment -----------------------------------------------------------

    def _one_by_one(
        self, segments: Segments, a: Analysed, rows: Ints, start: Ints
    ) -> list[int]:
        """Feed openings and conversations; returns positions left for the walker."""
        if not len(rows):
            return []
        data = memoryview(segments.data)
        index = a.index[rows]
        late: list[int] = []
        talked: set[int] = set()
        opened: set[int] = set()
        flow, flip = -1, 0
        walked = [False, False]
        talk: Conversation | None = None
        opening: Opening | None = None
        for position, row, seq, length, at, captured, number, time_ns in zip(
            rows.tolist(),
            a.row[rows].tolist(),
            start[rows].tolist(),
            a.length[rows].tolist(),
            segments.payload_at[index].tolist(),
            segments.payload_captured[index].tolist(),
            a.number[rows].tolist(),
            a.time_ns[rows].tolist(),
            strict=True,
        ):
            if row >> 1 != flow:
                flow, flip, walked = row >> 1, 0, [False, False]
                talk = self.conversations.get(flow)
                opening = None if talk else self._opening(flow)
                if opening is not None:
                    opened.add(flow)
                else:
                    talk = talk or self._talk(flow)
                    talked.add(flow)
            side = row & 1 ^ flip
            if walked[side]:
                late.append(position)
                continue
            payload = bytes(data[at : at + captured])
            if opening is not None:
                if captured == length and opening.take(side, seq, payload, number, time_ns):
                    if opening.counts[side] >= OPENING_SEGMENTS:
                        walked[side] = self._walk_on(flow, side, opening)
                    continue
                if seq + length <= opening.expected[side]:
                    continue  # sent again
                talk, opening = self._promote(flow, opening, walked), None
                talked.add(flow)
            assert talk is not None
            if seq + length <= talk.next[side]:
                continue
            if not talk.languages[side] and self._wrong_way(flow, side, payload):
                flip, side = flip ^ 1, side ^ 1
                self._flip(flow)
            talk.feed(side, seq, length, payload, Mark(number, time_ns))
        for flow in opened - talked:
            self._expect(flow)
        for flow in talked | self._waiting:
            self._after(flow)
        return late

    def _opening(self, flow: int) -> Opening | None:
        """The flow's opening; a new one for a flow whose start was captured."""
        opening = self.openings.get(flow)
        if opening is None and self._table.flows.syn_no[flow]:
            opening = self.openings[flow] = Opening()
        return opening

    def _talk(self, flow: int) -> Conversation:
        talk = self.conversations[flow] = Conversation()
        self._table.sides.mode[2 * flow : 2 * flow + 2] = TALK
        return talk

    def _promote(self, flow: int, opening: Opening, walked: list[bool]) -> Conversation:
        """The flow goes its own way: parse it from its first byte on."""
        talk = self.conversations[flow] = opening.replay()
        del self.openings[flow]
        for side in (CLIENT, PROXY):
            if not walked[side] and self._table.sides.mode[2 * flow + side] < RECORDS:
                self._table.sides.mode[2 * flow + side] = TALK
        return talk

    def _walk_on(self, flow: int, side: int, opening: Opening) -> bool:
        """Leave a side to the walker once it sends encrypted records only."""
        found = opening.records(side)
        if found is None:
            return False
        self._hand_over(2 * flow + side, *found)
        return True

    def _hand_over(self, row: int, want: int, data_seen: bool) -> None:
        sides = self._table.sides
        sides.mode[row] = RECORDS
        sides.want[row] = want
        sides.data_seen[row] = data_seen

    def _expect(self, flow: int) -> None:
        """Segments of an opening that were taken need not be seen again."""
        opening, sides = self.openings[flow], self._table.sides
        for side in (CLIENT, PROXY):
            if sides.mode[2 * flow + side] < RECORDS:
                sides.want[2 * flow + side] = opening.expected[side]

    def _after(self, flow: int) -> None:
        """Bring a conversation's ``want`` up to date, give up on bytes that were not
        captured, and leave encrypted sides to the walker."""
        talk, sides = self.conversations[flow], self._table.sides
        if talk.waiting:
            for side in (CLIENT, PROXY):
                talk.acked(side, int(sides.max_ack[2 * flow + 1 - side]))
        if talk.waiting:
            self._waiting.add(flow)
        else:
            self._waiting.discard(flow)
        for side in (CLIENT, PROXY):
            row = 2 * flow + side
            if sides.mode[row] >= RECORDS:
                continue
            border = talk.border(side)
            if border is None:
                sides.want[row] = talk.want(side)
            else:
                self._hand_over(row, border, talk.data_seen(side))

    def _wrong_way(self, flow: int, side: int, payload: bytes) -> bool:
        """Whether guessed roles are contradicted: a request from the proxy's side, or a
        status line from the client's."""
        if self._table.flows.certain[flow]:
            return False
        if side == PROXY:
            return payload.startswith((_CONNECT, b"GET http", b"POST http", b"GET /", b"POST /"))
        return payload.startswith(b"HTTP/1.")

    def _flip(self, flow: int) -> None:
        self._table.flip(flow)
        self.conversations[flow].flip()
        self._table.flows.certain[flow] = True
        self.flipped.append(flow)
