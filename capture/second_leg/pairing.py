"""The second leg of a tunnel: the proxy's own connection to the server, where it was captured.

A capture taken on the proxy, or beside it, holds two connections for each tunnel. Which belong
together is told by what they carry and by when they began: between CONNECT and its reply. Pure
functions over facts; nothing here judges.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from capture.decode.columns import IPV6_BASE
from capture.facts import CLIENT, PROXY, CaptureFacts, Exchange, FlowFacts, Mark
from capture.frames import Ints
from capture.names import is_address
from capture.record import record

SLACK_NS: Final = 1_000_000
"""Interfaces are read one after the other: a connection may be stamped this much before the
request that it was opened for."""

NEAR: Final = 64
"""Of many tunnels that wait at once, only so many of the latest are thought of."""

AGAIN_NS: Final = 500_000_000
"""A SYN this long after the first one is another try (RFC 6298 section 2 has them a second
apart); sooner it may be a copy, seen on a second interface."""

HELLO_BYTES: Final = 43
"""A TLS record header, a handshake header, the version and the 32 random bytes (RFC 8446
sections 4 and 5.1): hellos alike so far are the same hello."""

_TLS_HANDSHAKE: Final = 0x16


class Outcome(StrEnum):
    """What became of the proxy's attempt to connect."""

    OPEN = "open"
    """The server answered."""
    REFUSED = "refused"
    """A RST answered the SYN."""
    UNREACHABLE = "unreachable"
    """An ICMP error answered the SYN."""
    SILENT = "silent"
    """Nothing answered, and the proxy's host asked again."""
    UNKNOWN = "unknown"
    """Too early to tell."""


class Grounds(StrEnum):
    """Why a connection is taken for a tunnel's second leg; the best first."""

    HELLO = "the same ClientHello"
    ADDRESS = "to the address that was asked for"
    REQUEST = "the same request, to another proxy"
    NAME = "the same server name"
    RESOLVED = "to an address of that name"
    ALONE = "the proxy's only connection to that port at that time"


_RANK: Final = {grounds: rank for rank, grounds in enumerate(Grounds)}


@record
class SecondLeg:
    """A connection that the proxy opened for a tunnel."""

    facts: FlowFacts
    """Of that connection: its client is the proxy's host, its "proxy" the server."""
    grounds: Grounds
    certain: bool
    """No other tunnel can own it, and it carries the same bytes or goes to the very address
    that the client named. Else it is only likely."""

    @property
    def outcome(self) -> Outcome:
        """What became of the attempt to connect."""
        facts = self.facts
        if facts.syn_ack is not None or any(side.bytes for side in facts.sides):
            return Outcome.OPEN
        if facts.sides[PROXY].rst is not None:
            return Outcome.REFUSED
        if facts.icmp:
            return Outcome.UNREACHABLE
        if facts.sides[PROXY].packets:
            return Outcome.UNKNOWN
        # That the host asked again proves that no answer reached it.
        tries = facts.syn_marks
        again = bool(tries) and tries[-1].time_ns - tries[0].time_ns >= AGAIN_NS
        return Outcome.SILENT if again else Outcome.UNKNOWN


class Wanted(NamedTuple):
    """What the second leg of one tunnel must look like."""

    flow: FlowFacts
    host: str
    """That the client named, in lower case and without brackets."""
    port: int
    authority: str
    literal: bool
    """``host`` is an address."""
    from_ns: int
    """When the client asked."""
    until_ns: int
    """When the proxy answered: later the tunnel was open, or given up."""
    late_ns: int
    """When the server's first bytes came through: some proxies reply before they connect."""
    hello: bytes
    """First bytes of the ClientHello in the tunnel, with its random; empty without one."""
    sni: str


def wanted(flow: FlowFacts, capture: CaptureFacts) -> Wanted | None:
    """What to look for; None for a flow that is no tunnel, or whose target is not known."""
    found = _connect(flow)
    if found is None or found.request is None or found.request_mark is None:
        return None
    if not capture.timed(found.request_mark):
        return None
    authority = found.request.authority.lower()
    host, colon, port = authority.rpartition(":")
    if not (colon and port.isascii() and port.isdigit() and len(port) < 6):
        return None
    host = host.strip("[]")
    end = flow.closes[0][1].time_ns if flow.closes else capture.last_ns
    answered = found.response_mark.time_ns if found.response_mark else end
    first: Mark | None = flow.tunnel_first[PROXY] if flow.tunnel is not None else None
    late = first.time_ns if first is not None else end if flow.tunnel is not None else answered
    hello = flow.tls.client_hello if flow.tls is not None else None
    return Wanted(
        flow=flow,
        host=host,
        port=int(port),
        authority=authority,
        literal=is_address(host),
        from_ns=found.request_mark.time_ns - SLACK_NS,
        until_ns=answered,
        late_ns=max(answered, late),
        hello=_hello(flow.tunnel_start[CLIENT]) if flow.tunnel is not None else b"",
        sni=(hello.sni or "").lower() if hello is not None else "",
    )


def begun_for(tunnels: Sequence[Wanted], begun_ns: Ints) -> NDArray[np.bool_]:
    """Which connections began while any of these tunnels waited for the proxy.

    Args:
        tunnels: Tunnels, in any order.
        begun_ns: When each connection began, ns; shape (n,).

    Returns:
        Shape (n,).
    """
    if not tunnels:
        return np.zeros(len(begun_ns), np.bool_)
    spans = np.array([(item.from_ns, item.late_ns) for item in tunnels], np.int64)
    spans = spans[np.argsort(spans[:, 0], kind="stable")]
    latest = np.maximum.accumulate(spans[:, 1])
    place = np.searchsorted(spans[:, 0], begun_ns, "right") - 1
    inside: NDArray[np.bool_] = (place >= 0) & (begun_ns <= latest[np.maximum(place, 0)])
    return inside


def find_legs(
    tunnels: Iterable[Wanted], others: Iterable[FlowFacts], capture: CaptureFacts
) -> dict[int, tuple[SecondLeg, ...]]:
    """Give each connection that a proxy opened to the tunnel that it was opened for.

    Each connection is given to one tunnel at most: to that whose ClientHello it carries, else
    to the one which asked last before it began. A source address other than the proxy's is
    believed only where the packets show that it is the proxy's, too.

    Args:
        tunnels: What is looked for (``wanted``).
        others: Connections that began meanwhile (``begun_for``); tunnels may be among them,
            since a proxy may ask another one.
        capture: The capture, for its DNS answers.

    Returns:
        By ``FlowFacts.id`` of the tunnel its second legs, in order: more than one where the
        proxy tried again or tried several addresses. Tunnels without one are not in it.
    """
    search = _Search(sorted(tunnels, key=lambda item: item.from_ns), capture)
    legs: dict[int, list[SecondLeg]] = defaultdict(list)
    candidates = [flow for flow in others if flow.syn is not None]
    rest = []
    for flow in candidates:
        owner = search.by_hello(flow)
        if owner is None:
            rest.append(flow)
        else:
            legs[owner.flow.id].append(SecondLeg(flow, Grounds.HELLO, True))
    for flow in rest:
        given = search.by_signs(flow)
        if given is not None:
            owner, leg = given
            legs[owner.flow.id].append(leg)
    return {tunnel: _consistent(found) for tunnel, found in legs.items()}


def _consistent(found: list[SecondLeg]) -> tuple[SecondLeg, ...]:
    """The legs of one tunnel in order, without those that another one refutes."""
    if any(leg.grounds is Grounds.HELLO for leg in found):
        # The tunnel's bytes went over that one; what carried others is not the tunnel's.
        found = [
            leg
            for leg in found
            if leg.grounds is Grounds.HELLO or not leg.facts.sides[CLIENT].bytes
        ]
    return tuple(sorted(found, key=lambda leg: leg.facts.first.number))


class _Search:
    """Tunnels in order of their requests, and what is known of the proxies' addresses."""

    def __init__(self, tunnels: list[Wanted], capture: CaptureFacts) -> None:
        self._tunnels = tunnels
        self._starts = [item.from_ns for item in tunnels]
        self._hellos: dict[bytes, list[Wanted]] = defaultdict(list)
        self._clients: set[str] = set()
        """Hosts of the clients: what they open is theirs, unless they are the proxy, too."""
        self._own: dict[str, set[str]] = defaultdict(set)
        """By proxy host: addresses proved to be of the same machine."""
        for item in tunnels:
            self._clients.add(item.flow.client.host)
            self._own[item.flow.proxy.host].add(item.flow.proxy.host)
            if item.hello:
                self._hellos[item.hello].append(item)
        self._text = _address_texts(capture)
        self._addresses: dict[str, set[str]] = defaultdict(set)
        """What DNS answers say of each name."""
        self._asked: dict[tuple[str, str], list[int]] = defaultdict(list)
        """When each name was asked for, by the name and by who asked; ascending."""
        for message in capture.dns:
            self._addresses[message.name].update(map(self._text, message.answers))
            if not message.response:
                self._asked[message.name, self._text(message.client)].append(message.time_ns)
        for times in self._asked.values():
            times.sort()

    def by_hello(self, flow: FlowFacts) -> Wanted | None:
        """The tunnel whose ClientHello a connection carries, on its own or in a tunnel."""
        hello = _hello(flow.first_bytes[CLIENT]) or _hello(flow.tunnel_start[CLIENT])
        found = [
            item
            for item in self._hellos.get(hello, ()) if hello
            if item.flow.id != flow.id and _fits(item, flow.first.time_ns, item.late_ns)
        ]  # fmt: skip
        if len(found) != 1:
            return None  # the same bytes in several tunnels: a replayed hello, or a loop
        owner = found[0]
        if flow.client.host != owner.flow.client.host:
            self._own[owner.flow.proxy.host].add(flow.client.host)
        return owner

    def by_signs(self, flow: FlowFacts) -> tuple[Wanted, SecondLeg] | None:
        """The tunnel that a connection was most likely opened for."""
        began = flow.first.time_ns
        place = bisect_right(self._starts, began)
        found: list[tuple[Wanted, Grounds]] = []
        for item in reversed(self._tunnels[max(0, place - NEAR) : place]):
            grounds = self._grounds(item, flow, began)
            if grounds is not None:
                found.append((item, grounds))
        if not found:
            return None
        best = min(_RANK[grounds] for _, grounds in found)
        owners = [item for item, grounds in found if _RANK[grounds] == best]
        grounds = list(Grounds)[best]
        alone = len(owners) == 1
        if grounds is Grounds.ALONE and not alone:
            return None
        source = flow.client.host
        proved = source in self._own[owners[0].flow.proxy.host] and source not in self._clients
        certain = grounds is Grounds.ADDRESS and alone and proved
        return owners[0], SecondLeg(flow, grounds, certain)

    def _grounds(self, item: Wanted, flow: FlowFacts, began: int) -> Grounds | None:
        """Why a connection may be the second leg of a tunnel; None: it is not."""
        if item.flow.id == flow.id or not _fits(item, began, item.late_ns):
            return None
        own = self._is_own(item, flow, began)
        if not own and (flow.client.host in self._clients or not item.literal):
            return None
        request = _connect(flow)
        if request is not None and request.request is not None:
            same = own and request.request.authority.lower() == item.authority
            return Grounds.REQUEST if same else None
        if flow.proxy.port != item.port or self._refuted(item, flow):
            return None
        if item.literal:
            # To another address than that which was asked for: not this tunnel's.
            same = flow.proxy.host.lower() == item.host
            return Grounds.ADDRESS if same and began <= item.until_ns else None
        sni = _sni(flow)
        if sni and sni in (item.sni, item.host):
            return Grounds.NAME
        if began > item.until_ns:
            return None
        known = self._addresses.get(item.host)
        if known:
            return Grounds.RESOLVED if flow.proxy.host in known else None
        return Grounds.ALONE

    def _is_own(self, item: Wanted, flow: FlowFacts, began: int) -> bool:
        """Whether the connection comes from the machine of the tunnel's proxy."""
        source, proxy = flow.client.host, item.flow.proxy.host
        if source in self._own[proxy]:
            return True
        if source in self._clients:
            return False  # what clients open is theirs
        # It asked for the tunnel's name when the proxy had to.
        times = self._asked.get((item.host, source), ())
        place = bisect_left(times, item.from_ns)
        return place < len(times) and times[place] <= began

    @staticmethod
    def _refuted(item: Wanted, flow: FlowFacts) -> bool:
        """What the connection carries is not what went into the tunnel."""
        sni = _sni(flow)
        return bool(sni) and sni not in (item.sni, item.host)


def _fits(item: Wanted, began: int, until_ns: int) -> bool:
    return item.from_ns <= began <= until_ns


def _connect(flow: FlowFacts) -> Exchange | None:
    """The last CONNECT of a flow: the one that opened the tunnel, or that failed last."""
    for item in reversed(flow.exchanges):
        if item.request is not None and item.request.form == "authority":
            return item
    return None


def _hello(data: bytes) -> bytes:
    """The start of a ClientHello as far as its random; empty for anything else."""
    if len(data) < HELLO_BYTES or data[0] != _TLS_HANDSHAKE:
        return b""
    return data[:HELLO_BYTES]


def _sni(flow: FlowFacts) -> str:
    hello = flow.tls.client_hello if flow.tls is not None else None
    return (hello.sni or "").lower() if hello is not None else ""


def _address_texts(capture: CaptureFacts) -> Callable[[int], str]:
    """Printable form of the address numbers in DNS messages."""

    def text(number: int) -> str:
        if number in capture.names:
            return capture.names[number]
        if number < IPV6_BASE:
            return ".".join(str(number >> shift & 255) for shift in (24, 16, 8, 0))
        return ""

    return text
