"""What a screen shows of any moment of a recording: reports, facts and packets as of then.

A flow that was over by then and closed is as it was at the end: the same objects. A flow that
had not begun is not there. Only flows that were open at that moment are looked at again, in
the state that ``resume`` gives them. Rules about absence are judged by the clock, as they were
in a live capture.

Two things are known from the start that a live capture would have had to learn: which servers
are proxies, and so which flows are listed; and their numbers. A tunnel is in the list from its
first packet on and keeps its number, whichever way the clock runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import numpy as np

from capture.analysis import JudgedFlow
from capture.facts import CaptureFacts, Endpoint, FlowFacts
from capture.frames import Ints
from capture.judging import Judgement, judge
from capture.judging.cards import Card, card, target
from capture.judging.relate import relate_cards
from capture.judging.whole import judge_cards
from capture.packets import PacketView
from capture.replay.clock import Times
from capture.replay.recorder import Recorder
from capture.replay.resume import Resumed, Resumer
from capture.report.build import flow_report
from capture.report.model import Finding, FlowReport, Report, Severity, SourceReport
from capture.store import PacketStore

MANY: Final = 2000
"""Of captures with more tunnels than this, only some of the plainly healthy ones are shown to
the rules about several flows."""
REASONS: Final = 16
"""Reasons why frames were not understood that are told at most."""


class Moment(NamedTuple):
    """The capture as it was."""

    report: Report
    facts: dict[int, FlowFacts]
    """By flow uid, of the reported flows."""
    packets: PacketView


@dataclass(slots=True)
class _Look:
    """A flow as it was when it was not, or not yet known to be, as it is at the end."""

    stamp: tuple[int, int]
    """Its packets and ICMP errors by then: the same stamp means the same facts."""
    facts: FlowFacts
    judgement: Judgement
    """Of the flow alone."""
    judged_ns: int
    card: Card


class Past:
    """The moments of a recording that was read to its end.

    Args:
        recorder: Took all its blocks.
        report: The final report.
        store: Where the frames are.
    """

    def __init__(self, recorder: Recorder, report: Report, store: PacketStore) -> None:
        analysis = self._analysis = recorder.analysis
        assert analysis.index is not None
        self.end = report
        """The final report."""
        self.packets = analysis.index.view()
        """All packets of the recording."""
        self.times = Times(self.packets.rows["time_ns"])
        self._resumer = Resumer(recorder, self.packets.rows, store)
        self._capture = analysis.capture_facts()
        self._ends: dict[int, JudgedFlow] = analysis.judged()
        self._reports = {flow.uid - 1: flow for flow in report.flows}
        self._listed = np.array(sorted(self._reports), np.int64)
        self._first = self._resumer.first
        self._open = np.zeros(len(self._first), np.bool_)
        """Flows that nobody closed: time changes what is said of them."""
        self._open[[flow for flow in self._reports if not self._ends[flow].facts.closes]] = True
        self._errors = analysis.tracker.icmp
        self._last_error = np.zeros(len(self._first), np.int64)
        for flow, errors in self._errors.items():
            self._last_error[flow] = max(error.number for error in errors)
        self._cards = _cards(self._ends, self._listed, self._capture)
        self._looks: dict[int, _Look] = {}
        self._made: dict[int, FlowReport] = {}
        """Reports of the last moment that are not those of the end."""
        self._rev = 1 + max((flow.rev for flow in report.flows), default=0)

    def at(self, number: int, now_ns: int, *, afresh: bool = True) -> Moment:
        """The capture after a packet.

        Args:
            number: Of the packet; 0: before the first.
            now_ns: Capture time at which absence is judged, from that packet's time on.
            afresh: Judge all that time changes anew. Without, only what changed since the
                moment asked for before, as while capturing live.

        Raises:
            FrameGone: The frames cannot be read again.
        """
        resumed = self._resumer.after(number)
        capture = self._capture_at(resumed, number, now_ns)
        begun = self._listed[self._first[self._listed] <= number]
        self._look(resumed, begun, number, capture, afresh)
        related, findings = self._relate(begun, capture)
        flows = self._flow_reports(begun, related, capture)
        report = replace(
            self.end,
            source=self._source_at(number),
            flows=flows,
            other_flows=int(np.count_nonzero(self._first <= number)) - len(flows),
            findings=findings,
            not_understood=capture.not_understood,
        )
        looks, ends = self._looks, self._ends
        facts = {
            flow + 1: looks[flow].facts if flow in looks else ends[flow].facts
            for flow in begun.tolist()
        }
        return Moment(report, facts, self._packets_at(resumed, begun, number))

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
        look, facts = self._looks.get(flow), self._ends[flow].facts
        until_ns = look.judgement.until_ns if look is not None else None
        while until_ns is not None and until_ns < self._capture.last_ns:
            capture = replace(self._capture, last_ns=until_ns)
            judgement = judge(facts, capture, self._analysis.catalogue)
            if judgement.findings and judgement.findings[0].severity is Severity.PROBLEM:
                return self.times.packets_by(until_ns), until_ns
            until_ns = judgement.until_ns
        return len(self.times), self.times.last_ns

    # -- the flows --------------------------------------------------------------------

    def _look(
        self, resumed: Resumed, begun: Ints, number: int, capture: CaptureFacts, afresh: bool
    ) -> None:
        """Look at the flows of which something else may be said than at the end."""
        looks: dict[int, _Look] = {}
        goes_on = self._resumer.last[begun] > number
        for flow, facts, stamp in (
            *self._unfinished(resumed, begun[goes_on], number),
            *self._finished(begun[~goes_on], number),
        ):
            before = self._looks.get(flow)
            if before is not None and before.stamp == stamp:
                facts = before.facts
                if not afresh and _holds(before, capture.last_ns):
                    looks[flow] = before
                    continue
            judgement = judge(facts, capture, self._analysis.catalogue)
            made = card(facts, judgement, capture)
            looks[flow] = _Look(stamp, facts, judgement, capture.last_ns, made)
        self._looks = looks

    def _unfinished(self, resumed: Resumed, flows: Ints, number: int) -> _Seen:
        """Flows of which more packets follow."""
        tracker = resumed.tracker
        up = tracker.table.sides.packets[2 * flows]
        packets = (up + tracker.table.sides.packets[2 * flows + 1]).tolist()
        changed = []
        for flow, count in zip(flows.tolist(), packets, strict=True):
            errors = [e for e in self._errors.get(flow, ()) if e.number <= number]
            if errors:
                tracker.icmp[flow] = errors
            stamp = count, len(errors)
            before = self._looks.get(flow)
            if before is not None and before.stamp == stamp:
                yield flow, before.facts, stamp
            else:
                changed.append((flow, stamp))
        facts = tracker.facts_of([flow for flow, _ in changed])
        for (flow, stamp), found in zip(changed, facts, strict=True):
            yield flow, found, stamp

    def _finished(self, flows: Ints, number: int) -> _Seen:
        """Flows whose last packet was seen, but of which time or an ICMP error tells more."""
        later = self._last_error[flows] > number
        for flow in flows[self._open[flows] | later].tolist():
            facts = self._ends[flow].facts
            errors = tuple([e for e in facts.icmp if e.number <= number])
            stamp = facts.packets, len(errors)
            if len(errors) < len(facts.icmp):
                facts = replace(facts, icmp=errors)
            yield flow, facts, stamp

    def _relate(
        self, begun: Ints, capture: CaptureFacts
    ) -> tuple[dict[int, Judgement], tuple[Finding, ...]]:
        """Let flows shed light on each other, and judge the capture."""
        looks, ends = self._looks, self._ends
        order: list[int] = []
        deck: list[Card] = []
        own: dict[int, tuple[FlowFacts, Judgement]] = {}
        for flow in begun.tolist():
            look = looks.get(flow)
            made = self._cards.get(flow) if look is None else look.card
            if made is None:
                continue
            facts, judgement = (
                (ends[flow].facts, ends[flow].judgement)
                if look is None
                else (look.facts, look.judgement)
            )
            if judgement.findings or judgement.verdict != "ok":
                own[len(deck)] = facts, judgement
            order.append(flow)
            deck.append(made)
        capture = replace(capture, settled=len(begun) - len(deck))
        related = relate_cards(deck, own, capture, self._analysis.catalogue)
        findings = judge_cards(deck, capture, self._analysis.catalogue)
        return {order[at]: judgement for at, judgement in related.items()}, findings

    def _flow_reports(
        self, begun: Ints, related: dict[int, Judgement], capture: CaptureFacts
    ) -> tuple[FlowReport, ...]:
        """Reports of all flows; those that say what they said before are the same objects."""
        reports, made = [], {}
        for flow in begun.tolist():
            look, end = self._looks.get(flow), self._ends[flow]
            report = self._reports[flow]
            facts, judgement = (
                (end.facts, end.judgement) if look is None else (look.facts, look.judgement)
            )
            judgement = related.get(flow, judgement)
            if facts is not end.facts or judgement != end.shown:
                report = self._describe(flow, facts, judgement, capture)
                if report is not self._reports[flow]:
                    made[flow] = report
            reports.append(report)
        self._made = made
        return tuple(reports)

    def _describe(
        self, flow: int, facts: FlowFacts, judgement: Judgement, capture: CaptureFacts
    ) -> FlowReport:
        """The report of a flow as it was: one that there is already, or a new one."""
        number = self._reports[flow].id
        report = flow_report(facts, judgement, capture, number)
        for known in (self._made.get(flow), self._reports[flow]):
            if known is not None and replace(report, rev=known.rev) == known:
                return known
        self._rev += 1
        return replace(report, rev=self._rev)

    # -- the capture as a whole -------------------------------------------------------

    def _capture_at(self, resumed: Resumed, number: int, now_ns: int) -> CaptureFacts:
        end, decoder = self._capture, resumed.decoder
        times = self.packets.rows["time_ns"][:number]
        return replace(
            end,
            first_ns=int(times.min()) if number else now_ns,
            last_ns=max(now_ns, int(times.max())) if number else now_ns,
            packets=number,
            icmp=tuple([error for error in end.icmp if error.number <= number]),
            dns=tuple([message for message in end.dns if message.number <= number]),
            not_understood=tuple(decoder.not_understood.most_common(REASONS)),
            fragments_dropped=decoder.fragments_dropped,
            tcp_flows=int(np.count_nonzero(self._first <= number)),
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
        then, end = resumed.tracker.table.flows, self._analysis.tracker.table.flows
        turned = flows[then.client[flows] != end.client[flows]]
        if len(turned):
            rows = rows.copy()
            rows["sender"][np.isin(rows["flow"], turned + 1)] ^= 1
        return PacketView(rows)


_Seen = Iterator[tuple[int, FlowFacts, tuple[int, int]]]
"""Flows, their facts, and the stamps of these."""


def _holds(look: _Look, now_ns: int) -> bool:
    """Whether what was judged still holds, as far as time is concerned."""
    until = look.judgement.until_ns
    return look.judged_ns <= now_ns and (until is None or now_ns < until)


def _cards(ends: dict[int, JudgedFlow], listed: Ints, capture: CaptureFacts) -> dict[int, Card]:
    """Cards of the flows as they were at the end; of many plainly healthy ones only those
    that stand for all: the first of each client, and two server names of each target."""
    cards: dict[int, Card] = {}
    seen: set[tuple[str, Endpoint]] = set()
    names: dict[tuple[Endpoint, str], set[str | None]] = {}
    for flow in listed.tolist():
        facts, judgement = ends[flow].facts, ends[flow].judgement
        if judgement.verdict == "ok" and not judgement.findings and len(listed) > MANY:
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
