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

EARLY_S: Final = 0.12

LAZY_S: Final = 0.35
"""nginx leaves a timer where it is when data moves it by less than 0.3 s
(NGX_TIMER_LAZY_DELAY), so that it may run out as much too soon."""

COARSE_S: Final = 1.1
"""Some proxies look at their timers once a second (proxy.py, measured)."""


def is_round(seconds: float, *, short: bool = False, coarse: bool = False) -> bool:
    """Whether a silence is as long as one of the usual timers.

    Args:
        seconds: The silence.
        short: Count the short timers, too.
        coarse: Allow for the ways in which software looks at its timers.
    """
    timers = (*SHORT_TIMERS_S, *TIMERS_S) if short else TIMERS_S
    early, late = (LAZY_S, COARSE_S) if coarse else (EARLY_S, SLACK_S)
    return any(-early <= seconds - timer <= max(late, TOLERANCE * timer) for timer in timers)
