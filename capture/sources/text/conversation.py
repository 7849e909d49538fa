"""Makes tcpdump's relative sequence numbers absolute again.

tcpdump (print-tcp.c) prints a SYN's numbers as they are, and those of other segments less
the connection's first ones; with ``-S``, without ACK, or when it sees a connection for the
first time, as they are. Documents print whatever they like. So each number is read both
ways, and the reading that lies nearer to what the connection is at is taken.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from capture.decode.columns import ACK, FIN, PSH, RST, SYN
from capture.sources.text.grammar import TcpLine

_MASK: Final = 0xFFFFFFFF
_HALF: Final = 0x80000000
_USUAL_WINDOW: Final = 64_240
_MOST_BYTES: Final = 65_535
_SACK: Final = 5
_FAR: Final = 1 << 24
"""First numbers are drawn from 2^32 (RFC 9293 3.4.1): one below is 0.4 % likely."""


@dataclass(slots=True)
class Side:
    """One sender of a connection."""

    address: bytes
    port: int
    base: int | None = None
    """What tcpdump subtracts from this side's numbers."""
    next: int | None = None
    """Sequence number that its next new byte will have."""
    window: int = _USUAL_WINDOW

    def number(self, printed: int) -> int:
        """The number on the wire that was printed as ``printed``."""
        printed &= _MASK
        if self.base is None:
            return printed
        relative = (printed + self.base) & _MASK
        expected = self.next if self.next is not None else self.base
        return relative if _apart(relative, expected) <= _apart(printed, expected) else printed

    def reached(self, number: int) -> None:
        """The side has sent everything before ``number``."""
        number &= _MASK
        if self.next is None or 0 < (number - self.next) & _MASK < _HALF:
            self.next = number


def _base(first: int) -> int:
    """What tcpdump will subtract from a side's numbers when ``first`` is the first that it
    printed of them in the middle of a connection.

    A small one is less the connection's first number already: the text is an excerpt.
    """
    first &= _MASK
    return first if first >= _FAR else 0


def _apart(one: int, other: int) -> int:
    return min((one - other) & _MASK, (other - one) & _MASK)


@dataclass(slots=True)
class Segment:
    """A segment with the numbers that it had on the wire."""

    seq: int
    ack: int
    flags: int
    window: int
    length: int
    options: bytes = b""


@dataclass(slots=True)
class Conversation:
    """The two sides of a connection, in the order of their first packets."""

    sides: tuple[Side, Side]
    client: int | None = None
    """Index of the side that opened the connection, where a SYN told it."""

    def client_index(self) -> int:
        """The side that opened the connection; without a SYN the one with the higher port."""
        if self.client is not None:
            return self.client
        return 0 if self.sides[0].port >= self.sides[1].port else 1

    def segment(self, line: TcpLine, sender: int) -> Segment:
        """What ``line``, sent by side ``sender``, was on the wire."""
        me, peer = self.sides[sender], self.sides[1 - sender]
        length = line.length
        if length is None:
            start, end = line.seq, line.end
            length = (end - start) & _MASK if start is not None and end is not None else 0
        length = min(length, _MOST_BYTES)
        flags = line.flags if line.flags is not None else ACK | (PSH if length else 0)
        if flags & SYN:
            seq = self._synchronise(line, flags, sender)
        elif line.seq is not None:
            seq = me.number(line.seq)
        else:
            seq = me.next if me.next is not None else 1
        if me.base is None and line.seq is not None:
            me.base = _base(seq)
        ack = 0
        if flags & ACK:
            ack = self._acknowledged(line, peer)
        if not flags & RST:
            me.reached(seq + length + bool(flags & SYN) + bool(flags & FIN))
        if line.window is not None:
            me.window = line.window
        return Segment(seq, ack, flags, me.window, length, self._options(line.options, peer))

    def _synchronise(self, line: TcpLine, flags: int, sender: int) -> int:
        me = self.sides[sender]
        if flags & ACK:
            self.client = 1 - sender
        else:
            self.client = sender
        seq = line.seq if line.seq is not None else (me.base or 0)
        if me.base != seq:
            # Another incarnation on the same ports: nothing known holds any longer. The
            # other side's SYN of a simultaneous open, or that of this one, stays.
            me.next = None
            if not flags & ACK:
                peer = self.sides[1 - sender]
                peer.base = peer.next = None
        me.base = seq & _MASK
        return me.base

    @staticmethod
    def _acknowledged(line: TcpLine, peer: Side) -> int:
        if line.ack is None:
            return peer.next if peer.next is not None else 1
        ack = peer.number(line.ack)
        if peer.base is None:
            peer.base = _base(ack - 1)
            peer.next = None if peer.base else peer.next  # what was counted so far was a guess
        peer.reached(ack)
        return ack

    @staticmethod
    def _options(options: bytes, peer: Side) -> bytes:
        """The options with the SACK blocks' numbers made absolute."""
        if _SACK not in options:
            return options
        made = bytearray(options)
        at = 0
        while at < len(made):
            kind = made[at]
            if kind <= 1:
                at += 1
                continue
            size = made[at + 1] if at + 1 < len(made) else 0
            if size < 2:
                break
            if kind == _SACK:
                for edge in range(at + 2, min(at + size, len(made)) - 3, 4):
                    number = peer.number(int.from_bytes(made[edge : edge + 4], "big"))
                    made[edge : edge + 4] = number.to_bytes(4, "big")
            at += size
        return bytes(made)

    def said(self, sender: int, length: int) -> Segment:
        """A segment of new data that the text shows without a line for it."""
        me, peer = self.sides[sender], self.sides[1 - sender]
        seq = me.next if me.next is not None else 1
        if me.base is None:
            me.base = (seq - 1) & _MASK
        me.reached(seq + length)
        ack = peer.next if peer.next is not None else 1
        return Segment(seq, ack, ACK | PSH, me.window, length)
