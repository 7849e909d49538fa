"""The parts of a compiled filter: each knows the tunnels and the packets that fulfil it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from capture.facts import Endpoint, FlowFacts
from capture.filtering.fields import ColumnField, EndField, MessageField, TunnelField
from capture.filtering.kinds import Kind, split_endpoint
from capture.filtering.selecting import Bools, Material, Said
from capture.flow_ends import FlowEnds
from capture.frames import Ints
from capture.report.model import FlowReport

__all__ = ["All", "AnyOf", "Column", "Condition", "End", "Inverted", "Message", "Tunnel"]

Check = Callable[[Any], Any]
"""Whether a value fulfils a comparison; of an array: which of its values do."""


class Condition(ABC):
    """A part of a filter."""

    @property
    def of_one_packet(self) -> bool:
        """Asked of one packet at a time, from the columns alone."""
        return False

    @property
    def needs_packets(self) -> bool:
        """Tells nothing of a tunnel without the packet index."""
        return False

    @abstractmethod
    def tunnels(self, material: Material) -> Bools:
        """Tunnels that fulfil it; shape (flows,)."""

    @abstractmethod
    def packets(self, material: Material) -> Bools:
        """Packets that fulfil it, each by itself; shape (packets,)."""


def _holds(values: Iterable[Any], check: Check, every: bool) -> bool:
    """Whether some value does, or (``every``) all of at least one."""
    if not every:
        return any(map(check, values))
    values = tuple(values)
    return bool(values) and all(map(check, values))


def _joined(join: np.ufunc, parts: list[Bools]) -> Bools:
    found: Bools = join.reduce(parts)
    return found


@dataclass(frozen=True, eq=False)
class Tunnel(Condition):
    """A comparison of what the report says."""

    field: TunnelField
    check: Check
    every: bool

    def tunnels(self, material: Material) -> Bools:
        known: Bools | None = material.known.get(self)
        if known is not None:
            return known
        before = material.remembered(self)
        found = np.zeros(len(material.flows), np.bool_)
        if before is not None:
            shared = min(len(before), len(found))
            found[:shared] = before[:shared]
        changed = material.changed
        looked = map(self._holds, map(material.flows.__getitem__, changed))
        found[changed] = np.fromiter(looked, np.bool_, len(changed))
        material.known[self] = found
        return found

    def _holds(self, flow: FlowReport) -> bool:
        value = self.field.get(flow)
        if self.field.several:
            return _holds(value, self.check, self.every)
        return value is not None and bool(self.check(value))

    def packets(self, material: Material) -> Bools:
        return material.of_packets(self.tunnels(material))


_NOTHING: Final = Said(False, ())


@dataclass(frozen=True, eq=False)
class Message(Condition):
    """A comparison of what single packets say."""

    field: MessageField
    check: Check
    every: bool

    def tunnels(self, material: Material) -> Bools:
        said = self._said(material)
        return np.fromiter((item.holds for item in said), np.bool_, len(said))

    def _said(self, material: Material) -> list[Said]:
        known: list[Said] | None = material.known.get(self)
        if known is not None:
            return known
        said: list[Said] = list(material.remembered(self) or ())[: len(material.flows)]
        said += [_NOTHING] * (len(material.flows) - len(said))
        told, get, check = material.told, self.field.get, self.check
        for place in material.changed:
            facts = told[place]
            values = () if facts is None else get(facts)
            if not values:
                said[place] = _NOTHING
            elif len(values) == 1:  # most often
                [(number, value)] = values
                said[place] = Said(True, (number,)) if check(value) else _NOTHING
            else:
                said[place] = self._judged(values)
        material.known[self] = said
        return said

    def _judged(self, values: Sequence[tuple[int, Any]]) -> Said:
        """What several occurrences come to, for the tunnel and for each packet."""
        found: dict[int, bool] = {}
        for number, value in values:
            holds = bool(self.check(value))
            before = found.get(number)
            if before is not None:
                holds = (before and holds) if self.every else (before or holds)
            found[number] = holds
        answers = found.values()
        holds = all(answers) if self.every else any(answers)
        return Said(holds, tuple(number for number, yes in found.items() if yes))

    def packets(self, material: Material) -> Bools:
        said = self._said(material)
        found = material.said(said)
        if self.field.onward:
            first = [item.numbers[0] if item.numbers else 0 for item in said]
            found = found | material.onward(np.array(first, np.int64))
        return found


@dataclass(frozen=True, eq=False)
class Column(Condition):
    """A comparison of columns of the packet index."""

    field: ColumnField
    check: Check | None
    """None: the field is there."""
    every: bool

    @property
    def of_one_packet(self) -> bool:
        return True

    @property
    def needs_packets(self) -> bool:
        return True

    def tunnels(self, material: Material) -> Bools:
        return material.of_tunnels(self.packets(material))

    def packets(self, material: Material) -> Bools:
        there = self.field.there
        found: Bools = material.tcp if there is None else there(material)
        if self.check is None:
            return found
        for column in self.field.columns(material):
            found = found & self.check(column)
        return found


def _ends(flow: FlowReport, facts: FlowFacts | None) -> tuple[Endpoint, Endpoint]:
    """The two ends of a flow; without facts, from what the report says of them."""
    if facts is not None:
        return facts.client, facts.proxy
    (client, sport), (proxy, dport) = split_endpoint(flow.client), split_endpoint(flow.proxy)
    return Endpoint(client, sport or 0), Endpoint(proxy, dport or 0)


@dataclass(frozen=True, eq=False)
class End(Condition):
    """A comparison of the addresses or ports of a flow's ends."""

    field: EndField
    check: Check
    every: bool

    @property
    def of_one_packet(self) -> bool:
        return True

    def tunnels(self, material: Material) -> Bools:
        sent = self._sent_by(material)
        either: Bools = sent[0] | sent[1]
        return either

    def _sent_by(self, material: Material) -> NDArray[np.bool_]:
        """Whether packets fulfil it that the client sent, and that the proxy sent; shape
        (2, flows)."""
        known = material.known.get(self)
        if known is not None:
            sent: NDArray[np.bool_] = known
            return sent
        sent = np.zeros((2, len(material.flows)), np.bool_)
        before = material.remembered(self)
        if before is not None:
            shared = min(before.shape[1], sent.shape[1])
            sent[:, :shared] = before[:, :shared]
        changed = material.changed
        told = material.told
        flows = material.flows
        looked = [self._look(*_ends(flows[place], told[place])) for place in changed]
        sent[:, changed] = np.array(looked, np.bool_).reshape(-1, 2).T
        material.known[self] = sent
        return sent

    def _look(self, client_end: Endpoint, proxy_end: Endpoint) -> tuple[bool, bool]:
        of, check = self.field.of, self.check
        client, proxy = of(client_end), of(proxy_end)
        if self.field.ends == ("src",):
            return self._is(client), self._is(proxy)
        if self.field.ends == ("dst",):
            return self._is(proxy), self._is(client)
        if client is None or proxy is None:
            either = self._is(client) or self._is(proxy)
        elif self.every:
            either = bool(check(client)) and bool(check(proxy))
        else:
            either = bool(check(client)) or bool(check(proxy))
        return either, either

    def _is(self, value: Any) -> bool:
        return value is not None and bool(self.check(value))

    def packets(self, material: Material) -> Bools:
        client, proxy = (material.by_flow(sent, False) for sent in self._sent_by(material))
        places, ends = material.strangers, material.ends
        if len(places) and ends is not None:
            uids = ends.uids[places]
            client[uids], proxy[uids] = self._sent_by_strangers(ends, places)
        found: Bools = np.where(material.from_client, client[material.flow], proxy[material.flow])
        return found

    def _sent_by_strangers(self, ends: FlowEnds, places: Ints) -> tuple[Bools, Bools]:
        """The same as ``_sent_by`` of flows that are no tunnels, by columns."""
        client, server = self._of_ends(ends, ends.client[places], ends.proxy[places])
        if self.field.ends == ("src",):
            return client, server
        if self.field.ends == ("dst",):
            return server, client
        either: Bools = (client & server) if self.every else (client | server)
        return either, either

    def _of_ends(self, ends: FlowEnds, *sides: Ints) -> list[Bools]:
        """Which ends have the value, in each column of ends."""
        found: list[Bools] = []
        for side in sides:
            if self.field.kind is Kind.NUMBER:
                found.append(np.asarray(self.check(ends.ports(side)), np.bool_))
            else:
                hosts, which = ends.hosts(side)
                held = [self._is(self.field.of(Endpoint(host, 0))) for host in hosts]
                found.append(np.array(held, np.bool_)[which])
        return found


@dataclass(frozen=True, eq=False)
class Inverted(Condition):
    """What does not fulfil a part."""

    part: Condition

    @property
    def of_one_packet(self) -> bool:
        return self.part.of_one_packet

    @property
    def needs_packets(self) -> bool:
        return self.part.needs_packets

    def tunnels(self, material: Material) -> Bools:
        return ~self.part.tunnels(material)

    def packets(self, material: Material) -> Bools:
        return ~self.part.packets(material)


@dataclass(frozen=True, eq=False)
class AnyOf(Condition):
    """What fulfils one of the parts."""

    parts: tuple[Condition, ...]

    @property
    def of_one_packet(self) -> bool:
        return all(part.of_one_packet for part in self.parts)

    @property
    def needs_packets(self) -> bool:
        return any(part.needs_packets for part in self.parts)

    def tunnels(self, material: Material) -> Bools:
        return _joined(np.logical_or, [part.tunnels(material) for part in self.parts])

    def packets(self, material: Material) -> Bools:
        return _joined(np.logical_or, [part.packets(material) for part in self.parts])


@dataclass(frozen=True, eq=False)
class All(Condition):
    """What fulfils all of the parts."""

    parts: tuple[Condition, ...]

    @property
    def of_one_packet(self) -> bool:
        return all(part.of_one_packet for part in self.parts)

    @property
    def needs_packets(self) -> bool:
        joined = sum(part.of_one_packet for part in self.parts) > 1
        return joined or any(part.needs_packets for part in self.parts)

    def tunnels(self, material: Material) -> Bools:
        """Column conditions are asked of one packet; the others of the tunnel."""
        joint = [part for part in self.parts if part.of_one_packet]
        rest = [part for part in self.parts if not part.of_one_packet]
        # Inversions alone name no packet: "not A and not B" is a tunnel without both.
        if len(joint) < 2 or all(isinstance(part, Inverted) for part in joint):
            joint, rest = [], list(self.parts)
        found = [part.tunnels(material) for part in rest]
        if joint:
            rows = np.logical_and.reduce([part.packets(material) for part in joint])
            found.append(material.of_tunnels(rows))
        return _joined(np.logical_and, found)

    def packets(self, material: Material) -> Bools:
        return _joined(np.logical_and, [part.packets(material) for part in self.parts])
