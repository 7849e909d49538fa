"""What a screen shows of any moment of a recording: reports, facts and packets as of then.

A flow that was over by then and closed is as it was at the end: the same objects. A flow that
had not begun is not there. ``looks`` knows the others. Rules about absence are judged by the
clock, as they were in a live capture.

Two things are known from the start that a live capture would have had to learn: which servers
are proxies, and so which flows are listed; and their numbers. A tunnel is in the list from its
first packet on and keeps its number, whichever way the clock runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final, NamedTuple, TypeVar

import numpy as np

from capture.analysis import JudgedFlow
from capture.facts import CaptureFacts, Endpoint, FlowFacts
from capture.frames import Ints
from capture.judging import Judgement
from capture.judging.cards import Card, card, target
from capture.judging.relate import relate_cards
from capture.judging.second_leg import in_light_of_legs
from capture.judging.whole import judge_cards
from capture.keeping.store import PacketStore
from capture.packets.index import PacketView
from capture.replay.clock import Times
from capture.replay.looks import Look, Looks
from capture.replay.recorder import Recorder
from capture.replay.resume import Resumed, Resumer
from capture.report.build import flow_report
from capture.report.model import Finding, FlowReport, Report, Severity, SourceReport
from capture.second_leg.pairing import SecondLeg

MANY: Final = 2000
"""Of captures with more tunnels than this, only some of the plainly healthy ones are shown to
the rules about several flows."""
REASONS: Final = 16
"""Reasons why frames were not understood that are told at most."""

T = TypeVar("T")


class Moment(NamedTuple):
    """The capture as it was."""

    report: Report
    facts: dict[int, FlowFacts]
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
        # In order of the flows' numbers, all three: see ``_Begun``.
        flows = sorted(report.flows, key=lambda flow: flow.uid)
        self._reports = {flow.uid - 1: flow for flow in flows}
        judged = analysis.judged()
        self._ends = {flow: judged[flow] for flow in self._reports}
        self._looks = Looks(
            self._ends, analysis.tracker.icmp, self._resumer, self.times, self._capture,
            self._catalogue,
        )  # fmt: skip
        self._listed = _Begun(list(self._ends), self._resumer.first)
        self._cards = _cards(self._ends, self._capture)
        self._dealt = _Begun(list(self._cards), self._resumer.first)
        self._rev = 1 + max((flow.rev for flow in report.flows), default=0)
        self._made: dict[int, FlowReport] = {}
        """Reports of the last moment that are not those of the end."""
        self._unfinished: dict[int, Resumed] = {}
        """The last moment, while there is more to be looked at."""

    def at(self, number: int, now_ns: int, *, afresh: bool = True) -> Moment:
        """The capture after a packet.

        Args:
            number: Of the packet; 0: before the first.
            now_ns: Capture time at which absence is judged, from that packet's time on.
            afresh: Tell how long was waited to the moment; without, as a live capture that
                goes on: as of when it began to matter.

        Raises:
            FrameGone: The frames cannot be read again.
        """
        resumed = self._unfinished.pop(number, None) or self._resumer.after(number)
        capture = self._capture_at(resumed, number, now_ns)
        begun = self._listed.by(number)
        looks = self._looks.at(resumed, begun, number, capture, afresh=afresh)
        related, findings = self._relate(looks, resumed, number, len(begun), capture)
        reports = dict(zip(begun.tolist(), self._listed.some(self._reports, number), strict=True))
        facts = {flow + 1: end.facts for flow, end in zip(
            reports, self._listed.some(self._ends, number), strict=True)}  # fmt: skip
        self._describe(reports, looks, related, capture)
        facts.update((flow + 1, look.facts) for flow, look in looks.items())
        self._unfinished.clear()
        if self._looks.behind:
            self._unfinished[number] = resumed
            for flow in begun[self._resumer.last[begun] > number].tolist():
                if flow not in looks:
                    del reports[flow], facts[flow + 1]
        report = replace(
            self.end,
            source=self._source_at(number),
            flows=tuple(reports.values()),
            other_flows=int(np.count_nonzero(self._resumer.first <= number)) - len(begun),
            findings=findings,
            not_understood=capture.not_understood,
        )
        packets = self._packets_at(resumed, begun, number)
        return Moment(report, facts, packets, self._looks.behind)

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
        proof, last = self.proof(self._reports[flow]), int(self._resumer.last[flow])
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
    ) -> tuple[dict[int, Judgement], tuple[Finding, ...]]:
        """Let flows shed light on each other, and judge the capture.

        Returns:
            Judgements of flows, in the light of the others, and findings of the capture.
        """
        flows = self._dealt.by(number).tolist()
        cards = dict(zip(flows, self._dealt.some(self._cards, number), strict=True))
        cards.update((flow, look.card) for flow, look in looks.items())
        order = sorted(cards)
        own: dict[int, tuple[FlowFacts, Judgement]] = {}
        for at, flow in enumerate(order):
            seen = looks.get(flow) or self._ends[flow]
            found = seen.judgement.findings or seen.judgement.verdict != "ok"
            if found or (flow in looks and self._ends[flow].legs):
                own[at] = seen.facts, seen.judgement
        deck = [cards[flow] for flow in order]
        capture = replace(capture, settled=begun - len(deck))
        related = relate_cards(deck, own, capture, self._catalogue)
        findings = judge_cards(deck, capture, self._catalogue)
        shown = {order[at]: judgement for at, judgement in related.items()}
        told = {order[at]: facts for at, (facts, _) in own.items()}
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
        reports: dict[int, FlowReport],
        looks: Mapping[int, Look],
        related: Mapping[int, Judgement],
        capture: CaptureFacts,
    ) -> None:
        """Put the reports of flows that are not as at the end in place of those."""
        made: dict[int, FlowReport] = {}
        for flow, judgement in related.items():
            end = self._ends[flow]
            if flow not in looks and judgement != end.shown:
                made[flow] = self._report(flow, end.facts, judgement, capture)
        for flow, look in looks.items():
            judgement = related.get(flow, look.judgement)
            if look.report is None or look.reported != judgement:
                look.report = self._report(flow, look.facts, judgement, capture)
                look.reported = judgement
            made[flow] = look.report
        reports.update(made)
        self._made = made

    def _report(
        self, flow: int, facts: FlowFacts, judgement: Judgement, capture: CaptureFacts
    ) -> FlowReport:
        """A report; the one shown before where it would say the same."""
        end = self._reports[flow]
        before = self._made.get(flow, end)
        report = flow_report(facts, judgement, capture, end.id, rev=before.rev)
        if report == before:
            return before
        self._rev += 1
        return replace(report, rev=self._rev)

    # -- the capture as a whole -------------------------------------------------------

    def _capture_at(self, resumed: Resumed, number: int, now_ns: int) -> CaptureFacts:
        end, decoder = self._capture, resumed.decoder
        times = self.packets.rows["time_ns"][:number]
        return replace(
            end,
            first_ns=int(times.min()) if number else now_ns,
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
        rows = self.packets.rows[:number]
        timed = number and self.end.source.first_ns is not None
        return replace(
            self.end.source,
            packets=number,
            bytes=int(rows["wirelen"].sum(dtype=np.int64)),
            first_ns=int(rows["time_ns"].min()) if timed else None,
            last_ns=int(rows["time_ns"].max()) if timed else None,
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


class _Begun:
    """Flows in order of their numbers, and which of them had begun by a packet.

    Flows are numbered as they begin, so that these nearly always are the first of them.
    """

    def __init__(self, flows: list[int], first: Ints) -> None:
        self._flows: Ints = np.array(flows, np.int64)
        self._first: Ints = first[self._flows]
        self._in_order = bool((np.diff(self._first) >= 0).all())

    def by(self, number: int) -> Ints:
        """The flows that had begun by a packet, ascending."""
        return self._flows[self._places(number)]

    def some(self, values: Mapping[int, T], number: int) -> list[T]:
        """The values of these flows, of a mapping from all flows in the same order."""
        places = self._places(number)
        known = list(values.values())
        return known[places] if isinstance(places, slice) else [known[at] for at in places.tolist()]

    def _places(self, number: int) -> slice | Ints:
        if self._in_order:
            return slice(int(np.searchsorted(self._first, number, "right")))
        return np.flatnonzero(self._first <= number)


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
