"""Reads any range of a reassembled stream from the frames it lies in, secrets covered.

Nothing is kept but the plan of the assembly: bytes are fetched again whenever a window is
looked at, so a stream of a gigabyte takes no more memory than a small one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from capture.packets.index import PacketView
from capture.protocols.covering import login_spans, mask_payload
from capture.protocols.masking import COVER
from capture.stream.assembly import Assembly
from capture.stream.payloads import payload_spans, segments_of

__all__ = ["Chunk", "FetchFrame", "StreamReader"]

CONTEXT_BEFORE: Final = 32 << 10
"""Bytes before a window that tell whether it begins inside a secret: heads are shorter."""
CONTEXT_BEHIND: Final = 2 << 10
LOGIN_BYTES: Final = 1 << 10
"""A SOCKS handshake is over within so many bytes of the client's stream (RFC 1929: 513)."""

AHEAD: Final = 128
"""Packets that are fetched along with a few that are asked for."""
KEPT_BYTES: Final = 1 << 20
FRAGMENTS_BEFORE: Final = 128
"""Packets before the last fragment of a datagram among which the others are looked for."""

FetchFrame = Callable[[int], bytes]
"""Gives a frame's captured bytes by its 1-based number; raises ``LookupError``."""


class Chunk(NamedTuple):
    """A run of a stream: either its bytes, or how many are missing."""

    start: int
    """Offset in the stream."""
    data: bytes
    missing: int = 0

    @property
    def end(self) -> int:
        return self.start + len(self.data) + self.missing


class StreamReader:
    """Both streams of a flow, read on demand."""

    def __init__(
        self,
        fetch: FetchFrame,
        view: PacketView,
        assembly: Assembly,
        *,
        masked: bool = True,
    ) -> None:
        """Prepare; nothing is read yet.

        Args:
            fetch: Fetches frames.
            view: The packet index.
            assembly: Where each byte lies.
            masked: Cover secrets (each byte of one is ``*``).
        """
        self._fetch = fetch
        self._view = view
        self._masked = masked
        self._logins: dict[int, list[tuple[int, int]]] = {}
        self._kept: dict[int, bytes] = {}
        """Payloads fetched lately, by row."""
        self._kept_bytes = 0
        self._order: NDArray[np.int64] | None = None
        self.assembly = assembly
        self.trouble = ""
        """Why the last frame that could not be fetched could not; one line."""

    @property
    def masked(self) -> bool:
        """Whether secrets are covered."""
        return self._masked

    def total(self, side: int) -> int:
        """Length of a side's stream in bytes, holes included."""
        return self.assembly.sides[side].total

    def row_of(self, side: int, offset: int) -> int | None:
        """Row of the packet that holds a byte; None where none does."""
        pieces = self.assembly.sides[side]
        at = int(np.searchsorted(pieces.end, offset, side="right"))
        held = at < len(pieces) and int(pieces.start[at]) <= offset
        return int(pieces.row[at]) if held else None

    def read(self, side: int, start: int, end: int) -> list[Chunk]:
        """A range of a stream, without a break: what is missing has a chunk of its own.

        Args:
            side: ``CLIENT`` or ``PROXY``.
            start: First offset; clamped to the stream.
            end: Offset behind the last.
        """
        start, end = max(0, start), min(end, self.total(side))
        if start >= end:
            return []
        if not self._masked:
            return self.raw(side, start, end)
        wide = self.raw(side, max(0, start - CONTEXT_BEFORE), end + CONTEXT_BEHIND)
        return _clipped([self._covered(side, chunk) for chunk in wide], start, end)

    # -- bytes ------------------------------------------------------------------------

    def raw(self, side: int, start: int, end: int) -> list[Chunk]:
        """As ``read``, with every secret in it: for parsers, never to be shown."""
        start = max(0, start)
        pieces = self.assembly.sides[side]
        end = min(end, pieces.total)
        first = int(np.searchsorted(pieces.end, start, side="right"))
        last = int(np.searchsorted(pieces.start, end, side="left"))
        rows = pieces.row[first:last].tolist()
        payloads = self._payloads(sorted(set(rows)))
        parts: list[bytes] = []
        chunks: list[Chunk] = []
        at = begun = start

        def close(upto: int) -> None:
            nonlocal at, begun
            if parts:
                chunks.append(Chunk(begun, b"".join(parts)))
                parts.clear()
            if upto > at:
                chunks.append(Chunk(at, b"", upto - at))
            at = begun = upto

        for left, right, row, skip in zip(
            pieces.start[first:last].tolist(),
            pieces.end[first:last].tolist(),
            rows,
            pieces.skip[first:last].tolist(),
            strict=True,
        ):
            low, high = max(left, start), min(right, end)
            if low > at:
                close(low)
            data = payloads.get(row, b"")[skip + low - left : skip + high - left]
            if data:
                parts.append(data)
                at += len(data)
            if at < high:  # cut by the snap length, or the frame is gone
                close(high)
        close(end)
        return _joined(chunks)

    def _payloads(self, rows: list[int]) -> dict[int, bytes]:
        """TCP payloads by row; a frame that cannot be had has none.

        Whoever follows a conversation asks for one short turn after the other: the packets
        behind those asked for are fetched along with them, since it is the number of calls
        that costs.
        """
        if any(row not in self._kept for row in rows):
            wanted = [row for row in rows if row not in self._kept]
            self._keep(wanted, self._behind(wanted[-1]) if len(rows) < AHEAD else [])
        return {row: data for row in rows if (data := self._kept.get(row)) is not None}

    def _behind(self, row: int) -> list[int]:
        """The next packets of the conversation that are not kept yet."""
        if self._order is None:
            sides = self.assembly.sides
            self._order = np.sort(np.concatenate([pieces.row for pieces in sides]))
        first = int(np.searchsorted(self._order, row, side="right"))
        return [at for at in self._order[first : first + AHEAD].tolist() if at not in self._kept]

    def _keep(self, wanted: list[int], more: list[int]) -> None:
        """Fetch packets; of those that nobody asked for only while it goes well."""
        if self._kept_bytes > KEPT_BYTES:
            self._kept, self._kept_bytes = {}, 0
        frames: list[bytes] = []
        found: list[int] = []
        for row in wanted + more:
            try:
                frames.append(self._fetch(self._view.number(row)))
            except LookupError as error:
                if row in more:
                    break
                self.trouble = str(error.args[0]) if error.args else "the packet is gone"
                continue
            found.append(row)
        if not frames:
            return
        spans = payload_spans(frames, self._view.rows["linktype"][found].tolist())
        for row, frame, span in zip(found, frames, spans, strict=True):
            data = frame[slice(*span)] if span else self._from_fragments(row, frame)
            self._kept[row] = data
            self._kept_bytes += len(data)

    def _from_fragments(self, row: int, frame: bytes) -> bytes:
        """Payload of a segment that came in IP fragments, of which ``row`` is the last: the
        others are among the packets before it that are no segments of their own."""
        rows = self._view.rows
        before = np.arange(max(0, row - FRAGMENTS_BEFORE), row)
        before = before[rows["flow"][before] == 0]
        frames: list[bytes] = []
        kept: list[int] = []
        for place in before.tolist():
            try:
                frames.append(self._fetch(self._view.number(place)))
            except LookupError:
                continue
            kept.append(place)
        segments = segments_of([*frames, frame], rows["linktype"][[*kept, row]].tolist())
        if not len(segments) or int(segments.number[-1]) != len(frames) + 1:
            return b""
        start = int(segments.payload_at[-1])
        return segments.data[start : start + int(segments.payload_captured[-1])].tobytes()

    # -- secrets ----------------------------------------------------------------------

    def _covered(self, side: int, chunk: Chunk) -> Chunk:
        if chunk.missing:
            return chunk
        data = mask_payload(chunk.data)
        for start, end in self._login(side):
            low, high = max(start - chunk.start, 0), min(end - chunk.start, len(data))
            if low < high:
                data = data[:low] + COVER * (high - low) + data[high:]
        return Chunk(chunk.start, data)

    def _login(self, side: int) -> list[tuple[int, int]]:
        """Where the secrets of a SOCKS handshake lie, which have no names to go by."""
        if side not in self._logins:
            start = self.raw(side, 0, min(LOGIN_BYTES, self.total(side)))
            self._logins[side] = login_spans(start[0].data) if start else []
        return self._logins[side]


def _joined(chunks: list[Chunk]) -> list[Chunk]:
    """Neighbouring holes as one."""
    joined: list[Chunk] = []
    for chunk in chunks:
        if joined and chunk.missing and joined[-1].missing:
            joined[-1] = Chunk(joined[-1].start, b"", joined[-1].missing + chunk.missing)
        else:
            joined.append(chunk)
    return joined


def _clipped(chunks: list[Chunk], start: int, end: int) -> list[Chunk]:
    clipped = []
    for chunk in chunks:
        low, high = max(chunk.start, start), min(chunk.end, end)
        if low >= high:
            continue
        if chunk.missing:
            clipped.append(Chunk(low, b"", high - low))
        else:
            clipped.append(Chunk(low, chunk.data[low - chunk.start : high - chunk.start]))
    return clipped
