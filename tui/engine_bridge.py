"""Between the engine's thread and the screen: pull a snapshot, fetch a frame, report a death.

The screen asks a few times a second; nothing is ever posted from the engine's thread.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from capture.decrypt.keylog import KeyLog
    from capture.frames import Interface
    from capture.packets.index import PacketView
    from capture.replay.controls import ReplayControls
    from capture.report.model import FlowReport
    from capture.snapshot import Snapshot
    from capture.timeline.telling import Telling
    from tui.names.naming import Naming

__all__ = ["EngineBridge", "EngineLike", "FrameStore"]

SWITCH_S: Final = 0.001
"""How long a thread that computes keeps another one waiting. A key passes from thread to thread
several times until its answer is on the terminal, and Python's own 5 ms each time are felt."""

JOIN_S: Final = 2.0
"""How long leaving waits for the engine; its thread is a daemon, so it is never longer."""


class FrameStore(Protocol):
    """Gives a frame's bytes back."""

    def frame(self, position: int, caplen: int) -> bytes:
        """The bytes of the frame stored at ``position``; raises when they are gone."""
        ...


class EngineLike(Protocol):
    """What the screen needs of an engine (``capture.engine.Engine``, or a test's)."""

    @property
    def store(self) -> FrameStore | None:
        """Where frames can be fetched; None until the source is open."""
        ...

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def latest(self) -> Snapshot | None: ...

    def is_alive(self) -> bool: ...

    def join(self, timeout: float | None = None) -> None: ...


@runtime_checkable
class Forgetting(Protocol):
    """An engine that can start afresh."""

    def clear(self) -> None:
        """Forget what was seen so far, and go on; safe from any thread."""
        ...


@runtime_checkable
class Replaying(Protocol):
    """An engine whose capture can be played."""

    @property
    def replay(self) -> ReplayControls:
        """Takes commands, from any thread."""
        ...


class EngineBridge:
    """The screen's only handle on the engine. Not thread-safe: for the UI's thread only."""

    def __init__(
        self,
        make_engine: Callable[[], EngineLike],
        progress: Callable[[], tuple[int, int | None]] | None = None,
        *,
        live: bool = False,
        close: Callable[[], None] | None = None,
        interfaces: Callable[[], Sequence[Interface]] | None = None,
        naming: Naming | None = None,
        keys: Callable[[], KeyLog | None] = lambda: None,
    ) -> None:
        """Prepare.

        Args:
            make_engine: Called once by ``start``, so that loading the engine's modules does
                not hold up the first screen.
            progress: Bytes read, and in total where that is known; safe from any thread.
            live: Packets come as they are captured; there is no end to wait for.
            close: Releases what the engine reads from; called once, by ``stop``.
            interfaces: Those of the capture, as far as known; safe from any thread.
            naming: Tells the names of hosts; None: addresses only.
            keys: Gives what opens TLS records, as far as known; None: nothing does.
        """
        self.keys = keys
        self._naming = naming
        self._interfaces = interfaces
        self.live = live
        self._close = close
        self._make_engine = make_engine
        self._progress = progress
        self._engine: EngineLike | None = None
        self._seen: Snapshot | None = None
        self._given: Snapshot | None = None
        self._died = ""
        self._stopped = False

    def start(self) -> None:
        """Make the engine and let it read."""
        sys.setswitchinterval(SWITCH_S)
        self._engine = self._make_engine()
        self._engine.start()

    def stop(self) -> None:
        """Stop reading and wait a moment for the thread; safe to call at any time."""
        self._stopped = True
        if self._engine is not None:
            self._engine.stop()
            self._engine.join(JOIN_S)
        close, self._close = self._close, None
        if close is not None:
            close()

    def clear(self) -> bool:
        """Forget what was seen so far; False where the engine cannot."""
        engine: object = self._engine
        if not isinstance(engine, Forgetting):
            return False
        engine.clear()
        return True

    @property
    def store(self) -> FrameStore | None:
        """Where frames can be fetched."""
        return self._engine.store if self._engine is not None else None

    def interfaces(self) -> tuple[Interface, ...]:
        """Interfaces of the capture, as far as known."""
        return tuple(self._interfaces()) if self._interfaces is not None else ()

    def files(self) -> tuple[str, ...]:
        """Files that the shown capture is read from or written to, as far as they have names."""
        shown = self._given
        if shown is None:
            return ()
        kept = shown.capturing.file if shown.capturing is not None else ""
        return tuple(filter(None, (shown.report.source.path, kept)))

    @property
    def replay(self) -> ReplayControls | None:
        """Takes commands to the replay's clock; None where nothing can be replayed."""
        engine: object = self._engine
        return engine.replay if isinstance(engine, Replaying) else None

    def poll(self) -> Snapshot | None:
        """The newest snapshot if the screen has not had it yet, else None.

        A snapshot comes again when names of hosts became known that it did not have.
        """
        newest = self._engine.latest() if self._engine is not None else None
        if newest is None or newest is self._seen:
            return self._renamed()
        self._seen = newest
        flows = newest.report.flows
        if not isinstance(flows, tuple):
            # The widgets keep and compare tuples.
            newest = replace(newest, report=replace(newest.report, flows=tuple(flows)))
        if self._naming is not None:
            newest = replace(newest, report=self._naming.named(newest.report))
        self._given = newest
        return newest

    def _renamed(self) -> Snapshot | None:
        """The snapshot given last, with the names that became known since; None without any."""
        given, naming = self._given, self._naming
        report = naming.renamed(given.report) if given is not None and naming is not None else None
        if given is None or report is None:
            return None
        self._given = replace(given, report=report)
        return self._given

    def last(self) -> Snapshot | None:
        """The snapshot that was polled last."""
        return self._given

    def reading(self) -> Snapshot | None:
        """The last snapshot polled, with the source's progress of this moment.

        Judging many tunnels takes a while, and the bar must not seem stuck meanwhile. None
        when there is nothing newer to tell.
        """
        given = self._given
        if given is None or given.finished or self._progress is None or self.live:
            return None
        done, total = self._progress()
        return replace(given, bytes_done=done, bytes_total=total)

    def thread_died(self, args: threading.ExceptHookArgs) -> None:
        """Note, as ``threading.excepthook``, what ended a thread; the first one counts."""
        if not self._died:
            self._died = f"{args.exc_type.__name__}: {args.exc_value}"

    @property
    def failure(self) -> str | None:
        """One line when the analysis has ended by itself without finishing, else None."""
        if self._seen is not None and self._seen.error:
            return self._seen.error
        if self._engine is None or self._stopped or self._engine.is_alive():
            return None
        latest = self._engine.latest()
        if latest is not None and (latest.finished or latest.error):
            return latest.error
        reason = f" ({self._died})" if self._died else ""
        return f"the analysis stopped before the end of the capture{reason}"

    def opened(
        self, flow: FlowReport, view: PacketView, rows: NDArray[np.int64]
    ) -> tuple[FlowReport, tuple[Telling, ...]]:
        """A tunnel's report, and what is said inside of its TLS, as far as keys open it.

        Args:
            flow: The report without it.
            view: The packet index.
            rows: The tunnel's packets.
        """
        keys = self.keys()
        if not keys or flow.tls is None:
            return flow, ()
        from capture.report.inside import with_inside
        from capture.stream.inner import inner_tellings

        inner = inner_tellings(view, rows, partial(self.frame, view), keys)
        return with_inside(flow, inner), inner

    def frame(self, view: PacketView, number: int) -> bytes:
        """Fetch one frame.

        Args:
            view: The packet index.
            number: 1-based frame number.

        Raises:
            LookupError: There is no such frame, or its bytes cannot be had any more; the
                message is one line.
        """
        store = self.store
        place = view.row(number)
        if place is None:
            gone = 0 < number <= view.last_number
            raise LookupError(f"packet {number} was let go" if gone else f"no packet {number}")
        if store is None:
            raise LookupError("the capture's bytes are not kept")
        row = view.rows[place]
        try:
            return store.frame(int(row["position"]), int(row["caplen"]))
        except Exception as error:
            # Whatever the store raises (file replaced, disk gone): a line, not a traceback.
            raise LookupError(str(error) or type(error).__name__) from error
