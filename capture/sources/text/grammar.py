"""What tcpdump's lines say, told by tcpdump 3.9 to 4.99's own format strings.

Only syntax: numbers stay as printed (relative sequence numbers too), hosts stay words.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from capture.decode.columns import ACK, CWR, ECE, FIN, PSH, RST, SYN, URG

_TIME: Final = re.compile(
    r"(?:(?P<date>\d{4}-\d\d-\d\d)[ T])?(?P<sign>-)?"
    r"(?P<hour>\d{1,2}):(?P<minute>\d\d):(?P<second>\d\d)(?:[.,](?P<fraction>\d{1,9}))?"
    r"(?P<zone>Z|[+-]\d\d:?\d\d)?(?=\s|$)"
    r"|(?P<epoch>\d{9,11})\.(?P<part>\d{1,9})(?=\s)"
)
_NETWORK: Final = re.compile(
    r"(?:^|(?<=[\s:,]))(?:IP(?P<six>6?)|ethertype IPv(?P<version>[46]) \(0x[0-9a-fA-F]+\),"
    r"(?: length \d+:)?|AF IPv(?P<family>[46]) \(\d+\), length \d+:)[ \t]+"
)
_DETAIL: Final = re.compile(r"\(([^()]*(?:\([^()]*\)[^()]*)*)\)[ \t]*")
_PAIR: Final = re.compile(r"(?P<src>[\w.:%-]+) > (?P<dst>[\w.:%-]+?):(?:\s+|$)(?P<body>.*)$")
_HOST: Final = r"(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9a-fA-F]*(?::[0-9a-fA-F]*){2,7})\.\d{1,5}"
_LINA: Final = re.compile(
    r"(?:[0-9a-f]{4}(?:\.[0-9a-f]{4}){2}\s+){2}0x(?P<type>[0-9a-f]{4})\s+Length:\s*\d+\s*"
)
_TAG: Final = re.compile(r"802\.1Q vlan#\d+ P\d+\s+")
_BARE: Final = re.compile(rf"{_HOST} > {_HOST}:(?:\s|$)")
"""Two ends without a word for the protocol: Cisco's firewalls (``show capture``, with the link
layer before them where ``detail`` was asked for) and tcpdump before 3.9."""
_ANY: Final = re.compile(r"(?P<name>[\w.:@-]{1,64})\s+(?:In|Out|B|M|P|Bcast|Mcast|\?)\s+")
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
            network = _NETWORK.search(rest, 0, 240)
    if network:
        packet.version = 6 if "6" in (network["six"], network["version"], network["family"]) else 4
        at = network.end()
        detail = _DETAIL.match(rest, at)
        if detail:
            packet.detail = parse_detail(detail[1], packet.version)
            at = detail.end()
        if parse_pair(packet, rest[at:]):
            return packet
        # With -v the addresses of IPv4 come on a line of their own.
        return packet if detail and (time or packet.interface) else _bare(packet, detail, rest, at)
    if time and _bare_ends(packet, rest):
        return packet
    fine = time is not None and (time["fraction"] or time["part"])
    known = _OTHER.match(rest[len(packet.interface) :].lstrip() if packet.interface else rest)
    if (fine and rest and rest[0] not in "[(#<{\"'") or (known and rest.startswith("ARP, ")):
        packet.arp = "ARP" in rest[:80]
        return packet
    return None


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


def _bare(
    packet: PacketLine, detail: re.Match[str] | None, rest: str, at: int
) -> PacketLine | None:
    """A first line of ``-t -v``: nothing but ``IP (tos …)``."""
    return packet if detail and not rest[at:].strip() else None


def parse_pair(packet: PacketLine, text: str) -> bool:
    """Read ``SRC > DST: …`` into ``packet``; False when ``text`` is not of that form."""
    text = text.lstrip()
    tag = _TAG.match(text)
    pair = _PAIR.match(text, tag.end() if tag else 0)
    if not pair:
        return False
    packet.src, packet.dst, packet.body = pair["src"], pair["dst"], pair["body"]
    return True


def _stamp(match: re.Match[str]) -> Stamp:
    if match["epoch"]:
        return Stamp(int(match["epoch"]) * 10**9 + int(match["part"].ljust(9, "0")), True)
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


_TTL: Final = re.compile(r"\b(?:ttl|hlim) (\d+)")
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


@dataclass(slots=True)
class TcpLine:
    """What a line says of a TCP segment; None where it does not say."""

    flags: int | None = None
    seq: int | None = None
    end: int | None = None
    ack: int | None = None
    window: int | None = None
    checksum: int | None = None
    options: bytes = b""
    length: int | None = None
    first_line: str = ""
    """The line of the payload that tcpdump decoded (``HTTP: …``)."""


_FLAG_LETTERS: Final = {
    "F": FIN, "S": SYN, "R": RST, "P": PSH, ".": ACK, "U": URG, "E": ECE, "W": CWR,
}  # fmt: skip
_FLAG_WORDS: Final = {
    "SYN": SYN, "ACK": ACK, "FIN": FIN, "RST": RST, "PSH": PSH, "URG": URG, "ECE": ECE,
    "CWR": CWR,
}  # fmt: skip

_FLAGS: Final = re.compile(r"^Flags? \[([^\]]{0,40})\]")
_CHECKSUM: Final = re.compile(r"\bcksum 0x([0-9a-f]{1,4})\b")
_SEQ: Final = re.compile(r"\bseq (\d{1,10})(?::(\d{1,10}))?")
_ACK: Final = re.compile(r"\back (\d{1,10})")
_WINDOW: Final = re.compile(r"\bwin (\d{1,10})")
_OPTIONS: Final = re.compile(r"\boptions \[([^\]]*)")
_LENGTH: Final = re.compile(r"\blength (\d{1,10})")
_DECODED: Final = re.compile(r": HTTP(?:, length: \d+)?(?:: (.*))?$")
_OLD: Final = re.compile(
    r"(?P<flags>[SFRPWEU.]{1,8})(?: \[[^\]]*\])?(?: (?P<seq>\d+):(?P<end>\d+)\((?P<length>\d+)\))?"
    r"(?: ack (?P<ack>\d+))?(?: win (?P<win>\d+))?(?: urg \d+)?(?: <(?P<options>[^>]*)>?)?"
)
"""Lines of tcpdump before 4.0: ``S 123:123(0) win 5840 <mss 1460>``."""
_QUICK: Final = re.compile(r"tcp (\d{1,10})\b")


def parse_tcp(body: str) -> TcpLine | None:
    """Read what follows the addresses of a TCP segment; None when it is something else."""
    flags = _FLAGS.match(body)
    if not flags:
        return _parse_old(body)
    line = TcpLine(flags=_flag_bits(flags[1]))
    options = _OPTIONS.search(body)
    length = _LENGTH.search(body, options.end() if options else flags.end())
    head = body[: length.start()] if length else body.partition(": HTTP")[0]
    if length:
        line.length = int(length[1])
        decoded = _DECODED.match(body, length.end())
        if decoded and decoded[1]:
            line.first_line = decoded[1]
    seq = _SEQ.search(head)
    if seq:
        line.seq = int(seq[1])
        line.end = int(seq[2]) if seq[2] else None
    line.ack = _number(_ACK, head)
    line.window = _number(_WINDOW, head)
    checksum = _CHECKSUM.search(head)
    if checksum:
        line.checksum = int(checksum[1], 16)
    if options:
        line.options = parse_options(options[1])
    return line


def _parse_old(body: str) -> TcpLine | None:
    quick = _QUICK.match(body)
    if quick:
        return TcpLine(length=int(quick[1]))
    old = _OLD.match(body)
    if not old or not (old["seq"] or old["ack"] or old["win"]):
        return None
    line = TcpLine(flags=_flag_bits(old["flags"]))
    if old["ack"]:
        line.ack = int(old["ack"])
        line.flags = (line.flags or 0) | ACK
    elif line.flags is not None and line.flags & ACK:
        line.flags &= ~ACK  # in those days "." stood for "no flag to print"
    if old["seq"]:
        line.seq, line.end, line.length = int(old["seq"]), int(old["end"]), int(old["length"])
    else:
        line.length = 0
    if old["win"]:
        line.window = int(old["win"])
    line.options = parse_options((old["options"] or "").replace("timestamp", "TS val"))
    return line


def _flag_bits(text: str) -> int:
    if text == "none":
        return 0
    words = re.findall(r"[A-Z]{3}", text)
    if words and all(word in _FLAG_WORDS for word in words):
        return sum({_FLAG_WORDS[word] for word in words})
    bits = 0
    for letter in text:
        bits |= _FLAG_LETTERS.get(letter, 0)
    return bits


_SACK_BLOCK: Final = re.compile(r"\{(\d{1,10}):(\d{1,10})\}")


def parse_options(text: str) -> bytes:
    """TCP options in wire form (RFC 9293 3.1); those that are not known are left out.

    SACK blocks keep the numbers as printed: relative ones are corrected by ``Conversation``.
    """
    made = bytearray()
    for item in re.split(r",(?![^{]*\})", text):
        words = item.split()
        name = words[0] if words else ""
        if name == "mss":
            made += b"\x02\x04" + _field(words, 1, 2)
        elif name == "wscale":
            made += b"\x03\x03" + _field(words, 1, 1)
        elif name == "sackOK":
            made += b"\x04\x02"
        elif name == "nop":
            made += b"\x01"
        elif name == "eol":
            made += b"\x00"
        elif name == "TS":
            value = next((i for i, word in enumerate(words) if word == "val"), 0) + 1
            echo = next((i for i, word in enumerate(words) if word == "ecr"), value) + 1
            made += b"\x08\x0a" + _field(words, value, 4) + _field(words, echo, 4)
        elif name == "sack":
            blocks = _SACK_BLOCK.findall(item)[:4]
            made += bytes((5, 2 + 8 * len(blocks)))
            for left, right in blocks:
                made += (int(left) & 0xFFFFFFFF).to_bytes(4, "big")
                made += (int(right) & 0xFFFFFFFF).to_bytes(4, "big")
    return bytes(made[:40])


def _field(words: list[str], index: int, size: int) -> bytes:
    """A number among the words of an option, as big-endian bytes; 0 when it is missing."""
    text = words[index] if index < len(words) else ""
    value = int(text) if text.isdecimal() and len(text) <= 10 else 0
    return (value & ((1 << 8 * size) - 1)).to_bytes(size, "big")


@dataclass(slots=True)
class IcmpLine:
    """An ICMP or ICMPv6 error; type and code as on the wire."""

    type: int
    code: int
    mtu: int = 0
    target: str = ""
    """Destination of the packet it is about, as printed; empty where that is not said."""
    port: str = ""
    """Destination port of it, as printed."""
    length: int = 0
    """Bytes of the message, 0 where that is not said."""


_ICMP: Final = (
    (r"net (\S+) unreachable - unknown", 3, 6),
    (r"host (\S+) unreachable - unknown", 3, 7),
    (r"(\S+) unreachable - source host isolated", 3, 8),
    (r"net (\S+) unreachable - admin prohibited", 3, 9),
    (r"host (\S+) unreachable - admin prohibited filter", 3, 13),
    (r"host (\S+) unreachable - admin prohibited", 3, 10),
    (r"net (\S+) unreachable - tos prohibited", 3, 11),
    (r"host (\S+) unreachable - tos prohibited", 3, 12),
    (r"host (\S+) unreachable - host precedence violation", 3, 14),
    (r"host (\S+) unreachable - precedence cutoff", 3, 15),
    (r"net (\S+) unreachable", 3, 0),
    (r"host (\S+) unreachable", 3, 1),
    (r"(\S+) protocol \S+ unreachable", 3, 2),
    (r"(\S+) (?:tcp|udp) port (\S+) unreachable", 3, 3),
    (r"(\S+) unreachable - need to frag", 3, 4),
    (r"(\S+) unreachable - source route failed", 3, 5),
    (r"time exceeded in-transit", 11, 0),
    (r"ip reassembly time exceeded", 11, 1),
)  # fmt: skip
_ICMP6: Final = (
    (r"packet too big", 2, 0),
    (r"time exceeded in-transit(?: for (\S+?)(?:,|$))?", 3, 0),
    (r"ip reassembly time exceeded", 3, 1),
    (r"destination unreachable, +unreachable route (\S+?)(?:,|$)", 1, 0),
    (r"destination unreachable, +unreachable prohibited (\S+?)(?:,|$)", 1, 1),
    (r"destination unreachable, +beyond scope (\S+?)(?:,|$)", 1, 2),
    (r"destination unreachable, +unreachable address (\S+?)(?:,|$)", 1, 3),
    (r"destination unreachable, +unreachable port, (\S+) (?:tcp|udp) port (\S+?)(?:,|$)", 1, 4),
    (r"destination unreachable, +unknown unreach code \((\d)\)", 1, 5),
)
_COMPILED: Final = {
    4: [(re.compile(pattern), kind, code) for pattern, kind, code in _ICMP],
    6: [(re.compile(pattern), kind, code) for pattern, kind, code in _ICMP6],
}
_MTU: Final = re.compile(r"\bmtu (\d{1,6})")


def parse_icmp(body: str, version: int) -> IcmpLine | None:
    """Read an ICMP error; None for other messages and other protocols."""
    start = body.find("ICMP6, " if version == 6 else "ICMP ")
    if start < 0 or start > 64:
        return None
    text = body[start + (7 if version == 6 else 5) :]
    for pattern, kind, code in _COMPILED[version]:
        match = pattern.match(text)
        if match:
            line = IcmpLine(kind, code)
            groups = match.groups()
            if version == 6 and code == 5:
                line.code, groups = int(match[1]), ()
            if groups:
                line.target = groups[0] or ""
            if len(groups) > 1:
                line.port = groups[1] or ""
            line.mtu = _number(_MTU, text) or 0
            line.length = _number(_LENGTH, text) or 0
            return line
    return None


_UDP: Final = re.compile(r"(?:\[[^\]]*\] )?UDP, (?:bad )?length (\d{1,6})|udp (\d{1,6})\b")
_DNS: Final = re.compile(r"(?:\[[^\]]*\] )?\d{1,5}[*%|+$-]* .*\((\d{1,5})\)")


def parse_udp(body: str) -> int | None:
    """Payload length of a UDP datagram; None when the line is none (or not surely one)."""
    match = _UDP.match(body)
    if match:
        return int(match[1] or match[2])
    dns = _DNS.match(body)
    return int(dns[1]) if dns else None


_REQUEST: Final = re.compile(
    r"(?P<line>(?:(?:CONNECT|GET|HEAD|POST|PUT|DELETE|OPTIONS|PATCH|TRACE) \S+ HTTP/\d(?:\.\d)?"
    r"|CONNECT [\w.\[\]:-]+:\d{1,5}))(?=\s|$)"
)
_STATUS: Final = re.compile(r"HTTP/\d(?:\.\d)? [1-5]\d\d(?: .*)?$")
_FIELD: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}:(?:\s|$|\S)")
_REMARK: Final = re.compile(
    # The look-behinds keep a long run of blanks from being tried from each of its blanks.
    r"(?<!\s)\s+(?:#|//|<-|←)\s.*$|(?<!\s)\s{2,}[\[(].*$|(?<!\s)\s+\[[^\]\[]{0,200}\]$"
)


def without_remark(line: str) -> str:
    """A line without the remark that an author put behind it."""
    return _REMARK.sub("", line).rstrip()


def request_line(line: str) -> str | None:
    """The request line that ``line`` begins with, as it was on the wire; else None."""
    match = _REQUEST.match(line)
    if not match:
        return None
    text = match["line"]
    return text if "HTTP/" in text else f"{text} HTTP/1.1"


def status_line(line: str) -> str | None:
    """The status line that ``line`` is, without a remark; else None."""
    return without_remark(line) if _STATUS.match(line) else None


def is_field(line: str) -> bool:
    """Whether a line has the form of an HTTP header field (RFC 9112 section 5)."""
    return _FIELD.match(line) is not None


_HEX: Final = re.compile(r"\s*0x[0-9a-f]{4,8}:\s{1,3}((?:[0-9a-f]{2,4} ?){1,8})")


def hex_bytes(line: str) -> bytes | None:
    """The bytes of one line of ``-x`` or ``-X``; None for another line."""
    match = _HEX.match(line)
    if not match:
        return None
    digits = match[1].replace(" ", "")
    return bytes.fromhex(digits) if len(digits) % 2 == 0 else None
