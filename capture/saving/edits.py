"""What is to be changed in the payload of a flow's packets: secrets, and names.

A secret may be split over segments, so it is looked for in the reassembled stream, a window
at a time, and what is found there is changed in every packet that holds a copy of it. What
follows the first protected TLS record is ciphertext and left alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

import numpy as np

from capture.facts import CLIENT, PROXY, FlowFacts, Mark
from capture.frames import Ints
from capture.packets.index import PacketView
from capture.protocols.covering import login_spans, mask_payload
from capture.protocols.masking import COVER
from capture.saving.names import Anonymizer
from capture.stream.assembly import Pieces, assemble
from capture.stream.payloads import payload_spans
from capture.stream.reading import StreamReader

_WINDOW: Final = 256 << 10
_BEFORE: Final = 16 << 10
"""Bytes before a window that tell whether it begins inside a secret: heads are shorter."""
_BEHIND: Final = 2 << 10
_LOGIN: Final = 1 << 10
"""A SOCKS handshake is over within so many bytes (RFC 1929: 513)."""
_BATCH: Final = 256

Fetch = Callable[[int], bytes]
"""Gives a frame by its 1-based number; raises ``LookupError``."""


class Edit(NamedTuple):
    """Bytes that take the place of as many others."""

    start: int
    data: bytes

    @property
    def end(self) -> int:
        return self.start + len(self.data)


class Changes:
    """Says what the bytes of a stream become.

    Args:
        redact: Cover credentials.
        anonymizer: Replaces addresses and names; None: they stay.
    """

    def __init__(self, redact: bool, anonymizer: Anonymizer | None) -> None:
        self.redact = redact
        self.anonymizer = anonymizer

    def __bool__(self) -> bool:
        return self.redact or self.anonymizer is not None

    def text(self, data: bytes) -> bytes:
        """What is no TLS, by itself."""
        if self.redact:
            data = mask_payload(data)
        return self.anonymizer.text(data) if self.anonymizer else data

    def handshake(self, data: bytes) -> bytes:
        """What may be seen of a TLS handshake."""
        return self.anonymizer.handshake(data) if self.anonymizer else data

    def mixed(self, data: bytes, tls_at: int) -> bytes:
        """Text up to an offset, and a TLS handshake from there."""
        tls_at = max(0, min(tls_at, len(data)))
        return self.text(data[:tls_at]) + self.handshake(data[tls_at:])


def differences(old: bytes, new: bytes, start: int = 0) -> list[Edit]:
    """Where two texts of one length differ, as edits of the first."""
    if old == new:
        return []
    other = np.frombuffer(old, np.uint8) != np.frombuffer(new, np.uint8)
    borders = np.flatnonzero(np.diff(other.astype(np.int8), prepend=0, append=0)).tolist()
    pairs = zip(borders[::2], borders[1::2], strict=True)
    return [Edit(start + low, new[low:high]) for low, high in pairs]


def flow_edits(
    view: PacketView, rows: Ints, facts: FlowFacts | None, fetch: Fetch, changes: Changes
) -> dict[int, list[Edit]]:
    """What is to be changed in the payloads of a flow.

    Args:
        view: The packet index.
        rows: The flow's packets in it.
        facts: What is known of the flow.
        fetch: Fetches frames.
        changes: What their bytes become.

    Returns:
        Row of a packet -> edits; offsets are those in its TCP payload.
    """
    found: dict[int, list[Edit]] = {}
    if not changes:
        return found
    assembly = assemble(view, rows)
    reader = StreamReader(fetch, view, assembly, masked=False)
    for side in (CLIENT, PROXY):
        pieces = assembly.sides[side]
        own = rows[(view.rows["sender"][rows] == side) & (view.rows["length"][rows] > 0)]
        if not len(own):
            continue
        tls_at, sealed_at = _borders(view, facts, pieces, side)
        starts = _offsets(view, pieces, own)
        edits = _stream_edits(reader, side, min(reader.total(side), sealed_at), tls_at, changes)
        _spread(edits, own, starts, view, found)
        # Copies may differ from what they are copies of.
        alone = own[~np.isin(own, _whole(view, pieces)) & (starts < sealed_at)]
        _copy_edits(view, alone, tls_at - starts[np.isin(own, alone)], fetch, changes, found)
    return found


def _borders(
    view: PacketView, facts: FlowFacts | None, pieces: Pieces, side: int
) -> tuple[int, int]:
    """Offsets in a side's stream: where TLS begins, and behind the first protected record's
    packet; both beyond the end where there is no TLS."""
    never = 1 << 62
    tls = facts.tls if facts is not None else None
    if facts is None or tls is None:
        return never, never

    def place(mark: Mark | None, column: Ints, otherwise: int) -> int:
        row = view.row(mark.number) if mark is not None else None
        at = np.flatnonzero(pieces.row == row) if row is not None else np.zeros(0, np.int64)
        return int(column[at[-1]]) if len(at) else otherwise

    tls_at = 0
    if facts.tunnel is not None:
        tls_at = place(facts.tunnel_first[side], pieces.start, never)
    elif facts.exchanges:
        tls_at = never
    return tls_at, place(tls.sides[side].first_app, pieces.end, never)


def _stream_edits(
    reader: StreamReader, side: int, end: int, tls_at: int, changes: Changes
) -> Iterator[Edit]:
    logins: list[tuple[int, int]] = []
    if changes.redact and tls_at > 0:
        head = reader.raw(side, 0, min(_LOGIN, end))
        logins = login_spans(head[0].data) if head and not head[0].missing else []
    for start in range(0, end, _WINDOW):
        stop = min(end, start + _WINDOW)
        for chunk in reader.raw(side, max(0, start - _BEFORE), stop + _BEHIND):
            if chunk.missing:
                continue
            made = bytearray(changes.mixed(chunk.data, tls_at - chunk.start))
            for left, right in logins:
                low, high = max(left - chunk.start, 0), min(right - chunk.start, len(made))
                if low < high:
                    made[low:high] = COVER * (high - low)
            low, high = max(start - chunk.start, 0), max(stop - chunk.start, 0)
            yield from differences(chunk.data[low:high], bytes(made[low:high]), chunk.start + low)


def _offsets(view: PacketView, pieces: Pieces, own: Ints) -> Ints:
    """Offset in its stream of each packet's first byte."""
    seq = view.rows["seq"][own].astype(np.int64) + (view.rows["flags"][own] & 2 != 0)
    if not len(pieces):
        return np.zeros(len(own), np.int64)
    order = np.argsort(pieces.row, kind="stable")
    known, offset = pieces.row[order], (pieces.start - pieces.skip)[order]
    near = np.maximum(np.searchsorted(known, own, side="right") - 1, 0)
    near_seq = view.rows["seq"][known[near]].astype(np.int64)
    near_seq += view.rows["flags"][known[near]] & 2 != 0
    # Sequence numbers begin anew after 4 GiB; a copy is not so far from its neighbours.
    away = (seq - near_seq + (1 << 31)) % (1 << 32) - (1 << 31)
    result: Ints = offset[near] + away
    return result


def _whole(view: PacketView, pieces: Pieces) -> Ints:
    """Rows whose payload is part of the stream from its first byte to its last."""
    length = view.rows["length"][pieces.row]
    all_of_it = (pieces.skip == 0) & (pieces.end - pieces.start == length)
    found: Ints = pieces.row[all_of_it]
    return found


def _spread(
    edits: Iterator[Edit], own: Ints, starts: Ints, view: PacketView, found: dict[int, list[Edit]]
) -> None:
    """Give each packet the part of an edit that it holds."""
    order = np.argsort(starts, kind="stable")
    rows, starts = own[order], starts[order]
    lengths = view.rows["length"][rows].astype(np.int64)
    longest = int(lengths.max())
    for edit in edits:
        low = int(np.searchsorted(starts, edit.start - longest))
        high = int(np.searchsorted(starts, edit.end))
        for index in range(low, high):
            start = int(starts[index])
            left, right = max(edit.start, start), min(edit.end, start + int(lengths[index]))
            if left < right:
                part = edit.data[left - edit.start : right - edit.start]
                found.setdefault(int(rows[index]), []).append(Edit(left - start, part))


def _copy_edits(
    view: PacketView,
    rows: Ints,
    tls_at: Ints,
    fetch: Fetch,
    changes: Changes,
    found: dict[int, list[Edit]],
) -> None:
    """Look at payloads by themselves; ``tls_at`` is where TLS begins in each."""
    for first in range(0, len(rows), _BATCH):
        some = rows[first : first + _BATCH].tolist()
        frames, had, borders = [], [], []
        for row, border in zip(some, tls_at[first : first + _BATCH].tolist(), strict=True):
            try:
                frames.append(fetch(view.number(row)))
            except LookupError:
                continue
            had.append(row)
            borders.append(border)
        if not frames:
            continue
        spans = payload_spans(frames, view.rows["linktype"][had].tolist())
        for row, frame, span, border in zip(had, frames, spans, borders, strict=True):
            if span is not None:
                payload = frame[slice(*span)]
                found.setdefault(row, []).extend(
                    differences(payload, changes.mixed(payload, border))
                )
