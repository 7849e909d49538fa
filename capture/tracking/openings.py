"""The first segments of tunnels, kept until somebody asks what they say.

Most flows of a capture are tunnels that open as tunnels do: CONNECT and 2xx, each filling
one segment, then TLS. Their first segments are told apart by columns and kept as
they are, with no object a flow; they are parsed when a flow is looked at. A flow that goes
any other way is handed to a conversation instead, from its first byte.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from capture.decode.columns import Segments
from capture.facts import CLIENT
from capture.frames import Bytes, Ints
from capture.tracking.lexicon import ODD, Lexicon
from capture.tracking.payloads import Copied, File, Payloads, Spots, joined
from capture.tracking.sequence import Analysed
from capture.tracking.table import FlowTable, distinct

MANY_CHUNKS: Final = 64
"""Chunks more than these are joined, as far as they are small."""
CHUNK_SIZE: Final = 1024
"""Segments of a chunk from which on it is not small."""

KEPT_SEGMENTS: Final = 8
"""Segments kept of each side: a ClientHello of two, a certificate chain of five."""

REQUEST, REPLY, HELLO, SERVER, MORE = range(5)
"""The segments that a plain tunnel begins with: CONNECT, its reply, what the client and what the
proxy's side sends first in the tunnel, and the client's second one."""

_HEAD_END: Final = 0x0D0A0D0A
_CONNECT: Final = int.from_bytes(b"CONNECT ", "big")
_HTTP: Final = int.from_bytes(b"HTTP/1.", "big")
_HANDSHAKE: Final = 0x16
_RECORD_HEADER: Final = 5

_FIELDS: Final = ("row", "seq", "number", "time_ns")


class Kept(NamedTuple):
    """One kept segment."""

    row: int
    seq: int
    payload: bytes
    number: int
    time_ns: int

    @property
    def side(self) -> int:
        return self.row & 1


class Lot(NamedTuple):
    """Kept segments of several flows as columns, by row and in capture order."""

    row: Ints
    rank: Ints
    """How many segments of the row were kept before each."""
    seq: Ints
    number: Ints
    time_ns: Ints
    payload: list[bytes]


class Starts(NamedTuple):
    """How several flows begin; the columns are ``REQUEST`` to ``MORE``, shape ``(n, 5)``."""

    said: Ints
    """What segments say (see ``Lexicon``); ``ODD`` without one."""
    number: Ints
    """Packet numbers."""
    time_ns: Ints


class _Chunk:
    """What was kept of one block, in capture order within a flow."""

    __slots__ = ("columns", "flow", "payloads")

    def __init__(self, columns: dict[str, Ints], payloads: Payloads) -> None:
        self.columns = columns
        self.payloads = payloads
        self.flow = columns["row"] >> 1

    @classmethod
    def joined(cls, chunks: Sequence[_Chunk]) -> _Chunk:
        """Several chunks as one."""
        if len(chunks) == 1:
            return chunks[0]
        columns = {
            name: np.concatenate([chunk.columns[name] for chunk in chunks])
            for name in chunks[0].columns
        }
        return cls(columns, joined([chunk.payloads for chunk in chunks]))

    def renumbered(self, number: Ints) -> _Chunk:
        """The chunk with new numbers for its flows."""
        row = self.columns["row"]
        return _Chunk(self.columns | {"row": 2 * number[self.flow] + (row & 1)}, self.payloads)

    def reworded(self, number: Ints) -> _Chunk:
        """The chunk with new numbers for what is said."""
        said = self.columns["said"]
        said = np.where(said >= 0, number[said], said)
        return _Chunk(self.columns | {"said": said}, self.payloads)

    def without(self, gone: NDArray[np.bool_]) -> _Chunk | None:
        """The chunk without the flows that are True; None when nothing is left."""
        stay = ~gone[self.flow]
        if stay.all():
            return self
        if not stay.any():
            return None
        columns = {name: column[stay] for name, column in self.columns.items()}
        return _Chunk(columns, self.payloads.some(stay))


class Openings:
    """Kept segments of the flows that are neither settled nor handed over."""

    def __init__(self) -> None:
        self._chunks: list[_Chunk] = []
        self._join_at = MANY_CHUNKS
        self.lexicon: Lexicon | None = None
        """What kept segments say is looked up there at once; None: nobody wants to know."""
        self.file: File | None = None
        """The file that blocks are parts of, where payload is left; it shows the next one.
        None: payload must be copied."""

    def chunks(self) -> tuple[_Chunk, ...]:
        """All that is kept at this moment; what comes later does not change it."""
        return tuple(self._chunks)

    def resume(self, chunks: tuple[_Chunk, ...]) -> None:
        """Go on from what was kept at another moment."""
        self._chunks = list(chunks)

    def flows(self) -> Ints:
        """Flows of which something is kept, ascending."""
        kept = self._set(np.zeros(0, np.int64))
        for chunk in self._chunks:
            kept[chunk.flow] = True
        return np.flatnonzero(kept)

    def keep(
        self, segments: Segments, a: Analysed, start: Ints, positions: Ints, rank: Ints
    ) -> None:
        """Keep the payload at ``positions`` of ``a``; ``rank``: how many segments of the
        side were kept before each."""
        if not len(positions):
            return
        at, size = segments.payload_at[a.index[positions]], a.length[positions]
        columns = {
            "row": a.row[positions],
            "seq": start[positions],
            "number": a.number[positions],
            "time_ns": a.time_ns[positions],
            "rank": rank,
        }
        if self.lexicon is not None:
            side = a.side[positions]
            columns["said"] = self.lexicon.numbers(segments.data, at, size, side, rank)
        # Reassembled datagrams lie in a buffer of their own, behind the block's bytes.
        if self.file is not None and not segments.data.flags.owndata:
            payloads: Payloads = Spots(self.file, at + self.file.base, size)
        else:
            payloads = Copied.of(segments.data, at, at + size)
        self._chunks.append(_Chunk(columns, payloads))
        if len(self._chunks) >= self._join_at:
            self._join()

    def _join(self) -> None:
        """Join the chunks of small blocks, of which a live capture has many a second: each
        costs a look whenever flows are looked for."""
        joined: list[_Chunk] = []
        run: list[_Chunk] = []
        size = 0
        for chunk in self._chunks:
            run.append(chunk)
            size += len(chunk.payloads)
            if size >= CHUNK_SIZE:
                joined.append(_Chunk.joined(run))
                run, size = [], 0
        if run:
            joined.append(_Chunk.joined(run))
        self._chunks = joined
        self._join_at = MANY_CHUNKS + len(joined)

    def of_flows(self, flows: Ints, most: int = KEPT_SEGMENTS) -> dict[int, list[Kept]]:
        """The kept segments of several flows, by flow; ``most``: so many of each side."""
        found: dict[int, list[Kept]] = {flow: [] for flow in flows.tolist()}
        wanted = self._set(flows)
        for chunk in self._chunks:
            which = np.flatnonzero(wanted[chunk.flow] & (chunk.columns["rank"] < most))
            if not len(which):
                continue
            row, seq, number, time_ns = [chunk.columns[name][which].tolist() for name in _FIELDS]
            payloads = chunk.payloads.take(which)
            for item in map(Kept._make, zip(row, seq, payloads, number, time_ns, strict=True)):
                found[item.row >> 1].append(item)
        return found

    def lot(self, flows: Ints) -> Lot:
        """The kept segments of several flows, without an object for each."""
        wanted = self._set(flows)
        places = [np.flatnonzero(wanted[chunk.flow]) for chunk in self._chunks]
        row, rank, seq, number, time_ns = [
            np.concatenate([
                np.zeros(0, np.int64),
                *[chunk.columns[name][at] for chunk, at in zip(self._chunks, places, strict=True)],
            ])
            for name in ("row", "rank", "seq", "number", "time_ns")
        ]  # fmt: skip
        payload = [
            item
            for chunk, at in zip(self._chunks, places, strict=True)
            if len(at)
            for item in chunk.payloads.take(at)
        ]
        order = np.lexsort((rank, row))
        return Lot(
            row[order], rank[order], seq[order], number[order], time_ns[order],
            [payload[at] for at in order.tolist()],
        )  # fmt: skip

    def starts(self, flows: Ints) -> Starts:
        """How flows (ascending) begin, as far as it was looked up."""
        wanted = self._set(flows)
        place = np.zeros(len(wanted), np.int64)
        place[flows] = np.arange(len(flows))
        found = Starts(*[np.zeros((len(flows), MORE + 1), np.int64) for _ in Starts._fields])
        found.said[:] = ODD
        for chunk in self._chunks:
            at = np.flatnonzero(wanted[chunk.flow])
            segment = 2 * chunk.columns["rank"][at] + (chunk.columns["row"][at] & 1)
            early = segment <= MORE
            at, segment = at[early], segment[early]
            spots = place[chunk.flow[at]] * (MORE + 1) + segment
            for name, values in found._asdict().items():
                values.ravel()[spots] = chunk.columns[name][at]
        return found

    def said(self) -> Ints:
        """What all that is kept says."""
        return np.concatenate([np.zeros(0, np.int64), *[c.columns["said"] for c in self._chunks]])

    def reword(self, number: Ints) -> None:
        """Follow the lexicon when it forgot something (see ``Lexicon.forget``)."""
        self._chunks = [chunk.reworded(number) for chunk in self._chunks]

    def _set(self, flows: Ints) -> NDArray[np.bool_]:
        """These flows as a mask over all that may be kept."""
        top = max([int(chunk.flow.max()) for chunk in self._chunks], default=-1)
        mask = np.zeros(1 + max(top, int(flows.max()) if len(flows) else -1), np.bool_)
        mask[flows] = True
        return mask

    def renumber(self, number: Ints) -> None:
        """Follow the flow table when flows were let go (see ``FlowTable.keep``)."""
        self.drop(np.flatnonzero(number < 0))
        self._chunks = [chunk.renumbered(number) for chunk in self._chunks]

    def drop(self, flows: Ints) -> None:
        """Forget flows."""
        gone = self._set(flows)
        kept = [chunk.without(gone) for chunk in self._chunks]
        self._chunks = [chunk for chunk in kept if chunk is not None]


class Sorted(NamedTuple):
    """What becomes of the wanted payload of a block's fresh directions."""

    keep: Ints
    """Positions to keep."""
    rank: Ints
    """How many segments of its side were kept before each of them."""
    heads: Ints
    """Positions of the heads that fill a segment: behind them records begin."""
    odd: Ints
    """Flows that go another way."""


def sort_out(
    table: FlowTable, segments: Segments, a: Analysed, start: Ints, positions: Ints
) -> Sorted:
    """Tell plain openings from others, by columns.

    Args:
        table: Its ``first_payload_no`` and ``kept`` columns are read.
        segments: The block.
        a: Its analysis.
        start: Sequence number of each segment's payload.
        positions: Wanted payload of the flows that have no conversation.
    """
    if not len(positions):
        return Sorted(positions, positions, positions, positions)
    sides = table.sides
    row = a.row[positions]
    client = row & 1 == CLIENT
    rank = _ranks(client, a.run[positions]) + sides.kept[row]
    index = a.index[positions]
    number, length = a.number[positions], a.length[positions]
    whole = segments.payload_captured[index] == length
    other_first = sides.first_payload_no[row ^ 1].astype(np.int64)
    begins = rank == 0
    # Behind a hole only a conversation can wait for what fills it.
    in_order = (start[positions] <= np.maximum(a.before[positions], 1)) & ~a.filled[positions]
    good = (whole & in_order) | (rank >= KEPT_SEGMENTS)
    at = segments.payload_at[index]
    is_head = _is_head(segments.data, at, length, client, begins & whole)
    good &= ~begins | (is_head & (start[positions] == 1))
    good &= ~(begins & ~client) | ((other_first != 0) & (other_first < number))
    inner = rank == 1
    tls = np.zeros(len(positions), np.bool_)
    seen = inner & (segments.payload_captured[index] > 0)
    tls[seen] = segments.data[at[seen]] == _HANDSHAKE
    good &= ~inner | tls
    good &= ~inner | ~_is_thin(segments.data, at, length, tls)
    good &= ~(inner & client) | ((other_first != 0) & (other_first < number))
    good &= table.flows.syn_no[row >> 1] != 0
    odd = distinct(row[~good] >> 1)
    fine = ~np.isin(row >> 1, odd, kind="table")
    early = fine & (rank < KEPT_SEGMENTS)
    sides.kept[row[early]] = rank[early] + 1  # of a direction's segments the last one counts
    return Sorted(positions[early], rank[early], positions[fine & begins], odd)


def _ranks(client: NDArray[np.bool_], run: Ints) -> Ints:
    """How many segments of its direction there are before each one; ``run``, which ascends:
    that of its flow."""
    place = np.arange(len(run))
    first = np.concatenate(([True], run[1:] != run[:-1]))
    head = np.maximum.accumulate(np.where(first, place, 0))
    sent: Ints = np.cumsum(client) - client
    by_client: Ints = sent - sent[head]
    return np.where(client, by_client, place - head - by_client)


def _is_thin(
    data: Bytes, at: Ints, length: Ints, candidates: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Segments with so little of the record they begin that it does not fit into as many as are
    kept."""
    result = np.zeros(len(at), np.bool_)
    result[candidates] = length[candidates] < _RECORD_HEADER
    rows = np.flatnonzero(candidates & ~result)
    record = data[at[rows] + 3].astype(np.int64) << 8 | data[at[rows] + 4]
    result[rows] = record + _RECORD_HEADER > (KEPT_SEGMENTS - 1) * length[rows]
    return result


def _is_head(
    data: Bytes, at: Ints, length: Ints, client: NDArray[np.bool_], candidates: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Segments that are one CONNECT head, or one 2xx head, and nothing else."""
    result = np.zeros(len(at), np.bool_)
    rows = np.flatnonzero(candidates & (length >= 16))
    if not len(rows):
        return result
    words = np.ndarray((len(data) - 7,), ">u8", data, strides=(1,))
    quads = np.ndarray((len(data) - 3,), ">u4", data, strides=(1,))
    first = words[at[rows]]
    request = client[rows] & (first == _CONNECT)
    reply = ~client[rows] & (first >> np.uint64(8) == _HTTP) & (data[at[rows] + 9] == ord("2"))
    ends = quads[at[rows] + length[rows] - 4] == _HEAD_END
    result[rows] = (request | reply) & ends
    return result
