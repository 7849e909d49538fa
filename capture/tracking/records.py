"""TLS records at speed: following record borders by columns, not by object.

Once a side sends encrypted records only, all that matters is where the borders are: how
many records, the last one's type and length, and whether the stream stops inside one. The
``want`` column then holds the place of the next record header. Segments that are exactly
one record, the common case of small messages, are counted by columns; the rest is walked
header by header in a loop that makes no objects.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from capture.decode.columns import Segments
from capture.facts import Mark
from capture.frames import Ints
from capture.tracking.sequence import Analysed
from capture.tracking.table import FlowTable

FRESH, TALK, RECORDS, LOST = range(4)
"""How a direction's payload is followed: kept raw (``openings``), by a conversation, by
record borders, or not until a segment shows a border again."""

HEADER: Final = 5
MAX_RECORD: Final = 16384 + 2048
ALERT: Final = 21
DATA: Final = 23


class RecordWalker:
    """Follows the record borders of all directions that are in mode ``RECORDS``.

    Attributes:
        alerts: Clear alerts met on the way, by row: (mark, level, code).
        first_data: First application-data record, by row: (mark, sequence number). Only of
            directions whose opening did not hold it.
    """

    def __init__(self, table: FlowTable) -> None:
        self._table = table
        self.carry: dict[int, bytes] = {}
        """Start of a header whose rest is in a later block, by row."""
        self.alerts: dict[int, list[tuple[Mark, int, int]]] = {}
        self.first_data: dict[int, tuple[Mark, int]] = {}

    def walk(self, segments: Segments, a: Analysed, positions: Ints) -> None:
        """Take the payload at ``positions`` of ``a``; all their rows are in mode
        ``RECORDS`` or ``LOST``."""
        sides = self._table.sides
        order = np.lexsort((a.seq[positions], a.row[positions]))
        positions = positions[order]
        row, start = a.row[positions], a.seq[positions]
        end = start + a.length[positions]
        exact, kind, size = _exact(segments, a, positions)
        head = np.flatnonzero(np.concatenate(([True], row[1:] != row[:-1])))
        expected = np.concatenate(([0], end[:-1]))
        expected[head] = sides.want[row[head]]
        smooth = np.logical_and.reduceat(exact & (start == expected), head)
        smooth &= sides.mode[row[head]] == RECORDS
        if self.carry:
            smooth &= ~np.isin(row[head], list(self.carry))
        tail = np.append(head[1:], len(row)) - 1
        clear = np.add.reduceat((kind == ALERT) & (size == 2), head) > 0
        data = kind == DATA
        easy = smooth & ~clear & (sides.data_seen[row[head]] | ~np.logical_or.reduceat(data, head))
        at, which = tail[easy], row[head[easy]]
        sides.want[which] = end[at]
        sides.rec_count[which] += (tail - head + 1)[easy].astype(np.uint32)
        self._set_last(a, which, positions[at], kind[at], size[at])
        for first, last in zip(head[~easy].tolist(), tail[~easy].tolist(), strict=True):
            self._lane(segments, a, positions[first : last + 1], exact[first : last + 1])

    def _set_last(
        self, a: Analysed, rows: Ints, positions: Ints, kind: NDArray[np.uint8], size: Ints
    ) -> None:
        sides = self._table.sides
        sides.rec_type[rows] = kind
        sides.rec_length[rows] = size
        sides.rec_no[rows] = a.number[positions]
        sides.rec_ns[rows] = a.time_ns[positions]

    def _lane(
        self, segments: Segments, a: Analysed, positions: Ints, exact: NDArray[np.bool_]
    ) -> None:
        """Walk one direction's segments (sorted by sequence number) header by header."""
        sides = self._table.sides
        row = int(a.row[positions[0]])
        cursor = int(sides.want[row])
        skip = 0
        if sides.mode[row] == LOST:
            found = np.flatnonzero(exact)
            if not len(found):
                return
            skip = int(found[0])
            cursor = int(a.seq[positions[skip]])
            sides.mode[row] = RECORDS
        lanes = positions[skip:]
        cursor, last, count, lost = self._headers(segments, a, lanes, row, cursor)
        if count:
            where, kind, size = last
            sides.rec_count[row] += count
            sides.rec_type[row], sides.rec_length[row] = kind, size
            sides.rec_no[row], sides.rec_ns[row] = a.number[where], a.time_ns[where]
        if lost:
            self.carry.pop(row, None)
            sides.mode[row] = LOST
            cursor = int(a.seq[lanes[-1]] + a.length[lanes[-1]])
        sides.want[row] = cursor

    def _headers(
        self, segments: Segments, a: Analysed, lanes: Ints, row: int, cursor: int
    ) -> tuple[int, tuple[int, int, int], int, bool]:
        """Go from header to header.

        Returns:
            Place of the next byte wanted; position, type and length of the last record;
            records begun; and whether the borders were lost.
        """
        data = memoryview(segments.data)
        header = self.carry.pop(row, b"")
        last, count, lost = (-1, 0, 0), 0, False
        index = a.index[lanes]
        for position, start, length, at, captured in zip(
            lanes.tolist(),
            a.seq[lanes].tolist(),
            a.length[lanes].tolist(),
            segments.payload_at[index].tolist(),
            segments.payload_captured[index].tolist(),
            strict=True,
        ):
            while not lost and cursor < start + length:
                offset = cursor - start
                stop = min(offset + HEADER - len(header), captured)
                lost = offset < 0 or offset >= captured
                if lost:
                    break
                header += bytes(data[at + offset : at + stop])
                cursor = start + stop
                if len(header) < HEADER:
                    continue
                kind, size = header[0], header[3] << 8 | header[4]
                lost = not (20 <= kind <= 24 and header[1] == 3 and size <= MAX_RECORD)
                header = b""
                if lost:
                    break
                self._notice(a, row, position, kind, size, cursor, data[at + stop : at + captured])
                last, count = (position, kind, size), count + 1
                cursor += size
            if lost:
                break
        if header:
            self.carry[row] = header
        return cursor, last, count, lost

    def _notice(
        self, a: Analysed, row: int, position: int, kind: int, size: int, body: int, data: memoryview
    ) -> None:
        """Keep the first application data and clear alerts."""
        sides = self._table.sides
        if kind == DATA and not sides.data_seen[row]:
            sides.data_seen[row] = True
            mark = Mark(int(a.number[position]), int(a.time_ns[position]))
            self.first_data[row] = (mark, body - HEADER)
        elif kind == ALERT and size == 2 and len(data) >= 2 and data[0] in (1, 2):
            mark = Mark(int(a.number[position]), int(a.time_ns[position]))
            self.alerts.setdefault(row, []).append((mark, data[0], data[1]))

    def missing(self, row: int, end: int) -> int | None:
        """Bytes the open record lacks at stream position ``end``; 0 at a border, None
        where the borders are lost."""
        sides = self._table.sides
        if sides.mode[row] != RECORDS:
            return None
        if row in self.carry:
            return HEADER - len(self.carry[row])
        return max(0, int(sides.want[row]) - end)


def _exact(
    segments: Segments, a: Analysed, positions: Ints
) -> tuple[NDArray[np.bool_], NDArray[np.uint8], Ints]:
    """Segments that are exactly one record; with type and length of what stands there."""
    index = a.index[positions]
    enough = segments.payload_captured[index] >= HEADER
    at = np.where(enough, segments.payload_at[index], 0)
    data = segments.data
    if len(data) < HEADER:
        none = np.zeros(len(positions), np.int64)
        return none != 0, none.astype(np.uint8), none
    kind = np.where(enough, data[at], 0).astype(np.uint8)
    size = data[at + 3].astype(np.int64) << 8 | data[at + 4]
    exact = (
        enough & (kind >= 20) & (kind <= 24) & (data[at + 1] == 3)
        & (size + HEADER == a.length[positions])
    )  # fmt: skip
    return exact, kind, size


def chain(parts: list[bytes]) -> tuple[int, int, bool, bool] | None:
    """Walk the records of a stream's start.

    Returns:
        (bytes from the start to the next header, records, encrypted, application data
        seen), or None when it is no TLS.
    """
    data = parts[0] if len(parts) == 1 else b"".join(parts)
    at = count = 0
    encrypted = seen = False
    while at + HEADER <= len(data):
        kind, size = data[at], data[at + 3] << 8 | data[at + 4]
        if not (20 <= kind <= 24 and data[at + 1] == 3 and size <= MAX_RECORD):
            return None
        seen |= kind == DATA
        encrypted |= kind in (20, DATA)
        count += 1
        at += HEADER + size
    return at, count, encrypted, seen
