"""What live captures have in common: they keep their packets, count them, and can be stopped."""

from __future__ import annotations

import math
import threading
import time

import numpy as np

from capture.frames import FrameBlock, SourceInfo, rows_of
from capture.keeping.store import PacketStore
from capture.live.packet_file import PacketFile
from capture.live.rates import Rates
from capture.live.settings import CaptureSettings
from capture.snapshot import Capturing

__all__ = ["KeptCapture"]


class KeptCapture:
    """A capture that goes on, whose packets are written to a file as they come.

    The one who makes it opens the packet file (``_file``) once it may be written.

    Args:
        settings: What to capture, where to, and when to end.
        info: What is known of the source; grows while it is read.
    """

    _file: PacketFile

    def __init__(self, settings: CaptureSettings, info: SourceInfo) -> None:
        self.settings = settings
        self.info = info
        self._rates = Rates()
        self._packets = 0
        self._octets = 0
        self._trouble = ""
        self._unfiltered: float | None = None
        self._stop_asked = threading.Event()
        self._end_at = math.inf

    @property
    def store(self) -> PacketStore:
        """Fetches frames again. It lives longer than the source: close it apart."""
        return self._file.store

    # -- reading ----------------------------------------------------------------------

    def _begin(self) -> None:
        """The time that the capture is to last counts from now."""
        duration = self.settings.stop.duration_s
        self._end_at = math.inf if duration is None else time.monotonic() + duration

    def _keep(self, block: FrameBlock) -> FrameBlock | None:
        """Write and count a block.

        Returns:
            As much of it as the stop conditions let in; None: nothing.
        """
        most = self.settings.stop.packets
        if most is not None and len(block) > most - self._packets:
            block = rows_of(block, slice(0, most - self._packets))
        if not len(block):
            return None
        block.first_number = self._packets + 1
        block.position = self._file.append(block)
        if self._file.full:
            kept = np.flatnonzero(block.position >= 0)
            block = rows_of(block, slice(0, int(kept[-1]) + 1 if len(kept) else 0))
            if not len(block):
                return None
        self._packets += len(block)
        self._octets += int(block.caplen.sum())
        self._rates.add(len(block), int(block.wirelen.sum()))
        return block

    def _full(self) -> bool:
        """Whether as much was captured as the user wants."""
        most = self.settings.stop.packets
        return self._file.full or (most is not None and self._packets >= most)

    # -- from other threads -----------------------------------------------------------

    def capturing(self) -> Capturing:
        """State at this moment; safe to call from another thread."""
        return Capturing(
            interfaces=self.settings.interfaces,
            filter=self.settings.filter,
            clock_ns=self.info.clock_ns or 0,
            packets_per_s=self._rates.packets_per_s,
            bytes_per_s=self._rates.bytes_per_s,
            unfiltered_per_s=self._unfiltered,
            file=self._file.path,
            file_bytes=self._file.bytes,
            trouble="; ".join(filter(None, (self._trouble, self._file.trouble))),
        )

    def progress(self) -> tuple[int, int | None]:
        """See ``capture.frames.Source``."""
        return self._octets, None

    def stop(self) -> None:
        """Ask ``blocks`` to end; what was captured until now is still given."""
        self._stop_asked.set()
