"""Keeps what the screen sends within what a link carries."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Final

__all__ = ["LinkBudget"]

SHARE: Final = 0.65
"""Share of a second's worth that flows in during a second, ..."""
BURST: Final = 0.2
"""... and that may be saved up. Together they are less than the whole, since what is written in one
go may be a little longer than there is room for, and a busy machine may write it late: no second
may carry more."""
DEBT_S: Final = 0.5
"""Owed at most: what comes by itself does not wait longer for what was asked for."""
PATIENCE_S: Final = 0.2
"""A fast link is behind for less than this, mostly, and a failure must be seen within a second: an
update goes on top of what is left of the one before."""
FIRST_S: Final = 2.0
"""The first screens are free: until then there is nothing to be seen."""
ASKED_S: Final = 0.4
"""What is drawn so soon after a key is the answer to it. It may also come later, but for what
follows an update that came by itself."""
LEAST_S: Final = 0.1
"""What is saved up in so short a time is not worth sending by itself."""


class LinkBudget:
    """A token bucket: every byte written is paid for, and what costs more than there is waits.

    Args:
        bytes_per_s: Written at most in any second, but for the first ones; None: no limit.
        clock: Seconds, never going back.
        strict: What the user asks for has to wait, too; else it is drawn at once, whatever it
            costs.
        patience_s: How long the next update waits at most until everything is on the screen.
    """

    def __init__(
        self,
        bytes_per_s: int | None,
        clock: Callable[[], float] = time.monotonic,
        *,
        strict: bool = False,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self.spent = 0
        """Bytes written so far."""
        self.strict = strict
        self._rate = None if bytes_per_s is None else bytes_per_s * SHARE
        self._most = 0.0 if bytes_per_s is None else bytes_per_s * BURST
        self._patience_s = patience_s
        self._clock = clock
        self._left = self._most
        self._at = clock()
        self._free_until = math.inf
        self._behind_since = math.inf
        self._asked_at = self._unasked_at = -math.inf

    def spend(self, octets: int) -> None:
        """Note that so many bytes were written."""
        self.spent += octets
        if self._rate is None:
            return
        self._flow_in(self._rate)
        if self._free_until == math.inf:
            self._free_until = self._at + FIRST_S
        if self._at >= self._free_until:
            debt = -math.inf if self.strict else -DEBT_S * self._rate
            self._left = max(self._left - octets, debt)

    def room(self) -> float:
        """How many bytes may be written now of what may have to wait; less than one: none."""
        if self._rate is None:
            return math.inf
        self._flow_in(self._rate)
        return math.inf if self._at < self._free_until else self._left

    def wait_s(self) -> float:
        """How long it takes until there is room for something."""
        if self._rate is None:
            return 0.0
        return max(LEAST_S - self._left / self._rate, LEAST_S / 2)

    def ask(self) -> None:
        """Note that the user pressed a key, or gets what he waits for; safe from any thread."""
        self._asked_at = self._clock()

    def unasked(self) -> None:
        """Note that something is about to be drawn that nobody asked for."""
        self._unasked_at = self._clock()

    @property
    def asked(self) -> bool:
        """Whether what is drawn now was asked for."""
        return self._asked_at >= self._unasked_at or self._clock() - self._asked_at < ASKED_S

    def asked_within(self, seconds: float) -> bool:
        """Whether the user asked for something so lately."""
        return self._clock() - self._asked_at < seconds

    def keep_up(self, behind: bool) -> None:
        """Note whether something waits to be written."""
        if not behind:
            self._behind_since = math.inf
        elif self._behind_since == math.inf:
            self._behind_since = self._clock()

    def ready(self) -> bool:
        """Whether something new may be drawn that nobody asked for."""
        return not 0 <= self._clock() - self._behind_since < self._patience_s

    def _flow_in(self, rate: float) -> None:
        now = self._clock()
        self._left = min(self._left + (now - self._at) * rate, self._most)
        self._at = now
