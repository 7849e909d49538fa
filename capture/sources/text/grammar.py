"""What tcpdump's lines say of the protocol above IP, told by tcpdump's own format strings.

Only syntax: numbers stay as printed (relative sequence numbers too).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from capture.decode.columns import ACK, CWR, ECE, FIN, PSH, RST, SYN, URG


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
    tls: tuple[str, str] = ("", "")
    """Version and messages of the payload as ptcpdump decodes them."""


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
_TLS: Final = re.compile(
    r": (?P<version>TLSv1\.[0-3]|SSLv3): (?P<messages>(?:Client|Server) Hello.*)$"
)
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
        elif tls := _TLS.match(body, length.end()):
            line.tls = tls["version"], tls["messages"]
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


_HEX: Final = re.compile(
    r"\s*0x[0-9a-f]{4,8}:?\s{1,3}((?:[0-9a-f]{2,4} ?){1,8})"
    r"|\s{4,}((?:[0-9a-f]{4} ){0,7}(?:[0-9a-f]{4}|[0-9a-f]{2}))\s*$"
)
"""With the offset; before 3.8 there was none."""


def hex_bytes(line: str) -> bytes | None:
    """The bytes of one line of ``-x`` or ``-X``; None for another line."""
    match = _HEX.match(line)
    if not match:
        return None
    digits = (match[1] or match[2]).replace(" ", "")
    return bytes.fromhex(digits) if len(digits) % 2 == 0 else None
