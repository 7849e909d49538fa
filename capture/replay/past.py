"""What a screen shows of any moment of a recording: reports, facts and packets as of then.

A flow that was over by then and closed is as it was at the end: the same objects. A flow that
had not begun is not there. ``looks`` knows the others. Rules about absence are judged by the
clock, as they were in a live capture.

Two things are known from the start that a live capture would have had to learn: which servers
are proxies, and so which flows are listed; and their numbers. A tunnel is in the list from its
first packet on and keeps its number, whichever way the clock runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import compress
from typing import Final, NamedTuple

import numpy as np

from capture.facts import CaptureFacts, FlowFacts
from capture.frames import Ints
from capture.judging import Judgement
from capture.judging.relate import relate_cards
from capture.judging.second_leg import in_light_of_legs
from capture.judging.whole import judge_cards
from capture.keeping.store import PacketStore
from capture.packets.index import PacketView
from capture.replay.begun import Begun, FactsThen, Totals
from capture.replay.clock import Times
from capture.replay.deck import Deck
from capture.replay.giving_way import GiveWay, go_on
from capture.replay.looks import Look, Looks
from capture.replay.recorder import Recorder
from capture.replay.resume import Resumed, Resumer
from capture.report.build import flow_report
from capture.report.model import Finding, FlowReport, Report, Severity, SourceReport
from capture.second_leg.pairing import SecondLeg

MANY: Final = 32
"""Flows described between two chances for the screen."""
REASONS: Final = 16
"""Reasons why frames were not understood that are told at most."""


class Moment(NamedTuple):
    """The capture as it was."""

    report: Report
    facts: Mapping[int, FlowFacts]
    """By flow uid, of the reported flows."""
    packets: PacketView
    behind: int = 0
    """Flows that there was no time for; asked for again, the same moment has more."""


class Past:
    """The moments of a recording that was read to its end.

    Args:
        recorder: Took all its blocks.
        report: The final report.
        store: Where the frames are.
    """

    def __init__(self, recorder: Recorder, report: Report, store: PacketStore) -> None:
        analysis = recorder.analysis
        assert analysis.index is not None
        self.end = report
        """The final report."""
        self.packets = analysis.index.view()
        """All packets of the recording."""
        self.times = Times(self.packets.rows["time_ns"])
        self._resumer = Resumer(recorder, self.packets.rows, store)
        self._tracker = analysis.tracker
        self._capture = analysis.capture_facts()
        self._catalogue = analysis.catalogue
        # In order of the flows' numbers, all of them: see ``Begun``.
        flows = sorted(report.flows, key=lambda flow: flow.uid)
        self._reports = flows
        judged = analysis.judged()
        self._ends = {flow.uid - 1: judged[flow.uid - 1] for flow in flows}
        self._looks = Looks(
            self._ends, analysis.tracker.icmp, self._resumer, self.times, self._capture,
            self._catalogue,
        )  # fmt: skip
        self._listed = Begun(list(self._ends), self._resumer.first)
        self._deck = Deck(self._ends, self._resumer.first, self._capture)
        self._totals = Totals(self.packets.rows)
        self._rev = 1 + max((flow.rev for flow in report.flows), default=0)
        self._made: dict[int, FlowReport] = {}
        """Reports of the last moment that are not those of the end."""
        self._unfinished: dict[int, Resumed] = {}
        """The last moment, while there is more to be looked at."""

    def at(
        self, number: int, now_ns: int, *, afresh: bool = True, give_way: GiveWay = go_on
    ) -> Moment:
        """The capture after a packet.

        Args:
            number: Of the packet; 0: before the first.
            now_ns: Capture time at which absence is judged, from that packet's time on.
            afresh: Tell how long was waited to the moment; without, as a live capture that
                goes on: as of when it began to matter.
            give_way: Called now and then.

        Raises:
            FrameGone: The frames cannot be read again.
        """
        resumed = self._unfinished.pop(number, None) or self._resumer.after(number, give_way)
        give_way()
        capture = self._capture_at(resumed, number, now_ns)
        begun = self._listed.by(number)
        looks = self._looks.at(resumed, begun, number, capture, afresh=afresh, give_way=give_way)
        give_way()
        related, findings = self._relate(looks, resumed, number, len(begun), capture, give_way)
        give_way()
        reports = self._listed.some(self._reports, number)
        made = self._describe(looks, related, capture, give_way)
        give_way()
        for place, flow in zip(np.searchsorted(begun, list(made)).tolist(), made, strict=True):
            reports[place] = made[flow]
        self._unfinished.clear()
        listed = begun
        if self._looks.behind:
            self._unfinished[number] = resumed
            known = (self._resumer.last[begun] <= number) | np.isin(begun, list(looks))
            listed, reports = begun[known], list(compress(reports, known.tolist()))
        facts = {flow: look.facts for flow, look in looks.items()}
        report = replace(
            self.end,
            source=self._source_at(number),
            flows=tuple(reports),
            other_flows=int(np.count_nonzero(self._resumer.first <= number)) - len(begun),
            findings=findings,
            not_understood=capture.not_understood,
        )
        packets = self._packets_at(resumed, begun, number)
        return Moment(report, FactsThen(listed, self._ends, facts), packets, self._looks.behind)

    @property
    def rests(self) -> Sequence[int]:
        """Packets after which the capture is known without reading frames again."""
        return self._resumer.places

    def prepare(self) -> Iterator[None]:
        """Do what later moments need, a little at each step."""
        return self._looks.prepare()

    def facts_at_end(self, uid: int) -> FlowFacts | None:
        """Everything known of a reported flow; None for others."""
        known = self._ends.get(uid - 1)
        return known.facts if known is not None else None

    def proof(self, flow: FlowReport) -> int:
        """Number of the last packet that a failing flow's gravest finding rests on."""
        numbers = flow.findings[0].packets
        return max(numbers) if numbers else int(self._resumer.last[flow.uid - 1])

    def when_failing(self, uid: int) -> tuple[int, int]:
        """The moment from which a failing flow is shown as failing: packets by then, and time.

        With the last packet that proves it, with the flow's last packet, or when enough time
        has gone by without another one.

        Raises:
            FrameGone: The frames cannot be read again.
        """
        flow = uid - 1
        proof, last = self.proof(self._report_at_end(flow)), int(self._resumer.last[flow])
        for number in sorted({proof, max(proof, last)}):
            now_ns = self.times.of(number)
            shown = self.at(number, now_ns).report.flows
            if any(item.uid == uid and item.failing for item in shown):
                return number, now_ns
        for look in self._looks.waits(flow) if not self._ends[flow].facts.closes else ():
            findings = look.judgement.findings
            if findings and findings[0].severity is Severity.PROBLEM:
                return self.times.packets_by(look.judged_ns), look.judged_ns
        return len(self.times), self.times.last_ns

    # -- the flows --------------------------------------------------------------------

    def _relate(
        self,
        looks: Mapping[int, Look],
        resumed: Resumed,
        number: int,
        begun: int,
        capture: CaptureFacts,
        give_way: GiveWay,
    ) -> tuple[dict[int, Judgement], tuple[Finding, ...]]:
        """Let flows shed light on each other, and judge the capture.

        Returns:
            Judgements of flows, in the light of the others, and findings of the capture.
        """
        flows, deck, own = self._deck.at(number, looks)
        give_way()
        capture = replace(capture, settled=begun - len(deck))
        related = relate_cards(deck, own, capture, self._catalogue, give_way)
        give_way()
        findings = judge_cards(deck, capture, self._catalogue)
        shown = {flows[at]: judgement for at, judgement in related.items()}
        told = {flows[at]: facts for at, (facts, _) in own.items()}
        for flow, legs in self._legs(resumed, list(told), number).items():
            shown[flow] = in_light_of_legs(shown[flow], told[flow], legs, capture, self._catalogue)
        return shown, findings

    def _legs(self, resumed: Resumed, flows: list[int], number: int) -> dict[int, list[SecondLeg]]:
        """Second legs as they were. Which tunnel each belongs to is known from the start, too."""
        legs = {flow: self._ends[flow].legs for flow in flows if self._ends[flow].legs}
        begun = [leg for item in legs.values() for leg in item if leg.facts.first.number <= number]
        went_on = [leg.facts.id for leg in begun if leg.facts.last.number > number]
        facts = {item.id: item for item in resumed.tracker.facts_of([id - 1 for id in went_on])}
        seen = {}
        for leg in begun:
            errors = tuple(error for error in leg.facts.icmp if error.number <= number)
            now = facts.get(leg.facts.id, leg.facts)
            seen[leg.facts.id] = replace(leg, facts=replace(now, icmp=errors))
        return {
            flow: found
            for flow, item in legs.items()
            if (found := [seen[leg.facts.id] for leg in item if leg.facts.id in seen])
        }

    def _describe(
        self,
        looks: Mapping[int, Look],
        related: Mapping[int, Judgement],
        capture: CaptureFacts,
        give_way: GiveWay,
    ) -> dict[int, FlowReport]:
        """The reports of the flows that are not as at the end."""
        made: dict[int, FlowReport] = {}
        for flow, judgement in related.items():
            end = self._ends[flow]
            # Nearly all are the same object, and comparing them costs more than all else.
            if judgement is end.shown or flow in looks or judgement == end.shown:
                continue
            made[flow] = self._report(flow, end.facts, judgement, capture)
        for place, (flow, look) in enumerate(looks.items()):
            if place % MANY == 0:
                give_way()
            judgement = related.get(flow, look.judgement)
            if look.report is None or look.reported != judgement:
                look.report = self._report(flow, look.facts, judgement, capture)
                look.reported = judgement
            made[flow] = look.report
        self._made = made
        return made

    def _report(
        self, flow: int, facts: FlowFacts, judgement: Judgement, capture: CaptureFacts
    ) -> FlowReport:
        """A report; the one shown before where it would say the same."""
        end = self._report_at_end(flow)
        before = self._made.get(flow, end)
        report = flow_report(facts, judgement, capture, end.id, rev=before.rev)
        if report == before:
            return before
        self._rev += 1
        return replace(report, rev=self._rev)

    def _report_at_end(self, flow: int) -> FlowReport:
        return self._reports[int(np.searchsorted(self._listed.flows, flow))]

    # -- the capture as a whole -------------------------------------------------------

    def _capture_at(self, resumed: Resumed, number: int, now_ns: int) -> CaptureFacts:
        end, decoder = self._capture, resumed.decoder
        return replace(
            end,
            first_ns=self._totals.by(number).first_ns if number else now_ns,
            last_ns=now_ns,
            packets=number,
            live=True,
            icmp=tuple([error for error in end.icmp if error.number <= number]),
            dns=tuple([message for message in end.dns if message.number <= number]),
            not_understood=tuple(decoder.not_understood.most_common(REASONS)),
            fragments_dropped=decoder.fragments_dropped,
            tcp_flows=int(np.count_nonzero(self._resumer.first <= number)),
        )

    def _source_at(self, number: int) -> SourceReport:
        total = self._totals.by(number)
        timed = number and self.end.source.first_ns is not None
        return replace(
            self.end.source,
            packets=number,
            bytes=total.bytes,
            first_ns=total.first_ns if timed else None,
            last_ns=total.last_ns if timed else None,
        )

    def _packets_at(self, resumed: Resumed, begun: Ints, number: int) -> PacketView:
        """The packets so far, with the sides of each flow as they were believed to be."""
        rows = self.packets.rows[:number]
        flows = begun[self._resumer.last[begun] > number]
        then, end = resumed.tracker.table.flows, self._tracker.table.flows
        turned = flows[then.client[flows] != end.client[flows]]
        if len(turned):
            rows = rows.copy()
            rows["sender"][np.isin(rows["flow"], turned + 1)] ^= 1
        return PacketView(rows)
