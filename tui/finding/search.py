"""Search without freezing: a slice of time at a time, so that the screen breathes in between.

Tunnels are looked through by their texts, packets by columns at once and by what single
packets say flow by flow (``capture.packets.searching``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from time import perf_counter
from typing import Final

import numpy as np
from numpy.typing import NDArray

from capture.facts import FlowFacts
from capture.packets.index import PacketView
from capture.packets.searching import TextIndex, plain_hits, told_hits
from capture.report.model import FlowReport

__all__ = ["PacketSearch", "TunnelSearch", "next_in"]

PLAIN_ROWS: Final = 1 << 17
"""Rows that are looked through at once by their columns: some ten milliseconds."""

FLOWS: Final = 16
"""Flows between two looks at the clock."""


def next_in(hits: NDArray[np.int64], place: int, step: int) -> tuple[int | None, bool]:
    """The hit after (or before) a place, going round at the end.

    Args:
        hits: Places in rising order.
        place: Where the cursor is.
        step: 1 forward, -1 backward, 0 forward from the place itself.

    Returns:
        The hit, or None without any; and whether the search went round.
    """
    if not len(hits):
        return None, False
    if step < 0:
        at = int(np.searchsorted(hits, place)) - 1
        return int(hits[at]), at < 0
    at = int(np.searchsorted(hits, place, "right" if step else "left"))
    return int(hits[at % len(hits)]), at == len(hits)


class TunnelSearch:
    """Looks for words in all that is said of the tunnels."""

    def __init__(self, needle: str, index: TextIndex) -> None:
        """Prepare; nothing is searched yet.

        Args:
            needle: Case-folded text.
            index: Keeps the texts from one query to the next.
        """
        self.hits: set[int] = set()
        """Uids of the tunnels that match."""
        self._needle = needle
        self._index = index
        self._searched: dict[int, FlowReport] = {}
        self._facts: Mapping[int, FlowFacts] = {}
        self._waiting: list[FlowReport] = []

    @property
    def finished(self) -> bool:
        """Whether every tunnel has been looked at."""
        return not self._waiting

    def extend(self, flows: Iterable[FlowReport], facts: Mapping[int, FlowFacts]) -> None:
        """Look at these tunnels, as far as they are not the objects they were."""
        searched = self._searched
        self._facts = facts
        self._waiting = list(flows)
        if searched:
            self._waiting = [flow for flow in self._waiting if searched.get(flow.uid) is not flow]
        self._waiting.reverse()

    def run(self, seconds: float) -> None:
        """Search on for about that long."""
        until = perf_counter() + seconds
        while self._waiting:
            for flow in self._waiting[-FLOWS:]:
                self._searched[flow.uid] = flow
                if self._needle in self._index.tunnel(flow, self._facts.get(flow.uid)):
                    self.hits.add(flow.uid)
                else:
                    self.hits.discard(flow.uid)
            del self._waiting[-FLOWS:]
            if perf_counter() >= until:
                return


class PacketSearch:
    """Looks for words in the lines of a packet list."""

    def __init__(self, needle: str, index: TextIndex) -> None:
        """Prepare; nothing is searched yet.

        Args:
            needle: Case-folded text.
            index: Keeps what packets say from one query to the next.
        """
        self._needle = needle
        self._index = index
        self._found = np.zeros(0, np.bool_)
        self._plain_done = 0
        self._view: PacketView | None = None
        self._rows: NDArray[np.int64] | None = None
        self._facts: Mapping[int, FlowFacts] = {}
        self._searched: dict[int, FlowFacts] = {}
        self._waiting: list[FlowFacts] = []
        self._total = 0

    @property
    def count(self) -> int:
        """Rows there are."""
        return len(self._found)

    @property
    def hits(self) -> NDArray[np.int64]:
        """Rows of the list that match so far, in rising order."""
        return np.flatnonzero(self._found)

    @property
    def finished(self) -> bool:
        """Whether every row has been looked at."""
        return self._plain_done == self.count and not self._waiting

    @property
    def progress(self) -> float:
        """From 0 to 1."""
        rows = self._plain_done / self.count if self.count else 1.0
        flows = 1 - len(self._waiting) / self._total if self._total else 1.0
        return (rows + 3 * flows) / 4

    def extend(
        self,
        view: PacketView,
        rows: NDArray[np.int64] | None,
        facts: Mapping[int, FlowFacts],
    ) -> None:
        """Follow a list that only grew; flows that changed are looked at again.

        Args:
            view: The packet index.
            rows: Rows of it that the list shows; None for all.
            facts: By flow.
        """
        count = len(view) if rows is None else len(rows)
        found = np.zeros(count, np.bool_)
        known = min(count, self.count)
        found[:known] = self._found[:known]
        self._found, self._view, self._rows, self._facts = found, view, rows, facts
        self._plain_done = min(self._plain_done, count)
        flows: Iterable[FlowFacts] = facts.values()
        if rows is not None and len(rows) < len(view):
            uids = np.unique(view.rows["flow"][rows]).tolist()
            flows = (facts[uid] for uid in uids if uid in facts)
        searched = self._searched
        self._waiting = [item for item in flows if searched.get(item.id) is not item]
        self._waiting.reverse()
        self._total = len(self._waiting)

    def run(self, seconds: float) -> None:
        """Search on for about that long."""
        until = perf_counter() + seconds
        while not self.finished:
            if self._plain_done < self.count:
                self._run_plain()
            else:
                self._run_told()
            if perf_counter() >= until:
                return

    def _run_plain(self) -> None:
        view = self._view
        assert view is not None
        start = self._plain_done
        end = min(start + PLAIN_ROWS, self.count)
        rows = np.arange(start, end) if self._rows is None else self._rows[start:end]
        self._found[start:end] |= plain_hits(view, rows, self._needle, self._facts)
        self._plain_done = end

    def _run_told(self) -> None:
        said: list[int] = []
        hits: list[int] = []
        for facts in self._waiting[-FLOWS:]:
            self._searched[facts.id] = facts
            told = self._index.told(facts)
            said.extend(told.numbers)  # their lines are not what their flags would be
            hits += told_hits(told, self._needle)
        del self._waiting[-FLOWS:]
        self._found[self._places(said)] = False
        self._found[self._places(hits)] = True

    def _places(self, numbers: list[int]) -> NDArray[np.int64]:
        """Rows of the list that show these packets."""
        view = self._view
        assert view is not None
        rows = [row for number in numbers if (row := view.row(number)) is not None]
        at = np.array(rows, np.int64)
        if self._rows is None or not len(at) or not len(self._rows):
            return at if self._rows is None else at[:0]
        place = np.minimum(np.searchsorted(self._rows, at), len(self._rows) - 1)
        shown: NDArray[np.int64] = place[self._rows[place] == at]
        return shown
