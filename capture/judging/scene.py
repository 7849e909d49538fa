"""One flow as the rules look at it: facts, capture quality, and what follows from both.

Nothing here judges. The values are derived from the facts once and shared by the rules, so
that each rule reads as its definition does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from capture.decode.columns import IPV6_BASE
from capture.facts import (
    CLIENT,
    PROXY,
    CaptureFacts,
    Direction,
    Exchange,
    FlowFacts,
    Mark,
    TlsDirection,
    TlsFacts,
    final_exchange,
)
from capture.judging.quality import assess
from capture.judging.signs import Sign
from capture.judging.thresholds import DEFAULTS, Thresholds
from capture.lazy import lazy
from capture.protocols.events import Request, Response
from capture.units import duration, octets

SECOND: Final = 1_000_000_000

TLS13: Final = 0x0304
ALERT_RECORD: Final = 21
HANDSHAKE_RECORD: Final = 22
DATA_RECORD: Final = 23

ALERT_13: Final = frozenset({19, 11, 35, 27})
"""Length of a TLS 1.3 record that holds an alert: 2 bytes, the inner type and a 16-byte tag
(8 with CCM_8); Java pads what is no application data by 16 zeros. Measured; RFC 8446
sections 5.2 and 5.4."""

FINISHED_13: Final = frozenset({53, 69, 85, 45, 61, 77})
"""Length of a TLS 1.3 record with a Finished message alone: SHA-256 and SHA-384, both also
with Java's padding (measured), and the same with an 8-byte tag."""

TLS_PORTS: Final = frozenset({"443", "8443", "465", "563", "636", "853", "989", "990", "992",
                              "993", "995", "5223", "5671", "8883"})  # fmt: skip
"""Ports whose tunnels are expected to speak TLS, where contents were not captured."""

MOST_LOST: Final = 16 * 1024 * 1024
"""Bytes a capture may have lost before a RST; one farther off is made up."""

FULL_SIZE: Final = 0.9
"""Share of the MSS from which on a segment counts as full-size (options take the rest)."""

DEFAULT_MSS: Final = {4: 1460, 6: 1440}


class Scene:
    """A flow, its capture, and what can be derived from them.

    Attributes:
        flow: The facts.
        capture: The capture they were seen in.
        limits: What the rules compare with.
        client: What the client sent.
        proxy: What the proxy sent.
        quality: What the capture can prove.
        now: Time against which absence is measured, ns.
        until_ns: When the next of the waits that rules asked about will be long enough; None
            when none is under way. Before, time alone changes no judgement.
    """

    def __init__(
        self,
        flow: FlowFacts,
        capture: CaptureFacts,
        signs: Callable[[], tuple[Sign, ...]] = tuple,
        thresholds: Thresholds = DEFAULTS,
    ) -> None:
        self.flow = flow
        self.limits = thresholds
        self.capture = capture
        self._signs = signs
        self.client: Direction = flow.sides[CLIENT]
        self.proxy: Direction = flow.sides[PROXY]
        self.quality = assess(flow, capture)
        self.now = max(capture.last_ns, flow.last.time_ns)
        self.until_ns: int | None = None

    @property
    def signs(self) -> tuple[Sign, ...]:
        """Phrases that name the cause of an error reply (from the catalogue)."""
        return self._signs()

    # -- requests and replies ------------------------------------------------------------

    @lazy
    def exchange(self) -> Exchange | None:
        """The last request with its reply; of a flow without a request, the last reply."""
        return final_exchange(self.flow.exchanges, self.proxy.fin)

    @property
    def request(self) -> Request | None:
        return self.exchange.request if self.exchange else None

    @property
    def response(self) -> Response | None:
        return self.exchange.response if self.exchange else None

    @property
    def asked(self) -> Mark | None:
        """Packet of the last request's first byte, or of what the client said first."""
        if self.exchange is None and self.unprinted:
            return self.client.first_payload
        return self.exchange.request_mark if self.exchange else None

    @lazy
    def unprinted(self) -> bool:
        """A text that tells sizes, not contents: what the client said first is not known."""
        silent = not self.flow.exchanges and not self.flow.first_language[CLIENT]
        return self.quality.text and silent and self.client.bytes > 0

    @property
    def answered(self) -> Mark | None:
        """Packet of the last reply's first byte."""
        return self.exchange.response_mark if self.exchange else None

    @property
    def is_connect(self) -> bool:
        """The last request is CONNECT (or unseen: then a tunnel or an error is assumed)."""
        request = self.request
        return request is None or request.form == "authority"

    @property
    def target(self) -> str:
        """Authority the client asked for; empty when unknown."""
        request = self.request
        return (request.authority or request.target) if request else ""

    @lazy
    def host_port(self) -> tuple[str, str]:
        """Target split into host (without brackets) and port; empty where unknown."""
        host, colon, port = self.target.rpartition(":")
        if not colon or not port.isdigit():
            host, port = self.target, ""
        return host.strip("[]"), port

    # -- stage ---------------------------------------------------------------------------

    @lazy
    def stage(self) -> str:
        """How far the flow came.

        ``syn``: no SYN-ACK; ``open``: connected, the client said nothing; ``asked``: a
        first message or request without its reply; ``answered``: the last request has a
        reply and no tunnel; ``tunnel``: a 2xx opened one; ``outer``: TLS with the proxy
        itself; ``midway``: the capture began inside something.
        """
        flow = self.flow
        if flow.tunnel is not None:
            return "tunnel"
        spoken, answer = flow.first_language
        if self.exchange is not None:
            return "answered" if self.response is not None else "asked"
        if flow.mid_stream:
            return "midway"
        if spoken == "tls" and answer == "tls":
            return "outer"
        if self.client.bytes == 0:
            if flow.syn_ack is None and flow.ack is None and self.proxy.bytes == 0:
                return "syn"
            return "open"
        return "asked"

    @lazy
    def heard(self) -> bool:
        """The proxy's side said something in the tunnel that the capture holds.

        ``tunnel_bytes`` may count bytes that never came: an acknowledgement shows how far
        its sender's stream already went. What came later may be the rest of a 2xx in pieces.
        """
        flow, last = self.flow, self.proxy.last_payload
        if flow.tunnel is None:
            return False
        later = last is not None and last.number > flow.tunnel.number
        return flow.tunnel_first[PROXY] is not None or (later and flow.tunnel_bytes[PROXY] > 0)

    # -- the end -------------------------------------------------------------------------

    def _close(self, *names: str) -> Mark | None:
        return next((mark for name, mark in self.flow.closes if name in names), None)

    @lazy
    def client_end(self) -> Mark | None:
        """The client's first FIN or RST."""
        return self._close("client_fin", "client_rst")

    @lazy
    def proxy_end(self) -> Mark | None:
        """The proxy's first FIN or RST."""
        return self._close("proxy_fin", "proxy_rst")

    @property
    def first_end(self) -> str:
        """Name of the first close; empty while the flow is open."""
        return self.flow.closes[0][0] if self.flow.closes else ""

    @property
    def proxy_ended_first(self) -> bool:
        return self.first_end.startswith("proxy")

    @property
    def client_ended_first(self) -> bool:
        return self.first_end.startswith("client")

    @lazy
    def end_ns(self) -> int:
        """When the flow ended, or how far the capture looked: its first close, else now."""
        return self.flow.closes[0][1].time_ns if self.flow.closes else self.now

    def waited(self, since: Mark | None) -> float:
        """Seconds from ``since`` to the flow's end (or to the capture's); 0 if unknown."""
        if since is None or not self.quality.clocked:
            return 0.0
        return max(0, self.end_ns - since.time_ns) / SECOND

    def waited_for(self, since: Mark | None, seconds: float) -> bool:
        """Whether ``waited(since)`` has come to so many seconds.

        Every rule that fires when something stays away for long enough must ask here: what
        has not been long enough in a flow still open is noted in ``until_ns``, so that a live
        flow is judged again at that moment and not before.
        """
        if since is None or not self.quality.clocked:
            return seconds <= 0
        due = since.time_ns + round(seconds * SECOND)
        if self.end_ns >= due:
            return True
        if not self.flow.closes:
            self._ask_again(due)
        return False

    def passed(self, since: Mark, seconds: float) -> bool:
        """Whether the capture went on for so many seconds, even after the flow's end."""
        if not self.quality.clocked:
            return False
        due = since.time_ns + round(seconds * SECOND)
        if self.now < due:
            self._ask_again(due)
        return self.now >= due

    def _ask_again(self, due_ns: int) -> None:
        if self.until_ns is None or due_ns < self.until_ns:
            self.until_ns = due_ns

    # -- TLS -----------------------------------------------------------------------------

    @property
    def tls(self) -> TlsFacts | None:
        return self.flow.tls

    @lazy
    def modern(self) -> bool:
        """TLS 1.3 (alerts after the hellos are records of type 23), or version unknown."""
        hello = self.tls.server_hello if self.tls else None
        return hello is None or hello.version >= TLS13

    @lazy
    def speaks_tls(self) -> bool:
        """The tunnel carries TLS, as seen or, where contents are missing, by its port."""
        if self.tls is not None and self.tls.client_hello_mark is not None:
            return True
        if self.flow.tunnel_protocol and not (
            self.quality.text and self.flow.tunnel_protocol == "other"
        ):
            return self.flow.tunnel_protocol == "tls"
        return self.host_port[1] in TLS_PORTS

    def tls_side(self, sender: int) -> TlsDirection:
        return self.tls.sides[sender] if self.tls else TlsDirection()

    def goodbye(self, sender: int) -> Mark | None:
        """The sender's last TLS record, when it looks like close_notify."""
        last = self.tls_side(sender).last
        if last is None:
            return None
        if last.type == ALERT_RECORD:
            return last.mark
        if self.modern and last.type == DATA_RECORD and last.length in ALERT_13:
            return last.mark
        return None

    @lazy
    def client_left_first(self) -> bool:
        """The client ended the TLS session or the connection before the proxy closed."""
        if self.client_ended_first:
            return True
        end, bye = self.proxy_end, self.goodbye(CLIENT)
        return bye is not None and (end is None or bye.number < end.number)

    def stream_gap(self, sender: int) -> bool:
        """Bytes of the sender's stream are missing in the capture: borders are guesses."""
        side = self.flow.sides[sender]
        # A RST that answers a segment stands where its sender was: behind bytes (and perhaps a
        # FIN) that it had sent, whether they were captured or not.
        beyond = 1 < (side.rst_seq_offset or 0) < MOST_LOST
        gap = self.quality.gaps[sender] or bool(side.holes) or self.quality.cut[sender]
        return gap or beyond

    def opening_seen(self, sender: int) -> bool:
        """The sender's first captured bytes are the first that it sent."""
        side = self.flow.sides[sender]
        return not (self.quality.mid_stream or self.quality.gaps[sender] or side.holes)

    # -- sizes ---------------------------------------------------------------------------

    def segment_limit(self, sender: int) -> int:
        """Largest payload the sender may put in a segment: the peer's MSS less options.

        0 where the handshake was not captured and so no MSS is known.
        """
        peer = self.flow.sides[1 - sender]
        if not peer.mss:
            return 0
        stamped = peer.timestamps and self.flow.sides[sender].timestamps
        return peer.mss - (12 if stamped else 0)

    # -- words ---------------------------------------------------------------------------

    @property
    def ip_version(self) -> int:
        return 6 if ":" in self.flow.proxy.host else 4

    def span(self, start: Mark | None, end: Mark | None) -> str:
        """Time between two packets in words; empty where it is unknown."""
        if start is None or end is None or not self.quality.timed:
            return ""
        if not self.capture.timed(start, end):
            return ""
        return duration((end.time_ns - start.time_ns) / SECOND)

    def address(self, number: int) -> str:
        """Printable form of an address number."""
        return address_text(number, self.capture)

    @lazy
    def delay_ns(self) -> int | None:
        """From the last request to its reply."""
        if self.asked is None or self.answered is None or not self.quality.timed:
            return None
        if not self.capture.timed(self.asked, self.answered):
            return None
        return self.answered.time_ns - self.asked.time_ns

    @property
    def request_text(self) -> str:
        """``#8 CONNECT tools.cisco.com:443``, as far as it was seen."""
        request, mark = self.request, self.asked
        if request is None and not self.unprinted:
            return ""
        if request is None:
            words = f"{octets(self.client.largest)} from the client, whose contents are not printed"
            return f"#{mark.number} {words}" if mark else words
        where = f"#{mark.number} " if mark else ""
        return f"{where}{request.method} {request.target}".strip()

    @property
    def reply_text(self) -> str:
        """``#11 403 Forbidden after 3.1 ms``."""
        response, mark = self.response, self.answered
        if response is None:
            return ""
        where = f"#{mark.number} " if mark else ""
        words = f"{where}{response.status} {response.reason}".strip()
        if self.delay_ns is not None and self.delay_ns >= 0:
            words += f" after {duration(self.delay_ns / SECOND)}"
        return words

    @property
    def ending_text(self) -> str:
        """How the flow ended, in words: ``#16 FIN from the client``."""
        return ", then ".join(
            f"#{mark.number} {name[-3:].upper()} from the {name[:-4]}"
            for name, mark in self.flow.closes
        )


def address_text(number: int, capture: CaptureFacts) -> str:
    """Printable form of an address number (see ``capture.decode.columns``)."""
    if number < IPV6_BASE:
        return ".".join(str(number >> shift & 255) for shift in (24, 16, 8, 0))
    return capture.names.get(number, "an IPv6 host")
