"""Looks for second legs among the flows of a capture under analysis.

What ``capture.second_leg.pairing`` decides from facts is prepared here with columns: of a capture
in which no proxy opens a connection while a tunnel waits for it, no facts are gathered at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from capture.facts import CaptureFacts, FlowFacts
from capture.second_leg.pairing import SecondLeg, begun_for, find_legs, wanted
from capture.tracking.table import distinct

if TYPE_CHECKING:
    from capture.judged import JudgedFlow
    from capture.tracking.tracker import Tracker

MOST: Final = 10_000
"""Connections that are looked at: first those that began while a tunnel waited against which
something speaks, then those of proxies' hosts, then the latest."""

MOST_LIVE: Final = 1000
"""The same for a live capture, in which they are looked at again and again."""

BATCH: Final = 1024

Mask = NDArray[np.bool_]


class Legs:
    """Second legs of a capture's tunnels; remembers what it looked at."""

    def __init__(self, tracker: Tracker) -> None:
        self._tracker = tracker
        self._facts: dict[int, FlowFacts] = {}
        """Of connections that did not go on since, by ``FlowFacts.id``."""

    def of(
        self, judged: Mapping[int, JudgedFlow], capture: CaptureFacts
    ) -> dict[int, tuple[SecondLeg, ...]]:
        """Second legs of the judged tunnels, by flow.

        Args:
            judged: The reported flows.
            capture: The capture.
        """
        if not capture.times_known:
            return {}
        possible, of_proxy = self._possible(judged)
        if not possible.any():
            return {}
        tunnels, places = [], {}
        for flow, item in judged.items():
            found = wanted(item.facts, capture)
            if found is not None:
                tunnels.append(found)
                places[item.facts.id] = flow
        flows, count = self._tracker.table.flows, len(self._tracker)
        ports = np.array(sorted({item.port for item in tunnels}), np.int64)
        possible &= of_proxy | np.isin(flows.proxy[:count] & 0xFFFF, ports)
        possible &= begun_for(tunnels, flows.first_ns[:count])
        chosen = np.flatnonzero(possible)
        most = MOST_LIVE if capture.live else MOST
        if len(chosen) > most:
            in_doubt = [item for item in tunnels if judged[places[item.flow.id]].judgement.findings]
            telling = begun_for(in_doubt, flows.first_ns[chosen])
            order = np.lexsort((of_proxy[chosen], telling))  # stable: the latest stay last
            chosen = np.sort(chosen[order[-most:]])
        others = self._gathered(chosen.tolist(), judged)
        return {places[id]: legs for id, legs in find_legs(tunnels, others, capture).items()}

    def _possible(self, judged: Mapping[int, JudgedFlow]) -> tuple[Mask, Mask]:
        """Flows that may be a second leg as far as their ends tell, and those of proxies' hosts.

        Where all flows are clients', there is none, and nothing else needs to be looked at.
        """
        flows, count = self._tracker.table.flows, len(self._tracker)
        mine = np.fromiter(judged, np.int64, len(judged))
        of_proxy = np.isin(flows.client[:count] >> 16, distinct(flows.proxy[mine] >> 16))
        possible = flows.syn_no[:count] != 0
        listed = np.zeros(count, np.bool_)
        listed[mine] = True
        listed[self._tracker.settled_flows()] = True
        possible &= of_proxy | ~listed  # a proxy that asks another one has a listed flow
        return possible, of_proxy

    def _gathered(self, chosen: list[int], judged: Mapping[int, JudgedFlow]) -> list[FlowFacts]:
        """Their facts, in order; those of flows that did not go on are the same objects."""
        tracker, flows = self._tracker, self._tracker.table.flows
        before, self._facts = self._facts, {}
        due = []
        for flow in chosen:
            item = judged.get(flow)
            facts = item.facts if item is not None else before.get(int(flows.uid[flow]))
            errors = len(tracker.icmp.get(flow, ()))
            if facts is None or (facts.last.number, len(facts.icmp)) != (
                int(flows.last_no[flow]), errors
            ):  # fmt: skip
                due.append(flow)
            else:
                self._facts[facts.id] = facts
        for start in range(0, len(due), BATCH):
            for facts in tracker.facts_of(due[start : start + BATCH]):
                self._facts[facts.id] = facts
        return [self._facts[number] for number in sorted(self._facts)]
