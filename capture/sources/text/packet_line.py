"""What a line of tcpdump's that begins a packet says, up to the protocol above IP.

Told by the format strings of tcpdump 3.4 to 4.99 and of what prints like it (Cisco's
firewalls, Apple's and BSD's own versions, ptcpdump, BIG-IP), and by what people do to such
lines before they paste them. Only syntax: hosts stay words.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

_TIME: Final = re.compile(
    r"(?:(?P<date>\d{4}-\d\d-\d\d)[ T]|[A-Z][a-z]{2} {1,2}\d{1,2} )?(?P<sign>-)?"
    r"(?P<hour>\d{1,2}):(?P<minute>\d\d):(?P<second>\d\d)(?:[.,](?P<fraction>\d{1,9}))?"
    r"(?P<zone>Z|[+-]\d\d:?\d\d)?(?=\s|$)"
    r"|(?P<epoch>\d{9,11})\.(?P<part>\d{1,9})(?=\s)"
    r"|(?P<seconds>\d{1,8})\.(?P<rest>\d{1,9})(?=\s)"
)
_DAMAGED: Final = (
    r"(?:truncated-ip6? - \d+ bytes missing!|bad-len \d+|\[total length \d+ > length \d+\]"
    r"(?: \(invalid\))?)"
)
_NETWORK: Final = re.compile(
    r"(?:^|(?<=[\s:,]))(?:IP(?P<six>6?)|ethertype IPv(?P<version>[46]) \(0x[0-9a-fA-F]+\),"
    r"(?: length \d+:)?|AF IPv(?P<family>[46]) \(\d+\), length \d+:)"
    rf"[ \t]+(?:{_DAMAGED}[ \t]*)?"
)
_DETAIL: Final = re.compile(r"\(([^()]*(?:\([^()]*\)[^()]*)*)\)[ \t]*")
_OPEN_DETAIL: Final = re.compile(r"\((?:tos|class|flowlabel|hlim|pri|ttl|id|length) ")
_REDACTED: Final = r"<[^<>\s]{1,40}>|\[[^\[\]\s]{1,40}\]|\([^()\s]{1,40}\)|\{[^{}\s]{1,40}\}"
"""What people put in place of an address."""
_HOST: Final = rf"(?:{_REDACTED}|[\w.:%*×•…█-])+"
_PAIR: Final = re.compile(
    rf"(?:{_DAMAGED}[ \t]*)?(?P<src>{_HOST})\s{{1,9}}>\s{{1,9}}(?P<dst>{_HOST}?):(?:\s+|$)"
    r"(?P<body>.*)$"
)
_BEGUN: Final = re.compile(rf"{_HOST}(?:\s+>(?:\s+{_HOST})?)?\s*$")
"""A line that was wrapped between the ends or before their colon."""
_NUMERIC: Final = r"(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9a-fA-F]*(?::[0-9a-fA-F]*){2,7})\.\d{1,5}"
_LINA: Final = re.compile(
    r"(?:[0-9a-f]{4}(?:\.[0-9a-f]{4}){2}\s+){2}0x(?P<type>[0-9a-f]{4})\s+Length:\s*\d+\s*"
)
_TAG: Final = re.compile(r"802\.1Q vlan#\d+ P\d+\s+")
_BARE: Final = re.compile(rf"{_NUMERIC} > {_NUMERIC}:(?:\s|$)")
"""Two ends without a word for the protocol: Cisco's firewalls (``show capture``, with the link
layer before them where ``detail`` was asked for) and tcpdump before 3.9."""
_UNMISTAKABLE: Final = re.compile(
    rf"(?:^|(?<=\s)){_HOST}\.[\w*-]+\s{{1,9}}>\s{{1,9}}{_HOST}?\.[\w*-]+:\s{{1,9}}"
    r"(?=Flags? \[|[SFRPWEU.]{1,6} (?:\[[^\]]*\] )?(?:\d+:\d+\(\d+\)|ack \d+))"
)
"""Ends and flags as nothing else prints them, whatever is in front: a packet filter's rule,
a document's own marks, or nothing (``-t`` before 3.9)."""
_LOOKED_THROUGH: Final = 240
"""Characters in front of a line's own words at most: link layers, interfaces, rules."""
_ANY: Final = re.compile(r"(?P<name>[\w.:@-]{1,64})\s+(?:In|Out|B|M|P|Bcast|Mcast|\?)\s+")
_INNER: Final = re.compile(r"(?:GREv\d,.{0,80}? length \d+: )?(?=IP6? \S)")
"""What follows the ends of a packet that carries another one in the same line."""
_OTHER: Final = re.compile(
    r"ARP, |RARP|STP |LLDP|CDPv|LACPv|Loopback|IPX |EAPOL|EAP |MPLS|PPPoE|PPP|802\.|"
    r"ethertype |IS-IS|OSI|AoE|[0-9a-f]{2}(?::[0-9a-f]{2}){5} "
)


@dataclass(slots=True)
class Stamp:
    """A time as it is printed."""

    nanoseconds: int
    """Since midnight, or since the epoch when ``dated``; may be negative (a difference)."""
    dated: bool


@dataclass(slots=True)
class IpDetail:
    """What ``-v`` prints of the IP header; None where it does not say."""

    ttl: int | None = None
    ident: int | None = None
    dont_fragment: bool | None = None
    more_fragments: bool = False
    fragment_offset: int = 0
    length: int | None = None
    """IPv4: total length; IPv6: payload length."""


@dataclass(slots=True)
class PacketLine:
    """A line that begins a packet."""

    stamp: Stamp | None = None
    version: int = 0
    """4 or 6; 0 for anything that is not IP."""
    src: str = ""
    """Host, or host and port, as printed; empty while only the first line of two is read."""
    dst: str = ""
    body: str = ""
    """What follows the addresses."""
    detail: IpDetail = field(default_factory=IpDetail)
    interface: str = ""
    arp: bool = False
    begun: bool = False
    """The line ends before it says what the packet is: it was wrapped."""


def parse_packet_line(line: str) -> PacketLine | None:
    """Read a line that begins a packet; None for every other line.

    A line of a protocol that is not read here counts when it has a time as tcpdump prints
    it (with a fraction), so that packets keep their numbers.
    """
    packet = PacketLine()
    rest = line.lstrip()
    time = _TIME.match(rest)
    if time:
        packet.stamp = _stamp(time)
        rest = rest[time.end() :].lstrip()
    network = _NETWORK.match(rest)
    if not network:
        named = _ANY.match(rest)
        if named:
            packet.interface = named["name"]
            network = _NETWORK.match(rest, named.end())
        if not network and (time or named):
            network = _NETWORK.search(rest, 0, _LOOKED_THROUGH)
    if network and _after_network(packet, network, rest):
        return packet
    if (time and _bare_ends(packet, rest)) or _unmistakable(packet, rest):
        return packet
    fine = time is not None and (time["fraction"] or time["part"])
    known = _OTHER.match(rest[len(packet.interface) :].lstrip() if packet.interface else rest)
    if (fine and rest and rest[0] not in "[(#<{\"'") or (known and rest.startswith("ARP, ")):
        packet.version = 0
        packet.arp = "ARP" in rest[:80]
        return packet
    return None


def _after_network(packet: PacketLine, network: re.Match[str], rest: str) -> bool:
    """Read what follows the word for IP; False when it is nothing of tcpdump's."""
    packet.version = 6 if "6" in (network["six"], network["version"], network["family"]) else 4
    at = network.end()
    detail = _DETAIL.match(rest, at)
    if detail and _OPEN_DETAIL.match(rest, at):
        packet.detail = parse_detail(detail[1], packet.version)
        at = detail.end()
    else:
        detail = None
    if parse_pair(packet, rest[at:]):
        return True
    sure = packet.stamp is not None or packet.interface
    if detail:  # with -v the addresses of IPv4 come on a line of their own
        return bool(sure or not rest[at:].strip())
    tail = rest[at:]
    packet.begun = bool(sure and (_BEGUN.match(tail) or _OPEN_DETAIL.match(tail)))
    return packet.begun


def _bare_ends(packet: PacketLine, rest: str) -> bool:
    """Read a line of a firewall's capture into ``packet``; False when it is none."""
    link = _LINA.match(rest)
    at = link.end() if link else 0
    tag = _TAG.match(rest, at)
    at = tag.end() if tag else at
    if _BARE.match(rest, at) and parse_pair(packet, rest[at:]):
        packet.version = 6 if packet.src.count(":") > 1 else 4
        return True
    if link and not rest[at:].strip():  # the ends come on a line of their own
        packet.version = 6 if link["type"] == "86dd" else 4
        return True
    return False


def _unmistakable(packet: PacketLine, rest: str) -> bool:
    """Read ends that stand behind anything, or nothing; False when there are none."""
    if " >" not in rest[:_LOOKED_THROUGH]:
        return False
    found = _UNMISTAKABLE.search(rest, 0, _LOOKED_THROUGH)
    if not found or not parse_pair(packet, rest[found.start() :]):
        return False
    packet.version = 6 if packet.src.count(":") > 1 else 4
    return True


def parse_pair(packet: PacketLine, text: str) -> bool:
    """Read ``SRC > DST: …`` into ``packet``; False when ``text`` is not of that form.

    Of a packet in a packet (IP in IP, GRE) the inner one is read.
    """
    text = text.lstrip()
    tag = _TAG.match(text)
    pair = _PAIR.match(text, tag.end() if tag else 0)
    if not pair:
        return False
    packet.src, packet.dst, packet.body = pair["src"], pair["dst"], pair["body"]
    inner = _INNER.match(packet.body)
    within = parse_packet_line(packet.body[inner.end() :]) if inner else None
    if within is not None and within.src:
        packet.version, packet.detail = within.version, within.detail
        packet.src, packet.dst, packet.body = within.src, within.dst, within.body
    return True


def _stamp(match: re.Match[str]) -> Stamp:
    if match["epoch"]:
        return Stamp(int(match["epoch"]) * 10**9 + int(match["part"].ljust(9, "0")), True)
    if match["seconds"]:
        return Stamp(int(match["seconds"]) * 10**9 + int(match["rest"].ljust(9, "0")), False)
    seconds = int(match["hour"]) * 3600 + int(match["minute"]) * 60 + int(match["second"])
    nanoseconds = seconds * 10**9 + int((match["fraction"] or "").ljust(9, "0"))
    if match["sign"]:
        nanoseconds = -nanoseconds
    if not match["date"]:
        return Stamp(nanoseconds, False)
    days = _days(match["date"])
    if days is None:
        return Stamp(nanoseconds, False)
    return Stamp(nanoseconds + (days * 86_400 - _zone(match["zone"])) * 10**9, True)


def read_stamp(text: str) -> Stamp | None:
    """A time that stands for itself; None when ``text`` is none."""
    match = _TIME.match(text + " ")
    return _stamp(match) if match and match.end() == len(text) else None


def _days(date: str) -> int | None:
    from datetime import date as Date

    try:
        return Date.fromisoformat(date).toordinal() - Date(1970, 1, 1).toordinal()
    except ValueError:
        return None


def _zone(zone: str | None) -> int:
    """Seconds east of UTC."""
    if not zone or zone == "Z":
        return 0
    digits = zone[1:].replace(":", "")
    seconds = int(digits[:2]) * 3600 + int(digits[2:]) * 60
    return -seconds if zone[0] == "-" else seconds


_TTL: Final = re.compile(r"\b(?:ttl|hlim) +(\d+)")
_ID: Final = re.compile(r"\bid (\d+)")
_OFFSET: Final = re.compile(r"\boffset (\d+)")
_IP_FLAGS: Final = re.compile(r"\bflags \[([^\]]*)\]")
_IP_LENGTH: Final = re.compile(r"\blength:? (\d+)")


def parse_detail(text: str, version: int) -> IpDetail:
    """Read what ``-v`` prints in parentheses behind ``IP`` or ``IP6``."""
    detail = IpDetail(
        ttl=_number(_TTL, text), ident=_number(_ID, text), length=_number(_IP_LENGTH, text)
    )
    flags = _IP_FLAGS.search(text)
    if flags and version == 4:
        detail.dont_fragment = "DF" in flags[1]
        detail.more_fragments = "+" in flags[1]
        detail.fragment_offset = _number(_OFFSET, text) or 0
    return detail


def _number(pattern: re.Pattern[str], text: str) -> int | None:
    match = pattern.search(text)
    return int(match[1][:20]) if match else None
