"""Round idle times: timers of proxies, firewalls and servers."""

from __future__ import annotations

from typing import Final

SHORT_TIMERS_S: Final = (5, 8)
"""Short ones, which idle clients and servers also keep connections for."""

TIMERS_S: Final = (10, 15, 20, 30, 45, 60, 75, 90, 100, 120, 180, 240, 300, 350, 600, 900, 1800,
                   3600, 7200)  # fmt: skip
"""Idle timers that software ships with: squid 60, 120, 900 s; nginx 60, 75; AWS 350; firewalls
1800, 3600."""

TOLERANCE: Final = 0.01
"""Relative; at least ``SLACK_S``: timers are checked once in a while."""

SLACK_S: Final = 0.35


def is_round(seconds: float, *, short: bool = False) -> bool:
    """Whether a silence is as long as one of the usual timers.

    Args:
        seconds: The silence.
        short: Count the short timers, too.
    """
    timers = (*SHORT_TIMERS_S, *TIMERS_S) if short else TIMERS_S
    return any(
        -SLACK_S / 3 <= seconds - timer <= max(SLACK_S, TOLERANCE * timer) for timer in timers
    )
