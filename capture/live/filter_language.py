"""The common forms of pcap's filter language, for machines without libpcap.

Source: pcap-filter(7). As there, ``and`` and ``or`` bind equally and from the left, ``not``
binds closer, and a value alone repeats the qualifiers of the one before it.
"""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Final

from capture.live.bpf import FilterError, Program
from capture.live.filter_program import (
    ARP,
    IPV4,
    IPV6,
    RARP,
    And,
    Layout,
    Node,
    Not,
    Or,
    any_of,
    assemble,
)
from capture.names import is_address
from capture.protocols.text import printable

_TOKEN: Final = re.compile(r"\s*(\(|\)|!|&&|\|\||[^\s()!&|]+|.)")
_MOST_TOKENS: Final = 4000
_DEEPEST: Final = 50

_TRANSPORTS: Final = {"tcp": 6, "udp": 17, "sctp": 132}
_PROTOCOLS: Final = {**_TRANSPORTS, "icmp": 1, "icmp6": 58}
_FAMILIES: Final = {"ip": IPV4, "ip6": IPV6, "arp": ARP, "rarp": RARP}
_TYPES: Final = ("host", "net", "port", "portrange")
_JOINED: Final = {"and": "and", "&&": "and", "or": "or", "||": "or"}
_NEGATED: Final = ("not", "!")
_ANY_DIRECTION: Final = "or"
_WORKING: Final = (
    "without libpcap a filter can use host, net, port, portrange, src, dst, ip, ip6, arp, tcp, udp,"
    " sctp, icmp, icmp6, and, or, not and brackets"
)
_OTHERS: Final = (
    "action ah aarp atalk atm broadcast byte carp clnp decnet dir dpc ether esp esis fddi gateway"
    " geneve greater hsio iface ifindex ifname igmp igrp inbound ip ipx isis iso l1 l2 lane lat len"
    " less link llc lsap metac moprc mopdl mpls multicast netbeui oam on opc outbound pim ppp"
    " pppoed pppoes proto protochain radio reason rnr rset rulenum ruleset sca sio sls slip stp"
    " subtype tr type vci vlan vpi vrrp wlan"
)
"""Words of the language that are not handled here, and no names of hosts."""


@dataclass(frozen=True, slots=True)
class _Qualifiers:
    protocol: str = ""
    directions: str = _ANY_DIRECTION
    kind: str = "host"


def compile_common(text: str, linktype: int) -> Program:
    """Compile a filter of the common forms.

    Args:
        text: The filter, not empty.
        linktype: What the socket's frames are kept as.

    Raises:
        FilterError: It is none of the common forms; the message says which they are.
    """
    return assemble(_Parser(text, Layout(linktype)).parse())


class _Parser:
    """Recursive descent over the words of a filter."""

    def __init__(self, text: str, layout: Layout) -> None:
        self._tokens = _TOKEN.findall(text.strip())
        if len(self._tokens) > _MOST_TOKENS:
            raise FilterError(f"is too long: {_MOST_TOKENS} words are the most")
        self._at = 0
        self._depth = 0
        self._layout = layout
        self._before: _Qualifiers | None = None

    def parse(self) -> Node:
        node = self._joined()
        if self._at < len(self._tokens):
            raise self._refused()
        return node

    def _joined(self) -> Node:
        node = self._negated()
        while (how := _JOINED.get(self._peek())) is not None:
            self._at += 1
            right = self._negated()
            node = And(node, right) if how == "and" else Or(node, right)
        return node

    def _negated(self) -> Node:
        times = 0
        while self._peek() in _NEGATED:
            self._at += 1
            times += 1
        node = self._bracketed() if self._peek() == "(" else self._primitive()
        return Not(node) if times % 2 else node

    def _bracketed(self) -> Node:
        self._at += 1
        self._depth += 1
        if self._depth > _DEEPEST:
            raise FilterError(f"has more than {_DEEPEST} brackets in each other")
        node = self._joined()
        if self._peek() != ")":
            raise FilterError("lacks a closing bracket")
        self._at += 1
        self._depth -= 1
        return node

    def _primitive(self) -> Node:
        protocol = self._one_of((*_PROTOCOLS, *_FAMILIES))
        directions = self._directions()
        kind = self._one_of(_TYPES)
        if not (directions or kind):
            if protocol:
                self._before = None
                return self._protocol(protocol)
            if self._before is None and not is_address(self._peek()):
                raise self._refused()
            qualifiers = self._before or _Qualifiers()
        else:
            qualifiers = _Qualifiers(protocol, directions or _ANY_DIRECTION, kind or "host")
        value = self._value()
        self._before = qualifiers
        if qualifiers.kind in ("port", "portrange"):
            return self._ports(qualifiers, value)
        return self._addresses(qualifiers, value)

    def _directions(self) -> str:
        first = self._one_of(("src", "dst"))
        other = {"src": "dst", "dst": "src"}.get(first)
        if other and self._peek(1) == other and (how := _JOINED.get(self._peek())):
            self._at += 2
            return how
        return first

    def _protocol(self, name: str) -> Node:
        if name in _FAMILIES:
            return self._layout.ethertype(_FAMILIES[name])
        families = {"icmp": (IPV4,), "icmp6": (IPV6,)}.get(name, (IPV6, IPV4))
        return self._layout.protocol(_PROTOCOLS[name], families)

    def _ports(self, qualifiers: _Qualifiers, value: str) -> Node:
        if qualifiers.protocol and qualifiers.protocol not in _TRANSPORTS:
            raise FilterError(f"{qualifiers.protocol} has no ports")
        bounds = value.split("-") if qualifiers.kind == "portrange" else [value]
        if len(bounds) > 2:
            raise FilterError(f"`{_shown(value)}` is no range of ports")
        ports = [_port(bound, qualifiers.protocol) for bound in bounds]
        protocols = tuple(_TRANSPORTS.values())
        if qualifiers.protocol:
            protocols = (_TRANSPORTS[qualifiers.protocol],)
        return self._layout.ports(protocols, qualifiers.directions, min(ports), max(ports))

    def _addresses(self, qualifiers: _Qualifiers, value: str) -> Node:
        if qualifiers.protocol and qualifiers.protocol not in ("ip", "ip6"):
            raise FilterError(f"{qualifiers.protocol} has no addresses: say ip or ip6")
        networks = _networks(value) if qualifiers.kind == "net" else _hosts(value)
        if qualifiers.kind == "net" and self._peek() == "mask":
            self._at += 1
            networks = [_masked(value, self._value())]
        wanted = {"ip": 4, "ip6": 6}.get(qualifiers.protocol)
        networks = [one for one in networks if wanted in (None, one.version)]
        if not networks:
            raise FilterError(f"`{_shown(value)}` is no address of {qualifiers.protocol}")
        return any_of(
            [
                self._layout.address(
                    qualifiers.directions,
                    one.network_address.packed,
                    one.prefixlen,
                    arp=not qualifiers.protocol,
                )
                for one in networks
            ]
        )

    def _peek(self, ahead: int = 0) -> str:
        at = self._at + ahead
        return self._tokens[at].lower() if at < len(self._tokens) else ""

    def _one_of(self, words: tuple[str, ...]) -> str:
        word = self._peek()
        if word not in words:
            return ""
        self._at += 1
        return word

    def _value(self) -> str:
        if not re.fullmatch(r"[\w.:/-]+", self._peek()) or self._peek() in _RESERVED:
            raise self._refused()
        self._at += 1
        return str(self._tokens[self._at - 1])

    def _refused(self) -> FilterError:
        word = self._peek()
        return FilterError(f"{_WORKING}; not `{_shown(word)}`" if word else "is not complete")


_RESERVED: Final = frozenset(_OTHERS.split()).union(
    _PROTOCOLS, _FAMILIES, _TYPES, _JOINED, _NEGATED, ("src", "dst", "mask")
)


def _shown(text: str) -> str:
    return printable(text, 60)


def _port(text: str, protocol: str) -> int:
    if is_address(text):
        raise FilterError(f"`{text}` is no port: say host")
    if text.isascii() and text.isdigit():
        if int(text) > 0xFFFF:
            raise FilterError(f"there is no port {_shown(text)}")
        return int(text)
    try:
        return socket.getservbyname(text, protocol) if protocol else socket.getservbyname(text)
    except (OSError, ValueError):
        raise FilterError(f"there is no port `{_shown(text)}`") from None


def _hosts(text: str) -> list[IPv4Network | IPv6Network]:
    """The addresses of a host; a name is looked up once, as tcpdump does it."""
    try:
        return [ip_network(ip_address(text))]
    except ValueError:
        pass
    if "/" in text:
        raise FilterError(f"`{_shown(text)}` is a network: say net")
    if re.fullmatch(r"[\d.]+", text):
        raise FilterError(f"`{_shown(text)}` is no address")
    try:
        found = socket.getaddrinfo(text, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise FilterError(f"the host `{_shown(text)}` is not known") from None
    addresses = dict.fromkeys(str(entry[4][0]).partition("%")[0] for entry in found)
    return [ip_network(address) for address in addresses]


def _networks(text: str) -> list[IPv4Network | IPv6Network]:
    address, slash, length = text.partition("/")
    if ":" not in address:
        octets = address.split(".")
        # ``net 10.1`` stands for 10.1.0.0/16.
        if not slash:
            length = str(8 * len(octets))
        address = ".".join(octets + ["0"] * (4 - len(octets)))
    try:
        return [ip_network(f"{address}/{length or 128}")]
    except ValueError as error:
        why = "has bits set behind its length" if "host bits" in str(error) else "is no network"
        raise FilterError(f"`{_shown(text)}` {why}") from None


def _masked(text: str, mask: str) -> IPv4Network:
    try:
        return IPv4Network(f"{text}/{ip_address(mask)}")
    except ValueError:
        raise FilterError(f"`{_shown(text)} mask {_shown(mask)}` is no network") from None
