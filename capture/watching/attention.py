"""Which flows a report must look at, by columns beside the flow table's.

Of a file every flow that went on is looked at, and at its end all whose meaning may have
changed. A live capture cannot afford that four times a second: there, flows to which
something happened come first, the newest before the others; flows that only carry more data
have their counters brought up to date once in a while; and a flow to which nothing happens is
looked at when an absence becomes telling, which its last judgement knew
(``Judgement.until_ns``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from capture.frames import Ints
from capture.tracking.records import ALERT, TALK
from capture.tracking.table import FlowTable

Mask = NDArray[np.bool_]

NEVER: Final = np.iinfo(np.int64).max

REFRESH_NS: Final = 1_000_000_000
"""Flows that merely carry more data are shown as they were so long ago at most."""

UNLISTED: Final = -1
"""Rank of a flow that no report lists; others have 0 (clean) to 3 (problem)."""

_COLUMNS: Final[tuple[tuple[str, str, Any], ...]] = (
    ("seen_no", "u4", 0),  # last packet when the flow was looked at
    ("seen_ns", "i8", 0),  # and the clock
    ("outline", "i8", 0),  # what had happened to it until then
    ("due_ns", "i8", NEVER),  # when it must be looked at, packets or not
    ("rank", "i1", UNLISTED),
    ("sealed", "?", False),  # its payload is gone: it must not be looked at again
    ("hidden", "?", False),  # the user cleared the list, and nothing came since
    ("web", "?", False),  # ordinary web traffic
)

_ONCE: Final = ("syn_no", "syn_ack_no", "ack_no", "syn_count", "syn_ack_count")
_ONCE_EACH: Final = (
    "fin_no", "rst_no", "fin_sent", "first_payload_no", "data_no", "retransmissions", "lost",
    "zero_windows", "probes", "acked_unseen",
)  # fmt: skip


class Attention:
    """What was last made of each flow, and when it must be looked at again.

    Attributes:
        seen_no: Last packet of each flow when it was looked at; shape (flows,), as all.
        due_ns: Capture time at which it must be looked at again, or ``NEVER``.
        rank: ``UNLISTED``, or the rank of the flow's gravest finding plus one (0: none).
        sealed: The flow's facts cannot be had any more.
        hidden: The user cleared it away.
        web: It is ordinary web traffic.
    """

    seen_no: NDArray[np.uint32]
    seen_ns: Ints
    outline: Ints
    due_ns: Ints
    rank: NDArray[np.int8]
    sealed: Mask
    hidden: Mask
    web: Mask

    def __init__(self, table: FlowTable) -> None:
        self._table = table
        for name, dtype, _ in _COLUMNS:
            setattr(self, name, np.zeros(0, dtype))

    def grow(self) -> int:
        """Make room for all flows of the table; returns how many they are."""
        count, before = self._table.count, len(self.seen_no)
        if count > before:
            room = max(1024, count * 5 // 4)
            for name, dtype, initial in _COLUMNS:
                column = np.full(room, initial, dtype)
                column[:before] = getattr(self, name)
                setattr(self, name, column)
        return count

    def keep(self, flows: Ints) -> None:
        """Keep these flows only (ascending); they move up as in the table."""
        self.grow()
        for name, dtype, initial in _COLUMNS:
            column = np.full(max(1024, len(flows) * 5 // 4), initial, dtype)
            column[: len(flows)] = getattr(self, name)[flows]
            setattr(self, name, column)

    def looked(
        self, flows: Sequence[int], now_ns: int, until: Sequence[int | None], ranks: Sequence[int]
    ) -> None:
        """Note that flows were looked at.

        Args:
            flows: Their numbers.
            now_ns: The clock.
            until: When each must be looked at again at the latest.
            ranks: The rank of each.
        """
        at = np.array(flows, np.int64)
        self.seen_no[at] = self._table.flows.last_no[at]
        self.seen_ns[at] = now_ns
        self.outline[at] = self._outlines(at)
        self.due_ns[at] = [NEVER if moment is None else moment for moment in until]
        self.rank[at] = ranks
        self.hidden[at] = False

    def hide(self, flows: Ints) -> None:
        """Flows that are to be shown again only when something happens to them."""
        self.seen_no[flows] = self._table.flows.last_no[flows]
        self.outline[flows] = self._outlines(flows)
        self.due_ns[flows] = NEVER
        self.rank[flows] = UNLISTED
        self.hidden[flows] = True

    def changed(self) -> Mask:
        """Flows that went on since they were looked at."""
        count = self.grow()
        mask: Mask = self._table.flows.last_no[:count] != self.seen_no[:count]
        return mask

    def any_due(self, now_ns: int) -> bool:
        """Whether an absence has become telling by now."""
        return bool((self.due_ns[: self._table.count] <= now_ns).any())

    def over(self) -> Mask:
        """Flows whose both sides closed, or that were reset."""
        count, sides = self._table.count, self._table.sides
        fin, rst = (
            getattr(sides, name)[: 2 * count].reshape(count, 2) > 0 for name in ("fin_no", "rst_no")
        )
        mask: Mask = fin.all(axis=1) | rst.any(axis=1)
        return mask

    def order(self, candidates: Mask, now_ns: int) -> Ints:
        """Flows to look at now, the most pressing first.

        Every other one is that which waited longest, so that a flood of new flows delays
        the others and does not starve them.
        """
        changed = self.changed() & candidates
        count = len(changed)
        due = (self.due_ns[:count] <= now_ns) & candidates
        flows = np.flatnonzero(changed | due)
        happened = due[flows] | self._happened(flows)
        stale = self.seen_ns[flows] <= now_ns - REFRESH_NS
        happened, flows = happened[happened | stale], flows[happened | stale]
        newest_first = np.lexsort((-self._table.flows.last_no[flows].astype(np.int64), ~happened))
        oldest_first = np.argsort(self.seen_ns[flows], kind="stable")
        turn = np.empty(len(flows))
        turn[newest_first] = np.arange(len(flows))
        waited = np.empty(len(flows))
        waited[oldest_first] = np.arange(len(flows)) + 0.5
        return flows[np.argsort(np.minimum(turn, waited), kind="stable")]

    def _happened(self, flows: Ints) -> Mask:
        """Flows to which more happened than that they carried data."""
        sides = self._table.sides
        happened: Mask = self._outlines(flows) != self.outline[flows]
        for row in (2 * flows, 2 * flows + 1):
            happened |= (sides.mode[row] == TALK) | (sides.rec_type[row] == ALERT)
        return happened

    def _outlines(self, flows: Ints) -> Ints:
        """A number that grows whenever a milestone is passed or something is repeated: all
        summed up are set once, or count."""
        total = np.zeros(len(flows), np.int64)
        for name in _ONCE:
            total += getattr(self._table.flows, name)[flows]
        for name in _ONCE_EACH:
            column = getattr(self._table.sides, name)
            total += column[2 * flows]
            total += column[2 * flows + 1]
        return total
