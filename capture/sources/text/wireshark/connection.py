"""What a packet list shows of one connection, and which line without ports belongs to it.

Numbers are as Wireshark prints them, from 0 for a SYN. ``base`` keeps two connections on the
same ports apart: both would begin at 0.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from capture.decode.columns import ACK, FIN, RST, SYN
from capture.sources.text.wireshark.info import Head, Records, Said, Segment

_USUAL_WINDOW: Final = 64_240
_APART: Final = 1 << 28
"""Between the numbers of two connections on the same ports; lists are shorter."""
_KEPT: Final = 256
_MASK: Final = 0xFFFFFFFF


@dataclass(slots=True)
class Side:
    """One sender of a connection."""

    host: str
    """As printed."""
    port: str
    next: int = 1
    """Number that its next new byte will have."""
    acked: int = 0
    """What the other side acknowledged."""
    shift: int | None = None
    """Window scale that its SYN offered; None before it, -1 without."""
    window: int = _USUAL_WINDOW
    """As on the wire."""
    stamps: bool = False
    """It sends the timestamp option, or may be taken to."""
    begun: bool = False
    """A part of something was shown whose end is told in a later line."""
    shown: str = ""
    """What of that was shown already: its first line."""
    left: bytes = b""
    """What is known of it beyond its segments so far."""
    over: bool = False
    """It sent FIN or RST."""
    sent: list[tuple[int, int]] = field(default_factory=list)
    """Number and length of its latest segments with data."""
    gaps: list[int] = field(default_factory=list)
    """Where segments are missing."""

    def part(self, length: int) -> bytes:
        """What is known of the next segment's ``length`` bytes of something that goes on."""
        part, self.left = self.left[:length], self.left[length:]
        return part

    def took(self, seq: int, length: int) -> None:
        """The side sent ``length`` bytes from ``seq`` on."""
        if length:
            self.sent.append((seq, length))
            del self.sent[:-_KEPT]
        self.next = max(self.next, seq + length)
        if seq in self.gaps:
            self.gaps.remove(seq)


class Later(NamedTuple):
    """A row of TCP that waits for its turn."""

    said: Segment
    sender: int
    order: int
    """Of the row among all."""


def _fitting(number: int, end: int) -> int:
    return -2 if number < end else 2 if number - end < 2 else 1  # a FIN counts as one


@dataclass(slots=True)
class Connection:
    """Two sides, the one whose line came first in front."""

    sides: tuple[Side, Side]
    client: int | None = None
    base: int = 0
    asked: int = 0
    answered: int = 0
    hello: bool = False
    open: bool = False
    """Something can be sent in it: it is more than a SYN, or a SYN and an RST."""
    made_up: bool = False
    """No row shows its ports."""
    ahead: deque[Later] = field(default_factory=deque)
    """Its rows of TCP that wait for their turn."""

    @property
    def done(self) -> bool:
        """Nothing more will be said in it."""
        return self.sides[0].over and self.sides[1].over and not self.ahead

    def client_index(self) -> int:
        """The side that opened the connection; where no SYN shows it, the higher port's."""
        if self.client is not None:
            return self.client
        first, second = (side.port for side in self.sides)
        if first.isdecimal() and second.isdecimal():
            return 0 if int(first) >= int(second) else 1
        return 0 if first.isdecimal() else 1  # a service has a name

    def opened(self, said: Segment, sender: int) -> None:
        """A SYN: begin anew where it is another connection's."""
        me, peer = self.sides[sender], self.sides[1 - sender]
        answer = bool(said.flags & ACK)
        used = me.sent or peer.sent or me.over or peer.over
        if "reused" in said.marks or (not answer and used and not said.again):
            self.base += _APART
            self.asked = self.answered = 0
            self.hello = False
            for side in self.sides:
                side.next, side.acked, side.begun, side.over, side.shown = 1, 0, False, False, ""
                side.sent.clear()
                side.gaps.clear()
        self.client = 1 - sender if answer else sender
        self.open = answer
        me.shift = said.scale if said.scale is not None else -1

    def window(self, said: Segment, sender: int) -> int:
        """The window field of a segment: printed ones are scaled."""
        me, peer = self.sides[sender], self.sides[1 - sender]
        if said.window is not None:
            window = said.window
            scaled = (me.shift or 0) > 0 and peer.shift not in (None, -1)
            if scaled and not said.flags & SYN:
                window >>= me.shift or 0
            me.window = min(window, 65_535)
        return me.window

    def took(self, said: Segment, sender: int, seq: int, length: int) -> None:
        """Remember a segment."""
        me, peer = self.sides[sender], self.sides[1 - sender]
        me.took(seq, length)
        end = seq + length + bool(said.flags & (SYN | FIN))
        # What a row prints is true, whatever was guessed before.
        me.next = max(me.next, end) if said.again or said.flags & SYN else end
        if not said.flags & SYN:
            self.open = self.open or not said.flags & RST
        me.over = me.over or bool(said.flags & (FIN | RST))
        me.stamps = said.stamps is not None or (me.stamps and not said.flags & SYN)
        if said.ack is not None:
            peer.acked = max(peer.acked, said.ack)
            peer.next = peer.next if peer.sent else max(peer.next, said.ack)

    def wire(self, number: int) -> int:
        """A printed number as it stands in the packet made of the line."""
        return (number + self.base) & _MASK

    # -- lines without ports -----------------------------------------------------------

    def fits(self, said: Said, sender: int) -> int:
        """How well such a line from ``sender`` suits what the connection is at."""
        client = sender == self.client_index()
        me, peer = self.sides[sender], self.sides[1 - sender]
        score = -4 if me.over else -peer.over
        if isinstance(said, Head):
            if client != said.request:
                return -8
            score += 2 if (self.asked > self.answered) != said.request else 0
        elif isinstance(said, Records):
            if said.by_client is not None and client != said.by_client:
                return -8
            score -= 4 * (self.asked > self.answered)  # no tunnel yet
            if said.messages[0].startswith("Client Hello"):
                score += 2 * (not self.hello) + (self.answered > 0)
            else:
                score += 2 * self.hello
        if me.begun and not said.goes_on:
            score += 2 + 2 * (isinstance(said, Head) and said.line == me.shown)
        return score

    def proof(self, sender: int, start: int, length: int) -> tuple[int, int]:
        """What later rows of the connection say of ``length`` bytes from ``start`` on.

        Returns:
            2: just so many are acknowledged, or others follow them; 1: more are; -2: fewer
            are, or other bytes stand in their place; 0: nothing is said. And the order of the
            row that tells.
        """
        end = start + length
        for said, who, order in self.ahead:
            if who != sender:
                if said.ack is not None and said.ack > start:
                    return _fitting(said.ack, end), order
            elif (
                said.seq is not None
                and not (said.again or said.flags & SYN)
                and (said.seq >= end or said.seq == start)
            ):
                return _fitting(said.seq, end), order
        return 0, 0

    def place(self, said: Said, sender: int, length: int) -> int:
        """The number of the first byte of a line without ports."""
        me = self.sides[sender]
        if said.again:
            for seq, size in me.sent:
                if size == length and seq + size > me.acked:
                    return seq
            if me.gaps:
                return me.gaps[0]
            same = [seq for seq, size in me.sent if size == length]
            return same[-1] if same else max(1, me.next - length)
        if said.behind_a_gap:
            me.gaps.append(me.next)
            return self._behind_the_gap(sender, length)
        return me.next

    def _behind_the_gap(self, sender: int, length: int) -> int:
        """Where a segment lies before which others are missing, by SACK or what follows."""
        me = self.sides[sender]
        for said, who, _ in self.ahead:
            if who != sender:
                right = max((right for _, right in said.sack), default=0)
                if right - length > me.next:
                    return right - length
            elif said.seq is not None and said.seq - length > me.next:
                return said.seq - length
        return me.next + 1  # at least one byte is missing

    def acknowledges(self, sender: int) -> int:
        """What ``sender`` acknowledges now: all that came, but no more than it says it does
        next, and nothing that the other side sends again."""
        peer = self.sides[1 - sender]
        number = peer.next
        for said, who, _ in self.ahead:
            if who == sender and said.ack is not None:
                number = min(number, said.ack)
                break
            if who != sender and said.again and said.seq is not None:
                number = min(number, said.seq)
        return max(number, peer.acked)

    def told(self, sender: int) -> tuple[int, int] | None:
        """How many bytes ``sender`` sends next before a later row shows it, and the order of
        that row; None where none does."""
        start = self.sides[sender].next
        for said, who, order in self.ahead:
            number = said.seq if who == sender else said.ack
            if number is not None and number > start:
                return number - start, order
        return None

    def closes(self, sender: int, end: int) -> int | None:
        """Whether a FIN came with the bytes before ``end``: it is acknowledged, and no row
        of its own shows it. The order of the row that tells, or None."""
        for said, who, order in self.ahead:
            if who == sender:
                return None
            if said.ack is not None and said.ack >= end:
                return order if said.ack == end + 1 else None
        return None
