"""Capture times as text (RFC 3339, UTC, nanoseconds)."""

from __future__ import annotations

from functools import lru_cache

SECOND_NS = 10**9
_NO_DATE = "1970-01-01"


def rfc3339(time_ns: int | None) -> str | None:
    """``2025-03-14T11:30:12.517129000Z``; None stays None.

    Always nine digits, as the capture keeps them, so that texts sort like times.
    """
    if time_ns is None:
        return None
    second, fraction = divmod(time_ns, SECOND_NS)
    return f"{whole_second(second)}.{fraction:09}Z"


def readable(time_ns: int) -> str:
    """``2025-03-14 11:30:12 UTC``; without the date where a text capture had none.

    Texts without dates begin on the first day of the epoch (see ``SourceInfo.assumed``).
    """
    day, _, clock = whole_second(time_ns // SECOND_NS).partition("T")
    return clock if day == _NO_DATE else f"{day} {clock} UTC"


@lru_cache(maxsize=1024)
def whole_second(second: int) -> str:
    """A whole second; cached, because flows of one second share it. Any int64 of
    nanoseconds lies in the years 1677 to 2262, which ``datetime`` holds."""
    from datetime import datetime, timedelta

    return (datetime(1970, 1, 1) + timedelta(seconds=second)).isoformat()
