"""The decoder: blocks of frames in, TCP segments, ICMP errors and DNS messages out."""

from __future__ import annotations

import pickle
from collections import Counter
from typing import TYPE_CHECKING, Final

import numpy as np

from capture.decode import link, meta, network, tunnels
from capture.decode.addresses import AddressBook
from capture.decode.columns import Decoded, DnsMessage, IcmpError, Segments
from capture.decode.heads import Look, look_at
from capture.decode.peel import Peel, Rows, refuse
from capture.decode.segments import join_segments, peeled_segments, plain_segments
from capture.frames import Bytes, FrameBlock, Ints

if TYPE_CHECKING:
    from capture.decode.fragments import Reassembler
    from capture.decode.share import Share

MAX_DNS: Final = 20_000
"""DNS messages kept of a capture; a capture of a name server must not fill the memory."""
MAX_ICMP: Final = 65_536

LAYER_MODULES: Final = (link, meta, network, tunnels)
"""Importing them registers their layers."""

_DNS_WINDOW: Final = 4096
_ICMP_WINDOW: Final = 256
"""Bytes of a message that are looked at; a quote needs 8 + 40 + extension headers + 8."""


_HEAP_KEPT: Final = 24 << 20


class Decoder:
    """Decodes the blocks of one capture, in order.

    It keeps what outlives a block: address numbers, fragments that wait for others, and
    counts of what it did not understand.

    Args:
        share: Yield the segments and ICMP errors of this share only. DNS messages, counts and
            address numbers are everybody's.
    """

    def __init__(self, share: Share | None = None) -> None:
        self.addresses = AddressBook()
        self._share = share
        self.frames = 0
        """Frames seen."""
        self._reasons: Counter[str] = Counter()
        self._reassembler: Reassembler | None = None
        """Made for the first fragment; few captures have one."""
        self._now_ns = 0
        self._dns = 0
        self._icmp = 0
        _keep_freed_memory()

    def save(self) -> bytes:
        """What outlives a block at this moment, but for the addresses: those only grow."""
        return pickle.dumps(
            (self.frames, self._reasons, self._reassembler, self._now_ns, self._dns, self._icmp)
        )

    def resume(self, saved: bytes, addresses: AddressBook) -> None:
        """Go on from a moment that was saved by this decoder or by another one."""
        self.addresses = addresses
        (self.frames, self._reasons, self._reassembler, self._now_ns, self._dns,
         self._icmp) = pickle.loads(saved)  # fmt: skip

    @property
    def not_understood(self) -> Counter[str]:
        """Frames that yielded nothing, by reason; a copy."""
        missed = self._reassembler.missed() if self._reassembler else Counter[str]()
        return self._reasons + missed

    @property
    def fragments_dropped(self) -> int:
        """First fragments whose later ones did not come."""
        return self._reassembler.dropped if self._reassembler else 0

    def renew(self) -> None:
        """Take as many DNS messages and ICMP errors again as at the start: whoever keeps
        them has let earlier ones go."""
        self._dns = self._icmp = 0

    def decode(self, block: FrameBlock) -> Decoded:
        """Decode the next block.

        Args:
            block: Frames that follow those of the call before.

        Returns:
            Segments in the order of their frames; ``segments.data`` is the block's buffer
            or a longer copy of it, so positions hold as long as the block's do.
        """
        if not len(block):
            return Decoded(join_segments([], block.data))
        return self.decode_look(look_at(block, self._share))

    def decode_look(self, look: Look) -> Decoded:
        """Decode the next block, at which somebody looked; see ``decode``."""
        self.frames += look.frames
        self._now_ns = max(self._now_ns, look.last_ns)
        data, share = look.data, self._share
        parts = [plain_segments(data, look.first_number, heads) for heads in look.heads]
        result = Decoded(join_segments([], data))
        block, others = look.block, look.others
        if block is not None and len(others):
            peel = Peel(data, self._reasons)
            link.start(peel, _rows(block, others), block.linktype[others].astype(np.int64))
            peeled = self._finish(block, peel, result)
            data = self._reassemble(block, peel, result, peeled)
            if share is not None:
                peeled = [share.of(part) for part in peeled]
                result.icmp = [error for error in result.icmp if share.concerns(error)]
            parts += peeled
            result.icmp.sort(key=lambda error: error.number)
            result.dns.sort(key=lambda message: message.number)
        result.segments = join_segments(parts, data)
        return result

    def _finish(self, block: FrameBlock, peel: Peel, result: Decoded) -> list[Segments]:
        """Peel what was given and take what came to light."""
        peel.run()
        self._read_dns(block, peel, result.dns)
        self._read_icmp(block, peel, result.icmp)
        rows = _in_order(peel.tcp)
        return peeled_segments(block, peel, rows, self.addresses) if len(rows) else []

    def _reassemble(
        self, block: FrameBlock, peel: Peel, result: Decoded, parts: list[Segments]
    ) -> Bytes:
        """Feed the fragments to the reassembler and decode the datagrams they complete.

        Returns:
            The block's buffer, with the datagrams behind it where there are any.
        """
        rows = _in_order(peel.fragments)
        if self._reassembler is not None:
            self._reassembler.now_ns = self._now_ns
        if not len(rows):
            return block.data
        from capture.decode.fragments import Reassembler, read_fragments

        if self._reassembler is None:
            self._reassembler = Reassembler(self._reasons)
            self._reassembler.now_ns = self._now_ns
        packets: list[bytes] = []
        frames: list[int] = []
        lengths: list[int] = []
        for frame, fragment in read_fragments(peel.data, rows, block.time_ns, self._reasons):
            datagram = self._reassembler.add(fragment)
            if datagram is not None:
                packets.append(datagram.packet)
                frames.append(frame)
                lengths.append(datagram.length)
        if not packets:
            return block.data
        sizes = np.array([len(packet) for packet in packets], np.int64)
        data = np.concatenate([block.data, np.frombuffer(b"".join(packets), np.uint8)])
        at = len(block.data) + np.cumsum(sizes) - sizes
        wire = at + np.array(lengths, np.int64)
        none = np.full(len(at), -1, np.int64)
        again = Peel(data, self._reasons)
        again.give("raw ip", Rows(np.array(frames, np.int64), at, at + sizes, wire, none, none))
        for part in self._finish(block, again, result):
            part.fragmented[:] = True
            parts.append(part)
        return data

    def _read_dns(self, block: FrameBlock, peel: Peel, out: list[DnsMessage]) -> None:
        rows = _in_order(peel.dns)
        if not len(rows):
            return
        from capture.decode.dns import parse

        for i in range(len(rows)):
            if self._dns >= MAX_DNS:
                refuse(self._reasons, f"DNS beyond the first {MAX_DNS} messages", len(rows) - i)
                return
            at, end = int(rows.at[i]), int(rows.end[i])
            message = parse(peel.data[at : min(end, at + _DNS_WINDOW)].tobytes())
            if message is None:
                refuse(self._reasons, "DNS other than queries and answers", 1)
                continue
            self._dns += 1
            src, dst = self._ends(peel.data, int(rows.ip[i]))
            frame = int(rows.frame[i])
            out.append(
                DnsMessage(
                    number=block.first_number + frame,
                    time_ns=int(block.time_ns[frame]),
                    client=dst if message.response else src,
                    server=src if message.response else dst,
                    ident=message.ident,
                    name=message.name,
                    qtype=message.qtype,
                    response=message.response,
                    rcode=message.rcode,
                    answers=tuple(map(self.addresses.number_of, message.answers)),
                )
            )

    def _read_icmp(self, block: FrameBlock, peel: Peel, out: list[IcmpError]) -> None:
        rows = _in_order(peel.icmp_errors)
        if not len(rows):
            return
        from capture.decode.icmp import parse_error

        for i in range(len(rows)):
            if self._icmp >= MAX_ICMP:
                refuse(self._reasons, f"ICMP errors beyond the first {MAX_ICMP}", len(rows) - i)
                return
            at, end, ip = int(rows.at[i]), int(rows.end[i]), int(rows.ip[i])
            frame = int(rows.frame[i])
            sender, receiver = self._ends(peel.data, ip)
            error = parse_error(
                peel.data[at : min(end, at + _ICMP_WINDOW)].tobytes(),
                version=int(peel.data[ip]) >> 4,
                number=block.first_number + frame,
                time_ns=int(block.time_ns[frame]),
                sender=sender,
                receiver=receiver,
                address=self.addresses.number_of,
            )
            if isinstance(error, str):
                refuse(self._reasons, error, 1)
            else:
                self._icmp += 1
                out.append(error)

    def _ends(self, data: Bytes, ip: int) -> tuple[int, int]:
        """Address numbers of sender and receiver of the IP packet at ``ip``."""
        first, size = (12, 4) if int(data[ip]) >> 4 == 4 else (8, 16)
        source, target = (
            data[ip + first + skip : ip + first + skip + size].tobytes() for skip in (0, size)
        )
        return self.addresses.number_of(source), self.addresses.number_of(target)


def _keep_freed_memory() -> None:
    """Make the C library keep the memory of one block's columns for the next block's.

    glibc gives freed memory back at once, and every page of the next columns is faulted in
    again: measured, a third of the decoder's time. Freeing one large array raises its limit
    (mallopt(3), "dynamic mmap threshold"); the array is never touched and takes no memory.
    """
    np.empty(_HEAP_KEPT, np.uint8)


def _rows(block: FrameBlock, frame: Ints) -> Rows:
    """Rows at the first byte of each frame."""
    at = block.offset[frame]
    none = np.full(len(frame), -1, np.int64)
    return Rows(frame, at, at + block.caplen[frame], at + block.wirelen[frame], none, none)


def _in_order(parts: list[Rows]) -> Rows:
    """All rows of the parts, by frame."""
    rows = Rows.join(parts)
    return rows.take(np.argsort(rows.frame, kind="stable"))
