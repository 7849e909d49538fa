"""Search without freezing: tunnels at once, packets slice by slice.

A packet's line is made from columns when it is looked at, a few microseconds each. A
million of them take seconds, so the caller gives a slice of time at a time and lets the
screen breathe in between. The first slices lie where the cursor is.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from time import perf_counter

from capture.report.model import FlowReport

__all__ = ["PacketSearch", "flow_matches", "next_in", "search_flows"]

SLICE_ROWS = 64
"""Rows between two looks at the clock."""


def flow_matches(flow: FlowReport, needle: str) -> bool:
    """Whether a tunnel has the words, in whatever the screen says of it.

    Args:
        flow: The tunnel.
        needle: Case-folded text.
    """
    return any(needle in text.casefold() for text in _flow_texts(flow))


def _flow_texts(flow: FlowReport) -> Iterable[str]:
    yield flow.client
    yield flow.proxy
    yield flow.target or ""
    if flow.tls is not None:
        yield flow.tls.sni or ""
        yield flow.tls.alert_name or ""
    for attempt in flow.attempts:
        yield f"{attempt.method} {attempt.target}"
        yield f"{attempt.status or ''} {attempt.reason or ''}"
    yield flow.verdict
    for finding in flow.findings:
        yield f"{finding.rule} {finding.title}"


def search_flows(flows: Iterable[FlowReport], needle: str) -> set[int]:
    """Uids of the tunnels that have the words (see ``flow_matches``)."""
    return {flow.uid for flow in flows if flow_matches(flow, needle)}


def next_in(hits: Sequence[int], place: int, step: int) -> int | None:
    """The hit after (or before) a place, going round at the end.

    Args:
        hits: Places in rising order.
        place: Where the cursor is.
        step: 1 forward, -1 backward.
    """
    if not hits:
        return None
    if step > 0:
        index = bisect_right(hits, place)
        return hits[index] if index < len(hits) else hits[0]
    index = bisect_left(hits, place) - 1
    return hits[index]


class PacketSearch:
    """Looks for words in the lines of a packet list, a slice of time at a time."""

    def __init__(self, needle: str, text_of: Callable[[int], str]) -> None:
        """Prepare; nothing is searched yet.

        Args:
            needle: Case-folded text.
            text_of: The line of a row; called once a row.
        """
        self.hits: list[int] = []
        """Rows that match, in rising order."""
        self._needle = needle
        self._text_of = text_of
        self._count = 0
        self._done = 0
        self._ranges: deque[range] = deque()

    @property
    def finished(self) -> bool:
        """Whether every row has been looked at."""
        return not self._ranges

    @property
    def count(self) -> int:
        """Rows there are."""
        return self._count

    @property
    def progress(self) -> float:
        """From 0 to 1."""
        return self._done / self._count if self._count else 1.0

    def extend(self, count: int, *, near: int = 0) -> None:
        """Let there be more rows.

        Args:
            count: Rows there are now.
            near: Row to begin at; the search goes round from there.
        """
        if count <= self._count:
            return
        middle = min(max(near, self._count), count)
        parts = (range(middle, count), range(self._count, middle))
        self._ranges.extend(part for part in parts if part)
        self._count = count

    def run(self, seconds: float) -> bool:
        """Search on for about that long.

        Returns:
            Whether a hit was added.
        """
        until = perf_counter() + seconds
        before = len(self.hits)
        while self._ranges:
            part = self._ranges.popleft()
            now, later = part[:SLICE_ROWS], part[SLICE_ROWS:]
            if later:
                self._ranges.appendleft(later)
            for row in now:
                if self._needle in self._text_of(row).casefold():
                    insort(self.hits, row)
            self._done += len(now)
            if perf_counter() >= until:
                break
        return len(self.hits) > before
