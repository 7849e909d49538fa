"""A worker's part: an analysis of its share that learns from the others what they saw.

A single process that makes a table is the only part.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
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
from capture.report.build import flow_report
from capture.report.model import Finding, Report, SourceReport, Table
from capture.report.table import table_row
from capture.report.to_csv import line_of
from capture.shards import table_only
from capture.shards.alike import Alike, Line
from capture.shards.finished import Finished, chosen
from capture.shards.settled import settled_cards, settled_lines
from capture.tracking.payloads import File
from capture.tracking.table import UNKNOWN, distinct
from capture.tracking.tracker import MANY_FLOWS, MAX_STRAY_ICMP

T = TypeVar("T")

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
    """The cards of a share as columns."""

    columns: list[tuple[Any, ...]]
    """One tuple a field of ``Card``: first the judged flows in order, then the witnesses."""
    judged: int
    """How many are judged; the others are settled flows that may stand for more."""
    settled: int
    """Settled flows, witnesses among them."""

    def cards(self) -> list[Card]:
        return list(map(Card._make, zip(*self.columns, strict=True)))


@dataclass(frozen=True, slots=True)
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
        judged = self._judge_all(capture)
        settled = self.tracker.settled_flows()
        lines = [*settled_lines(self.tracker, settled, timed)]
        findings = self._relate_to(show, judged, capture)
        lines += [line_of(item.row, timed) for item in judged]
        judgements = {id(item.judgement): item.judgement for item in judged}.values()
        numbers = [
            *self._finished.numbers,
            self.tracker.table.flows.first_no[settled],
            np.array([item.card.number for item in judged], np.int64),
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

    def _judge_all(self, capture: CaptureFacts) -> list[Line]:
        """Judge the flows that are not settled; nothing is kept of them but what a line needs."""

        def judged(facts: FlowFacts) -> Line | None:
            if not is_proxied(facts, capture):
                return None
            judgement = judge(facts, capture, self.catalogue, texts=False)
            report = flow_report(facts, judgement, capture, 0, steps=False, bare=True)
            return Line(card(facts, judgement, capture), judgement, table_row(report))

        return Alike(self.tracker, capture, judged).lines(self._due(capture, final=True))

    def _relate_to(
        self, show: Show, judged: list[Line], capture: CaptureFacts
    ) -> tuple[Finding, ...]:
        """Judge the flows again in the light of all; findings about the capture."""
        settled = self.tracker.settled_flows()
        told = settled_cards(self.tracker, self.tracker.witnesses())
        witnesses = [*self._finished.witnesses, *told]
        cards = [*[item.card for item in judged], *chosen(witnesses)]
        hands: list[Hand] = show(
            Hand(list(zip(*cards, strict=True)), len(judged), len(settled) + self._finished.count)
        )
        deck, places = dealt(hands, self._index)
        flows = sum(hand.settled + hand.judged for hand in hands)
        capture = replace(capture, settled=flows - len(deck))
        own = {at: (None, judged[place].judgement) for at, place in places.items()}
        for at, judgement in relate_cards(deck, own, capture, self.catalogue).items():
            judged[places[at]] = _judged_again(judged[places[at]], judgement)
        return judge_cards(deck, capture, self.catalogue) if self._index == 0 else ()


def _judged_again(line: Line, judgement: Judgement) -> Line:
    """A line in the light of what the others said."""
    if judgement is line.judgement:
        return line
    rules = " ".join([item.rule for item in judgement.findings])
    row = line.row._replace(verdict=judgement.verdict, rules=rules)
    return Line(line.card, judgement, row)


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
        The cards, and for those of judged flows in hand ``mine``: their place in that hand,
        by their place among all.
    """
    judged: list[tuple[Card, int, int]] = []
    witnesses: list[Card] = []
    for number, hand in enumerate(hands):
        cards = hand.cards()
        judged += [(card, number, place) for place, card in enumerate(cards[: hand.judged])]
        witnesses += cards[hand.judged :]
    every = [*judged, *[(card, UNKNOWN, UNKNOWN) for card in chosen(witnesses)]]
    every.sort(key=lambda item: item[0].number)
    places = {at: place for at, (_, number, place) in enumerate(every) if number == mine}
    return [card for card, _, _ in every], places


def joined(parts: Sequence[Rows]) -> Report:
    """One report of all shares."""
    numbers = np.concatenate([part.numbers for part in parts])
    lines = [line for part in parts for text in part.texts for line in text.split("\n")]
    order = np.argsort(numbers, kind="stable").tolist()
    return Report(
        source=parts[0].source,
        flows=(),
        other_flows=sum(part.other_flows for part in parts),
        findings=parts[0].findings,
        not_understood=parts[0].not_understood,
        table=Table([lines[at] for at in order], max(part.gravest for part in parts)),
    )
