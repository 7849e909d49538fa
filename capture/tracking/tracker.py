"""The tracker: decoded blocks in, facts of any flow out.

It owns all state of the analysis; one thread drives it. See ``table`` (who is who),
``sequence`` and ``events`` (TCP analysis), ``state`` (columns) and ``streams`` (payload).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from capture.decode.columns import RST, Decoded, IcmpError
from capture.facts import CLIENT, PROXY, Endpoint, FlowFacts
from capture.tracking.build import flow_facts
from capture.tracking.events import Oddities, classify
from capture.tracking.settle import Settler
from capture.tracking.sequence import Analysed, analyse
from capture.tracking.state import commit, note_milestones
from capture.tracking.payload import Payload
from capture.tracking.records import TALK
from capture.tracking.table import FlowTable

MAX_ICMP: Final = 16
"""ICMP errors kept of a flow."""
MAX_STRAY_ICMP: Final = 64
"""ICMP errors kept that belong to no flow."""


class Tracker:
    """Tracks every TCP flow of a capture.

    Args:
        address_text: Makes an address number printable (or a name, where the source has
            one).
    """

    def __init__(self, address_text: Callable[[int], str]) -> None:
        self.table = FlowTable()
        self.odd = Oddities()
        self.payload = Payload(self.table)
        self._settler = Settler(self.table, self.payload.openings)
        self._now_ns = 0
        self.icmp: dict[int, list[IcmpError]] = {}
        self.stray_icmp: list[IcmpError] = []
        self._address_text = address_text

    def __len__(self) -> int:
        """Flows so far."""
        return self.table.count

    def add(self, decoded: Decoded) -> Analysed | None:
        """Take a block; returns its analysis (None for a block without TCP)."""
        analysed = None
        segments = decoded.segments
        if len(segments):
            runs = self.table.assign(segments)
            analysed = analyse(self.table, segments, runs)
            note_milestones(self.table, self.odd, analysed)
            classify(self.table, self.odd, segments, analysed)
            commit(self.table, self.odd, segments, analysed)
            self.payload.feed(segments, analysed)
            for flow in self.payload.flipped:
                self.odd.flip(flow)
            self._now_ns = max(self._now_ns, int(segments.time_ns.max()))
        for error in decoded.icmp:
            self._note_icmp(error)
        self._settler.settle(self._now_ns, set(self.icmp))
        return analysed

    def facts(self, flow: int) -> FlowFacts:
        """Everything known of a flow (0-based number) at this moment."""
        summary = self._settler.summaries.get(flow)
        conversation = self.payload.conversation(flow) if summary is None else None
        if conversation is not None:
            for side in (CLIENT, PROXY):
                row = 2 * flow + side
                if self.table.sides.mode[row] == TALK:
                    conversation.finish(side, int(self.table.sides.next_seq[row]))
        return flow_facts(
            self.table, self.odd, flow, conversation or summary, self.payload.walker,
            tuple(self.icmp.get(flow, ())), self._address_text,
        )  # fmt: skip

    def proxy(self, flow: int) -> Endpoint:
        """The proxy's (or server's) end of a flow."""
        value = int(self.table.flows.proxy[flow])
        return Endpoint(self._address_text(value >> 16), value & 0xFFFF)

    def servers(self) -> list[Endpoint]:
        """Every distinct server end."""
        values = np.unique(self.table.flows.proxy[: len(self)]).tolist()
        return [Endpoint(self._address_text(value >> 16), value & 0xFFFF) for value in values]

    def finish(self) -> None:
        """The source is read: settle what only waited for time to pass."""
        self._settler.settle(None, set(self.icmp))

    def settled(self, flow: int) -> bool:
        """Whether a flow is a tunnel that was used and closed without anything to say."""
        return flow in self._settler.summaries

    def with_requests(self) -> list[int]:
        """Flows on which HTTP was spoken."""
        talks = self.payload.conversations.items()
        opened = self.payload.openings.flows().tolist()
        return sorted({*opened, *self._settler.summaries, *(flow for flow, talk in talks if talk.http is not None)})

    def direct_web(self) -> int:
        """Flows of ordinary web traffic: origin-form HTTP on port 80, TLS on port 443."""
        count = 0
        for flow, talk in self.payload.conversations.items():
            port = int(self.table.flows.proxy[flow]) & 0xFFFF
            if port == 443:
                count += talk.languages == ["tls", "tls"]
            elif port == 80 and talk.http is not None:
                first = next((e.request for e in talk.http.exchanges if e.request), None)
                count += first is not None and first.form == "origin"
        return count

    def silent_endpoints(self) -> int:
        """Distinct server ends that answered no SYN, or answered with RST."""
        flows, sides, count = self.table.flows, self.table.sides, len(self)
        first = sides.first_flags[1 : 2 * count : 2]
        silent = (flows.syn_no[:count] != 0) & (
            (sides.packets[1 : 2 * count : 2] == 0) | (first & RST != 0)
        )
        return len(np.unique(flows.proxy[:count][silent]))

    def _note_icmp(self, error: IcmpError) -> None:
        left, right = error.src << 16 | error.sport, error.dst << 16 | error.dport
        flow = self.table.find(left, right) if error.sport else None
        if flow is None:
            if len(self.stray_icmp) < MAX_STRAY_ICMP:
                self.stray_icmp.append(error)
            return
        errors = self.icmp.setdefault(flow, [])
        if len(errors) < MAX_ICMP:
            errors.append(error)
