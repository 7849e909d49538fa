"""Builds the packet index of the screen from analysed blocks."""

from __future__ import annotations

import numpy as np

from capture.decode.columns import Decoded
from capture.frames import FrameBlock, Ints
from capture.packets.index import DUPLICATE, PACKET_DTYPE, PORT_REUSED, PacketView
from capture.tracking.sequence import Analysed
from capture.tracking.tracker import Tracker


class PacketIndex:
    """Growing rows of ``PACKET_DTYPE``; at first row i is frame i + 1.

    Args:
        bound: Rows kept when ``trim`` is called; 0: all.
    """

    def __init__(self, bound: int = 0) -> None:
        self.dropped = 0
        """Rows let go."""
        self._bound = bound
        self._rows = np.zeros(1 << 14, PACKET_DTYPE)
        self._numbers: Ints | None = None
        """Frame number of each row, once rows were let go."""
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @property
    def full(self) -> bool:
        """Whether ``trim`` should be called: a quarter more than the bound is there."""
        return bool(self._bound) and self._count > self._bound + self._bound // 4

    def view(self) -> PacketView:
        """The rows so far; stays valid while the index grows and when it is trimmed."""
        numbers = None if self._numbers is None else self._numbers[: self._count]
        return PacketView(self._rows[: self._count], numbers)

    def clear(self) -> None:
        """Let all rows go."""
        self._keep(np.zeros(0, np.int64))
        self.dropped = 0

    def trim(self, uids: Ints, worth: Ints) -> None:
        """Let rows go until the bound is kept: the oldest, except those worth more.

        Args:
            uids: Flows that are still known, ascending.
            worth: The number of the last packet that is worth keeping of each of them, as far
                as half the bound reaches.
        """
        rows = self._rows[: self._count]
        numbers = self._row_numbers(0, self._count)
        worthy = np.zeros(self._count, np.bool_)
        if len(uids):
            at = np.minimum(np.searchsorted(uids, rows["flow"]), len(uids) - 1)
            worthy = (uids[at] == rows["flow"]) & (numbers <= worth[at])
        kept = np.flatnonzero(worthy)[-(self._bound // 2) :]
        worthy[:] = False
        worthy[kept] = True
        others = np.flatnonzero(~worthy)[-(self._bound - len(kept)) :]
        worthy[others] = True
        self._keep(np.flatnonzero(worthy))

    def _keep(self, at: Ints) -> None:
        self.dropped += self._count - len(at)
        room = max(1 << 14, len(at) * 3 // 2)
        rows, numbers = np.zeros(room, PACKET_DTYPE), np.zeros(room, np.int64)
        rows[: len(at)] = self._rows[at]
        numbers[: len(at)] = self._row_numbers(0, self._count)[at]
        self._rows, self._numbers, self._count = rows, numbers, len(at)

    def _row_numbers(self, start: int, end: int) -> Ints:
        if self._numbers is None:
            return np.arange(start + 1, end + 1)
        return self._numbers[start:end]

    def append(
        self, block: FrameBlock, decoded: Decoded, analysed: Analysed | None, tracker: Tracker
    ) -> None:
        """Add a block's frames and what the tracker made of their segments."""
        base, count = self._count, len(block)
        self._make_room(count, block.first_number)
        rows = self._rows[base : base + count]
        for name in ("time_ns", "position", "caplen", "wirelen", "linktype", "interface"):
            rows[name] = getattr(block, name)
        self._count = base + count
        if analysed is None:
            return
        self._fill(decoded, analysed, tracker, base - block.first_number)

    def _make_room(self, count: int, first_number: int) -> None:
        """Make room for frames from ``first_number`` on, and number them."""
        base = self._count
        if self._numbers is None and first_number != base + 1:
            self._numbers = np.zeros(len(self._rows), np.int64)
            self._numbers[:base] = np.arange(1, base + 1)
        if base + count > len(self._rows):
            room = max(base + count, len(self._rows) * 2)
            if self._bound:
                room = max(base + count, min(room, self._bound + self._bound // 2))
            rows = np.zeros(room, PACKET_DTYPE)
            rows[:base] = self._rows[:base]
            self._rows = rows
            if self._numbers is not None:
                self._numbers = np.concatenate(
                    (self._numbers[:base], np.zeros(room - base, np.int64))
                )
        if self._numbers is not None:
            self._numbers[base : base + count] = np.arange(first_number, first_number + count)

    def _fill(self, decoded: Decoded, a: Analysed, tracker: Tracker, shift: int) -> None:
        """Fill in what the tracker knows; ``shift`` makes a frame number its row."""
        sides = tracker.table.sides
        at = a.number + shift
        rows = self._rows
        rows["flow"][at] = tracker.table.flows.uid[a.flow]
        rows["sender"][at] = a.side
        rows["seq"][at] = a.seq & 0xFFFFFFFF
        rows["ack"][at] = np.maximum(a.ack, 0) & 0xFFFFFFFF
        rows["length"][at] = a.length
        rows["flags"][at] = a.flags & 0xFF
        scaled = (a.flags & 2 == 0) & (sides.wscale[a.row] >= 0) & (sides.wscale[a.row ^ 1] >= 0)
        scale = np.where(scaled, np.maximum(sides.wscale[a.row], 0), 0).astype(np.int64)
        rows["window"][at] = a.window << scale
        rows["analysis"][at] = a.analysis
        reused = tracker.table.flows.reused[a.run_flow]
        if reused.any():
            heads = a.run_start[reused]
            first = tracker.table.flows.first_no[a.flow[heads]] == a.number[heads]
            rows["analysis"][at[heads[first]]] |= PORT_REUSED
        self._fill_copies(decoded, a, tracker, shift)

    def _fill_copies(self, decoded: Decoded, a: Analysed, tracker: Tracker, shift: int) -> None:
        """Copies of packets: shown as such, with the numbers they carry."""
        if not len(a.duplicates):
            return
        segments = decoded.segments
        at = segments.number[a.duplicates] + shift
        self._rows["flow"][at] = tracker.table.flows.uid[a.duplicate_row >> 1]
        self._rows["sender"][at] = a.duplicate_row & 1
        self._rows["length"][at] = segments.length[a.duplicates]
        self._rows["flags"][at] = segments.flags[a.duplicates] & 0xFF
        self._rows["window"][at] = segments.window[a.duplicates]
        self._rows["analysis"][at] = DUPLICATE

    def flip(self, uid: int) -> None:
        """Exchange the sides of a flow whose roles had been guessed wrongly."""
        mine = self._rows["flow"][: self._count] == uid
        self._rows["sender"][: self._count][mine] ^= 1
