"""Reassembly of fragmented IP datagrams (RFC 791 section 3.2, RFC 8200 section 4.5).

Only TCP and ICMP get here. Fragments that overlap discard their datagram, in IPv6 as
RFC 5722 demands and in IPv4 as today's kernels do; an exact copy of a fragment (a capture
that holds each packet twice) is ignored. Number, bytes and age are bounded.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from capture.decode.peel import Rows, refuse
from capture.frames import Bytes, Ints

TIMEOUT_NS: Final = 30_000_000_000
"""A datagram not complete after this much capture time never will be (Linux: 30 s)."""
GRACE_NS: Final = 500_000_000
"""Fragments of one datagram follow each other at once; after this they are missed."""
DUPLICATE_NS: Final = 1_000_000_000
"""A later fragment of a datagram completed so shortly before is a copy; a first fragment
begins anew, for there are boxes that fragment packets whose identification is always 0."""
MAX_DATAGRAMS: Final = 1024
MAX_BYTES: Final = 8 << 20
MAX_LENGTH: Final = 65535

NO_FIRST: Final = "later IP fragment without its first"
NO_OTHERS: Final = "IP fragment whose others never came"
OVERLAP: Final = "overlapping IP fragments"
MALFORMED: Final = "malformed IP fragment"

Key = tuple[bytes, bytes, int, int]
"""Source, destination, identification, protocol."""


@dataclass(slots=True)
class Fragment:
    """One fragment."""

    key: Key
    time_ns: int
    offset: int
    """Of its payload in the datagram's, bytes."""
    more: bool
    length: int
    """Payload bytes on the wire."""
    payload: bytes
    """Payload bytes captured, at most ``length``."""
    header: bytes
    """For the first fragment: the IP header the datagram shall get; else empty."""


@dataclass(slots=True)
class Datagram:
    """A complete datagram."""

    packet: bytes
    """Header (lengths and fragment fields mended) and payload, up to the first byte that a
    snaplen cut off."""
    length: int
    """Bytes of the whole packet."""


@dataclass(slots=True)
class _Pending:
    since_ns: int
    starts: list[int] = field(default_factory=list)
    """Offsets of the fragments seen, rising; the next three run parallel."""
    lengths: list[int] = field(default_factory=list)
    payloads: list[bytes] = field(default_factory=list)
    header: bytes = b""
    total: int = -1
    """Payload length of the datagram; -1 until its last fragment was seen."""
    seen: int = 0
    bytes: int = 0
    frames: int = 0
    dead: bool = False


class Reassembler:
    """Fragments in, datagrams out."""

    def __init__(self, reasons: Counter[str]) -> None:
        """Args:
        reasons: Where to count fragments that are given up.
        """
        self.now_ns = 0
        """Latest capture time, of any frame."""
        self._reasons = reasons
        self._pending: dict[Key, _Pending] = {}
        self._done: dict[Key, int] = {}
        self._bytes = 0
        self._dropped = 0

    @property
    def dropped(self) -> int:
        """First fragments whose later ones did not come."""
        return self._dropped + sum(bool(item.header) for item in self._missed())

    def missed(self) -> Counter[str]:
        """Frames of datagrams that are still waited for, but in vain so far, by reason."""
        found: Counter[str] = Counter()
        for item in self._missed():
            found[NO_OTHERS if item.header else NO_FIRST] += item.frames
        return found

    def _missed(self) -> list[_Pending]:
        limit = self.now_ns - GRACE_NS
        return [item for item in self._pending.values() if not item.dead and item.since_ns < limit]

    def add(self, part: Fragment) -> Datagram | None:
        """Take a fragment.

        Returns:
            The datagram that it completes, if any.
        """
        self._expire(part.time_ns)
        room = MAX_LENGTH - len(part.header)
        if part.length <= 0 or part.offset + part.length > room or (part.more and part.length % 8):
            refuse(self._reasons, MALFORMED, 1)
            return None
        item = self._pending.get(part.key)
        if item is None and part.offset and self._is_copy(part):
            return None
        if item is None:
            item = self._pending[part.key] = _Pending(part.time_ns)
        item.frames += 1
        if item.dead:
            refuse(self._reasons, OVERLAP, 1)
        elif not self._insert(item, part):
            self._kill(item)
        elif item.seen == item.total:
            return self._complete(part.key, item, part.time_ns)
        self._bound()
        return None

    def _is_copy(self, part: Fragment) -> bool:
        done_ns = self._done.get(part.key)
        return done_ns is not None and 0 <= part.time_ns - done_ns <= DUPLICATE_NS

    def _insert(self, item: _Pending, part: Fragment) -> bool:
        """Put a fragment in its place; False when it contradicts the others."""
        end = part.offset + part.length
        place = bisect_left(item.starts, part.offset)
        follows = place < len(item.starts)
        if follows and (item.starts[place], item.lengths[place]) == (part.offset, part.length):
            return True
        if follows and item.starts[place] < end:
            return False
        if place and item.starts[place - 1] + item.lengths[place - 1] > part.offset:
            return False
        if not part.more:
            if item.total >= 0 or follows:
                return False
            item.total = end
        elif 0 <= item.total < end:
            return False
        item.starts.insert(place, part.offset)
        item.lengths.insert(place, part.length)
        item.payloads.insert(place, part.payload)
        item.seen += part.length
        item.bytes += len(part.payload)
        self._bytes += len(part.payload)
        if part.offset == 0:
            item.header = part.header
        return True

    def _complete(self, key: Key, item: _Pending, time_ns: int) -> Datagram:
        del self._pending[key]
        self._bytes -= item.bytes
        self._done.pop(key, None)
        self._done[key] = time_ns
        if len(self._done) > MAX_DATAGRAMS:
            del self._done[next(iter(self._done))]
        pieces = [item.header]
        for length, payload in zip(item.lengths, item.payloads, strict=True):
            pieces.append(payload)
            if len(payload) < length:
                break
        header = with_length(item.header, item.total)
        return Datagram(header + b"".join(pieces[1:]), len(header) + item.total)

    def _kill(self, item: _Pending) -> None:
        """Give a datagram up but keep its place, so that its other fragments find it."""
        refuse(self._reasons, OVERLAP, item.frames)
        self._bytes -= item.bytes
        item.dead, item.bytes = True, 0
        item.starts, item.lengths, item.payloads = [], [], []

    def _expire(self, now_ns: int) -> None:
        while self._pending:
            key = next(iter(self._pending))
            if now_ns - self._pending[key].since_ns <= TIMEOUT_NS:
                return
            self._drop(key)

    def _bound(self) -> None:
        while len(self._pending) > MAX_DATAGRAMS or self._bytes > MAX_BYTES:
            self._drop(next(iter(self._pending)))

    def _drop(self, key: Key) -> None:
        item = self._pending.pop(key)
        self._bytes -= item.bytes
        if not item.dead:
            self._dropped += bool(item.header)
            refuse(self._reasons, NO_OTHERS if item.header else NO_FIRST, item.frames)


def with_length(header: bytes, payload: int) -> bytes:
    """An IP header that announces ``payload`` bytes and is no fragment's.

    Args:
        header: IPv4 header with its options, or IPv6's 40 bytes.
        payload: Bytes behind it.
    """
    if header[0] >> 4 == 4:
        total = (len(header) + payload).to_bytes(2, "big")
        # Of the fragment field only "don't fragment" is left.
        return header[:2] + total + header[4:6] + bytes((header[6] & 0x40, 0)) + header[8:]
    return header[:4] + payload.to_bytes(2, "big") + header[6:]


def read_fragments(
    data: Bytes, rows: Rows, time_ns: Ints, reasons: Counter[str]
) -> Iterator[tuple[int, Fragment]]:
    """Fragments of rows that were set aside.

    Args:
        data: The buffer.
        rows: Behind the header that tells of fragments: IPv4's, or the fragment header.
        time_ns: Capture time of each frame of the block.
        reasons: Counts first fragments whose IP header was cut.

    Yields:
        Index of the frame in the block, and the fragment.
    """
    for i in range(len(rows)):
        frame, ip, at = int(rows.frame[i]), int(rows.ip[i]), int(rows.at[i])
        if at > int(rows.end[i]):
            refuse(reasons, "IPv4 header cut by the snaplen", 1)
            continue
        if int(data[ip]) >> 4 == 4:
            head = data[ip:at].tobytes()
            bits = int.from_bytes(head[6:8], "big")
            offset, more = (bits & 0x1FFF) * 8, bool(bits & 0x2000)
            key = (head[12:16], head[16:20], int.from_bytes(head[4:6], "big"), head[9])
        else:
            head = data[ip : ip + 40].tobytes()
            own = data[at - 8 : at].tobytes()
            bits = int.from_bytes(own[2:4], "big")
            offset, more = bits & 0xFFF8, bool(bits & 1)
            key = (head[8:24], head[24:40], int.from_bytes(own[4:8], "big"), own[0])
            # Extension headers before the fragment header are left out of the datagram.
            head = head[:6] + own[:1] + head[7:]
        yield (
            frame,
            Fragment(
                key=key,
                time_ns=int(time_ns[frame]),
                offset=offset,
                more=more,
                length=int(rows.wire[i]) - at,
                payload=data[at : int(rows.end[i])].tobytes(),
                header=b"" if offset else head,
            ),
        )
