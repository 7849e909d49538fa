"""A live capture as a source of frames: sniffers, their queues, the packet file, in order."""

from __future__ import annotations

import errno
import threading
import time
from collections.abc import Iterator
from typing import Final

from capture.frames import (
    FrameBlock,
    Interface,
    SourceInfo,
    UnreadableInput,
    no_frames,
)
from capture.live.bpf import FilterError
from capture.live.crates import Crates
from capture.live.interfaces import RateMeter
from capture.live.kept import KeptCapture
from capture.live.memory import queue_bytes
from capture.live.merge import WINDOW_NS, Merger
from capture.live.packet_file import PacketFile
from capture.live.privileges import NotPermitted, User, advice, give_up_root, user_to_become
from capture.live.ring import RETIRE_MS, Cut, frames
from capture.live.settings import CaptureSettings
from capture.live.sniffer import Listener, Sniffer, open_listener
from capture.protocols.text import printable
from capture.writing.files import UnwritableFile

IDLE_S: Final = 0.1
"""An empty block is given after this time without a packet, ..."""
STILL_S: Final = 0.25
"""... and from then on as often as a screen is drawn: each one wakes the processor."""
LAG_NS: Final = 2 * RETIRE_MS * 10**6
"""What the kernel has may be this old before it is seen: the clock stays behind by it."""
_LOOK_S: Final = 0.25
"""How often losses and interfaces are looked at."""
_METER_S: Final = 1.0
_CLOCK_STEP_NS: Final = 10**9
_CRATES_AT_ONCE: Final = 4
"""Taken from one interface before the next one's turn."""
_ALL: Final = 1 << 30


class LiveSource(KeptCapture):
    """Frames of one or several interfaces as they come.

    Opens the sockets, gives root up where that was asked for, makes the packet file, and
    listens from then on. ``blocks`` ends when a stop condition is met, when ``stop`` was
    called, or when no sniffer is left.

    Args:
        settings: What to capture, and where to.

    Raises:
        NotPermitted: No right to capture; the message says what gives it.
        UnreadableInput: No such interface, a filter that does not work, a file that cannot
            be written.
    """

    def __init__(self, settings: CaptureSettings) -> None:
        names = ", ".join(map(printable, settings.interfaces))
        super().__init__(settings, SourceInfo(names, "live"))
        self.info.lost_kernel = self.info.lost_queue = 0
        self._arrived = threading.Event()
        self._sniffers: list[Sniffer] = []
        self._cuts: list[Cut] = []
        self._closed = False
        self._meter = RateMeter()
        self._last_ns = 0
        self._look_at = self._meter_at = 0.0
        self._still = False
        user = user_to_become(settings.user)
        try:
            self._open(settings)
            # They only copy, so that root may start them: as such they may hurry.
            for sniffer in self._sniffers:
                sniffer.start()
            give_up_root(user)
            self._file = _packet_file(self.info, settings, user)
        except BaseException:
            self._stop_sniffers()
            raise
        self._merger = Merger() if len(self._sniffers) > 1 else None
        self._begin()

    def _open(self, settings: CaptureSettings) -> None:
        names = tuple(dict.fromkeys(settings.interfaces))
        bound = queue_bytes() // max(len(names), 1)
        for index, name in enumerate(names):
            listener = _listen(name, settings)
            self._sniffers.append(Sniffer(name, listener, Crates(bound, self._arrived)))
            self._cuts.append(Cut(listener.linktype, index, settings.snaplen))
            self.info.interfaces.append(
                Interface(listener.linktype, name, settings.snaplen, settings.filter)
            )

    # -- reading ----------------------------------------------------------------------

    def blocks(self) -> Iterator[FrameBlock]:
        """See ``capture.frames.Source``."""
        try:
            while not self._over():
                yield from self._round()
        finally:
            self._stop_sniffers()
        yield from self._arrivals(None)
        self._look(final=True)

    def _round(self) -> Iterator[FrameBlock]:
        """What has come meanwhile, or an empty block when nothing does."""
        self._arrived.clear()
        until_ns = time.time_ns() - WINDOW_NS
        pause = STILL_S if self._still else IDLE_S
        given = self._still = False
        for block in self._arrivals(until_ns):
            given = True
            yield block
            self._look()
            if self._over():
                return
        if given:
            return
        if self._merger is None:
            if self._arrived.wait(pause):
                return
            until_ns = time.time_ns() - LAG_NS
            # A sniffer that waits for its turn must not pass for silence.
            self._collect()
            if self._arrived.is_set():
                return
        else:
            self._arrived.wait(RETIRE_MS / 1e3 if self._merger else pause)
        self._still = not self._arrived.is_set()
        self._idle(until_ns)
        yield no_frames(self._packets + 1)
        self._look()

    def _collect(self) -> None:
        for sniffer in self._sniffers:
            sniffer.collect()

    def _arrivals(self, until_ns: int | None) -> Iterator[FrameBlock]:
        """Blocks of what the sniffers have, kept on disk and numbered.

        Args:
            until_ns: Where several interfaces are merged: only what is not younger; None: all.
        """
        if self._merger is not None:
            self._collect()
        for sniffer, cut in zip(self._sniffers, self._cuts, strict=True):
            for _ in range(_CRATES_AT_ONCE if until_ns is not None else _ALL):
                crate = sniffer.crates.take()
                if crate is None:
                    break
                try:
                    block = frames(crate.data, crate.view, crate.runs, cut)
                    if self._merger is not None:
                        self._merger.add(block)
                    else:
                        yield from self._taken(block)
                finally:
                    sniffer.crates.give_back(crate)
        if self._merger is not None and (merged := self._merger.take(until_ns)) is not None:
            yield from self._taken(merged)

    def _taken(self, block: FrameBlock) -> Iterator[FrameBlock]:
        """Keep a block, and tell the time by it."""
        kept = self._keep(block)
        if kept is not None:
            self._last_ns = self.info.clock_ns = int(kept.time_ns[-1])
            yield kept

    def _over(self) -> bool:
        return (
            self._stop_asked.is_set()
            or self._full()
            or time.monotonic() >= self._end_at
            or not any(sniffer.alive for sniffer in self._sniffers)
        )

    def _idle(self, until_ns: int) -> None:
        """Advance the clock: nothing that is older than ``until_ns`` can come any more."""
        # Not behind the last packet; unless somebody has set the machine's clock back.
        near = 0 < self._last_ns - until_ns < _CLOCK_STEP_NS
        self.info.clock_ns = self._last_ns if near else until_ns
        self._file.flush()

    def _look(self, final: bool = False) -> None:
        """Now and then: losses, rates, interfaces that went."""
        now = time.monotonic()
        if now < self._look_at and not final:
            return
        self._look_at = now + _LOOK_S
        lost_kernel = lost_queue = 0
        for index, sniffer in enumerate(self._sniffers):
            received, dropped = sniffer.statistics()
            self._file.set_losses(index, received, dropped, sniffer.crates.lost)
            lost_kernel += dropped
            lost_queue += sniffer.crates.lost
        self.info.lost_kernel, self.info.lost_queue = lost_kernel, lost_queue
        self._rates.tick(now)
        if now >= self._meter_at:
            self._meter_at = now + _METER_S
            rates = self._meter.sample()
            names = [name for name in self.settings.interfaces if name in rates]
            self._unfiltered = sum(rates[name] for name in names) if names else None
        troubles = [sniffer.trouble() for sniffer in self._sniffers]
        for sniffer, trouble in zip(self._sniffers, troubles, strict=True):
            if trouble and not sniffer.alive and not sniffer.stopped:
                self.info.warn("capture-ended", trouble)
        if not final:
            self._trouble = "; ".join(filter(None, troubles))

    def _stop_sniffers(self) -> None:
        for sniffer in self._sniffers:
            sniffer.stop()

    # -- from other threads -----------------------------------------------------------

    def stop(self) -> None:
        super().stop()
        self._arrived.set()

    def close(self) -> None:
        """Stop listening and complete the packet file; idempotent. ``store`` goes on.

        To be called by the thread that reads ``blocks``, or when none does. What was not read
        by then is in the file all the same.
        """
        if self._closed:
            return
        self._closed = True
        self.stop()
        self._stop_sniffers()
        if self.settings.write is not None:
            for _ in self._arrivals(None):
                pass
        self._look(final=True)
        self._file.close()


def _listen(name: str, settings: CaptureSettings) -> Listener:
    """Open an interface's socket, with the reasons why not in words."""
    shown = printable(name)
    try:
        return open_listener(name, settings)
    except FilterError as error:
        raise UnreadableInput(
            f"capture filter `{printable(settings.filter)}` on {shown}: {error}"
        ) from None
    except PermissionError:
        raise NotPermitted(advice()) from None
    except OSError as error:
        if error.errno in (errno.ENODEV, errno.ENXIO):
            raise UnreadableInput(f"there is no interface {shown}") from None
        reason = printable((error.strerror or str(error)).lower())
        raise UnreadableInput(f"cannot capture on {shown}: {reason}") from None


def _packet_file(info: SourceInfo, settings: CaptureSettings, user: User | None) -> PacketFile:
    try:
        return PacketFile(info, settings)
    except UnwritableFile as error:
        hint = f" (as {printable(user.name)}; -Z root keeps root)" if user else ""
        raise UnreadableInput(f"{error}{hint}") from None
