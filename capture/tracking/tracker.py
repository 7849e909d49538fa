"""The tracker: decoded blocks in, facts of any flow out.

It owns all state of the analysis; one thread drives it. See ``table`` (who is who),
``sequence`` and ``events`` (TCP analysis), ``state`` (columns) and ``streams`` (payload).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from capture.decode.columns import RST, Decoded, IcmpError
from capture.facts import CLIENT, PROXY, Endpoint, FlowFacts
from capture.frames import Ints
from capture.tracking.build import FlowRows, flow_facts, take_rows
from capture.tracking.events import Oddities, classify
from capture.tracking.openings import Kept
from capture.tracking.payload import Payload, replay
from capture.tracking.records import TALK
from capture.tracking.sequence import Analysed, analyse
from capture.tracking.settle import Said, Settler, Summary, choose_witnesses
from capture.tracking.state import commit, note_milestones
from capture.tracking.streams import Conversation
from capture.tracking.table import FlowTable, distinct, renumbered

MAX_ICMP: Final = 16
"""ICMP errors kept of a flow."""
MANY_FLOWS: Final = 2000
"""From here on healthy tunnels are settled: below, every flow is looked at in full."""
MAX_STRAY_ICMP: Final = 64
"""ICMP errors kept that belong to no flow."""


class Tracker:
    """Tracks every TCP flow of a capture.

    Args:
        address_text: Makes an address number printable (or a name, where the source has
            one).
        settle: Keep only a summary of tunnels that are over and plainly healthy. Their
            facts then lack the list of TLS records.
    """

    def __init__(self, address_text: Callable[[int], str], *, settle: bool = True) -> None:
        self.table = FlowTable()
        self.odd = Oddities()
        self.payload = Payload(self.table)
        self.flipped: list[int] = []
        """Flows whose guessed roles the last block turned round."""
        self.before: Callable[[Ints], None] | None = None
        """Called with the flows that a block goes on with, while they are as they were."""
        self._settler = Settler(self.table, self.payload.openings)
        self._settling = settle
        if settle:
            self.payload.openings.lexicon = self._settler.lexicon
        self._now_ns = 0
        self._hosts: dict[int, str] = {}
        """Printable hosts with their colon, by address number."""
        self.icmp: dict[int, list[IcmpError]] = {}
        self.stray_icmp: list[IcmpError] = []
        self.address_text = address_text

    def __len__(self) -> int:
        """Flows so far."""
        return self.table.count

    def add(self, decoded: Decoded) -> Analysed | None:
        """Take a block; returns its analysis (None for a block without TCP)."""
        analysed, self.flipped = None, []
        segments = decoded.segments
        if len(segments):
            known = len(self)
            runs = self.table.assign(segments)
            if self.before is not None:
                self.before(runs.flow[runs.flow < known])
            analysed = analyse(self.table, segments, runs)
            note_milestones(self.table, self.odd, analysed)
            classify(self.table, self.odd, segments, analysed)
            commit(self.table, self.odd, segments, analysed)
            self.payload.feed(segments, analysed)
            self.flipped = self.payload.take_flipped()
            for flow in self.flipped:
                self.odd.flip(flow)
            self._now_ns = max(self._now_ns, int(segments.time_ns.max()))
        for error in decoded.icmp:
            self._note_icmp(error)
        if self._settling and len(self) >= MANY_FLOWS:
            self._settler.settle(self._now_ns, set(self.icmp))
        return analysed

    def facts(self, flow: int) -> FlowFacts:
        """Everything known of a flow (0-based number) at this moment."""
        return self.facts_of([flow])[0]

    def facts_of(
        self, flows: Sequence[int], seen: Callable[[int, FlowRows], FlowRows] | None = None
    ) -> list[FlowFacts]:
        """Facts of several flows; much cheaper in batches than one by one.

        Args:
            flows: Their numbers.
            seen: Given a flow and its columns, says what the facts are made of; None: these.
        """
        kept = self.payload.kept(flows)
        taken = take_rows(self.table, flows)
        if seen is not None:
            taken = list(map(seen, flows, taken))
        return [
            flow_facts(
                rows, self.odd, flow, self._said(flow, rows, kept), self.payload.walker,
                tuple(self.icmp.get(flow, ())), self.address_text,
            )
            for flow, rows in zip(flows, taken, strict=True)
        ]  # fmt: skip

    def _said(
        self, flow: int, rows: FlowRows, kept: dict[int, list[Kept]]
    ) -> Conversation | Summary | None:
        summary = self._settler.summary(flow)
        if summary is not None:
            return summary
        conversation = self.payload.conversations.get(flow)
        if conversation is None and flow in kept:
            conversation = replay(kept[flow])
        if conversation is not None:
            for side in (CLIENT, PROXY):
                if rows.sides[side].mode == TALK:
                    conversation.finish(side, rows.sides[side].next_seq)
        return conversation

    def conversation(self, flow: int) -> Conversation | None:
        """What was parsed of a flow as it came, told of all that its sides sent."""
        talk = self.payload.conversations.get(flow)
        if talk is not None:
            sides = self.table.sides
            for side in (CLIENT, PROXY):
                if sides.mode[2 * flow + side] == TALK:
                    talk.finish(side, int(sides.next_seq[2 * flow + side]))
        return talk

    def release(self, flows: Sequence[int]) -> None:
        """Let go of what was said on these flows: their facts were asked for the last time."""
        for flow in flows:
            self.payload.conversations.pop(flow, None)
        self.payload.openings.drop(np.array(sorted(flows), np.int64))

    def keep(self, flows: Ints) -> Ints:
        """Let go of all flows but these (ascending), with everything known of them.

        A later packet of such a connection begins a new flow, in mid-stream.

        Returns:
            The new number of each old flow; -1 for those that are gone.
        """
        number = self.table.keep(flows)
        self.odd.renumber(number)
        self.payload.renumber(number)
        self._settler.renumber(number)
        self.icmp = renumbered(self.icmp, number, 1)
        self._hosts = {}
        del self.stray_icmp[: -MAX_STRAY_ICMP // 2]
        return number

    def proxy(self, flow: int) -> Endpoint:
        """The proxy's (or server's) end of a flow."""
        value = int(self.table.flows.proxy[flow])
        return Endpoint(self.address_text(value >> 16), value & 0xFFFF)

    def client(self, flow: int) -> Endpoint:
        """The client's end of a flow."""
        value = int(self.table.flows.client[flow])
        return Endpoint(self.address_text(value >> 16), value & 0xFFFF)

    def endpoint_text(self, value: int) -> str:
        """An endpoint of the columns, printable."""
        host = self._hosts.get(value >> 16)
        if host is None:
            host = str(Endpoint(self.address_text(value >> 16), 0))[:-1]
            self._hosts[value >> 16] = host
        return f"{host}{value & 0xFFFF}"

    def servers(self) -> list[Endpoint]:
        """Every distinct server end."""
        return self._endpoints(self.table.flows.proxy[: len(self)])

    def _endpoints(self, values: Ints) -> list[Endpoint]:
        return [
            Endpoint(self.address_text(value >> 16), value & 0xFFFF)
            for value in distinct(values).tolist()
        ]

    def finish(self) -> None:
        """The source is read: settle what only waited for time to pass."""
        if self._settling and len(self) >= MANY_FLOWS:
            self._settler.settle(None, set(self.icmp))

    def tunnel_servers(self) -> list[Endpoint]:
        """Distinct server ends that opened a tunnel as tunnels open."""
        opened = np.concatenate([self._settler.settled(), self.payload.openings.flows()])
        opened = opened[self.table.sides.kept[2 * opened + 1] > 0]
        return self._endpoints(self.table.flows.proxy[opened])

    def with_requests(self, among: Sequence[int] | None = None) -> list[int]:
        """Flows (of all, or of these) parsed as HTTP that may prove a proxy: with a request
        that only proxies get, or with a reply whose request was not seen."""
        talks = self.payload.conversations
        return [
            flow
            for flow in (talks if among is None else among)
            if (talk := talks.get(flow)) is not None
            and any(
                e.request is None or e.request.form in ("authority", "absolute")
                for e in talk.exchanges
            )
        ]

    def strangers(self, ports: frozenset[int], hosts: set[int] | None) -> NDArray[np.bool_]:
        """Flows without payload whose server port is not among these, or (where given)
        whose server's address number is not."""
        count, sides = len(self), self.table.sides
        silent = (sides.bytes[0 : 2 * count : 2] == 0) & (sides.bytes[1 : 2 * count : 2] == 0)
        server = self.table.flows.proxy[:count]
        expected = np.isin(server & 0xFFFF, np.array(sorted(ports)), kind="table")
        if hosts is not None:
            expected &= np.isin(server >> 16, np.array(sorted(hosts), np.int64))
        strange: NDArray[np.bool_] = silent & ~expected
        return strange

    def settled_flows(self) -> Ints:
        """Flows of which only a summary is kept, ascending."""
        return self._settler.settled()

    def witnesses(self) -> list[int]:
        """Settled flows that stand for all; see ``choose_witnesses``."""
        return choose_witnesses(self.told(self.settled_flows()))

    def told(self, flows: Ints) -> list[tuple[int, int, int, str, str]]:
        """Number, address number of the client, proxy, target and server name of those settled
        flows (ascending) that may be witnesses: where each pair of these comes first."""
        said = self._settler.said
        host, proxy = self.table.flows.client[flows] >> 16, self.table.flows.proxy[flows]
        place = self._settler.places(flows)
        first = distinct(np.concatenate([_firsts(proxy, host), _firsts(proxy, place)]))
        return [
            (flow, client, server, said[at].target, said[at].name)
            for flow, client, server, at in zip(
                flows[first].tolist(),
                host[first].tolist(),
                proxy[first].tolist(),
                place[first].tolist(),
                strict=True,
            )
        ]

    def said(self, flows: Ints) -> tuple[list[Said], list[int]]:
        """What was said on all settled flows, each once; and the place of these there."""
        places: list[int] = self._settler.places(flows).tolist()
        return self._settler.said, places

    def summary(self, flow: int) -> Summary | None:
        """The summary of a settled flow: a tunnel that was used and closed in order."""
        return self._settler.summary(flow)

    def direct_web(self) -> int:
        """Flows of ordinary web traffic."""
        return sum(map(self.is_direct_web, self.payload.conversations))

    def is_direct_web(self, flow: int) -> bool:
        """Ordinary web traffic: origin-form HTTP on port 80, TLS on port 443."""
        talk = self.payload.conversations.get(flow)
        port = int(self.table.flows.proxy[flow]) & 0xFFFF
        if talk is None or port not in (80, 443):
            return False
        if port == 443:
            return talk.languages == ["tls", "tls"]
        if talk.http is None:
            return False
        first = next((e.request for e in talk.http.exchanges if e.request), None)
        return first is not None and first.form == "origin"

    def silent(self) -> Ints:
        """Distinct server ends that answered no SYN, or answered with RST."""
        flows, sides, count = self.table.flows, self.table.sides, len(self)
        first = sides.first_flags[1 : 2 * count : 2]
        silent = (flows.syn_no[:count] != 0) & (
            (sides.packets[1 : 2 * count : 2] == 0) | (first & RST != 0)
        )
        return distinct(flows.proxy[:count][silent])

    def silent_endpoints(self) -> int:
        """How many server ends are silent."""
        return len(self.silent())

    def _note_icmp(self, error: IcmpError) -> None:
        left, right = error.src << 16 | error.sport, error.dst << 16 | error.dport
        flow = self.table.find(left, right, error.number) if error.sport else None
        if flow is None:
            if len(self.stray_icmp) < MAX_STRAY_ICMP:
                self.stray_icmp.append(error)
            return
        errors = self.icmp.setdefault(flow, [])
        if len(errors) < MAX_ICMP:
            errors.append(error)


def _firsts(left: Ints, right: Ints) -> Ints:
    """Where each pair of values comes first."""
    order = np.lexsort((left, right))
    left, right = left[order], right[order]
    new = np.ones(len(order), np.bool_)
    new[1:] = (left[1:] != left[:-1]) | (right[1:] != right[:-1])
    return order[new]
