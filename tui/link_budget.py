"""Keeps what the screen sends by itself within what a slow link carries."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from tui.repeats import Repeats
from tui.thrift import thrifty

if TYPE_CHECKING:
    from textual.driver import Driver

__all__ = ["LinkBudget", "counted"]

BURST_S: Final = 1.0
"""Saved up at most: so many seconds' worth may go at once."""
DEBT_S: Final = 0.5
"""Owed at most: after a full repaint the screen must not be silent for long."""


class LinkBudget:
    """A token bucket: every byte written is paid for, and updates wait while in debt.

    What the user asks for by a key is drawn at once, whatever it costs; the next updates
    that come by themselves wait until it is paid.
    """

    def __init__(
        self,
        bytes_per_s: int | None,
        clock: Callable[[], float] = time.monotonic,
        *,
        debt_s: float = DEBT_S,
    ) -> None:
        """Start with a full bucket.

        Args:
            bytes_per_s: What flows in; None: there is no limit.
            clock: Seconds, never going back.
            debt_s: How long updates wait at most.
        """
        self._debt_s = debt_s
        self.spent = 0
        """Bytes written so far."""
        self._rate = bytes_per_s
        self._clock = clock
        self._left = BURST_S * (bytes_per_s or 0)
        self._at = clock()

    def spend(self, octets: int) -> None:
        """Note that so many bytes were written."""
        self.spent += octets
        if self._rate is not None:
            self._flow_in(self._rate)
            self._left = max(self._left - octets, -self._debt_s * self._rate)

    def ready(self) -> bool:
        """Whether something may be drawn that nobody asked for."""
        if self._rate is None:
            return True
        self._flow_in(self._rate)
        return self._left >= 0

    def _flow_in(self, rate: int) -> None:
        now = self._clock()
        self._left = min(self._left + (now - self._at) * rate, BURST_S * rate)
        self._at = now


def counted(base: type[Driver], budget: LinkBudget, repeats: Repeats | None = None) -> type[Driver]:
    """A driver class that writes thriftily and pays for it.

    Args:
        base: The driver of the terminal.
        budget: Pays for what is written.
        repeats: Leaves out what the terminal shows; None: not worth its time here.
    """

    class CountedDriver(base):  # type: ignore[misc, valid-type]
        def write(self, data: str) -> None:
            data = thrifty(data if repeats is None else repeats.without(data))
            budget.spend(len(data.encode("utf-8", "replace")))
            super().write(data)

    return CountedDriver
