"""Settled flows that are long over, reduced to a line of the table.

So the memory that a table takes grows with the flows that are open or failed, and by a line of
text for each of the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from capture.facts import Endpoint
from capture.frames import Ints
from capture.judging.cards import Card
from capture.shards.settled import settled_cards, settled_lines
from capture.tracking.settle import choose_witnesses
from capture.tracking.tracker import Tracker

LINGER_NS: Final = 60_000_000_000
"""A closed connection may still send for so long (Linux's TIME_WAIT); then it is gone."""

AT_ONCE: Final = 1000
"""Flows worth the trouble of moving the others up."""


class Finished:
    """The lines of flows that are gone, and what others must know of them."""

    def __init__(self) -> None:
        self.count = 0
        self.proxies: set[Endpoint] = set()
        self.numbers: list[Ints] = []
        """Packet number of each flow's first packet."""
        self.texts: list[str] = []
        """Their lines."""
        self.witnesses: list[Card] = []
        """In order of their first packet."""
        self._told: list[tuple[int, int, int, str, str]] = []
        """What ``choose_witnesses`` needs of the witnesses."""

    def take(self, tracker: Tracker, now_ns: int, *, timed: bool) -> None:
        """Take the flows over that ended long before, and let them go.

        Args:
            tracker: Has them; those that stay get other numbers.
            now_ns: Time that the capture has got to.
            timed: The capture has times.
        """
        flows = tracker.settled_flows()
        flows = flows[tracker.table.flows.last_ns[flows] < now_ns - LINGER_NS]
        if len(flows) < max(AT_ONCE, len(tracker) // 4):
            return
        self._add(tracker, flows, timed)
        stay = np.ones(len(tracker), np.bool_)
        stay[flows] = False
        strays = list(tracker.stray_icmp)
        tracker.keep(np.flatnonzero(stay))
        tracker.stray_icmp[:] = strays  # a recording's first ones count

    def _add(self, tracker: Tracker, flows: Ints, timed: bool) -> None:
        columns = tracker.table.flows
        numbers = columns.first_no[flows].astype(np.int64)
        self.count += len(flows)
        self.numbers.append(numbers)
        self.texts.append("\n".join(settled_lines(tracker, flows, timed)))
        first = flows[np.unique(columns.proxy[flows], return_index=True)[1]]
        self.proxies.update(map(tracker.proxy, first.tolist()))
        self._choose(tracker, flows)

    def _choose(self, tracker: Tracker, flows: Ints) -> None:
        """Add the witnesses among the flows, and let those go that others make needless."""
        told = {flow: item for flow, *item in tracker.told(flows)}
        numbers = tracker.table.flows.first_no[list(told)].tolist()
        new = dict(zip(numbers, told, strict=True))
        every = [*self._told, *[(number, *told[flow]) for number, flow in new.items()]]
        every.sort()
        kept = set(choose_witnesses(every))
        self._told = [item for item in every if item[0] in kept]
        added = [flow for number, flow in new.items() if number in kept]
        cards = [*settled_cards(tracker, added)]
        cards += [item for item in self.witnesses if item.number in kept]
        self.witnesses = sorted(cards, key=lambda item: item.number)


def chosen(cards: Sequence[Card]) -> list[Card]:
    """Of witnesses' cards those that one look at all flows would have chosen, in order."""
    cards = sorted(cards, key=lambda item: item.number)
    places = choose_witnesses(
        (at, item.client_host, item.proxy, item.target, item.sni) for at, item in enumerate(cards)
    )
    return [cards[at] for at in places]
