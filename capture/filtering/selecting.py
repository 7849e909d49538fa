"""What a filter means for a tunnel, and what for a packet.

A *packet* is judged as in Wireshark, by what it says itself; what the report says of its
tunnel (``verdict``, ``target``) is true of all packets of the tunnel.

A *tunnel* is judged by all that it said:

- A field of messages (``http.*``, ``tls.*``, ``icmp.*``) has the values of all its packets:
  ``http.host contains "cisco" and http.response.code == 403`` finds tunnels that asked for
  one and got the other, although no packet holds both.
- Conditions on columns (``frame.*``, ``ip.*``, ``tcp.*``, and the bare protocols) that are
  joined by ``and`` are asked of one packet at a time: ``tcp.len > 1000 and
  tcp.analysis.retransmission`` finds tunnels that sent a large segment again.
- ``not`` inverts what was found of the tunnel: ``not tls`` finds tunnels without any TLS,
  ``not tcp.analysis.retransmission`` those without a retransmission.

Of a tunnel that matches, those packets are shown that match; where it takes several packets
to fulfil the filter and so none does alone, all are. Packets of what is no tunnel are judged
by themselves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import is_
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from capture.facts import CLIENT, FlowFacts
from capture.flow_ends import FlowEnds
from capture.packets.index import EMPTY, PacketView
from capture.report.model import FlowReport

__all__ = ["Material", "Said", "Selection"]

Bools = NDArray[np.bool_]

_NEVER: Final = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class Selection:
    """What a filter lets through of one snapshot."""

    tunnels: Bools
    """For each flow of the report; shape (flows,)."""
    packets: Bools
    """For each row of the packet index; shape (packets,)."""


class Said(NamedTuple):
    """What a tunnel's messages were found to be."""

    holds: bool
    """Whether the tunnel fulfils the comparison."""
    numbers: tuple[int, ...]
    """Packets that do."""


class Material:
    """What a filter is asked about: one snapshot's tunnels and packets.

    Args:
        flows: The reported flows, in a fixed order.
        facts: Facts of the flows by uid.
        packets: The packet index; empty where packets are not kept.
        first_ns: Time of the capture's first packet; None: that of the index.
        ends: Ends of all flows; None: only those of the reported flows are known.
        before: The material of the snapshot before. What is known of flows that are the same
            objects is taken from there.
    """

    def __init__(
        self,
        flows: Sequence[FlowReport],
        facts: Mapping[int, FlowFacts],
        packets: PacketView = EMPTY,
        *,
        first_ns: int | None = None,
        ends: FlowEnds | None = None,
        before: Material | None = None,
    ) -> None:
        self.flows = flows
        self.facts = facts
        self.packets = packets
        self.ends = ends
        self._first_ns = first_ns
        self.known: dict[object, Any] = {}
        """What conditions have found out, for the snapshot after."""
        self._before = before.known if before is not None else {}
        old: Sequence[FlowReport] = before.flows if before is not None else ()
        shared = min(len(old), len(flows))
        same = np.zeros(len(flows), np.bool_)
        same[:shared] = np.fromiter(map(is_, old, flows), np.bool_, shared)
        self.changed: list[int] = np.flatnonzero(~same).tolist()
        """Places of the flows that must be looked at."""

    @cached_property
    def told(self) -> list[FlowFacts | None]:
        """Facts of each tunnel; shape (flows,)."""
        return [self.facts.get(flow.uid) for flow in self.flows]

    def remembered(self, key: object) -> Any:
        """What was found out of the material before, or None."""
        return self._before.get(key)

    # Columns

    def column(self, name: str) -> NDArray[Any]:
        """A column of the packet index, shape (packets,)."""
        return self.packets.rows[name]

    @property
    def first_ns(self) -> int:
        """Time of the capture's first packet."""
        if self._first_ns is not None:
            return self._first_ns
        return int(self.packets.rows["time_ns"][0]) if len(self.packets) else 0

    @cached_property
    def numbers(self) -> NDArray[np.int64]:
        """Frame number of each packet."""
        return self.packets.numbers_of(np.arange(len(self.packets)))

    @cached_property
    def flow(self) -> NDArray[np.int64]:
        """Flow number of each packet, 0 for none."""
        return self.packets.rows["flow"].astype(np.int64)

    @cached_property
    def tcp(self) -> Bools:
        """Packets that are TCP."""
        tcp: Bools = self.flow != 0
        return tcp

    @cached_property
    def from_client(self) -> Bools:
        """Packets that the client's side sent."""
        from_client: Bools = self.packets.rows["sender"] == CLIENT
        return from_client

    @cached_property
    def data(self) -> Bools:
        """Packets with TCP payload."""
        data: Bools = self.packets.rows["length"] != 0
        return data

    @cached_property
    def uids(self) -> NDArray[np.int64]:
        """Flow number of each tunnel, shape (flows,)."""
        return np.fromiter((flow.uid for flow in self.flows), np.int64, len(self.flows))

    @cached_property
    def _size(self) -> int:
        """One more than the highest flow number."""
        return 1 + max(int(self.uids.max(initial=0)), int(self.flow.max(initial=0)))

    # From tunnels to packets and back

    def of_packets(self, tunnels: Bools) -> Bools:
        """Packets whose tunnel is one of these; shape (packets,)."""
        return self.by_flow(tunnels, False)[self.flow]

    @cached_property
    def strangers(self) -> NDArray[np.int64]:
        """Places in ``ends`` of the flows that have packets here and are no tunnels."""
        if self.ends is None:
            return np.zeros(0, np.int64)
        there = np.zeros(self._size, np.bool_)
        there[self.flow] = True
        there[self.uids] = False
        inside = self.ends.uids < self._size
        inside[inside] = there[self.ends.uids[inside]]
        return np.flatnonzero(inside)

    def by_flow(self, values: Any, missing: Any) -> NDArray[Any]:
        """Values of the tunnels as a table by flow number."""
        values = np.asarray(values)
        table = np.full(self._size, missing, values.dtype)
        table[self.uids] = values
        return table

    def of_tunnels(self, packets: Bools) -> Bools:
        """Tunnels with at least one of these packets; shape (flows,)."""
        hit = np.zeros(self._size, np.bool_)
        hit[self.flow[packets]] = True
        found: Bools = hit[self.uids]
        return found

    def with_some(self, packets: Bools, among: Bools) -> Bools:
        """Tunnels with one of these packets, ICMP errors about them counted in.

        Args:
            packets: The packets; shape (packets,).
            among: Tunnels that are asked about; the others may be wrong. Shape (flows,).
        """
        found = self.of_tunnels(packets)
        for place in np.flatnonzero(among & ~found).tolist():
            facts = self.facts.get(self.flows[place].uid)
            rows = [self.packets.row(error.number) for error in facts.icmp] if facts else ()
            found[place] = any(row is not None and packets[row] for row in rows)
        return found

    def at(self, numbers: NDArray[np.int64]) -> Bools:
        """The packets with these numbers; those that are not kept any more are left out."""
        found = np.zeros(len(self.packets), np.bool_)
        if self.packets.numbers is None:
            rows = numbers - 1
            found[rows[(rows >= 0) & (rows < len(found))]] = True
        elif len(numbers):
            found = np.isin(self.packets.numbers, numbers)
        return found

    def onward(self, first: NDArray[np.int64]) -> Bools:
        """Packets with data from a packet of their tunnel on.

        Args:
            first: Number of that packet for each tunnel, 0 for none; shape (flows,).
        """
        table = self.by_flow(np.where(first > 0, first, _NEVER), _NEVER)
        found: Bools = self.data & (self.numbers >= table[self.flow])
        return found

    def speaks(self, protocol: str) -> Bools:
        """Packets with data of ``http`` or ``tls``: the proxy's, and the tunnel's."""
        opened = np.full(len(self.flows), _NEVER, np.int64)
        inside, outside = np.zeros((2, len(self.flows)), np.bool_)
        for place, facts in enumerate(self.told):
            if facts is None:
                continue
            if facts.tunnel is not None:
                opened[place] = facts.tunnel.number
                inside[place] = facts.tunnel_protocol == protocol
            elif protocol == "tls":
                outside[place] = facts.tls is not None
            if protocol == "http":
                outside[place] = facts.first_language[CLIENT].startswith("http") or bool(
                    facts.exchanges
                )
        later = self.numbers > self.by_flow(opened, _NEVER)[self.flow]
        own = np.where(later, self.of_packets(inside), self.of_packets(outside))
        found: Bools = self.data & own
        return found

    def said(self, said: Sequence[Said]) -> Bools:
        """Packets that tunnels were found to match by; one entry a tunnel."""
        numbers = [number for item in said for number in item.numbers]
        return self.at(np.array(numbers, np.int64))
