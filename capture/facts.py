"""What was seen of a flow and of the capture: the rules' only input.

Facts hold no judgement. They are immutable, small, and built once a flow is looked at.
Times are capture times in ns since the epoch; lengths are bytes; packet numbers are
1-based frame numbers. A direction is named by its sender: ``CLIENT`` (towards the proxy)
or ``PROXY`` (towards the client).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Final, NamedTuple

from capture.decode.columns import DnsMessage, IcmpError
from capture.protocols.events import Certificate, ClientHello, Request, Response, ServerHello
from capture.record import record

CLIENT: Final = 0
PROXY: Final = 1
SENDERS: Final = ("client", "proxy")


class Mark(NamedTuple):
    """A packet that proves something."""

    number: int
    time_ns: int


class Endpoint(NamedTuple):
    """One end of a flow, already printable: ``10.10.10.1`` or ``fd10::1``, and the port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@record
class Exchange:
    """One request and its final reply; either may be missing."""

    request: Request | None = None
    request_mark: Mark | None = None
    """Packet with the request's first byte."""
    response: Response | None = None
    response_mark: Mark | None = None
    """Packet with the first byte of the (final) status line."""
    body_expected: int | None = None
    """Content-Length of the response body; None for chunked, until-close or unknown."""
    body_received: int = 0
    """Body bytes that were seen on the wire (captured or not)."""
    body_complete: bool | None = None
    """None: cannot be told (until-close, capture ended, bytes missing)."""
    body_start: bytes = b""
    """First bytes of an error body (at most 2048), for the phrases in it."""


def final_exchange(exchanges: Sequence[Exchange], proxy_fin: Mark | None = None) -> Exchange | None:
    """The exchange that target, status and reason are taken from, and that rules judge.

    The last request counts even where no reply came: a status of an earlier attempt would
    be a guess. Only a request that came after the proxy's FIN cannot have had any: the proxy
    had left, and what it had said before stands. Without any request (one direction captured,
    or TLS sent to a port that answers in HTTP) the last reply stands alone.
    """
    last: Exchange | None = None
    for item in reversed(exchanges):
        if item.request is None:
            continue
        if item.response is not None or not _sent_after(item, proxy_fin):
            return item
        last = last or item
    return last or (exchanges[-1] if exchanges else None)


def _sent_after(exchange: Exchange, end: Mark | None) -> bool:
    asked = exchange.request_mark
    return end is not None and asked is not None and asked.number > end.number


class Alert(NamedTuple):
    """A TLS alert in clear text (RFC 8446 section 6)."""

    mark: Mark
    sender: int
    level: int
    code: int


class Record(NamedTuple):
    """Header of a TLS record: content type 20-24 and length (without its 5-byte header)."""

    mark: Mark
    type: int
    length: int


@record
class TlsDirection:
    """The TLS records one side sent."""

    records: tuple[Record, ...] = ()
    """The first records, at most 16."""
    last: Record | None = None
    """The last record whose header was seen (its mark: the packet of the header where
    known, else the packet in which it ended)."""
    count: int = 0
    """Records counted at least (runs skipped at speed are counted by packet)."""
    missing: int | None = None
    """At the last byte seen: bytes the open record still lacks; 0 at a record boundary;
    None where the record borders were lost."""
    app_bytes: int = 0
    """Stream bytes from the first application-data record (type 23) on."""
    first_app: Mark | None = None
    asked: Mark | None = None
    """First data behind the handshake, of tunnels whose ``records`` are no longer kept."""


@record
class TlsFacts:
    """TLS inside the tunnel (or, without a tunnel, on the flow itself)."""

    client_hello: ClientHello | None = None
    client_hello_mark: Mark | None = None
    """First packet of it."""
    client_hello_end: Mark | None = None
    """Last packet of it; None while bytes are missing."""
    client_hello_packets: int = 0
    server_hello: ServerHello | None = None
    server_hello_mark: Mark | None = None
    certificates: tuple[Certificate, ...] = ()
    certificate_mark: Mark | None = None
    certificate_request: bool = False
    alerts: tuple[Alert, ...] = ()
    sides: tuple[TlsDirection, TlsDirection] = (TlsDirection(), TlsDirection())


class RetransmitRun(NamedTuple):
    """One range of sequence numbers that was sent again and again."""

    first_seq: int
    """Relative to the direction's first sequence number (Wireshark's relative seq)."""
    length: int
    """Payload bytes of the segment."""
    ip_length: int
    sent: int
    """Times seen, the first transmission included when it was captured."""
    marks: tuple[Mark, ...]
    """At most 8: the first ones and the last."""
    acked: bool
    """Whether the peer acknowledged beyond ``first_seq`` in the end."""
    smaller_resent: bool
    """Whether the range was later sent again in smaller segments."""


class Hole(NamedTuple):
    """Bytes that never came by although later ones did."""

    left: int
    """Relative sequence number of the first missing byte."""
    right: int
    """Relative sequence number where later data began."""
    mark: Mark
    """The packet that came beyond the hole."""
    acked: bool
    """The receiver acknowledged the missing bytes: the capture lost them, not the network."""
    beyond: int
    """Payload length of the segment beyond the hole."""


@record
class Direction:
    """What one side of a flow sent."""

    packets: int = 0
    bytes: int = 0
    """Payload bytes on the wire, retransmissions included."""
    stream_bytes: int = 0
    """Highest relative sequence number seen: bytes of the stream, sent once."""
    data_packets: int = 0
    mss: int = 0
    """MSS option in this side's SYN (what it is willing to receive); 0 unknown."""
    wscale: int = -1
    ttl: int = 0
    """TTL or hop limit of the first packet."""
    timestamps: bool = False
    """TCP timestamps option in the SYN."""
    first: Mark | None = None
    last: Mark | None = None
    first_payload: Mark | None = None
    last_payload: Mark | None = None
    """Last packet with *new* payload (not a retransmission)."""
    largest: int = 0
    """Largest payload of one segment."""
    largest_acked: int = 0
    """Largest payload of a segment known to be acknowledged."""
    retransmissions: int = 0
    """As Wireshark counts: all of generic, fast and spurious."""
    fast_retransmissions: int = 0
    spurious_retransmissions: int = 0
    out_of_order: int = 0
    duplicates: int = 0
    """Copies of one packet in the capture (not counted elsewhere)."""
    keep_alives: int = 0
    dup_acks: int = 0
    zero_windows: int = 0
    """Packets this side sent with window 0."""
    zero_window_ns: int = 0
    """Longest time this side's window stayed 0, to its reopening or the flow's end."""
    zero_window_mark: Mark | None = None
    zero_window_open: bool = False
    """Window still 0 at the end."""
    window_probes: int = 0
    window_full: int = 0
    lost_segments: int = 0
    """Times a segment began beyond the next expected byte."""
    acked_unseen: int = 0
    """Times the peer acknowledged bytes of this side that the capture never held."""
    acked_beyond: int = 0
    """Stream bytes the peer acknowledged in the end beyond the last captured one."""
    unacked: int = 0
    """Stream bytes (SYN and FIN not counted) sent and not acknowledged at the end."""
    unacked_since: Mark | None = None
    """Last packet of this side when something stayed unacknowledged: its latest try."""
    run: RetransmitRun | None = None
    """The range sent most often, three times or more."""
    holes: tuple[Hole, ...] = ()
    """Holes still open at the end (at most 4)."""
    sacked_beyond_hole: bool = False
    """The peer SACKed data of this side beyond bytes it never acknowledged."""
    fin: Mark | None = None
    fin_acked: bool = False
    fin_sent: int = 0
    rst: Mark | None = None
    rst_ttl: int = 0
    rst_window: int = 0
    rst_options: int = 0
    rst_seq_offset: int | None = None
    """Sequence number of the RST minus the next expected one (0: exact)."""
    cut_by_snaplen: int = 0
    """Data packets of which the capture holds only the start."""
    oversized: int = 0
    """Segments larger than the peer's MSS allows: merged by an offload before capture."""
    fragments: int = 0


class Silence(NamedTuple):
    """A stretch without any packet of the flow."""

    start: Mark
    end: Mark

    @property
    def seconds(self) -> float:
        return (self.end.time_ns - self.start.time_ns) / 1e9


@record
class FlowFacts:
    """Everything known of one TCP flow."""

    id: int
    """1-based order of first packet among all TCP flows of the capture (report ids are
    given later, to the flows that are reported)."""
    client: Endpoint
    proxy: Endpoint
    first: Mark
    last: Mark
    packets: int
    sides: tuple[Direction, Direction]
    """Indexed by ``CLIENT`` and ``PROXY``."""
    roles_certain: bool
    """Client known by its SYN (or its request); else guessed from ports."""
    syn: Mark | None = None
    syn_count: int = 0
    syn_marks: tuple[Mark, ...] = ()
    """Each SYN, at most 12."""
    syn_ack: Mark | None = None
    syn_ack_count: int = 0
    ack: Mark | None = None
    """The client's ACK that ends the handshake."""
    challenge_ack: bool = False
    """A SYN answered by a bare ACK (RFC 5961 section 4)."""
    rtt_ns: int | None = None
    """Initial RTT: SYN to the ACK that ends the handshake (Wireshark's iRTT)."""
    exchanges: tuple[Exchange, ...] = ()
    """HTTP requests with their replies, in order (at most 32: the first and the last)."""
    tunnel: Mark | None = None
    """Packet with the 2xx that opened the tunnel."""
    tunnel_first: tuple[Mark | None, Mark | None] = (None, None)
    """First payload of each side inside the tunnel."""
    tunnel_bytes: tuple[int, int] = (0, 0)
    """Stream bytes of each side inside the tunnel."""
    tunnel_protocol: str = ""
    """``tls``, ``ssh``, ``http``, ``http2``, ``other`` or empty (nothing was said)."""
    tunnel_language: tuple[str, str] = ("", "")
    """What each side said first inside the tunnel, named as in ``first_language``."""
    tunnel_start: tuple[bytes, bytes] = (b"", b"")
    """First bytes of each side inside the tunnel (at most 64), credentials masked."""
    early_data: bool = False
    """The client sent tunnel bytes before the 2xx."""
    first_bytes: tuple[bytes, bytes] = (b"", b"")
    """First bytes of each side's stream (at most 64), credentials masked."""
    first_language: tuple[str, str] = ("", "")
    """What each side's stream began with: ``http``, ``tls``, ``socks4``, ``socks5``,
    ``ssh``, ``http2``, ``http-part`` (a cut HTTP head), ``other`` or empty."""
    tls: TlsFacts | None = None
    """TLS in the tunnel, or on the bare flow when its first bytes are TLS."""
    closes: tuple[tuple[str, Mark], ...] = ()
    """``client_fin``, ``proxy_fin``, ``client_rst``, ``proxy_rst`` in order, each once."""
    longest_silence: Silence | None = None
    longest_wait: Silence | None = None
    """Longest time in the tunnel without new payload from the proxy while bytes flowed or
    were awaited: from the last payload to the next one or the flow's last packet."""
    icmp: tuple[IcmpError, ...] = ()
    """ICMP errors that quote a packet of this flow (at most 16)."""
    mid_stream: bool = False
    """No SYN was captured."""
    one_way: bool = False
    """Packets of one side only, although that side's ACK numbers advance."""
    time_backwards: int = 0
    """Times a packet's time stood over 1 ms before its predecessor's."""
    reused_port: bool = False
    """The 4-tuple had carried an earlier flow."""
    tcp_fast_open: bool = False


@record
class CaptureFacts:
    """What the capture as a whole shows; the context of every rule."""

    first_ns: int = 0
    last_ns: int = 0
    """Time of the capture's last packet of any kind: absence is measured against it."""
    packets: int = 0
    live: bool = False
    text: bool = False
    """Read from a text that does not print every byte: payload is known only where it was."""
    listed: bool = False
    """Read from a packet list: payload is not known, but every message in it is named."""
    times_known: bool = True
    untimed: frozenset[int] = frozenset()
    """Packets whose time is made up (a head that a document prints without one)."""
    lost_kernel: int | None = None
    lost_queue: int | None = None
    snaplen: int = 0
    """Smallest limit seen, 0 for none."""
    capture_filter: str = ""
    icmp: tuple[IcmpError, ...] = ()
    """Errors that match no flow (at most 64)."""
    dns: tuple[DnsMessage, ...] = ()
    proxies: frozenset[Endpoint] = field(default_factory=frozenset)
    """Endpoints known as proxies: told by the user or proved by a flow."""
    not_understood: tuple[tuple[str, int], ...] = ()
    """Frames that were not decoded, by reason, most first."""
    fragments_dropped: int = 0
    """First fragments whose later fragments never came."""
    names: Mapping[int, str] = field(default_factory=dict)
    """Printable form of the IPv6 address numbers in ``icmp`` and ``dns`` (here and in the
    flows); IPv4 numbers are their own value and need no entry."""
    direct_web: int = 0
    """Flows that are ordinary web traffic: origin-form HTTP on port 80 or TLS answered in
    TLS on port 443, without a proxy between."""
    tcp_flows: int = 0
    """TCP flows of any kind."""
    settled: int = 0
    """Healthy tunnels that are reported but not among the flows handed to rules that look
    at many (of large captures only some stand for all)."""
    silent_endpoints: int = 0
    """Distinct endpoints (address and port) that answered no SYN, or answered with RST;
    many of them are a port scan, not a broken proxy."""

    def timed(self, *marks: Mark) -> bool:
        """Whether the times of these packets are known."""
        if not self.untimed:  # as nearly always
            return self.times_known
        return self.times_known and not any(mark.number in self.untimed for mark in marks)
