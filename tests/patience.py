"""Waiting for what must come, on a machine that may be busy with other things."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

GIVE_UP_S = 60.0
"""A guard against hanging, not a measure: what takes so long does not come any more."""
_LOOK_S = 0.01


def until(holds: Callable[[], object], what: str | Callable[[], str] = "it did not come") -> None:
    """Wait until something holds, and fail with ``what`` when it never does."""
    give_up = time.monotonic() + GIVE_UP_S
    while not holds():
        if time.monotonic() > give_up:
            raise AssertionError(what if isinstance(what, str) else what())
        time.sleep(_LOOK_S)


@contextmanager
def or_else(end: Callable[[], object]) -> Iterator[None]:
    """Call ``end`` from another thread when what is inside hangs."""
    guard = threading.Timer(GIVE_UP_S, end)
    guard.daemon = True
    guard.start()
    try:
        yield
    finally:
        guard.cancel()
