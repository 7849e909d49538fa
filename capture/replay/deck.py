"""The cards of the flows at any moment, by which flows shed light on each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np

from capture.facts import CaptureFacts, Endpoint, FlowFacts
from capture.frames import Ints
from capture.judged import JudgedFlow
from capture.judging import Judgement
from capture.judging.cards import Card, card, target
from capture.replay.begun import Begun
from capture.replay.looks import Look

MANY: Final = 2000
"""Of captures with more tunnels than this, only some of the plainly healthy ones are shown to
the rules about several flows."""

Seen = tuple[FlowFacts, Judgement]


class Hand(NamedTuple):
    """The cards of a moment."""

    flows: list[int]
    """Whose they are, ascending."""
    cards: list[Card]
    own: dict[int, Seen]
    """Facts and judgements of the flows that others may shed light on, by their place."""


class Deck:
    """The cards at the end, dealt again for any moment.

    Args:
        ends: All reported flows at the end, by flow, ascending.
        first: Number of the first packet of every flow there is, by flow.
        capture: What was known of the capture at the end.
    """

    def __init__(self, ends: Mapping[int, JudgedFlow], first: Ints, capture: CaptureFacts) -> None:
        cards = _cards(ends, capture)
        self._ends = ends
        self._begun = Begun(list(cards), first)
        self._cards = list(cards.values())
        self._own = [_own(ends[flow].facts, ends[flow].judgement) for flow in cards]

    def at(self, number: int, looks: Mapping[int, Look]) -> Hand:
        """The cards after a packet.

        Args:
            number: Of the packet; 0: before the first.
            looks: The flows that were not as at the end, by flow.
        """
        flows = self._begun.by(number)
        cards = self._begun.some(self._cards, number)
        own = self._begun.some(self._own, number)
        looked = np.array(sorted(looks), np.int64)
        known = np.isin(looked, flows)
        for at in np.flatnonzero(np.isin(flows, looked)).tolist():
            look = looks[int(flows[at])]
            cards[at], own[at] = look.card, self._own_of(int(flows[at]), look)
        new = looked[~known]
        if len(new):  # healthy at the end, and left out there
            flows = np.concatenate((flows, new))
            cards += [looks[flow].card for flow in new.tolist()]
            own += [self._own_of(flow, looks[flow]) for flow in new.tolist()]
            order = np.argsort(flows, kind="stable")
            flows = flows[order]
            places = order.tolist()
            cards, own = [cards[at] for at in places], [own[at] for at in places]
        told = {at: seen for at, seen in enumerate(own) if seen is not None}
        return Hand(flows.tolist(), cards, told)

    def _own_of(self, flow: int, look: Look) -> Seen | None:
        if self._ends[flow].legs:  # they may tell more of it than it shows itself
            return look.facts, look.judgement
        return _own(look.facts, look.judgement)


def _own(facts: FlowFacts, judgement: Judgement) -> Seen | None:
    """The flow, unless it is so healthy that others cannot make it any worse."""
    return (facts, judgement) if judgement.findings or judgement.verdict != "ok" else None


def _cards(ends: Mapping[int, JudgedFlow], capture: CaptureFacts) -> dict[int, Card]:
    """Cards of the flows as they were at the end; of many plainly healthy ones only those
    that stand for all: the first of each client, and two server names of each target."""
    cards: dict[int, Card] = {}
    seen: set[tuple[str, Endpoint]] = set()
    names: dict[tuple[Endpoint, str], set[str | None]] = {}
    for flow, end in ends.items():
        facts, judgement = end.facts, end.judgement
        if judgement.verdict == "ok" and not judgement.findings and len(ends) > MANY:
            pair = facts.client.host, facts.proxy
            known = names.setdefault((facts.proxy, target(facts)), set())
            hello = facts.tls.client_hello if facts.tls else None
            sni = hello.sni if hello else None
            if pair in seen and (len(known) == 2 or sni in known):
                continue
            seen.add(pair)
            known.add(sni)
        cards[flow] = card(facts, judgement, capture)
    return cards
