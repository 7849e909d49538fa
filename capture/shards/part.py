"""A worker's part: an analysis of its share that learns from the others what they saw.

A single process that makes a table is the only part.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain, islice
from typing import Any, TypeVar

import numpy as np

from capture.analysis import Analysis
from capture.decode.columns import IcmpError
from capture.decode.decoder import Decoder
from capture.decode.heads import Look, look_at
from capture.decode.share import Share
from capture.facts import CaptureFacts, FlowFacts
from capture.frames import FrameBlock, Ints, SourceInfo
from capture.judging import Catalogue, Judgement, judge
from capture.judging.cards import Card, card
from capture.judging.relate import relate_cards
from capture.judging.select import is_proxied
from capture.judging.whole import judge_cards
from capture.options import AnalysisOptions
from capture.record import record
from capture.report.build import flow_report
from capture.report.model import Finding, Report, SourceReport, Table
from capture.report.table import table_row
from capture.shards import table_only
from capture.shards.alike import Alike
from capture.shards.finished import Finished, chosen
from capture.shards.lots import Cards, Line, Lot
from capture.shards.settled import settled_cards, settled_lines
from capture.tracking.payloads import File
from capture.tracking.table import distinct
from capture.tracking.tracker import MANY_FLOWS, MAX_STRAY_ICMP

T = TypeVar("T")

Show = Callable[[Any], list[Any]]
"""Shows a value to all workers; returns what each of them showed, this one included."""


@record
class Seen:
    """What a share shows of the capture."""

    capture: CaptureFacts
    silent: Ints
    """Server ends that answered no SYN, or answered with RST."""


@record
class Hand:
    """The cards of a share."""

    judged: list[Cards]
    witnesses: Cards
    """Settled flows that may stand for more."""
    settled: int
    """Settled flows, witnesses among them."""


@record
class Rows:
    """A share's result."""

    numbers: Ints
    """Packet number of the first packet of each reported flow."""
    texts: list[str]
    """Their lines of the table, many in each."""
    gravest: int
    """Rank of the gravest finding of a flow; -1 without one."""
    other_flows: int
    findings: tuple[Finding, ...]
    """Of the capture; the first worker's only."""
    source: SourceReport
    not_understood: tuple[tuple[str, int], ...]


def for_table(options: AnalysisOptions, catalogue: Catalogue) -> bool:
    """Whether nothing is wanted of the flows but their rows in a table."""
    return table_only(options) and not catalogue.custom


class Part(Analysis):
    """The analysis of one share, for a table.

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
        index: int = 0,
        count: int = 1,
    ) -> None:
        super().__init__(info, options, catalogue)
        self.share = Share(index, count) if count > 1 else None
        """Whose flows are tracked; None: all."""
        self.decoder = Decoder(self.share)
        self._index = index
        self._finished = Finished()

    def leave_in(self, fd: int) -> None:
        """The blocks are parts of a plain file: payload that is kept may stay there."""
        self.tracker.payload.openings.file = File(partial(os.pread, fd))

    def take(self, block: FrameBlock) -> None:
        """Analyse the next block."""
        if len(block):
            self.take_look(look_at(block, self.share))

    def take_look(self, look: Look) -> None:
        """Analyse the next block, at which somebody looked."""
        file = self.tracker.payload.openings.file
        if file is not None:
            file.show(look.base, look.data)
        self._take(look)
        if len(self.tracker) >= MANY_FLOWS and self._last_ns is not None:
            self._finished.take(self.tracker, self._last_ns, timed=self.info.times_known)
        if file is not None:
            file.hide()

    def finish(self, show: Show) -> Rows:
        """All blocks were taken: judge the share's flows in the light of the others'."""
        timed = self.info.times_known
        self.tracker.finish()
        self.tracker.table.close()
        self._proxies |= self._finished.proxies
        own = self._capture(final=True)
        own = replace(own, tcp_flows=own.tcp_flows + self._finished.count)
        capture = merged(show(Seen(own, self.tracker.silent())))
        lots = self._judge_all(capture)
        settled = self.tracker.settled_flows()
        lines = [*settled_lines(self.tracker, settled, timed)]
        findings = self._relate_to(show, lots, capture)
        lines += chain.from_iterable([lot.texts(timed) for lot in lots])
        judgements = {id(item): item for lot in lots for item in lot.judgements}.values()
        numbers = [
            *self._finished.numbers,
            self.tracker.table.flows.first_no[settled],
            *[np.fromiter(lot.cards.numbers(), np.int64, lot.cards.count) for lot in lots],
        ]
        return Rows(
            numbers=np.concatenate(numbers).astype(np.int64),
            texts=[*self._finished.texts, *(["\n".join(lines)] if lines else [])],
            gravest=max(map(_gravest, judgements), default=-1),
            other_flows=own.tcp_flows - self._finished.count - len(lines),
            findings=findings,
            source=self._source(),
            not_understood=capture.not_understood,
        )

    def _judge_all(self, capture: CaptureFacts) -> list[Lot]:
        """Judge the flows that are not settled; nothing is kept of them but what a line needs."""

        def judged(facts: FlowFacts) -> Line | None:
            if not is_proxied(facts, capture):
                return None
            judgement = judge(facts, capture, self.catalogue, texts=False)
            report = flow_report(facts, judgement, capture, 0, steps=False, bare=True)
            return Line(card(facts, judgement, capture), judgement, table_row(report))

        return [*Alike(self.tracker, capture, judged).lots(self._due(capture, final=True))]

    def _relate_to(self, show: Show, lots: list[Lot], capture: CaptureFacts) -> tuple[Finding, ...]:
        """Judge the flows again in the light of all; findings about the capture."""
        settled = self.tracker.settled_flows()
        told = settled_cards(self.tracker, self.tracker.witnesses())
        witnesses = chosen([*self._finished.witnesses, *told])
        count = len(settled) + self._finished.count
        hands: list[Hand] = show(Hand([lot.cards for lot in lots], Cards.of(witnesses), count))
        deck, places = dealt(hands, self._index)
        judgements = [item for lot in lots for item in lot.judgements]
        flows = sum(hand.settled + sum(cards.count for cards in hand.judged) for hand in hands)
        capture = replace(capture, settled=flows - len(deck))
        own = {at: (None, judgements[place]) for at, place in places.items()}
        related = relate_cards(deck, own, capture, self.catalogue)
        for at, place in places.items():
            judgements[place] = related[at]
        rest = iter(judgements)
        for lot in lots:
            lot.judgements = [*islice(rest, lot.cards.count)]
        return judge_cards(deck, capture, self.catalogue) if self._index == 0 else ()


def _gravest(judgement: Judgement) -> int:
    """Rank of the gravest finding; -1 without one."""
    return judgement.findings[0].severity.rank if judgement.findings else -1


def alone(value: T) -> list[T]:
    """What the only part is shown: its own."""
    return [value]


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
        The cards, and for those of judged flows in hand ``mine``: their place among these,
        by their place among all.
    """
    judged = [[card for cards in hand.judged for card in cards.each()] for hand in hands]
    witnesses = chain.from_iterable([hand.witnesses.each() for hand in hands])
    deck = [*chain.from_iterable(judged), *chosen([*witnesses])]
    order = np.argsort([card.number for card in deck], kind="stable").tolist()
    first = sum(map(len, judged[:mine]))
    own = range(first, first + len(judged[mine]))
    places = {at: place - first for at, place in enumerate(order) if place in own}
    return [deck[place] for place in order], places


def joined(parts: Sequence[Rows]) -> Report:
    """One report of all shares."""
    numbers = np.concatenate([part.numbers for part in parts])
    lines: list[str] = []
    for text in chain.from_iterable([part.texts for part in parts]):
        lines += text.split("\n")
    order = np.argsort(numbers, kind="stable").tolist()
    return Report(
        source=parts[0].source,
        flows=(),
        other_flows=sum(part.other_flows for part in parts),
        findings=parts[0].findings,
        not_understood=parts[0].not_understood,
        table=Table([lines[at] for at in order], max(part.gravest for part in parts)),
    )
