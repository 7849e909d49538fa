"""Builds the packet index of the screen from analysed blocks."""

from __future__ import annotations

import numpy as np

from capture.decode.columns import Decoded
from capture.frames import FrameBlock
from capture.packets import DUPLICATE, PACKET_DTYPE, PORT_REUSED, PacketView
from capture.tracking.sequence import Analysed
from capture.tracking.tracker import Tracker


class PacketIndex:
    """Growing rows of ``PACKET_DTYPE``: row i is frame i + 1."""

    def __init__(self) -> None:
        self._rows = np.zeros(1 << 14, PACKET_DTYPE)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def view(self) -> PacketView:
        """The rows so far; stays valid while the index grows."""
        return PacketView(self._rows[: self._count])

    def append(
        self, block: FrameBlock, decoded: Decoded, analysed: Analysed | None, tracker: Tracker
    ) -> None:
        """Add a block's frames and what the tracker made of their segments."""
        base, count = block.first_number - 1, len(block)
        if base + count > len(self._rows):
            grown = np.zeros(max(base + count, len(self._rows) * 2), PACKET_DTYPE)
            grown[: self._count] = self._rows[: self._count]
            self._rows = grown
        rows = self._rows[base : base + count]
        for name in ("time_ns", "position", "caplen", "wirelen", "linktype", "interface"):
            rows[name] = getattr(block, name)
        self._count = base + count
        if analysed is None:
            return
        self._fill(decoded, analysed, tracker)

    def _fill(self, decoded: Decoded, a: Analysed, tracker: Tracker) -> None:
        sides = tracker.table.sides
        at = a.number - 1
        rows = self._rows
        rows["flow"][at] = a.flow + 1
        rows["sender"][at] = a.side
        rows["seq"][at] = a.seq & 0xFFFFFFFF
        rows["ack"][at] = np.maximum(a.ack, 0) & 0xFFFFFFFF
        rows["length"][at] = a.length
        rows["flags"][at] = a.flags & 0xFF
        scaled = (a.flags & 2 == 0) & (sides.wscale[a.row] >= 0) & (sides.wscale[a.row ^ 1] >= 0)
        shift = np.where(scaled, np.maximum(sides.wscale[a.row], 0), 0).astype(np.int64)
        rows["window"][at] = a.window << shift
        rows["analysis"][at] = a.analysis
        reused = tracker.table.flows.reused[a.run_flow]
        if reused.any():
            heads = a.run_start[reused]
            first = tracker.table.flows.first_no[a.flow[heads]] == a.number[heads]
            rows["analysis"][at[heads[first]]] |= PORT_REUSED
        self._fill_copies(decoded, a)

    def _fill_copies(self, decoded: Decoded, a: Analysed) -> None:
        """Copies of packets: shown as such, with the numbers they carry."""
        if not len(a.duplicates):
            return
        segments = decoded.segments
        at = segments.number[a.duplicates] - 1
        self._rows["flow"][at] = (a.duplicate_row >> 1) + 1
        self._rows["sender"][at] = a.duplicate_row & 1
        self._rows["length"][at] = segments.length[a.duplicates]
        self._rows["flags"][at] = segments.flags[a.duplicates] & 0xFF
        self._rows["window"][at] = segments.window[a.duplicates]
        self._rows["analysis"][at] = DUPLICATE

    def flip(self, flow: int) -> None:
        """Exchange the sides of a flow whose roles had been guessed wrongly."""
        mine = self._rows["flow"][: self._count] == flow + 1
        self._rows["sender"][: self._count][mine] ^= 1
