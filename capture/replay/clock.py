"""The replay's clock: where it stands, and how it moves. No thread, no real time.

A recording has two scales, times and packet numbers. The clock stands between two packets:
``at`` packets were seen, and it is ``now_ns``, which is never before the last of them nor
after the next. Times of a file may step back; the clock goes by the latest time so far.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from typing import Final

import numpy as np

from capture.frames import Ints

SPEEDS: Final = (1 / 64, 1 / 16, 1 / 4, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, math.inf)
"""Capture seconds a second. A handshake is over in a blink: the slow ones show it."""

LONG_GAP_NS: Final = 2_000_000_000
"""Silences longer than this are skipped, when that is asked for."""
SHORT_GAP_NS: Final = 1_000_000_000
"""How long a skipped silence takes."""

WRONG_NS: Final = 3600 * 1_000_000_000
AROUND: Final = 64
"""In a file whose times step back by more than an hour, a time that is that far from what is
usual among the packets around it is wrong: a few packets with times of another year must not
decide about the clock of all."""

LEAP: Final = 32_768
"""Packets at a time when playing as fast as it goes, or somewhat fewer."""
UNTIMED_PER_S: Final = 4
"""Packets a second at normal speed, where a file has no times."""

_SECOND: Final = 1_000_000_000


class Times:
    """When the packets of a recording came.

    Args:
        time_ns: Capture times as the file has them, shape (packets,); 0 where there is none.
    """

    def __init__(self, time_ns: Ints) -> None:
        times: Ints = time_ns.astype(np.int64)
        _forget_wrong_ones(times)
        known = times > 0
        self.known = bool(known.any())
        """False: the file has no times at all, and the clock goes by packets."""
        if self.known:
            # What comes before the first known time came then, as far as anybody knows.
            times[: int(np.argmax(known))] = times[np.argmax(known)]
        self.ns: Ints = np.maximum.accumulate(times)
        """Latest time so far at each packet; shape (packets,), rising."""
        gaps = np.flatnonzero(np.diff(self.ns) > LONG_GAP_NS)
        self.gap_from: Ints = self.ns[gaps]
        """Where long silences begin; shape (gaps,)."""
        self.gap_to: Ints = self.ns[gaps + 1]

    def __len__(self) -> int:
        return len(self.ns)

    @property
    def first_ns(self) -> int:
        return int(self.ns[0]) if len(self.ns) else 0

    @property
    def last_ns(self) -> int:
        return int(self.ns[-1]) if len(self.ns) else 0

    def packets_by(self, ns: int) -> int:
        """How many packets had come by a time."""
        return int(np.searchsorted(self.ns, ns, "right"))

    def of(self, number: int) -> int:
        """Time of a packet (1-based number); of 0, when the recording begins."""
        return int(self.ns[number - 1]) if number else self.first_ns


def _forget_wrong_ones(times: Ints) -> None:
    """Set times to 0 that are far from those around them, in a file where times step back far."""
    told = np.flatnonzero(times > 0)
    some = times[told]
    if not (np.maximum.accumulate(some) - some > WRONG_NS).any():
        return
    for start in range(0, len(some), AROUND):
        part = some[start : start + AROUND]
        usual = int(np.sort(part)[len(part) // 2])
        times[told[start : start + AROUND][np.abs(part - usual) > WRONG_NS]] = 0


class Clock:
    """Stands somewhere in a recording, and moves.

    Args:
        times: Of its packets.
        rests: Packets behind which it stands at little cost, ascending: where there is one
            on the way, it is where a leap ends.
    """

    def __init__(self, times: Times, rests: Sequence[int] = ()) -> None:
        self.times = times
        self._rests = rests
        self.at = len(times)
        """Packets seen."""
        self.now_ns = times.last_ns
        self.speed = 1.0
        """Capture seconds a second; ``math.inf``: as fast as it goes."""
        self.playing = False
        self.skipping = False
        """Long silences are skipped."""
        self._rest = 0.0
        """Part of a packet, where a file without times plays."""

    @property
    def at_end(self) -> bool:
        return self.at >= len(self.times) and self.now_ns >= self.times.last_ns

    # -- setting ----------------------------------------------------------------------

    def play(self) -> None:
        """Run; from the start, when it stands at the end."""
        if self.at_end:
            self.go_to_packet(0)
        self.playing = True

    def pause(self) -> None:
        self.playing = False

    def faster(self, steps: int) -> None:
        """Run faster (or slower) by so many of the ``SPEEDS``."""
        place = SPEEDS.index(self.speed) + steps
        self.speed = SPEEDS[max(0, min(place, len(SPEEDS) - 1))]

    def go_to(self, ns: int) -> None:
        """Stand at a time, as far as the recording reaches."""
        if not self.times.known:
            return
        self.now_ns = max(self.times.first_ns, min(ns, self.times.last_ns))
        self.at = self.times.packets_by(self.now_ns)

    def stand(self, at: int, now_ns: int) -> None:
        """Stand where it stood once: behind packet ``at``, at a time before the next one's."""
        self.at, self.now_ns = at, now_ns

    def go_to_packet(self, number: int) -> None:
        """Stand just behind a packet; 0: before the first."""
        self.at = max(0, min(number, len(self.times)))
        self.now_ns = self.times.of(self.at)

    def go_to_share(self, share: float) -> None:
        """Stand at a part (0 to 1) of the recording's time, or of its packets."""
        share = max(0.0, min(share, 1.0))
        if self.times.known and self.times.last_ns > self.times.first_ns:
            span = self.times.last_ns - self.times.first_ns
            self.go_to(self.times.first_ns + round(share * span))
            if not share:
                self.go_to_packet(0)
        else:
            self.go_to_packet(round(share * len(self.times)))

    @property
    def share(self) -> float:
        """Which part of the recording is behind it."""
        span = self.times.last_ns - self.times.first_ns
        if self.times.known and span > 0:
            return (self.now_ns - self.times.first_ns) / span
        return self.at / len(self.times) if len(self.times) else 1.0

    # -- running ----------------------------------------------------------------------

    def advance(self, seconds: float) -> None:
        """Let real time go by; stops at the end."""
        if not self.playing:
            return
        if math.isinf(self.speed):
            self.go_to_packet(self._leap())
        elif not self.times.known:
            self._rest += seconds * self.speed * UNTIMED_PER_S
            whole = int(self._rest)
            self._rest -= whole
            self.go_to_packet(self.at + whole)
        else:
            self._run(seconds * self.speed * _SECOND)
        if self.at_end:
            self.playing = False

    def _leap(self) -> int:
        """Where playing as fast as it goes leads next."""
        goal = self.at + LEAP
        place = bisect_right(self._rests, goal) - 1
        near = place >= 0 and self._rests[place] > self.at + LEAP // 2
        return self._rests[place] if near else goal

    def _run(self, left: float) -> None:
        """Let ``left`` nanoseconds of capture go by, silences perhaps faster."""
        times, now = self.times, self.now_ns
        while left >= 1 and now < times.last_ns:
            gap = int(np.searchsorted(times.gap_to, now, "right")) if self.skipping else -1
            if gap < 0 or gap == len(times.gap_to):
                now += int(left)
                break
            start, end = int(times.gap_from[gap]), int(times.gap_to[gap])
            if now < start:
                step = min(int(left), start - now)
                now, left = now + step, left - step
                continue
            rate = (end - start) / SHORT_GAP_NS
            step = min(int(left * rate), end - now)
            now, left = now + step, left - step / rate
        self.now_ns = min(now, times.last_ns)
        # Some packets may be behind the clock already: several may share a time.
        self.at = max(self.at, times.packets_by(self.now_ns))
