"""Tells what time it is for a feed while no packet comes, so that silence can be judged.

Packets reach us some time after they were captured, and the clock that stamped them may be
another machine's. Both make the difference between our clock and the newest packet's time,
the lag; the least of the latest lags is what the feed is behind us. What cannot be told is
not told: a recording that somebody sends through a pipe has no present.
"""

from __future__ import annotations

import time
from collections import deque
from typing import Final

from capture.frames import FrameBlock, SourceInfo

_LAGS: Final = 32
_SECOND: Final = 10**9
_NEAR: Final = 300 * _SECOND
"""Packets whose times are so near to ours are being captured now."""
_PACE_SPAN: Final = 3 * _SECOND
_PACE_SPREAD: Final = _SECOND
_PACE_LEAST: Final = 4
"""Far times may still be those of a clock that is wrong, or of a text without dates: when so
many arrivals in so long a time have about one lag, packets come as fast as they happened."""


class FeedClock:
    """Keeps ``SourceInfo.clock_ns`` of a pipe or a growing file.

    Args:
        info: Whose clock it is; None stays until the feed is known to be live.
        live: It is known to be.
    """

    def __init__(self, info: SourceInfo, live: bool = False) -> None:
        self._info = info
        self._live = live
        self._lags: deque[tuple[int, int]] = deque(maxlen=_LAGS)
        """When packets came, and the lag of the newest then."""
        self._last = 0

    def heard(self, block: FrameBlock) -> None:
        """Packets came."""
        if not len(block) or not self._info.times_known:
            return
        now = time.time_ns()
        self._last = max(self._last, int(block.time_ns.max()))
        self._lags.append((now, now - self._last))
        if self._is_live():
            self._info.clock_ns = max(self._info.clock_ns or 0, self._last)

    def idle(self, *, whole: bool) -> None:
        """Nothing came for a moment.

        Args:
            whole: Nothing of a packet is waiting for its rest. Where something is, the feed
                is sent in chunks as a buffer fills (tcpdump without -U or -l): packets may
                be on their way that happened long ago, and silence proves nothing.
        """
        if whole and self._lags and self._is_live():
            behind = min(lag for _, lag in self._lags)
            self._info.clock_ns = max(self._info.clock_ns or 0, time.time_ns() - behind)

    def _is_live(self) -> bool:
        if not self._live:
            lags = [lag for _, lag in self._lags]
            span = self._lags[-1][0] - self._lags[0][0]
            spread = max(lags) - min(lags)
            self._live = abs(lags[-1]) <= _NEAR or (
                len(lags) >= _PACE_LEAST and span >= _PACE_SPAN and spread <= _PACE_SPREAD
            )
        return self._live
