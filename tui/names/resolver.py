"""Asks the system for the names of addresses, in threads of its own: nobody ever waits for DNS.

``getnameinfo`` can hold its thread for as long as the system's resolver likes (resolv.conf(5):
5 s, twice, for each server) and cannot be called off. So there are a few threads at most, all
daemons; what they were told is looked at when it is there.
"""

from __future__ import annotations

import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Final

from capture.names import host_name

__all__ = ["Resolver", "Unavailable", "look_up"]

AT_ONCE: Final = 8
"""Questions under way at the same time."""
MOST: Final = 10_000
"""Addresses asked about, in all: a list of more is read by no one."""
FAILURES: Final = 16
"""So many in a row without an answer at all, and there is no one to answer."""
REST_S: Final = 60.0
"""Then nothing is asked for so long."""


class Unavailable(Exception):
    """No answer, neither a name nor that there is none."""


def look_up(host: str) -> str:
    """The name of an address, by whatever the system uses (nsswitch.conf(5)).

    Returns:
        The name, or nothing: there is none, or it cannot be a host's.

    Raises:
        Unavailable: Nobody answered.
    """
    try:
        name, _ = socket.getnameinfo((host, 0), socket.NI_NAMEREQD)
    except socket.gaierror as error:
        if error.errno == socket.EAI_AGAIN:
            raise Unavailable from None
        return ""
    except (OSError, UnicodeError):
        return ""
    return host_name(name)


class Resolver:
    """Names by address, as they become known. Safe from any thread."""

    def __init__(
        self,
        look_up: Callable[[str], str] = look_up,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare; no thread runs while there is nothing to ask.

        Args:
            look_up: Gives the name of an address, or nothing; may block. Raises
                ``Unavailable`` where nobody answers.
            clock: Seconds, rising.
        """
        self._look_up = look_up
        self._clock = clock
        self._changed = threading.Condition()
        self._waiting: deque[str] = deque()
        self._asked: set[str] = set()
        self._again: set[str] = set()
        """Addresses that nobody answered for, once: they are asked about once more."""
        self._found: dict[str, str] = {}
        self._names: Mapping[str, str] = MappingProxyType({})
        self._threads = 0
        self._failures = 0
        self._rests_until = float("-inf")

    @property
    def names(self) -> Mapping[str, str]:
        """What is known now; the same object until something new is known."""
        with self._changed:
            if len(self._names) != len(self._found):
                self._names = MappingProxyType(self._found.copy())
            return self._names

    def ask(self, hosts: Iterable[str] = ()) -> None:
        """Ask for the names of addresses, each once; returns at once."""
        with self._changed:
            for host in hosts:
                if host not in self._asked and len(self._asked) < MOST:
                    self._asked.add(host)
                    self._waiting.append(host)
            if self._clock() < self._rests_until:
                return
            for _ in range(min(AT_ONCE - self._threads, len(self._waiting))):
                self._threads += 1
                threading.Thread(target=self._work, name="resolver", daemon=True).start()

    def wait(self, seconds: float) -> bool:
        """Wait until all is answered, but not for longer than that; False: not all was."""
        with self._changed:
            self._changed.wait_for(lambda: not self._threads, seconds)
            return not self._threads and not self._waiting

    def _work(self) -> None:
        """Thread body: ask until there is nothing to ask."""
        while (host := self._next()) is not None:
            try:
                name: str | None = self._look_up(host)
            except Unavailable:
                name = None
            except Exception:  # a thread must not die with a question: it would be waited for
                name = ""
            self._take(host, name)

    def _next(self) -> str | None:
        """The next address; None ends the thread that asks."""
        with self._changed:
            if self._waiting and self._failures < FAILURES:
                return self._waiting.popleft()
            if self._failures >= FAILURES:
                self._rests_until = self._clock() + REST_S
            self._threads -= 1
            if not self._threads:
                self._failures = 0
                self._changed.notify_all()
            return None

    def _take(self, host: str, name: str | None) -> None:
        with self._changed:
            if name is None:
                self._failures += 1
                if host not in self._again:
                    self._again.add(host)
                    self._waiting.append(host)
                return
            self._failures = 0
            if name:
                self._found[host] = name
