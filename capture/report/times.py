"""Capture times as text (RFC 3339, UTC, nanoseconds)."""

from __future__ import annotations

from functools import lru_cache

_SECOND_NS = 10**9


def rfc3339(time_ns: int | None) -> str | None:
    """``2025-03-14T11:30:12.517129000Z``; None stays None.

    Always nine digits, as the capture keeps them, so that texts sort like times.
    """
    if time_ns is None:
        return None
    second, fraction = divmod(time_ns, _SECOND_NS)
    return f"{_second(second)}.{fraction:09}Z"


def readable(time_ns: int) -> str:
    """``2025-03-14 11:30:12 UTC``."""
    return _second(time_ns // _SECOND_NS).replace("T", " ") + " UTC"


@lru_cache(maxsize=1024)
def _second(second: int) -> str:
    """A whole second; cached, because flows of one second share it. Any int64 of
    nanoseconds lies in the years 1677 to 2262, which ``datetime`` holds."""
    from datetime import datetime, timedelta

    return (datetime(1970, 1, 1) + timedelta(seconds=second)).isoformat()
