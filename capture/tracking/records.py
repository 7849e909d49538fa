"""TLS records at speed: following record borders by columns, not by object.

Inside a tunnel, all that matters after the handshake is where the record borders are: how
many records, the last one's type and length, and whether the stream stops inside one. The
``want`` column holds the place of the next record header. All directions of a block go on
together, one header each a round; the few that are left when most are done (bulk
transfers) and headers cut by a segment border are walked one by one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from capture.decode.columns import Segments
from capture.facts import Mark
from capture.frames import Ints
from capture.tracking.sequence import Analysed
from capture.tracking.table import FlowTable, renumbered

FRESH, TALK, RECORDS, LOST = range(4)
"""How a direction's payload is followed: nothing came yet, by a conversation, by record
borders, or not at all until a segment shows a border again."""

HEADER: Final = 5
MAX_RECORD: Final = 16384 + 2048
"""Longest body of a record (RFC 5246 section 6.2.3)."""
ALERT: Final = 21
DATA: Final = 23

HANDSHAKE_RECORDS: Final = 3
"""A client's ClientHello, ChangeCipherSpec and Finished; what follows may be a request."""
SMALL: Final = 41
"""Records up to this length may be an alert or a KeyUpdate; a longer one asks something."""

FEW: Final = 6
"""With fewer directions than this, a plain loop is faster than a round of columns."""

_LIFT: Final = 1 << 42


@dataclass(slots=True)
class _Lanes:
    """Payload segments sorted by direction and sequence number."""

    position: Ints
    """Position in the block's ``Analysed``."""
    start: Ints
    end: Ints
    at: Ints
    """Offset of the payload in the block's buffer."""
    captured: Ints
    number: Ints
    time_ns: Ints
    head: Ints
    """First segment of each direction; shape (directions,)."""
    tail: Ints
    row: Ints
    """Row of each direction; shape (directions,)."""


class RecordWalker:
    """Follows the record borders of all directions in mode ``RECORDS``.

    Attributes:
        alerts: Clear alerts met on the way, by row: (mark, level, code).
    """

    def __init__(self, table: FlowTable) -> None:
        self._table = table
        self._carry: dict[int, bytes] = {}
        """Start of a header whose rest has not come, by row."""
        self.alerts: dict[int, list[tuple[Mark, int, int]]] = {}

    def renumber(self, number: Ints) -> None:
        """Follow the flow table when flows were let go (see ``FlowTable.keep``)."""
        self._carry = renumbered(self._carry, number, 2)
        self.alerts = renumbered(self.alerts, number, 2)

    def begin(self, rows: Ints, seq: Ints, data_seen: NDArray[np.bool_] | bool = False) -> None:
        """Follow directions from the record header at ``seq`` on."""
        sides = self._table.sides
        sides.mode[rows] = RECORDS
        sides.want[rows] = seq
        sides.data_seen[rows] = data_seen

    @property
    def carry(self) -> dict[int, bytes]:
        """Starts of headers that wait for their rest, by row."""
        return self._carry

    def missing(self, row: int, side: Any, end: int) -> int | None:
        """Bytes the open record lacks at stream position ``end``; 0 at a border, None
        where the borders are lost.

        Args:
            row: Row of the direction.
            side: Its columns there.
            end: As far as its stream goes.
        """
        if side.mode != RECORDS:
            return None
        if row in self._carry:
            return HEADER - len(self._carry[row])
        lacks: int = max(0, side.want - end)
        return lacks

    def walk(self, segments: Segments, a: Analysed, positions: Ints) -> None:
        """Take the payload at ``positions`` of ``a``, of directions in mode ``RECORDS``
        or ``LOST``."""
        # One number for direction and place: sorting by it takes half as long as by two.
        lane = 2 * a.run[positions] + a.side[positions]
        positions = positions[np.argsort(lane * _LIFT + a.seq[positions], kind="stable")]
        row, index = a.row[positions], a.index[positions]
        head = np.flatnonzero(np.concatenate(([True], row[1:] != row[:-1])))
        start = a.seq[positions]
        lanes = _Lanes(
            positions, start, start + a.length[positions], segments.payload_at[index],
            segments.payload_captured[index], a.number[positions], a.time_ns[positions],
            head, np.append(head[1:], len(row)) - 1, row[head],
        )  # fmt: skip
        self._regain(segments.data, lanes)
        self._rounds(segments.data, lanes)

    def _regain(self, data: NDArray[np.uint8], lanes: _Lanes) -> None:
        """Directions whose borders are lost go on where a segment is exactly one record."""
        sides = self._table.sides
        for lane in np.flatnonzero(sides.mode[lanes.row] == LOST).tolist():
            own = slice(lanes.head[lane], lanes.tail[lane] + 1)
            kind, major, size = _headers_at(data, lanes.at[own])
            exact = (
                _valid(kind, major, size) & (lanes.captured[own] >= HEADER)
                & (size + HEADER == lanes.end[own] - lanes.start[own])
            )  # fmt: skip
            row = int(lanes.row[lane])
            if exact.any():
                sides.mode[row] = RECORDS
                sides.want[row] = lanes.start[own][np.argmax(exact)]
            else:
                sides.want[row] = lanes.end[own].max()

    def _rounds(self, data: NDArray[np.uint8], lanes: _Lanes) -> None:
        """One record header of every direction a round."""
        sides = self._table.sides
        lift = np.repeat(np.arange(len(lanes.row)), lanes.tail - lanes.head + 1) * _LIFT
        reach = np.maximum.accumulate(lanes.end + lift)
        active = np.flatnonzero(sides.mode[lanes.row] == RECORDS)
        if self._carry:
            carried = np.isin(lanes.row[active], list(self._carry))
            for lane in active[carried].tolist():
                self._one(data, lanes, lane)
            active = active[~carried]
        while len(active) >= FEW:
            row = lanes.row[active]
            cursor = sides.want[row]
            at = np.searchsorted(reach, active * _LIFT + cursor, "right")
            more = at <= lanes.tail[active]
            active, row, cursor, at = active[more], row[more], cursor[more], at[more]
            offset = cursor - lanes.start[at]
            whole = (offset >= 0) & (offset + HEADER <= lanes.captured[at])
            split = (offset >= 0) & ~whole & (lanes.captured[at] == lanes.end[at] - lanes.start[at])
            for lane in active[split].tolist():
                self._one(data, lanes, lane)
            lost = active[~whole & ~split]
            active, row, at, offset = active[whole], row[whole], at[whole], offset[whole]
            kind, major, size = _headers_at(data, lanes.at[at] + offset)
            good = _valid(kind, major, size)
            self._lose(lanes, np.concatenate((lost, active[~good])))
            active, row, at, offset = active[good], row[good], at[good], offset[good]
            kind, size = kind[good], size[good]
            self._record(data, lanes, row, at, offset, kind, size)
        for lane in active.tolist():
            self._one(data, lanes, lane)

    def _record(
        self,
        data: NDArray[np.uint8],
        lanes: _Lanes,
        row: Ints,
        at: Ints,
        offset: Ints,
        kind: NDArray[np.uint8],
        size: Ints,
    ) -> None:
        """Note one record of each of the rows and go behind it."""
        sides = self._table.sides
        sides.rec_count[row] += 1
        sides.rec_type[row] = kind
        sides.rec_length[row] = size
        sides.rec_no[row], sides.rec_ns[row] = lanes.number[at], lanes.time_ns[at]
        first = (kind == DATA) & ~sides.data_seen[row]
        if first.any():
            which, where = row[first], at[first]
            sides.data_seen[which] = True
            sides.data_at[which] = sides.want[which]
            sides.data_no[which], sides.data_ns[which] = lanes.number[where], lanes.time_ns[where]
        asks = (kind == DATA) & (size > SMALL) & (sides.rec_count[row] > HANDSHAKE_RECORDS)
        asks &= sides.asked_no[row] == 0
        if asks.any():
            sides.asked_no[row[asks]] = lanes.number[at[asks]]
            sides.asked_ns[row[asks]] = lanes.time_ns[at[asks]]
        for i in np.flatnonzero((kind == ALERT) & (size == 2)).tolist():
            body = int(lanes.at[at[i]] + offset[i]) + HEADER
            if int(offset[i]) + HEADER + 2 <= lanes.captured[at[i]]:
                mark = Mark(int(lanes.number[at[i]]), int(lanes.time_ns[at[i]]))
                self._alert(int(row[i]), mark, int(data[body]), int(data[body + 1]))
        sides.want[row] += HEADER + size

    def _alert(self, row: int, mark: Mark, level: int, code: int) -> None:
        if level in (1, 2):
            self.alerts.setdefault(row, []).append((mark, level, code))

    def _lose(self, lanes: _Lanes, which: Ints) -> None:
        """The borders of the directions with these places in ``lanes.row`` are lost."""
        if not len(which):
            return
        sides, rows = self._table.sides, lanes.row[which]
        sides.mode[rows] = LOST
        sides.want[rows] = np.maximum.reduceat(lanes.end, lanes.head)[which]

    def _one(self, data: NDArray[np.uint8], lanes: _Lanes, lane: int) -> None:
        """Walk one direction's segments header by header."""
        sides = self._table.sides
        row = int(lanes.row[lane])
        cursor = int(sides.want[row])
        header = self._carry.pop(row, b"")
        view = memoryview(data.data)
        last, count, lost = (0, 0, 0, 0), 0, False
        own = slice(int(lanes.head[lane]), int(lanes.tail[lane]) + 1)
        for start, end, at, captured, number, time_ns in zip(
            *(
                column[own].tolist()
                for column in (
                    lanes.start, lanes.end, lanes.at, lanes.captured, lanes.number, lanes.time_ns,
                )
            ),
            strict=True,
        ):  # fmt: skip
            while not lost and cursor < end:
                offset = cursor - start
                if offset < 0 or offset >= captured:
                    lost = True
                    break
                stop = min(offset + HEADER - len(header), captured)
                header += bytes(view[at + offset : at + stop])
                cursor = start + stop
                if len(header) < HEADER:
                    continue
                kind, size = header[0], header[3] << 8 | header[4]
                lost = not (20 <= kind <= 24 and header[1] == 3 and size <= MAX_RECORD)
                header = b""
                if lost:
                    break
                late = sides.rec_count[row] + count >= HANDSHAKE_RECORDS
                if late and kind == DATA and size > SMALL and not sides.asked_no[row]:
                    sides.asked_no[row], sides.asked_ns[row] = number, time_ns
                if kind == DATA and not sides.data_seen[row]:
                    sides.data_seen[row], sides.data_at[row] = True, cursor - HEADER
                    sides.data_no[row], sides.data_ns[row] = number, time_ns
                elif kind == ALERT and size == 2 and stop + 2 <= captured:
                    self._alert(row, Mark(number, time_ns), view[at + stop], view[at + stop + 1])
                last, count = (kind, size, number, time_ns), count + 1
                cursor += size
            if lost:
                break
        if count:
            sides.rec_count[row] += count
            sides.rec_type[row], sides.rec_length[row], sides.rec_no[row], sides.rec_ns[row] = last
        sides.want[row] = cursor
        if lost:
            self._lose(lanes, np.array([lane]))
        elif header:
            self._carry[row] = header


def _headers_at(
    data: NDArray[np.uint8], at: Ints
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], Ints]:
    """Type, major version and length at each place (anything, where the buffer ends)."""
    if len(data) < HEADER:
        none = np.zeros(len(at), np.uint8)
        return none, none, none.astype(np.int64)
    at = np.minimum(at, len(data) - HEADER)
    return data[at], data[at + 1], data[at + 3].astype(np.int64) << 8 | data[at + 4]


def _valid(kind: NDArray[np.uint8], major: NDArray[np.uint8], size: Ints) -> NDArray[np.bool_]:
    """Headers of TLS records."""
    valid: NDArray[np.bool_] = (kind >= 20) & (kind <= 24) & (major == 3) & (size <= MAX_RECORD)
    return valid
