"""A scapy sniffer's thread that empties one interface's socket into a queue.

Everything that reaches for the network in this process starts here.
"""

from __future__ import annotations

import errno
import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final, Protocol

from capture.live.crates import Crates
from capture.live.interfaces import is_up
from capture.live.quiet_scapy import AsyncSniffer, DefaultSession
from capture.live.ring import RETIRE_MS
from capture.live.settings import CaptureSettings
from capture.protocols.text import printable

_NO_RING: Final = (errno.ENOPROTOOPT, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS, errno.ENOMEM)
"""What a kernel without TPACKET_V3 answers, or one without room for it."""
_FULL_PAUSE_S: Final = 0.005
_JOIN_S: Final = 2.0
_NICENESS: Final = -10


class Listener(Protocol):
    """A socket that frames come from."""

    opened: Any
    """Scapy's socket, for ``AsyncSniffer``."""
    linktype: int
    index: int
    """Interface index; 0: all, or not known."""

    def drain(self, crates: Crates) -> bool:
        """Move what has come to the queue; False when that is full."""
        ...

    def statistics(self) -> tuple[int, int]:
        """Packets that passed the filter, and those of them the kernel dropped."""
        ...

    def bind(self) -> None:
        """Listen again to an interface that was made anew."""
        ...

    def close(self) -> None:
        """Release the socket; idempotent."""
        ...


def open_listener(interface: str, settings: CaptureSettings) -> Listener:
    """Open the best socket there is for an interface.

    Raises:
        FilterError: The filter cannot be used there.
        OSError: No right to capture, no such interface, or no way to capture here.
    """
    if sys.platform == "linux":
        from capture.live.ring_socket import RingSocket

        try:
            ring: Listener = RingSocket(interface, settings)
            return ring
        except OSError as error:
            if error.errno not in _NO_RING:
                raise
    from capture.live.plain_socket import PlainSocket

    return PlainSocket(interface, settings)


class _Session(DefaultSession):  # type: ignore[misc]
    """What ``AsyncSniffer`` calls when a socket is readable; it never gets a packet."""

    def __init__(self, sniffer: Sniffer) -> None:
        super().__init__()
        self._sniffer = sniffer

    def recv(self, sock: Any) -> Iterator[Any]:
        self._sniffer.drain()
        return iter(())


class Sniffer:
    """One interface that is captured on.

    Args:
        interface: Its name.
        listener: Its socket; closed by ``stop``.
        crates: Where the frames go.
    """

    def __init__(self, interface: str, listener: Listener, crates: Crates) -> None:
        self.interface = interface
        self.listener = listener
        self.crates = crates
        self._failure: Exception | None = None
        self._stopping = False
        self._started = False
        self._lock = threading.Lock()
        self._async = AsyncSniffer(
            opened_socket=listener.opened, store=False, session=_Session(self)
        )

    def start(self) -> None:
        """Begin to listen; returns once the thread does."""
        ready = threading.Event()

        def started() -> None:
            _hurry()
            ready.set()

        self._async.kwargs["started_callback"] = started
        self._async.start()
        self._started = True
        ready.wait(_JOIN_S)

    def drain(self) -> None:
        """Move what the socket has to the queue (in the sniffer's thread)."""
        try:
            with self._lock:
                room = self.listener.drain(self.crates)
        except Exception as error:  # scapy would close the socket with a word to nobody
            self._failure = error
            raise
        if not room:
            time.sleep(_FULL_PAUSE_S)

    def collect(self) -> None:
        """Move what the socket has to the queue, in another thread than the sniffer's.

        Where frames of several interfaces are put in order it has to be known that none of
        an earlier time is left; a thread that waits for its turn cannot tell.
        """
        with suppress(OSError, ValueError), self._lock:
            self.listener.drain(self.crates)

    @property
    def stopped(self) -> bool:
        """Whether ``stop`` was called."""
        return self._stopping

    @property
    def alive(self) -> bool:
        """Whether the thread listens."""
        thread = self._async.thread
        return self._started and thread is not None and thread.is_alive()

    def trouble(self) -> str:
        """One line when nothing can come from here, else empty.

        An interface that was made anew is listened to again.
        """
        name = printable(self.interface)
        if self._started and not self._stopping and not self.alive:
            failure = self._failure or getattr(self._async, "exception", None)
            reason = _words(failure) if failure else "the sniffer ended by itself"
            return f"capturing on {name} ended: {reason}"
        index = self.listener.index
        if not index:
            return ""
        try:
            socket.if_indextoname(index)
        except OSError:
            return self._come_back(name)
        return f"{name} is down" if is_up(self.interface) is False else ""

    def _come_back(self, name: str) -> str:
        try:
            self.listener.bind()
        except OSError as error:
            other_kind = str(error.strerror).startswith("is another")
            return f"{name} {error.strerror}" if other_kind else f"{name} is gone"
        return ""

    def stop(self) -> None:
        """End the thread, and take what the kernel still has; idempotent."""
        if self._stopping:
            return
        self._stopping = True
        if self.alive:
            with suppress(Exception):  # scapy minds that the thread has just ended
                self._async.stop(join=False)
            self._async.thread.join(_JOIN_S)
            # The block that is being filled is handed over soon.
            time.sleep(2 * RETIRE_MS / 1e3)
            self.collect()
        self.statistics()
        self.listener.close()

    def statistics(self) -> tuple[int, int]:
        """Packets that passed the filter, and those of them the kernel dropped."""
        try:
            return self.listener.statistics()
        except OSError:
            return 0, 0


def _hurry() -> None:
    """Let this thread go before others, where that is allowed (root, CAP_SYS_NICE).

    It only copies: a fifth of a core at 2 Gbit/s. Without, a busy machine lost a quarter of
    the packets of two seconds at that rate; with it none, or two in a hundred (measured).
    """
    if sys.platform == "linux":
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)


def _words(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return printable(error.strerror.lower())
    return printable(f"{type(error).__name__}: {error}")
