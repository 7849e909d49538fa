"""A tracker as it was after any packet: from the checkpoint before it, and the frames between.

Such a tracker knows only the flows that go on after the checkpoint. Those that were over
before are as they were at the end, and need no second look.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from capture.decode.decoder import Decoder
from capture.frames import Ints
from capture.keeping.store import PacketStore
from capture.replay.frames import FrameReader
from capture.replay.giving_way import GiveWay, go_on
from capture.replay.recorder import Checkpoint, Recorder
from capture.tracking.rewind import load_columns, load_flows, save_flows
from capture.tracking.table import FlowTable
from capture.tracking.tracker import Tracker


class Resumed(NamedTuple):
    """The analysis after a packet, as far as it is needed."""

    tracker: Tracker
    """Holds the flows that go on after the checkpoint before that packet, whole; of all
    others nothing."""
    decoder: Decoder


class Resumer:
    """Makes trackers as they were.

    Args:
        recorder: Took all blocks of the capture.
        rows: The packet index (``PACKET_DTYPE``), complete.
        store: Where the frames are.
    """

    def __init__(self, recorder: Recorder, rows: NDArray[np.void], store: PacketStore) -> None:
        analysis = recorder.analysis
        self._checkpoints = recorder.checkpoints
        self.places = [item.packets for item in recorder.checkpoints]
        """Packets before each checkpoint: nothing is read again to be there."""
        self._frames = FrameReader(rows, recorder.borders, store)
        self._rows = rows
        self._end = analysis.tracker
        self._addresses = analysis.decoder.addresses
        self._address_text = self._end.address_text
        self.first = self._end.table.flows.first_no[: len(self._end)].astype(np.int64)
        """Number of each flow's first packet; shape (flows,)."""
        self.last = _last_packets(rows, len(self._end))
        """Number of each flow's last packet, copies included; shape (flows,)."""
        self._pairs = _Pairs(self._end.table)

    def after(self, number: int, give_way: GiveWay = go_on) -> Resumed:
        """The analysis after the packet of that number (0: before the first).

        Args:
            number: Of the packet.
            give_way: Called now and then.

        Raises:
            FrameGone: The frames cannot be read again.
        """
        at = max(0, bisect_right(self.places, number) - 1)
        checkpoint = self._checkpoints[at]
        tracker = Tracker(self._address_text, settle=False)
        tracker.table.resume(checkpoint.flows, len(self._end))
        tracker.payload.openings.resume(checkpoint.openings)
        self._load(tracker, checkpoint, at, number)
        give_way()
        decoder = Decoder()
        decoder.resume(checkpoint.decoder, self._addresses)
        for block in self._frames.blocks(checkpoint.packets, number):
            give_way()
            tracker.add(decoder.decode(block))
        return Resumed(tracker, decoder)

    def _load(self, tracker: Tracker, checkpoint: Checkpoint, at: int, number: int) -> None:
        """Give the tracker the flows that go on, and those that new ones may follow."""
        waiting = np.zeros(len(self._end), np.bool_)
        waiting[: checkpoint.flows] = self.last[: checkpoint.flows] > checkpoint.packets
        going_on = np.flatnonzero(waiting)
        for later in self._checkpoints[at:]:
            if not waiting.any():
                break
            for saved in later.saved:
                found = waiting[saved.flows]
                if found.any():
                    load_flows(tracker, saved.some(found))
                    waiting[saved.flows] = False
        met = np.unique(self._rows["flow"][checkpoint.packets : number].astype(np.int64))
        newest = self._pairs.newest(met[met > 0] - 1, checkpoint.flows)
        over = np.setdiff1d(newest, going_on)
        load_columns(tracker, save_flows(self._end, over))
        tracker.table.expect(newest)


class _Pairs:
    """Which flows had the same two endpoints."""

    def __init__(self, table: FlowTable) -> None:
        count = self._count = len(table.flows.client[: table.count])
        left, right = table.flows.client[:count], table.flows.proxy[:count]
        low, high = np.minimum(left, right), np.maximum(left, right)
        order = np.lexsort((high, low))  # stable: the flows of a pair stay in order
        apart = (low[order][1:] != low[order][:-1]) | (high[order][1:] != high[order][:-1])
        group = np.concatenate(([0], np.cumsum(apart)))[:count]
        self._group = np.empty(count, np.int64)
        self._group[order] = group
        self._keys: Ints = group * count + order

    def newest(self, flows: Ints, count: int) -> Ints:
        """The newest flow of the same endpoints as each of these, of the first ``count``
        flows; ascending, each once, without those that had none."""
        group = self._group[flows]
        at = np.searchsorted(self._keys, group * self._count + count) - 1
        key = self._keys[at]
        there = (at >= 0) & (key // max(self._count, 1) == group)
        found: Ints = np.unique(key[there] % max(self._count, 1))
        return found


def _last_packets(rows: NDArray[np.void], flows: int) -> Ints:
    """Number of the last packet of each flow."""
    last = np.zeros(flows + 1, np.int64)
    last[rows["flow"]] = np.arange(1, len(rows) + 1)  # of several values the last one stays
    return last[1:]
