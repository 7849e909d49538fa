"""Boolean expressions over the bytes of a frame, and the packet filter programs they become."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from capture.live.bpf import (
    ABS,
    AD_PROTOCOL,
    ALU,
    IND,
    JA,
    JEQ,
    JGE,
    JGT,
    JMP,
    JSET,
    LD,
    LDX,
    MAX_SNAPLEN,
    MSH,
    RET,
    B,
    FilterError,
    H,
    Instruction,
    Program,
    W,
)
from capture.live.ring import ETHERNET, RAW_IP, SLL2

IPV4, IPV6, ARP, RARP = 0x0800, 0x86DD, 0x0806, 0x8035
_FRAGMENT: Final = 44
_ALU_AND: Final = 0x50
_FARTHEST: Final = 255
"""Jumps are this far at most."""


@dataclass(frozen=True, slots=True)
class Test:
    """Load something and compare it."""

    loads: tuple[Instruction, ...]
    how: int
    """JEQ, JGT, JGE or JSET."""
    k: int


@dataclass(frozen=True, slots=True)
class Not:
    """The contrary."""

    inner: Node


@dataclass(frozen=True, slots=True)
class And:
    """Both; the second is looked at only when the first holds."""

    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Or:
    """Either."""

    left: Node
    right: Node


Node = Test | Not | And | Or


def any_of(nodes: list[Node]) -> Node:
    """At least one of them (there is one)."""
    node = nodes[0]
    for other in nodes[1:]:
        node = Or(node, other)
    return node


def assemble(node: Node) -> Program:
    """The program that lets through what an expression is true for.

    It is made from its end: whatever a jump may lead to is known then. A place is counted
    from the end, too.
    """
    code = [Instruction(RET, 0, 0, 0), Instruction(RET, 0, 0, MAX_SNAPLEN)]
    _emit(code, node, 1, 0)
    return tuple(reversed(code))


def _emit(code: list[Instruction], node: Node, on_true: int, on_false: int) -> int:
    """Put the code of a node in front; returns its place."""
    if isinstance(node, Not):
        return _emit(code, node.inner, on_false, on_true)
    if isinstance(node, And):
        right = _emit(code, node.right, on_true, on_false)
        return _emit(code, node.left, right, on_false)
    if isinstance(node, Or):
        right = _emit(code, node.right, on_true, on_false)
        return _emit(code, node.left, on_true, right)
    on_true, on_false = _reach(code, on_true), _reach(code, on_false)
    here = len(code)
    code.append(Instruction(JMP | node.how, here - 1 - on_true, here - 1 - on_false, node.k))
    code.extend(reversed(node.loads))
    return len(code) - 1


def _reach(code: list[Instruction], place: int) -> int:
    """A place that a jump can reach: itself, or a long jump to it. One more may come between."""
    if len(code) + 1 - place <= _FARTHEST:
        return place
    code.append(Instruction(JMP | JA, 0, 0, len(code) - 1 - place))
    return len(code) - 1


class Layout:
    """Where things are in frames of one link type, as a socket shows them.

    Args:
        linktype: What the socket's frames are kept as.

    Raises:
        FilterError: Nothing is known of this link type.
    """

    def __init__(self, linktype: int) -> None:
        if linktype not in (ETHERNET, RAW_IP, SLL2):
            raise FilterError("on this kind of interface filters need libpcap")
        self._linktype = linktype
        self._network = 14 if linktype == ETHERNET else 0

    def ethertype(self, number: int) -> Node:
        """Frames of a network protocol."""
        if self._linktype == ETHERNET:
            return Test((Instruction(LD | H | ABS, 0, 0, 12),), JEQ, number)
        if self._linktype == SLL2:
            return Test((Instruction(LD | H | ABS, 0, 0, AD_PROTOCOL),), JEQ, number)
        version = {IPV4: 0x40, IPV6: 0x60}.get(number)
        if version is None:  # there is nothing but IP: never true
            return And(self.ethertype(IPV4), Not(self.ethertype(IPV4)))
        load = Instruction(LD | B | ABS, 0, 0, 0)
        return Test((load, Instruction(ALU | _ALU_AND, 0, 0, 0xF0)), JEQ, version)

    def protocol(self, number: int, families: tuple[int, ...] = (IPV6, IPV4)) -> Node:
        """Packets of a transport protocol; of IPv6 also fragments that begin with it."""
        found: list[Node] = []
        if IPV6 in families:
            direct = self._byte(6, number)
            fragment = And(self._byte(6, _FRAGMENT), self._byte(40, number))
            found.append(And(self.ethertype(IPV6), Or(direct, fragment)))
        if IPV4 in families:
            found.append(And(self.ethertype(IPV4), self._byte(9, number)))
        return any_of(found)

    def ports(self, protocols: tuple[int, ...], directions: str, low: int, high: int) -> Node:
        """Packets from or to ports in a range; fragments without ports are not among them.

        Args:
            protocols: Numbers of transport protocols whose ports are at the beginning.
            directions: ``src``, ``dst``, ``or`` or ``and``.
            low: First port.
            high: Last port.
        """
        whole = Not(Test((self._load(H, 6),), JSET, 0x1FFF))
        four = And(self.ethertype(IPV4), any_of([self._byte(9, number) for number in protocols]))
        six = And(self.ethertype(IPV6), any_of([self._byte(6, number) for number in protocols]))
        length = Instruction(LDX | B | MSH, 0, 0, self._network)

        def four_port(at: int) -> Node:
            load = Instruction(LD | H | IND, 0, 0, self._network + at)
            return _in_range((length, load), low, high)

        def six_port(at: int) -> Node:
            return _in_range((self._load(H, 40 + at),), low, high)

        return Or(
            And(six, _directed(directions, six_port(0), six_port(2))),
            And(And(four, whole), _directed(directions, four_port(0), four_port(2))),
        )

    def address(self, directions: str, address: bytes, length: int, *, arp: bool) -> Node:
        """Packets from or to a network, of either family.

        Args:
            directions: ``src``, ``dst``, ``or`` or ``and``.
            address: 4 or 16 bytes.
            length: Bits of it that count.
            arp: ARP packets about it, too (IPv4).
        """
        if len(address) == 16:
            source, destination = (self._prefix(at, address, length) for at in (8, 24))
            return And(self.ethertype(IPV6), _directed(directions, source, destination))
        kinds: list[tuple[tuple[int, ...], tuple[int, int]]] = [((IPV4,), (12, 16))]
        if arp and self._linktype != RAW_IP:
            kinds.append(((ARP, RARP), (14, 24)))
        return any_of(
            [
                And(
                    any_of([self.ethertype(number) for number in numbers]),
                    _directed(directions, *(self._prefix(at, address, length) for at in places)),
                )
                for numbers, places in kinds
            ]
        )

    def _load(self, width: int, at: int) -> Instruction:
        return Instruction(LD | width | ABS, 0, 0, self._network + at)

    def _byte(self, at: int, value: int) -> Node:
        return Test((self._load(B, at),), JEQ, value)

    def _prefix(self, at: int, address: bytes, length: int) -> Node:
        """The first ``length`` bits at a place are those of an address."""
        tests: list[Node] = []
        for word in range(0, len(address), 4):
            bits = min(max(length - 8 * word, 0), 32)
            if not bits and word:
                break
            mask = 0xFFFFFFFF << (32 - bits) & 0xFFFFFFFF
            masking = () if bits == 32 else (Instruction(ALU | _ALU_AND, 0, 0, mask),)
            value = int.from_bytes(address[word : word + 4], "big") & mask
            tests.append(Test((self._load(W, at + word), *masking), JEQ, value))
        node = tests[0]
        for test in tests[1:]:
            node = And(node, test)
        return node


def _in_range(loads: tuple[Instruction, ...], low: int, high: int) -> Node:
    if low == high:
        return Test(loads, JEQ, low)
    return And(Test(loads, JGE, low), Not(Test(loads, JGT, high)))


def _directed(directions: str, source: Node, destination: Node) -> Node:
    if directions == "src":
        return source
    if directions == "dst":
        return destination
    return And(source, destination) if directions == "and" else Or(source, destination)
