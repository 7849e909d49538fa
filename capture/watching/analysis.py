"""A capture that goes on: judged while it lasts, within bounds, four times a second.

What differs from a file: time passes without packets, so absences are judged by the source's
clock; a report may take a tenth of a second at most, whatever happens on the wire; nothing may
grow for ever; and a flow keeps its number in the list when others go.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from typing import Final

import numpy as np

from capture.analysis import Analysis
from capture.decode.decoder import MAX_DNS
from capture.facts import CaptureFacts, FlowFacts
from capture.frames import FrameBlock, Ints, SourceInfo
from capture.judged import JudgedFlow
from capture.judging import Catalogue, Judgement, judge
from capture.judging.cards import Card, card
from capture.judging.select import CANDIDATE_PORTS, SCAN, is_proxied
from capture.judging.whole import NAME_WAIT_NS
from capture.options import AnalysisOptions
from capture.packets.building import PacketIndex
from capture.report.model import Finding, FlowReport, Report, SourceReport, Warning
from capture.tracking.table import renumbered
from capture.units import plural
from capture.watching import bounds
from capture.watching.attention import UNLISTED, Attention, Mask
from capture.watching.cleared import Cleared

BUDGET_S: Final = 0.1
"""Time that looking at flows may take for one report."""

BATCH: Final = 64
"""Flows looked at before the time is looked at."""

RELATE_SHARE: Final = 0.1
"""Share of the time that may go into comparing flows with each other."""

RELATE_NS: Final = 1_000_000_000
"""They are compared at least once in this time even if nothing came."""


class LiveAnalysis(Analysis):
    """State of a live capture's analysis.

    Bounds hold and numbers stay from the moment the source has a clock
    (``SourceInfo.clock_ns``): until then it may be a file that comes through a pipe.
    """

    def __init__(self, info: SourceInfo, options: AnalysisOptions, catalogue: Catalogue) -> None:
        self._max_flows = bounds.LIVE_FLOWS if options.max_flows is None else options.max_flows
        self._max_packets = max(
            2, bounds.LIVE_PACKETS if options.max_packets is None else options.max_packets
        )
        super().__init__(info, options, catalogue)
        self._others_evicted = 0
        self._most_addresses = bounds.ADDRESSES
        self._ended = False
        self._late = False
        """Whether flows went on that were not looked at since."""
        self._last: Report | None = None
        self._last_state: tuple[object, ...] = ()
        self._attention = Attention(self.tracker.table)
        self._cards_made: dict[int, tuple[Judgement, Card]] = {}
        """The card of each judged flow, and the judgement it was made with."""
        self._restate: set[int] = set()
        """Judged flows whose report may have to be made anew."""
        self._facts_by_id: dict[int, FlowFacts] = {}
        self._numbers = 0
        """Numbers given to flows."""
        self._scanned = 0
        """Frame up to which flows were searched for what they say of the capture."""
        self._context: tuple[object, ...] = ()
        """What decided, when it was last looked at, which silent flows are listed."""
        self._moved = False
        """Whether a flow was judged since all were compared."""
        self._compared_ns = 0
        self._compare_at = 0.0
        self._whole: tuple[Finding, ...] = ()
        self._cleared = Cleared()

    def _packet_index(self) -> PacketIndex:
        return PacketIndex(self._max_packets)

    @property
    def live(self) -> bool:
        """Whether the source keeps up with the clock."""
        return self.info.clock_ns is not None or self.info.format == "live"

    @property
    def clock_ns(self) -> int:
        """The moment the capture has got to, ns since the epoch."""
        return max(self._last_ns or 0, self.info.clock_ns or 0)

    @property
    def evicted_packets(self) -> int:
        """Packet rows let go to stay within the bounds."""
        return self.index.dropped if self.index is not None else 0

    def take(self, block: FrameBlock) -> None:
        """Analyse the next block, and let go of what there is no room for."""
        super().take(block)
        if not self.live:
            return
        if len(self.tracker) > self._max_flows:
            self._let_go()
        if self.index is not None and self.index.full:
            table = self.tracker.table
            self.index.trim(
                table.flows.uid[: table.count],
                bounds.worth_of_packets(table, self._attention),
            )
        if len(self._dns) > MAX_DNS // 2:
            del self._dns[: MAX_DNS // 4]
            self.decoder.renew()
        if len(self.decoder.addresses) > self._most_addresses:
            self.decoder.addresses.keep(self._addresses())
            self._most_addresses = bounds.ADDRESSES + 2 * len(self.decoder.addresses)

    def _addresses(self) -> set[int]:
        """Address numbers that something still refers to."""
        table = self.tracker.table
        ends = (table.flows.client[: table.count], table.flows.proxy[: table.count])
        used = {number for column in ends for number in (column >> 16).tolist()}
        for error in chain(self.tracker.stray_icmp, *self.tracker.icmp.values()):
            used.update((error.sender, error.receiver, error.src, error.dst))
        for message in self._dns:
            used.update((message.client, message.server, *message.answers))
        return used

    # -- letting go -------------------------------------------------------------------

    def clear(self) -> None:
        """Forget what was seen, as far as it is over.

        Connections still open are followed on, and are listed again when they go on: what
        they opened with is not lost.
        """
        table = self.tracker.table
        self._attention.grow()
        self._keep(np.flatnonzero(~self._attention.over()))
        self._attention.hide(np.arange(table.count))
        self._judged.clear()
        self._cards_made.clear()
        self._facts_by_id.clear()
        self._restate.clear()
        if self.index is not None:
            self.index.clear()
        self._dns.clear()
        self.tracker.stray_icmp.clear()
        self.packets = self.bytes = 0
        self._first_ns = self._last_ns = None
        self._last = None
        self._numbers = self.evicted_flows = 0
        self._others_evicted = 0
        self._whole = ()
        self._compare_at = 0.0
        self._moved = True  # what is said of the capture is said anew
        self._cleared = Cleared.now(self.info, self.decoder)

    def _let_go(self) -> None:
        """Let flows go until a part of the bound is free."""
        table, attention = self.tracker.table, self._attention
        excess = len(self.tracker) - int(bounds.SPARED * self._max_flows)
        settled = self.tracker.settled_flows()
        attention.rank[settled] = 0  # also of those settled since the last look
        gone = bounds.least_worth(table, attention, excess, self.clock_ns)
        listed = np.zeros(table.count, np.bool_)
        listed[list(self._judged)] = True
        listed[settled] = True
        reported = int(listed[gone].sum())
        hidden = int(attention.hidden[gone].sum())
        self.evicted_flows += reported
        self._others_evicted += len(gone) - reported - hidden
        stays = np.ones(table.count, np.bool_)
        stays[gone] = False
        self._keep(np.flatnonzero(stays))
        self.decoder.renew()

    def _keep(self, flows: Ints) -> None:
        number = self.tracker.keep(flows)
        self._attention.keep(flows)
        self._judged = renumbered(self._judged, number, 1)
        self._cards_made = renumbered(self._cards_made, number, 1)
        self._restate = {new for flow in self._restate if (new := int(number[flow])) >= 0}
        self._facts_by_id = {item.facts.id: item.facts for item in self._judged.values()}
        self._moved = True

    def _seal(self) -> None:
        """Let go of what was said on flows that are over, of the oldest when there are many."""
        if not self.live or self.options.keep_other:
            return
        flows = bounds.sealable(self.tracker.table, self._attention, self.clock_ns)
        if len(flows):
            self._attention.sealed[flows] = True
            self.tracker.release(flows.tolist())

    # -- reports ----------------------------------------------------------------------

    def report(self, *, final: bool = True) -> Report:
        """Judge what was seen and describe it; unchanged flows are the same objects.

        Args:
            final: No block follows: judge everything anew, and end. Without, absences are
                judged by the clock, and the analysis goes on.
        """
        if final:
            return super().report(final=True)
        state = self._state()
        if self._last is not None and state == self._last_state and not self._may_differ():
            self._seal()
            return self._last
        capture = self.look()
        self._compare(capture)
        self._last, self._last_state = self._report(capture, self._whole), state
        return self._last

    def _state(self) -> tuple[object, ...]:
        """What a report depends on beside the clock."""
        info = self.info
        return (
            self.packets, self.live, info.lost_kernel, info.lost_queue, len(info.warnings),
            len(info.interfaces), self.evicted_flows,
        )  # fmt: skip

    def _may_differ(self) -> bool:
        """Whether a report at this moment may differ from the last one, though no packet came."""
        unseen_names = self._dns and self.clock_ns - self._dns[-1].time_ns < 2 * NAME_WAIT_NS
        pending = self._late or self._moved or bool(unseen_names)
        return pending or self._attention.any_due(self.clock_ns)

    def look(self) -> CaptureFacts:
        """Look at the flows that ask for it, as far as there is time."""
        capture = self._capture(False)
        self._judge(capture, False)
        self._seal()
        return capture

    def _report(self, capture: CaptureFacts, findings: tuple[Finding, ...]) -> Report:
        """Number the flows that are new, and describe all.

        Where nothing was shown before, the last report numbers them as a file's does.
        """
        if self.live and (self._numbers or not self._ended):
            new = sorted(flow for flow, item in self._judged.items() if not item.number)
            for number, flow in enumerate(new, self._numbers + 1):
                self._judged[flow].number = number
            self._numbers += len(new)
        hidden = self._attention.hidden[: len(self.tracker)].sum()
        self._others_gone = self._others_evicted - int(hidden)
        return super()._report(capture, findings)

    def _flow_reports(self, listed: list[int], capture: CaptureFacts) -> Sequence[FlowReport]:
        if not self._numbers or len(listed) != len(self._judged):
            return super()._flow_reports(listed, capture)
        for flow in self._restate:
            item = self._judged[flow]
            self._described(item, item.number, capture)
        self._restate.clear()
        return tuple([self._judged[flow].report for flow in listed])  # type: ignore[misc]

    def facts(self) -> dict[int, FlowFacts]:
        return self._facts_by_id.copy()

    def _judge(self, capture: CaptureFacts, final: bool) -> None:
        """Look at flows, the most pressing first; all that matter when ``final``."""
        self._ended = final
        self._attention.grow()
        self._leave_settled()
        self._reconsider(capture)
        candidates = self._candidates(capture)
        if final:
            flows = np.flatnonzero(candidates & self._unsettled(capture))
        else:
            flows = self._attention.order(candidates, capture.last_ns)
        until = time.monotonic() + BUDGET_S
        done = 0
        while done < len(flows):
            batch = flows[done : done + BATCH].tolist()
            self._look_at(batch, capture)
            done += len(batch)
            if not final and time.monotonic() >= until:
                break
        self.behind = len(flows) - done
        self._late = self.behind > 0 or bool((self._attention.changed() & candidates).any())

    def _leave_settled(self) -> None:
        """Flows that were settled since they were judged are healthy and looked at no more."""
        settled = self.tracker.settled_flows()
        self._attention.rank[settled] = 0
        for flow in self._judged.keys() & set(settled.tolist()):
            item = self._judged.pop(flow)
            self._facts_by_id.pop(item.facts.id, None)
            self._restate.discard(flow)
            self._cards_made.pop(flow, None)

    def _look_at(self, flows: list[int], capture: CaptureFacts) -> None:
        until: list[int | None] = []
        ranks: list[int] = []
        texts = self.options.keep_texts
        for flow, facts in zip(flows, self.tracker.facts_of(flows), strict=True):
            known = self._judged.pop(flow, None)
            if not is_proxied(facts, capture):
                self._restate.discard(flow)
                self._facts_by_id.pop(facts.id, None)
                until.append(None)
                ranks.append(UNLISTED)
                continue
            judgement = judge(facts, capture, self.catalogue, texts=texts)
            self._judged[flow] = _again(facts, judgement, known)
            self._facts_by_id[facts.id] = facts
            self._restate.add(flow)
            until.append(judgement.until_ns)
            findings = judgement.findings
            ranks.append(findings[0].severity.rank + 1 if findings else 0)
        self._attention.looked(flows, capture.last_ns, until, ranks)
        self._moved = True

    def _candidates(self, capture: CaptureFacts) -> Mask:
        """Flows whose facts can be had and that may be listed."""
        count = len(self.tracker)
        candidates = ~self._attention.sealed[:count]
        candidates[self.tracker.settled_flows()] = False
        ports = {endpoint.port for endpoint in capture.proxies}
        hosts = self._proxy_hosts(capture) if capture.silent_endpoints > SCAN else None
        candidates &= ~self.tracker.strangers(CANDIDATE_PORTS | ports, hosts)
        return candidates

    def _unsettled(self, capture: CaptureFacts) -> Mask:
        """Flows that must be judged once more at the end: all but those that were over."""
        attention = self._attention
        changed = attention.changed()
        count = len(changed)
        listed = attention.rank[:count] != UNLISTED
        stale = [
            flow
            for flow, item in self._judged.items()
            if not item.facts.closes or not is_proxied(item.facts, capture)
        ]
        again: Mask = changed | ~listed
        again[stale] = True
        again &= ~attention.hidden[:count] | changed
        return again

    def _reconsider(self, capture: CaptureFacts) -> None:
        """What was learned of proxies may make flows worth listing that were not."""
        hosts = frozenset(endpoint.host for endpoint in capture.proxies)
        ports = frozenset(endpoint.port for endpoint in capture.proxies)
        many, web = capture.silent_endpoints > SCAN, bool(capture.direct_web)
        context = (hosts, ports, many, web)
        if context == self._context:
            return
        self._context = context
        attention, count = self._attention, len(self.tracker)
        attention.seen_no[:count][self._silent() & ~attention.hidden[:count]] = 0
        numbers = self._proxy_hosts(capture)
        unlisted = attention.rank[:count] == UNLISTED
        if numbers is not None:
            host = self.tracker.table.flows.proxy[:count] >> 16
            unlisted &= np.isin(host, np.array(sorted(numbers), np.int64))
        attention.seen_no[:count][unlisted & ~attention.hidden[:count]] = 0

    def _silent(self) -> Mask:
        """Flows on which nobody said anything."""
        count, sides = len(self.tracker), self.tracker.table.sides
        mask: Mask = (sides.bytes[: 2 * count] == 0).reshape(count, 2).all(axis=1)
        return mask

    # -- flows beside each other ------------------------------------------------------

    def _compare(self, capture: CaptureFacts) -> None:
        """Let flows shed light on each other when something is new and there is time."""
        waited = capture.last_ns - self._compared_ns >= RELATE_NS
        start = time.monotonic()
        if not (self._moved or waited) or start < self._compare_at:
            return
        found = self._look_at_all(capture)
        if found != self._whole:
            self._whole = found
        self._moved, self._compared_ns = False, capture.last_ns
        end = time.monotonic()
        self._compare_at = end + (end - start) / RELATE_SHARE

    def _relate(self, deck: Sequence[Card], places: dict[int, int], capture: CaptureFacts) -> None:
        before = {flow: item.related for flow, item in self._judged.items()}
        super()._relate(deck, places, capture)
        for flow, old in before.items():
            item = self._judged[flow]
            if old == item.related:
                item.related = old  # the report made of it is still true
            else:
                self._restate.add(flow)

    def _cards(self, capture: CaptureFacts) -> dict[int, Card]:
        """Cards of all judged flows; those of flows that did not change are kept."""
        made = self._cards_made
        found = {}
        for flow, item in self._judged.items():
            known = made.get(flow)
            if known is None or known[0] is not item.judgement:
                known = item.judgement, card(item.facts, item.judgement, capture)
            found[flow] = known
        self._cards_made = found
        cards = {flow: known[1] for flow, known in found.items()}
        if len(self.tracker.settled_flows()):
            cards = {**super()._cards(capture), **cards}
        return cards

    # -- the capture as a whole -------------------------------------------------------

    def _source(self) -> SourceReport:
        source = self._cleared.of_source(super()._source())
        if not self.evicted_flows:
            return source
        words = f"{plural(self.evicted_flows, 'tunnel')} let go to stay within bounds of memory"
        words += ": the oldest, those without a finding first"
        return replace(source, warnings=(*source.warnings, Warning("flows-dropped", words)))

    def _capture(self, final: bool) -> CaptureFacts:
        """What the capture shows, at the clock's time."""
        capture = super()._capture(True)
        self._scanned = max(self._scanned, self._newest())
        return replace(
            capture,
            last_ns=self.clock_ns,
            live=self.live and not final,
            not_understood=self._cleared.of_reasons(capture.not_understood),
        )

    def _by_itself(self, capture: CaptureFacts) -> CaptureFacts:
        return self._cleared.of_capture(capture)

    def _newest(self) -> int:
        count = len(self.tracker)
        return int(self.tracker.table.flows.last_no[:count].max()) if count else 0

    def _recent(self) -> Ints:
        """Flows with a packet since the report before."""
        last = self.tracker.table.flows.last_no[: len(self.tracker)]
        return np.flatnonzero(last > self._scanned)

    def _asking(self) -> list[int]:
        return self.tracker.with_requests(self._recent().tolist())

    def _direct_web(self) -> int:
        count = self._attention.grow()
        web = self._attention.web
        for flow in self._recent().tolist():
            web[flow] = self.tracker.is_direct_web(flow)
        return int(web[:count].sum())


def _again(facts: FlowFacts, judgement: Judgement, known: JudgedFlow | None) -> JudgedFlow:
    """The flow as it was just judged; what other flows say of it is kept until they are
    compared again, unless it came to something else."""
    item = JudgedFlow(facts, judgement)
    if known is not None:
        item.report, item.number, item.legs = known.report, known.number, known.legs
        if known.related is not known.judgement and _same(judgement, known.judgement):
            item.related = known.related
    return item


def _same(one: Judgement, other: Judgement) -> bool:
    """Whether two judgements come to the same, whatever their texts."""
    return one.verdict == other.verdict and [f.rule for f in one.findings] == [
        f.rule for f in other.findings
    ]
