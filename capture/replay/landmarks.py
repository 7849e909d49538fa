"""Where steps lead: the next packet, the next message, the next problem."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from capture.frames import Ints
from capture.replay.past import Past
from capture.timeline.telling import tellings

WINDOW: Final = 2048
"""Packets looked through at a time for the next message of any tunnel."""


class Problem(NamedTuple):
    """A failing tunnel, and the last packet that its finding rests on."""

    number: int
    uid: int


class Landmarks:
    """Finds places in a recording.

    Args:
        past: Of the recording.
    """

    def __init__(self, past: Past) -> None:
        self._past = past
        self._rows = past.packets.rows
        self._told: dict[int, Ints] = {}
        self._of: tuple[int, Ints] = 0, np.zeros(0, np.int64)
        self._problems: list[Problem] | None = None

    def packet(self, at: int, direction: int, uid: int | None) -> int | None:
        """The packet after (or before) packet ``at``, of one tunnel or of all.

        Returns:
            Its number; None when there is no such packet. Backwards from the first packet
            that is 0: before it.
        """
        if uid is None:
            number = at + direction
            return number if 0 <= number <= len(self._rows) else None
        if self._of[0] != uid:
            self._of = uid, np.flatnonzero(self._rows["flow"] == uid) + 1
        return _beside(self._of[1], at, direction)

    def message(self, at: int, direction: int, uid: int | None) -> int | None:
        """The next packet that says something: a SYN, an HTTP head, a TLS message, a FIN."""
        if uid is not None:
            return _beside(self._telling(uid), at, direction)
        while 0 <= at <= len(self._rows):
            start, end = (at, at + WINDOW) if direction > 0 else (max(0, at - 1 - WINDOW), at - 1)
            if end <= start or start >= len(self._rows):
                return None
            uids = np.unique(self._rows["flow"][start:end])
            near = [_beside(self._telling(uid), at, direction) for uid in uids[uids > 0].tolist()]
            inside = [number for number in near if number and start < number <= end]
            if inside:
                return min(inside) if direction > 0 else max(inside)
            at = end if direction > 0 else start + 1
        return None

    def _telling(self, uid: int) -> Ints:
        """Numbers of a tunnel's telling packets, ascending; none of other flows."""
        found = self._told.get(uid)
        if found is None:
            facts = self._past.facts_at_end(uid)
            numbers = {item.number for item in tellings(facts)} if facts is not None else set()
            found = self._told[uid] = np.array(sorted(numbers), np.int64)
        return found

    def problem(self, beside: Problem, direction: int) -> Problem | None:
        """The next failing tunnel, by the packets that prove it."""
        if self._problems is None:
            self._problems = sorted(
                Problem(self._past.proof(flow), flow.uid)
                for flow in self._past.end.flows
                if flow.failing
            )
        if direction > 0:
            return next((item for item in self._problems if item > beside), None)
        return next((item for item in reversed(self._problems) if item < beside), None)


def _beside(numbers: Ints, at: int, direction: int) -> int | None:
    """The number after (or before) ``at`` among ascending ones."""
    place = int(np.searchsorted(numbers, at, "right" if direction > 0 else "left"))
    place -= direction < 0
    return int(numbers[place]) if 0 <= place < len(numbers) else None
