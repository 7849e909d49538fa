"""What the decoder hands to the tracker: the TCP segments of a block as columns.

Addresses are *address numbers*: an IPv4 address is its 32-bit value, an IPv6 address is
``IPV6_BASE + index`` into the decoder's ``AddressBook``. So an endpoint fits in 64 bits
(``number << 16 | port``) and comparing endpoints is comparing integers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from capture.frames import Bytes, Ints

IPV6_BASE = 1 << 32

FIN, SYN, RST, PSH, ACK, URG, ECE, CWR = 1, 2, 4, 8, 16, 32, 64, 128

OPT_MSS, OPT_WSCALE, OPT_SACK_PERMITTED, OPT_TIMESTAMPS, OPT_SACK = 1, 2, 4, 8, 16


@dataclass(slots=True)
class Segments:
    """TCP segments in capture order; every array has shape ``(n,)``."""

    data: Bytes
    """Buffer that ``payload_at`` points into (the block's, or a longer one that also holds
    reassembled datagrams)."""
    number: Ints
    """1-based frame number (of the last fragment for a reassembled datagram)."""
    time_ns: Ints
    src: Ints
    """Sender's address number."""
    dst: Ints
    sport: Ints
    dport: Ints
    seq: Ints
    """Raw 32-bit sequence number."""
    ack: Ints
    """Raw 32-bit acknowledgement number; meaningless without ACK in ``flags``."""
    flags: Ints
    window: Ints
    """As on the wire, not scaled."""
    length: Ints
    """Payload bytes on the wire (from the IP length, never the frame's padding; 0-length IP
    of an offload capture: from the frame)."""
    payload_at: Ints
    """Offset of the payload in ``data``."""
    payload_captured: Ints
    """Payload bytes that were captured (< length when a snaplen cut the frame)."""
    ip_length: Ints
    """Length of the IP packet in bytes (header and payload)."""
    ttl: Ints
    ip_id: Ints
    """IPv4 identification; -1 for IPv6."""
    dont_fragment: NDArray[np.bool_]
    """IPv4 DF; True for IPv6, whose routers never fragment."""
    checksum: Ints
    """TCP checksum as on the wire (not verified; offload makes it meaningless)."""
    mss: Ints
    """MSS option of a SYN, else 0."""
    wscale: Ints
    """Window scale option (shift) of a SYN, else -1."""
    options: Ints
    """Bits ``OPT_*`` of the options present; filled for SYN, RST and SACK-bearing segments
    and wherever cheap."""
    sack_left: Ints
    """Left edge of the first SACK block, raw 32 bits; -1 without one."""
    sack_right: Ints
    position: Ints
    """Where the frame's bytes start in the file or spool."""
    caplen: Ints
    """Captured length of the whole frame."""
    fragmented: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, np.bool_))
    """Whether the segment came in IP fragments (``number`` is the last one's). Empty where
    a source of segments knows of none; the decoder always fills it."""

    def __len__(self) -> int:
        return len(self.number)


class IcmpError(NamedTuple):
    """An ICMP or ICMPv6 error with the header it quotes (RFC 792, RFC 4443)."""

    number: int
    time_ns: int
    sender: int
    """Address number of the router or host that sent it."""
    receiver: int
    version: int
    """4 or 6."""
    type: int
    code: int
    mtu: int
    """Next-hop MTU of 3/4 (RFC 1191) or ICMPv6 type 2; 0 otherwise."""
    src: int
    """Quoted packet: address number of its sender."""
    dst: int
    sport: int
    """0 where the quote holds no TCP ports."""
    dport: int
    seq: int
    """Quoted TCP sequence number; -1 where the quote is too short."""
    ip_length: int
    """Length the quoted packet had."""


class DnsMessage(NamedTuple):
    """A DNS query or answer over UDP port 53 (RFC 1035), as far as diagnosis needs it."""

    number: int
    time_ns: int
    client: int
    server: int
    ident: int
    name: str
    """Lower case, without the final dot, safe to print."""
    qtype: int
    response: bool
    rcode: int
    answers: tuple[int, ...]
    """Address numbers of the A and AAAA records."""


@dataclass(slots=True)
class Decoded:
    """All that one block yields."""

    segments: Segments
    icmp: list[IcmpError] = field(default_factory=list)
    dns: list[DnsMessage] = field(default_factory=list)
