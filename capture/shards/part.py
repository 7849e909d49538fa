"""A worker's part: an analysis of its share that learns from the others what they saw."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import numpy as np

from capture.analysis import Analysis
from capture.decode.columns import IcmpError
from capture.decode.decoder import Decoder
from capture.decode.share import Share
from capture.facts import CaptureFacts
from capture.frames import Ints, SourceInfo
from capture.judging import Catalogue
from capture.judging.cards import Card
from capture.judging.whole import judge_cards
from capture.options import AnalysisOptions
from capture.report.model import Finding, Report, SourceReport
from capture.report.to_csv import lines
from capture.tracking.settle import choose_witnesses
from capture.tracking.table import distinct
from capture.tracking.tracker import MAX_STRAY_ICMP

Show = Callable[[Any], list[Any]]
"""Shows a value to all workers; returns what each of them showed, this one included."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a share shows of the capture."""

    capture: CaptureFacts
    silent: Ints
    """Server ends that answered no SYN, or answered with RST."""


@dataclass(frozen=True, slots=True)
class Hand:
    """The cards of a share in order, as columns."""

    columns: list[tuple[Any, ...]]
    """One tuple a field of ``Card``."""
    witnesses: frozenset[int]
    """Places of those that are not judged: settled flows that may stand for others."""
    settled: int

    def cards(self) -> list[Card]:
        return list(map(Card._make, zip(*self.columns, strict=True)))


@dataclass(frozen=True, slots=True)
class Rows:
    """A share's result."""

    numbers: Ints
    """Packet number of the first packet of each reported flow, ascending."""
    text: str
    """Their cells but the first, a line each."""
    gravest: int
    """Rank of the gravest finding of a flow; -1 without one."""
    other_flows: int
    findings: tuple[Finding, ...]
    """Of the capture; the first worker's only."""
    source: SourceReport
    not_understood: tuple[tuple[str, int], ...]


class Part(Analysis):
    """The analysis of one share.

    Args:
        info: Of the source.
        options: The user's choices.
        catalogue: Texts of the rules.
        index: Which share, from 0.
        count: How many there are.
    """

    def __init__(
        self,
        info: SourceInfo,
        options: AnalysisOptions,
        catalogue: Catalogue,
        index: int,
        count: int,
    ) -> None:
        super().__init__(info, options, catalogue)
        self.decoder = Decoder(Share(index, count))
        self._index = index

    def finish(self, show: Show) -> Rows:
        """All blocks were taken: judge the share's flows in the light of the others'."""
        self.tracker.finish()
        self.tracker.table.close()
        capture = merged(show(Seen(self._capture(final=True), self.tracker.silent())))
        self._judge(capture, final=True)
        findings = self._settle_accounts(show, capture)
        settled = self.tracker.settled_flows().tolist()
        listed = sorted([*self._judged, *settled])
        report = Report(
            source=self._source(),
            flows=self._flow_reports(listed, capture),
            other_flows=len(self.tracker) - len(listed),
        )
        shown = [item.shown.findings for item in self._judged.values()]
        return Rows(
            numbers=self.tracker.table.flows.first_no[np.array(listed, np.int64)],
            text="\n".join(lines(report)),
            gravest=max([found[0].severity.rank for found in shown if found], default=-1),
            other_flows=report.other_flows,
            findings=findings,
            source=report.source,
            not_understood=capture.not_understood,
        )

    def _settle_accounts(self, show: Show, capture: CaptureFacts) -> tuple[Finding, ...]:
        """``Analysis._look_at_all`` with the others' cards."""
        own = self._cards(capture)
        flows = sorted(own)
        hands: list[Hand] = show(
            Hand(
                list(zip(*[own[flow] for flow in flows], strict=True)),
                frozenset([at for at, flow in enumerate(flows) if flow not in self._judged]),
                len(self.tracker.settled_flows()),
            )
        )
        deck, places = dealt(hands, self._index)
        judged = sum(len(hand.columns[0]) - len(hand.witnesses) for hand in hands if hand.columns)
        settled = sum(hand.settled for hand in hands)
        capture = replace(capture, settled=settled + judged - len(deck))
        self._relate(deck, {at: flows[place] for at, place in places.items()}, capture)
        return judge_cards(deck, capture, self.catalogue) if self._index == 0 else ()


def merged(seen: Sequence[Seen]) -> CaptureFacts:
    """What all shares together show of the capture."""
    captures = [item.capture for item in seen]
    strays: list[IcmpError] = sorted(
        chain.from_iterable(item.icmp for item in captures), key=lambda error: error.number
    )
    return replace(
        captures[0],
        icmp=tuple(strays[:MAX_STRAY_ICMP]),
        names={key: text for item in captures for key, text in item.names.items()},
        tcp_flows=sum(item.tcp_flows for item in captures),
        direct_web=sum(item.direct_web for item in captures),
        silent_endpoints=len(distinct(np.concatenate([item.silent for item in seen]))),
        proxies=frozenset().union(*[item.proxies for item in captures]),
    )


def dealt(hands: Sequence[Hand], mine: int) -> tuple[list[Card], dict[int, int]]:
    """All cards in order, with the witnesses that one process would have chosen.

    Returns:
        The cards, and for those of judged flows in hand ``mine``: their place in that hand,
        by their place among all.
    """
    every = [
        (card, number, place)
        for number, hand in enumerate(hands)
        for place, card in enumerate(hand.cards())
    ]
    every.sort(key=lambda item: item[0].number)
    candidates = [
        (at, card.client_host, card.proxy, card.target, card.sni)
        for at, (card, number, place) in enumerate(every)
        if place in hands[number].witnesses
    ]
    needless = {at for at, *_ in candidates}.difference(choose_witnesses(candidates))
    kept = [item for at, item in enumerate(every) if at not in needless]
    deck = [card for card, _, _ in kept]
    places = {
        at: place
        for at, (_, number, place) in enumerate(kept)
        if number == mine and place not in hands[number].witnesses
    }
    return deck, places
