"""What the Info column says.

Only syntax: numbers stay as printed, ports stay words. Lines of a protocol above TCP name
no ports and no sequence numbers; who reads them must know the connection.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from capture.decode.columns import ACK, CWR, ECE, FIN, PSH, RST, SYN, URG
from capture.sources.text.grammar import IcmpLine, request_line

_FLAGS: Final = {
    "SYN": SYN, "ACK": ACK, "FIN": FIN, "RST": RST, "PSH": PSH, "URG": URG, "ECN": ECE,
    "ECE": ECE, "CWR": CWR,
}  # fmt: skip
ARROW: Final = r"(?:→|⟶|➝|->|=>|\?|â†’|ΓåÆ|\x1a|\ufffd{1,3})"
"""Between hosts and between ports, also as wrong encodings leave it."""
_MARKS: Final = re.compile(r"(?:\[[^\[\]]{1,80}\]\s*,?\s*)*")
_SEGMENT: Final = re.compile(
    rf"(?P<sport>[\w-]{{1,32}}?)\s*(?:{ARROW}|>)\s*(?P<dport>[\w-]{{1,32}})\s+"
    r"\[(?P<flags>(?:SYN|ACK|FIN|RST|PSH|URG|ECN|ECE|CWR|AE|NS|Reserved|<None>|[ ,])+)\]"
    r"(?P<rest>.*)$"
)
_NUMBER: Final = re.compile(r"\b(Seq|Ack|Win|Len|MSS|WS|TSval|TSecr|TSV|TSER)=(\d{1,10})")
_SACK: Final = re.compile(r"\bSLE=(\d{1,10}) SRE=(\d{1,10})")
_GOES_ON: Final = re.compile(r"\[TCP (?:segment of a r|PDU reas)")
"""The segment is a part of something whose end is told in a later line."""
_STATUS: Final = re.compile(r"HTTP/\d(?:\.\d)? [1-5]\d\d(?: .*)?$")
_REPLIES: Final = re.compile(r"(?<=\S)\s+(?=HTTP/\d(?:\.\d)? [1-5]\d\d )")
_BEHIND: Final = re.compile(
    r"\s*(?:\([\w.+-]+/[\w.+-]+\)|, NTLMSSP_\w+|\[[^\[\]]{1,80}\]|\(Unknown[^()]*\))\s*$"
)
"""What is put behind a status line: the body's media type, what a field holds, remarks."""
_REMARKS: Final = re.compile(
    r"\s*\[(?:Packet size limited|Malformed Packet|Unreassembled Packet|BoundError)[^\]]*\]"
)
_TLS: Final = re.compile(r"(?:TLS|SSL)(?:v[\d.]+)?$", re.IGNORECASE)
_VERSIONS: Final = {
    "sslv3": 0x0300, "tlsv1": 0x0301, "tlsv1.0": 0x0301, "tlsv1.1": 0x0302, "tlsv1.2": 0x0303,
    "tlsv1.3": 0x0304,
}  # fmt: skip
_TOLD: Final = re.compile(
    r"\[?(?:Client |Server |Certificate|Change Cipher|Application Data|Alert|Encrypted |New Sess"
    r"|Hello |Finished|Multiple Hand|Compressed Cert)"
)
_MESSAGE: Final = re.compile(r"[^,(\[]+(?:\([^()]*\))?|\[[^\]]*\]")


@dataclass(slots=True)
class Said:
    """Of any line."""

    marks: str = ""
    """What Wireshark found odd, in lower case: ``[tcp retransmission]``."""
    goes_on: bool = False
    """The segment is a part of something whose end is told in a later line."""

    @property
    def again(self) -> bool:
        """The bytes were there before, or should have been."""
        return "retransmission" in self.marks or "out-of-order" in self.marks

    @property
    def behind_a_gap(self) -> bool:
        return "previous segment" in self.marks


@dataclass(slots=True)
class Segment(Said):
    """A line of TCP itself; None where a number is not printed."""

    sport: str = ""
    dport: str = ""
    flags: int = 0
    seq: int | None = None
    ack: int | None = None
    window: int | None = None
    """Scaled already, where Wireshark saw the scale."""
    length: int | None = None
    mss: int | None = None
    scale: int | None = None
    """Shift of the window scale option."""
    sack_permitted: bool = False
    stamps: tuple[int, int] | None = None
    sack: tuple[tuple[int, int], ...] = ()


@dataclass(slots=True)
class Head(Said):
    """A request or status line."""

    line: str = ""
    request: bool = False
    before: tuple[str, ...] = ()
    """Status lines of replies that the segment holds, too: ``HTTP/1.1 100 Continue``."""


@dataclass(slots=True)
class Records(Said):
    """TLS messages."""

    messages: tuple[str, ...] = ()
    version: int = 0
    """Of the connection, as known at the end of the capture; 0 where it is not told."""

    @property
    def by_client(self) -> bool | None:
        """Whether only a client says so; None when either side may."""
        first = self.messages[0]
        if first.startswith(("Client ", "Server ")):
            return first.startswith("Client ")
        return None


@dataclass(slots=True)
class Icmp(Said):
    """An ICMP or ICMPv6 error."""

    error: IcmpLine | None = None


@dataclass(slots=True)
class Opaque(Said):
    """Anything else."""


def read_info(protocol: str, text: str) -> Said:
    """Read the Info column of a line whose Protocol column is ``protocol``."""
    text = _REMARKS.sub("", text)
    begin = _MARKS.match(text)
    at = begin.end() if begin else 0
    marks, rest = text[:at].lower(), text[at:].strip()
    goes_on = _GOES_ON.search(text) is not None
    segment = _SEGMENT.match(rest)
    if segment:
        return _segment(segment, marks, goes_on)
    line = request_line(rest)
    if line is not None:
        return Head(marks, goes_on, line, True)
    if _STATUS.match(rest):
        *before, last = _REPLIES.split(rest)
        return Head(marks, goes_on, _status(last), False, tuple(map(_status, before)))
    if _TLS.match(protocol):
        messages = tuple(part.strip() for part in _MESSAGE.findall(rest) if part.strip())
        if messages and _TOLD.match(messages[0]):
            return Records(marks, goes_on, messages, _VERSIONS.get(protocol.lower(), 0))
    if protocol.upper() in ("ICMP", "ICMPV6"):
        return Icmp(marks, goes_on, _icmp(protocol.upper() == "ICMPV6", rest))
    return Opaque(marks, goes_on)


def _segment(match: re.Match[str], marks: str, goes_on: bool) -> Segment:
    numbers = {name: int(value) for name, value in _NUMBER.findall(match["rest"])}
    stamp = numbers.get("TSval", numbers.get("TSV"))
    scale = numbers.get("WS")
    return Segment(
        marks,
        goes_on,
        match["sport"],
        match["dport"],
        sum({_FLAGS.get(word, 0) for word in re.findall(r"\w+", match["flags"])}),
        numbers.get("Seq"),
        numbers.get("Ack"),
        numbers.get("Win"),
        numbers.get("Len"),
        numbers.get("MSS"),
        min(scale.bit_length() - 1, 14) if scale else None,
        "SACK_PERM" in match["rest"],
        (stamp, numbers.get("TSecr", numbers.get("TSER", 0))) if stamp is not None else None,
        tuple((int(left), int(right)) for left, right in _SACK.findall(match["rest"]))[:4],
    )


def _status(text: str) -> str:
    while (shorter := _BEHIND.sub("", text)) != text:
        text = shorter
    return text.rstrip()


_ICMP_TEXTS: Final = (
    ("network unreachable", 0), ("host unreachable", 1), ("protocol unreachable", 2),
    ("port unreachable", 3), ("fragmentation needed", 4), ("source route failed", 5),
    ("network administratively prohibited", 9), ("host administratively prohibited", 10),
    ("communication administratively filtered", 13),
    ("administratively prohibited", 13),
)  # fmt: skip
_ICMP6_TEXTS: Final = (
    ("no route", 0), ("administratively prohibited", 1), ("beyond scope", 2),
    ("address unreachable", 3), ("port unreachable", 4),
)  # fmt: skip


def _icmp(six: bool, text: str) -> IcmpLine | None:
    text = text.lower()
    if text.startswith("destination unreachable"):
        for words, code in _ICMP6_TEXTS if six else _ICMP_TEXTS:
            if words in text:
                return IcmpLine(1 if six else 3, code)
    elif text.startswith(("time-to-live exceeded", "time exceeded")):
        return IcmpLine(3 if six else 11, int("reassembly" in text))
    elif six and text.startswith("packet too big"):
        return IcmpLine(2, 0)
    return None
