"""Feeds an analysis and notes on the way how to get back to any moment.

From time to time a checkpoint is made, which is little more than a number of packets. The
state of a flow is saved when a later block goes on with the flow: as it was at the checkpoint
before. So a flow that is over costs nothing, and what is kept grows with the flows that are
open at a checkpoint, not with all that ever were.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import numpy as np

from capture.analysis import Analysis
from capture.frames import FrameBlock, Ints, rows_of
from capture.keeping.store import FrameGone, PacketStore
from capture.tracking.payloads import File
from capture.tracking.rewind import SavedFlows, SavedTalk, save_flows

PACKETS: Final = 16_384
"""Packets from one checkpoint to the next: read again in a thirtieth of a second."""
BYTES: Final = 16 << 20
"""Captured bytes from one checkpoint to the next, where frames are large."""
ROOM: Final = 16 << 20
ROOM_PER_PACKET: Final = 24
ROOM_PER_FLOW: Final = 4096
"""Bytes that saved flows may take: a fixed part, and a part for each packet and flow (a packet's
row in the index takes some 50 bytes, the report of a flow several thousand). When it is not
enough, every other checkpoint goes."""
CROWD: Final = 4096
"""With more flows than this to be saved at a checkpoint the next one comes later."""
LATEST: Final = 8
"""How many times later at most."""


@dataclass(slots=True)
class Checkpoint:
    """A moment to which there is a way back."""

    packets: int
    """Packets before it."""
    flows: int
    """Flows that had begun."""
    openings: tuple[Any, ...]
    decoder: bytes
    saved: list[SavedFlows] = field(default_factory=list)
    """Flows that go on between this checkpoint and the next one, as they were here."""


class Recorder:
    """Takes blocks for an analysis.

    Args:
        analysis: Has taken no block yet.
        packets: Packets from one checkpoint to the next.
        store: Where the blocks lie, if they do: payload that is kept is left there.
    """

    def __init__(
        self, analysis: Analysis, packets: int = PACKETS, store: PacketStore | None = None
    ) -> None:
        self.analysis = analysis
        self._file = File(partial(_read, store)) if store is not None else None
        self.borders: list[int] = []
        """Packets before each block."""
        self.checkpoints: list[Checkpoint] = []
        self._packets = packets
        self._scale = 1
        """How many times farther than usual the checkpoints are apart."""
        self._bytes = 0
        """Bytes since the last checkpoint."""
        self._held = 0
        self._talks: dict[int, SavedTalk] = {}
        self._noted = np.zeros(0, np.bool_)
        """Flows whose state at the last checkpoint is saved."""
        analysis.tracker.before = self._save

    def take(self, block: FrameBlock) -> None:
        """Analyse the next block."""
        for piece in pieces(block, self._packets):
            self._make_checkpoint(piece)
            self.borders.append(self.analysis.packets)
            self._show(piece)
            self.analysis.take(piece)
            if self._file is not None:
                self._file.hide()  # the source may use the block's room again

    def _show(self, block: FrameBlock) -> None:
        """Let payload be left where it lies, if the block lies there as it is."""
        file = self._file
        if file is None:
            return
        bases = block.position - block.offset  # the first may be negative: of a carried-over rest
        kept = bool((block.position >= 0).all())
        as_it_is = len(bases) > 0 and kept and bool((bases == bases[0]).all())
        if as_it_is:
            file.show(int(bases[0]), block.data)
        self.analysis.tracker.payload.openings.file = file if as_it_is else None

    def _make_checkpoint(self, following: FrameBlock) -> None:
        """Make a checkpoint where it is time for one."""
        analysis, size = self.analysis, int(following.caplen.sum())
        if self.checkpoints:
            packets = analysis.packets - self.checkpoints[-1].packets + len(following)
            near = packets <= self._scale * self._packets
            if near and self._bytes + size <= self._scale * BYTES:
                self._bytes += size
                return
        self._bytes = size
        flows = len(analysis.tracker)
        if np.count_nonzero(self._noted) > CROWD:
            self._scale = min(2 * self._scale, LATEST)
        room = ROOM + ROOM_PER_PACKET * analysis.packets + ROOM_PER_FLOW * flows
        if self._held > room:
            self._thin_out()
        openings = analysis.tracker.payload.openings.chunks()
        checkpoint = Checkpoint(analysis.packets, flows, openings, analysis.decoder.save())
        self.checkpoints.append(checkpoint)
        self._noted = np.zeros(flows, np.bool_)

    def _save(self, flows: Ints) -> None:
        """Save flows before a block changes them, once after each checkpoint."""
        checkpoint = self.checkpoints[-1]
        flows = flows[flows < checkpoint.flows]
        flows = np.sort(flows[~self._noted[flows]])
        if not len(flows):
            return
        self._noted[flows] = True
        saved = save_flows(self.analysis.tracker, flows, self._talks)
        self._held += saved.nbytes
        checkpoint.saved.append(saved)

    def _thin_out(self) -> None:
        """Let go of every other checkpoint."""
        self._scale *= 2
        kept, gone = self.checkpoints[::2], self.checkpoints[1::2]
        for checkpoint, following in zip(kept, gone, strict=False):
            noted = np.zeros(following.flows, np.bool_)
            for saved in checkpoint.saved:
                noted[saved.flows] = True
            noted[checkpoint.flows :] = True
            rest = [saved.some(~noted[saved.flows]) for saved in following.saved]
            checkpoint.saved += [saved for saved in rest if len(saved.flows)]
        self.checkpoints = kept
        self._held = sum(saved.nbytes for item in kept for saved in item.saved)


def _read(store: PacketStore, length: int, position: int) -> bytes:
    """Bytes of the store; none where it has lost them."""
    try:
        return store.span(position, length)
    except FrameGone:
        return b""


def pieces(block: FrameBlock, packets: int) -> Iterator[FrameBlock]:
    """The block in pieces of at most so many frames."""
    if len(block) <= packets:
        yield block
        return
    for start in range(0, len(block), packets):
        part = rows_of(block, slice(start, start + packets))
        part.first_number = block.first_number + start
        yield part
