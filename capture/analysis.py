"""One capture under analysis: decode, track, judge, report. No thread, no file.

``Analysis`` is fed frame blocks and asked for reports. ``capture.engine`` drives it: to
the end for ``check``, in a thread for the screen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from capture.decode.columns import IPV6_BASE, Decoded, DnsMessage
from capture.decode.decoder import Decoder
from capture.decode.heads import Look, look_at
from capture.decode.linktypes import linktype_name
from capture.facts import CaptureFacts, Endpoint, FlowFacts
from capture.flow_reports import FlowReports
from capture.frames import FrameBlock, SourceInfo
from capture.judged import JudgedFlow
from capture.judging import Catalogue, Judgement, judge
from capture.judging.cards import Card, card
from capture.judging.relate import relate_cards
from capture.judging.select import CANDIDATE_PORTS, SCAN, is_proxied, proves_proxy
from capture.judging.thresholds import choose
from capture.judging.whole import judge_cards
from capture.options import AnalysisOptions
from capture.packets.building import PacketIndex
from capture.report.build import flow_report
from capture.report.model import Finding, FlowReport, Report, SourceReport, Warning
from capture.tracking.sequence import Analysed
from capture.tracking.tracker import Tracker

if TYPE_CHECKING:
    from capture.flow_ends import FlowEnds
    from capture.second_leg.looking import Legs
    from capture.second_leg.pairing import SecondLeg

BATCH: Final = 1024
"""Flows whose facts are gathered at once."""

AT_ONCE: Final = 1000
"""Flows judged for one report while the capture is still being read: about half a second's
work, so that a screen goes on filling."""

OTHER: Final = Judgement("ok", (), ())
"""Verdict of flows that are not to a proxy: they are not judged."""


class Analysis:
    """State of one capture's analysis.

    Args:
        info: Of the source; read again for each report, since it grows.
        options: The user's choices.
        catalogue: Texts of the rules, and the user's own known issues.
    """

    def __init__(self, info: SourceInfo, options: AnalysisOptions, catalogue: Catalogue) -> None:
        self.info = info
        self.options = options
        self.catalogue = catalogue.judging_by(choose(options.thresholds))
        self.decoder = Decoder()
        self.tracker = Tracker(
            self._address_text, settle=not (catalogue.custom or options.keep_packets)
        )
        self.index = self._packet_index() if options.keep_packets else None
        self.packets = 0
        self.bytes = 0
        self._first_ns: int | None = None
        self._last_ns: int | None = None
        self._linktypes: dict[int, None] = {}
        self._judged: dict[int, JudgedFlow] = {}
        self.behind = 0
        """Flows that the last report had no time for."""
        self._looked_at: NDArray[np.uint32] = np.zeros(0, np.uint32)
        """Last packet of each flow when it was looked at."""
        self._proxies: set[Endpoint] = set()
        self._dns: list[DnsMessage] = []
        self.evicted_flows = 0
        """Reported flows let go to stay within the bounds of memory."""
        self._legs: Legs | None = None
        self._others_gone = 0
        """Flows that were not to a proxy and are not in the table any more."""

    def take(self, block: FrameBlock) -> None:
        """Analyse the next block."""
        if not len(block):
            return
        decoded, analysed = self._take(look_at(block))
        if self.index is not None:
            self.index.append(block, decoded, analysed, self.tracker)
            for flow in self.tracker.flipped:
                self.index.flip(int(self.tracker.table.flows.uid[flow]))

    def _take(self, look: Look) -> tuple[Decoded, Analysed | None]:
        """Analyse the next block, at which somebody looked."""
        self.packets += look.frames
        self.bytes += look.wire_bytes
        first, last = look.first_ns, look.last_ns
        self._first_ns = first if self._first_ns is None else min(first, self._first_ns)
        self._last_ns = last if self._last_ns is None else max(last, self._last_ns)
        self._linktypes.update(dict.fromkeys(look.linktypes))
        decoded = self.decoder.decode_look(look)
        analysed = self.tracker.add(decoded)
        self._dns.extend(decoded.dns)
        return decoded, analysed

    def _packet_index(self) -> PacketIndex:
        return PacketIndex()

    @property
    def live(self) -> bool:
        """Whether the source keeps up with the clock: absences are judged while it goes on."""
        return False

    @property
    def clock_ns(self) -> int:
        """The moment the capture has got to, ns since the epoch."""
        return self._last_ns or 0

    @property
    def evicted_packets(self) -> int:
        """Packet rows let go to stay within the bounds of memory."""
        return 0

    def clear(self) -> None:
        """Forget what was seen, where the source goes on; a file is shown as it is."""

    # -- reports ----------------------------------------------------------------------

    def report(self, *, final: bool = True) -> Report:
        """Judge what was seen and describe it.

        Args:
            final: The source is read, no block follows: look at every flow again. Without,
                only at flows that changed since the last report.
        """
        if final:
            self.tracker.finish()
            self.tracker.table.close()
        capture = self._capture(final)
        self._judge(capture, final)
        return self._report(capture, self._look_at_all(capture) if final else ())

    def _report(self, capture: CaptureFacts, findings: tuple[Finding, ...]) -> Report:
        """Describe what was judged."""
        settled = self.tracker.settled_flows().tolist()
        listed = sorted([*self._judged, *settled])
        others: tuple[FlowReport, ...] = ()
        if self.options.keep_other:
            rest = sorted({*range(len(self.tracker))}.difference(listed))
            others = tuple(
                flow_report(facts, OTHER, capture, number, kind="other")
                for number, facts in enumerate(self.tracker.facts_of(rest), 1)
            )
        flows = self._flow_reports(listed, capture)
        return Report(
            source=self._source(),
            flows=flows,
            other_flows=len(self.tracker) - len(listed) + self._others_gone,
            findings=findings,
            not_understood=capture.not_understood,
            others=others,
            names=self._host_names(capture),
            made=flows.made() if isinstance(flows, FlowReports) else None,
        )

    def chosen_report(self) -> Report:
        """The final report, of the flows alone that the user's display filter lets through."""
        report = self.report()
        if not self.options.display_filter:
            return report
        from capture.filtering.reports import narrowed

        packets = self.index.view() if self.index is not None else None
        return narrowed(report, self.facts(), packets, self.options.display_filter)

    def facts(self) -> dict[int, FlowFacts]:
        """Facts of the flows in the last report, by ``FlowFacts.id``."""
        return {item.facts.id: item.facts for item in self._judged.values()}

    def legs(self) -> dict[int, tuple[SecondLeg, ...]]:
        """Second legs of the tunnels in the last report, by ``FlowFacts.id`` of the tunnel."""
        return {item.facts.id: item.legs for item in self._judged.values() if item.legs}

    def ends(self) -> FlowEnds:
        """Client and server of every flow there is now."""
        from capture.flow_ends import FlowEnds

        flows, count = self.tracker.table.flows, len(self.tracker)
        return FlowEnds(
            flows.uid[:count].astype(np.int64),
            flows.client[:count].copy(),
            flows.proxy[:count].copy(),
            self._address_text,
        )

    def judged(self) -> dict[int, JudgedFlow]:
        """What the last report was made of, by flow; do not change."""
        return self._judged

    def capture_facts(self) -> CaptureFacts:
        """What is known of the capture as a whole, at the end."""
        return self._capture(final=True)

    def _judge(self, capture: CaptureFacts, final: bool) -> None:
        """Judge the flows that are not settled, as far as they may have changed."""
        due = self._due(capture, final)
        once = final and not (self.options.keep_packets or self.options.keep_other)
        texts = self.options.keep_texts
        for start in range(0, len(due), BATCH):
            batch = due[start : start + BATCH]
            for flow, facts in zip(batch, self.tracker.facts_of(batch), strict=True):
                known = self._judged.pop(flow, None)
                if not is_proxied(facts, capture):
                    continue
                judgement = judge(facts, capture, self.catalogue, texts=texts)
                self._judged[flow] = item = JudgedFlow(facts, judgement)
                if known is not None:
                    item.report = known.report
            if once:  # what is no tunnel may be the second leg of one
                self.tracker.release([flow for flow in batch if flow in self._judged])

    def _due(self, capture: CaptureFacts, final: bool) -> list[int]:
        """Flows that must be looked at: those that went on since they were, and at the
        end those on which time tells, or what was learned of the capture since."""
        last = self.tracker.table.flows.last_no[: len(self.tracker)].copy()
        before = np.pad(self._looked_at, (0, len(last) - len(self._looked_at)))
        due = last != before
        if final:
            due[[flow for flow in range(len(last)) if flow not in self._judged]] = True
            stale = [
                flow
                for flow, item in self._judged.items()
                if not item.facts.closes or not is_proxied(item.facts, capture)
            ]
            due[stale] = True
        due[self.tracker.settled_flows()] = False
        ports = {endpoint.port for endpoint in capture.proxies}
        hosts = self._proxy_hosts(capture) if capture.silent_endpoints > SCAN else None
        due &= ~self.tracker.strangers(CANDIDATE_PORTS | ports, hosts)
        flows = np.flatnonzero(due)
        if not final and len(flows) > AT_ONCE:
            self.behind = len(flows) - AT_ONCE
            later = flows[AT_ONCE:]
            last[later] = before[later]
            flows = flows[:AT_ONCE]
        else:
            self.behind = 0
        self._looked_at = last
        return flows.tolist()

    def _proxy_hosts(self, capture: CaptureFacts) -> set[int] | None:
        """Address numbers of the known proxies; None where one has a name only."""
        try:
            return {self.decoder.addresses.number(end.host) for end in capture.proxies}
        except ValueError:
            return None

    def _look_at_all(self, capture: CaptureFacts) -> tuple[Finding, ...]:
        """Let flows shed light on each other, and judge the capture.

        Of settled flows only witnesses take part.
        """
        cards = self._cards(capture)
        settled = len(self.tracker.settled_flows())
        capture = replace(capture, settled=settled + len(self._judged) - len(cards))
        order = sorted(cards)
        deck = [cards[flow] for flow in order]
        self._relate(
            deck, {at: flow for at, flow in enumerate(order) if flow in self._judged}, capture
        )
        return judge_cards(deck, self._by_itself(capture), self.catalogue)

    def _by_itself(self, capture: CaptureFacts) -> CaptureFacts:
        """What findings about the capture itself rest on."""
        return capture

    def _cards(self, capture: CaptureFacts) -> dict[int, Card]:
        """Cards of all judged flows and of witnesses, by flow."""
        witnesses = self.tracker.witnesses()
        found = {
            flow: card(facts, OTHER, capture)
            for flow, facts in zip(witnesses, self.tracker.facts_of(witnesses), strict=True)
        }
        for flow, item in self._judged.items():
            found[flow] = card(item.facts, item.judgement, capture)
        return found

    def _relate(self, deck: Sequence[Card], places: dict[int, int], capture: CaptureFacts) -> None:
        """Judge flows again in the light of all; ``places``: flow by the place of its card."""
        own = {}
        for at, flow in places.items():
            item = self._judged[flow]
            own[at] = (item.facts, item.judgement)
        for at, judgement in relate_cards(deck, own, capture, self.catalogue).items():
            self._judged[places[at]].related = judgement
        self._follow_on(capture)

    def _follow_on(self, capture: CaptureFacts) -> None:
        """Find the second legs of the judged tunnels, and judge these in their light."""
        if len(self.tracker) < 2:
            return
        if self._legs is None:
            from capture.second_leg.looking import Legs  # which takes a while to import

            self._legs = Legs(self.tracker)
        found = self._legs.of(self._judged, capture)
        before = {flow for flow, item in self._judged.items() if item.legs}
        if not found and not before:
            return
        from capture.judging.second_leg import in_light_of_legs  # few captures have any

        texts = self.options.keep_texts
        for flow in before | found.keys():
            item = self._judged[flow]
            legs = found.get(flow, ())
            if any(leg.certain for leg in legs) or not any(leg.certain for leg in item.legs):
                item.legs = legs  # what was certain stays, though its bytes were let go of
            item.related = in_light_of_legs(
                item.shown, item.facts, item.legs, capture, self.catalogue, texts=texts
            )

    def _flow_reports(self, listed: list[int], capture: CaptureFacts) -> Sequence[FlowReport]:
        """Reports of the listed flows; unchanged ones are the same objects as before."""
        entries: list[FlowReport | int] = []
        for place, flow in enumerate(listed, 1):
            item = self._judged.get(flow)
            if item is None:
                entries.append(flow)
                continue
            number, report = item.number or place, item.report
            shown = item.related or item.judgement
            # Of a large capture nearly all are as they were, several times a second.
            if report is None or report.id != number or item.reported is not shown:
                report = self._described(item, number, capture)
            entries.append(report)
        made = tuple(entry for entry in entries if isinstance(entry, FlowReport))
        if len(made) == len(entries):
            return made
        return FlowReports(entries, self.tracker, capture, self.options.keep_steps)

    def _described(self, item: JudgedFlow, number: int, capture: CaptureFacts) -> FlowReport:
        """The report of a judged flow: the one before, if that is still true."""
        before, shown = item.report, item.shown
        if before is None or before.id != number or item.reported is not shown:
            steps, bare = self.options.keep_steps, not self.options.keep_texts
            report = flow_report(item.facts, shown, capture, number, steps=steps, bare=bare)
            if before is not None:
                same = replace(report, rev=before.rev) == before
                report = before if same else replace(report, rev=before.rev + 1)
            before = item.report = report
            item.reported = shown
        return before

    # -- the capture as a whole -------------------------------------------------------

    def _capture(self, final: bool) -> CaptureFacts:
        info, tracker = self.info, self.tracker
        bare = CaptureFacts(
            first_ns=self._first_ns or 0,
            last_ns=self._last_ns or 0,
            packets=self.packets,
            text=info.format.endswith("-text") and not info.contents_known,
            listed=info.format == "wireshark-text",
            times_known=info.times_known,
            untimed=frozenset(info.untimed),
            lost_kernel=info.lost_kernel,
            lost_queue=info.lost_queue,
            snaplen=min((i.snaplen for i in info.interfaces if i.snaplen), default=0),
            capture_filter=next((i.filter for i in info.interfaces if i.filter), ""),
            icmp=tuple(tracker.stray_icmp),
            dns=tuple(self._dns),
            not_understood=tuple(self.decoder.not_understood.most_common(16)) if final else (),
            fragments_dropped=self.decoder.fragments_dropped,
            names=self._names(),
            tcp_flows=len(tracker),
            direct_web=self._direct_web(),
            silent_endpoints=tracker.silent_endpoints(),
        )
        return replace(bare, proxies=frozenset(self._known_proxies(bare)))

    def _names(self) -> dict[int, str]:
        """Texts of the IPv6 address numbers that errors and DNS answers mention."""
        errors = [*self.tracker.stray_icmp, *chain.from_iterable(self.tracker.icmp.values())]
        numbers = {n for e in errors for n in (e.sender, e.receiver, e.src, e.dst)}
        for message in self._dns:
            numbers.update((message.client, message.server, *message.answers))
        return {n: self._address_text(n) for n in numbers if n >= IPV6_BASE or self.info.names}

    def _known_proxies(self, capture: CaptureFacts) -> set[Endpoint]:
        """Endpoints told by the user, and those that answered as proxies."""
        tracker, told = self.tracker, self.options.proxies
        if told:
            self._proxies.update(Endpoint(host, port) for host, port in told if port is not None)
            hosts = {host for host, port in told if port is None}
            self._proxies.update(e for e in tracker.servers() if e.host in hosts)
        self._proxies.update(tracker.tunnel_servers())
        for flow in self._asking():
            endpoint = tracker.proxy(flow)
            if endpoint not in self._proxies and proves_proxy(tracker.facts(flow), capture):
                self._proxies.add(endpoint)
        return self._proxies

    def _asking(self) -> list[int]:
        """Flows whose requests may prove that their server is a proxy."""
        return self.tracker.with_requests()

    def _direct_web(self) -> int:
        return self.tracker.direct_web()

    def _address_text(self, number: int) -> str:
        text = self.decoder.addresses.text(number)
        return self.info.names.get(text, text)

    def _host_names(self, capture: CaptureFacts) -> dict[str, str]:
        """Names by address, if they are wanted."""
        if not self.options.resolve:
            return {}
        from capture.names import names_in  # which few want

        return names_in(capture)

    def _source(self) -> SourceReport:
        info = self.info
        return SourceReport(
            path=info.path,
            format=info.format,
            link_types=tuple(linktype_name(kind) for kind in self._linktypes),
            packets=self.packets,
            bytes=self.bytes,
            first_ns=self._first_ns if info.times_known else None,
            last_ns=self._last_ns if info.times_known else None,
            lost_kernel=info.lost_kernel,
            lost_queue=info.lost_queue,
            warnings=tuple(Warning(item.code, item.message) for item in info.warnings)
            + tuple(Warning("assumed", line) for line in info.assumed),
        )
