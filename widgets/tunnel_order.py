"""The order of the tunnels on the screen, and which of them are shown at all."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from itertools import compress, count
from operator import attrgetter, is_not
from typing import Any

from capture.report.model import FlowReport
from widgets.tunnel_columns import FAILING_FIRST, SORTED_BY

__all__ = ["TunnelOrder"]

_number = attrgetter("id")
_uid = attrgetter("uid")


class TunnelOrder:
    """Sorts flows by a column.

    What decides is kept beside the flows, at the same places: of 54,000 flows only those are
    touched that are not the object they were, since to fetch every one of them from memory takes
    longer than to sort them.
    """

    def __init__(self) -> None:
        self.sort = FAILING_FIRST
        """Key of the column that decides; change it with ``sort_by``."""
        self.reverse = False
        self.allowed: Collection[int] | None = None
        """Uids of the flows that are shown; None: of all."""
        self.problems_only = False
        self.flows: tuple[FlowReport, ...] = ()
        """All there are; change them with ``take``."""
        self._uids: list[int] = []
        self._numbers: list[int] = []
        self._values: list[Any] = []

    def take(self, flows: tuple[FlowReport, ...]) -> Sequence[FlowReport]:
        """Take the flows of a new snapshot.

        Returns:
            Those that are not the object they were; of fewer flows at least one.
        """
        old, self.flows = self.flows, flows
        shared = min(len(old), len(flows))
        places = list(compress(count(), map(is_not, old, flows)))
        changed = [flows[place] for place in places]
        added = flows[shared:]
        for column, value_of in (
            (self._uids, _uid), (self._numbers, _number), (self._values, SORTED_BY[self.sort])
        ):  # fmt: skip
            del column[shared:]
            for place, flow in zip(places, changed, strict=True):
                column[place] = value_of(flow)
            column.extend(map(value_of, added))
        changed.extend(added)
        if len(flows) < len(old) and not changed:
            return list(flows) or [old[-1]]
        return changed

    @property
    def uids(self) -> Sequence[int]:
        """Of all flows there are."""
        return self._uids

    def sort_by(self, key: str) -> None:
        """Let another column decide.

        Args:
            key: Of ``SORTED_BY``.

        Raises:
            ValueError: There is no such column.
        """
        if key not in SORTED_BY:
            raise ValueError(f"no such column: {key}")
        if key != self.sort:
            self.sort = key
            self._values = list(map(SORTED_BY[key], self.flows))

    def arrange(self) -> tuple[list[FlowReport], list[int]]:
        """The flows that are shown, sorted, and their uids.

        Ties are broken by number, oldest first; what has no value comes last, both ways.
        """
        values = self._values
        places = self._shown()
        lacking: list[int] = []
        if None in values:
            lacking = [place for place in places if values[place] is None]
            places = [place for place in places if values[place] is not None]
        order = sorted(places, key=values.__getitem__, reverse=self.reverse) + lacking
        return list(map(self.flows.__getitem__, order)), list(map(self._uids.__getitem__, order))

    def _shown(self) -> Iterable[int]:
        """Places of the flows that are shown, in the order of their numbers."""
        places: Iterable[int] = range(len(self.flows))
        if self._numbers != sorted(self._numbers):
            places = sorted(places, key=self._numbers.__getitem__)
        if self.allowed is not None:
            places = [place for place in places if self._uids[place] in self.allowed]
        if self.problems_only:
            places = [place for place in places if self.flows[place].failing]
        return places
