"""Makes facts of flows from a few words, for the tests of the rules.

``Story`` tells a flow packet by packet and keeps the facts consistent: numbers, times,
sizes and record lists follow from what was told. ``healthy()`` is the story of a tunnel
with which nothing is wrong.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from capture.facts import (
    CLIENT,
    PROXY,
    Alert,
    CaptureFacts,
    Direction,
    Endpoint,
    Exchange,
    FlowFacts,
    Hole,
    Mark,
    Record,
    RetransmitRun,
    Silence,
    TlsDirection,
    TlsFacts,
)
from capture.protocols.events import (
    Certificate,
    Challenge,
    ClientHello,
    Credentials,
    Request,
    Response,
    ServerHello,
)

START_NS = 1_700_000_000_000_000_000
DAY = datetime(2023, 11, 14, tzinfo=UTC)
TLS12, TLS13 = 0x0303, 0x0304
CLIENT_END = Endpoint("10.40.40.1", 40000)
PROXY_END = Endpoint("10.10.10.1", 80)


def certificate(
    issuer: str = "CN=Public CA",
    subject: str = "CN=tools.cisco.com",
    *,
    days: int = 90,
    self_signed: bool = False,
) -> Certificate:
    """A certificate valid until ``days`` after the capture."""
    from datetime import timedelta

    end = DAY + timedelta(days=days)
    return Certificate(subject, issuer, end - timedelta(days=365), end, (), self_signed)


def request(
    method: str = "CONNECT",
    target: str = "tools.cisco.com:443",
    *,
    credentials: Credentials | None = None,
    version: str = "HTTP/1.1",
    headers: tuple[tuple[str, str], ...] = (),
    malformed: tuple[str, ...] = (),
    complete: bool = True,
) -> Request:
    """A request head; its form and authority follow from method and target."""
    form, authority = "origin", ""
    if method == "CONNECT":
        form, authority = "authority", target
    elif "://" in target:
        form = "absolute"
        scheme, _, rest = target.partition("://")
        host = rest.split("/")[0]
        authority = host if ":" in host else f"{host}:{443 if scheme == 'https' else 80}"
    return Request(
        method, target, form, version, headers, authority, credentials, 122, complete, malformed
    )


def response(
    status: int = 200,
    reason: str = "Connection established",
    headers: tuple[tuple[str, str], ...] = (),
    challenges: tuple[Challenge, ...] = (),
    *,
    complete: bool = True,
) -> Response:
    """A reply head."""
    return Response(status, reason, "HTTP/1.1", headers, challenges, 39, complete)


def hello(
    sni: str | None = "tools.cisco.com", *, length: int = 508, versions: tuple[int, ...] = (TLS13,)
) -> ClientHello:
    """A ClientHello."""
    return ClientHello(sni, versions, (0x1301,), ("h2",), (29,), (29,), length, True)


class Story:
    """A flow, told packet by packet. Every method returns the story."""

    def __init__(
        self,
        *,
        client: Endpoint = CLIENT_END,
        proxy: Endpoint = PROXY_END,
        at: float = 0.0,
        number: int = 1,
        mss: int = 1460,
        id: int = 1,
    ) -> None:
        self.now = START_NS + round(at * 1e9)
        self.number = number
        self.flow: dict[str, Any] = {"id": id, "client": client, "proxy": proxy}
        self.sides: list[dict[str, Any]] = [{"mss": mss, "ttl": 64}, {"mss": mss, "ttl": 63}]
        self.exchanges: list[Exchange] = []
        self.records: list[list[Record]] = [[], []]
        self.tls: dict[str, Any] = {}
        self.closes: list[tuple[str, Mark]] = []
        self.packets = 0
        self.first: Mark | None = None
        self.last = Mark(number, self.now)
        self.inside = [0, 0]
        self.payload_ns: int | None = None
        self.waits: list[Silence] = []
        self.silences: list[Silence] = []

    # -- packets -------------------------------------------------------------------------

    def wait(self, seconds: float) -> Story:
        """Let time pass."""
        self.now += round(seconds * 1e9)
        return self

    def packet(self, sender: int, after: float = 0.001) -> Mark:
        """One packet, ``after`` seconds later."""
        self.now += round(after * 1e9)
        mark = Mark(self.number, self.now)
        if self.first is None:
            self.first = mark
        else:
            self.silences.append(Silence(self.last, mark))
        self.last = mark
        self.number += 1
        self.packets += 1
        side = self.sides[sender]
        side["packets"] = side.get("packets", 0) + 1
        side.setdefault("first", mark)
        side["last"] = mark
        return mark

    def say(self, sender: int, length: int, *, segment: int = 1448, acked: bool = True) -> Mark:
        """Payload of ``length`` bytes, in segments of at most ``segment`` bytes."""
        side = self.sides[sender]
        first = None
        while length > 0:
            size = min(length, segment)
            length -= size
            mark = self.packet(sender, 0.0002)
            first = first or mark
            side.setdefault("first_payload", mark)
            before = self.sides[PROXY].get("last_payload")
            if sender == PROXY and before is not None and self.flow.get("tunnel"):
                self.waits.append(Silence(before, mark))
            side["last_payload"] = mark
            for name in ("bytes", "stream_bytes"):
                side[name] = side.get(name, 0) + size
            side["data_packets"] = side.get("data_packets", 0) + 1
            side["largest"] = max(side.get("largest", 0), size)
            if acked:
                side["largest_acked"] = max(side.get("largest_acked", 0), size)
            else:
                side["unacked"] = side.get("unacked", 0) + size
                side["unacked_since"] = mark
            if self.flow.get("tunnel"):
                self.inside[sender] += size
        assert first is not None
        if self.flow.get("tunnel"):
            firsts = list(self.flow.get("tunnel_first", (None, None)))
            firsts[sender] = firsts[sender] or first
            self.flow["tunnel_first"] = tuple(firsts)
        return first

    def syn(self, count: int = 1, gap: float = 1.0) -> Story:
        """SYNs that get no answer yet."""
        marks = [self.packet(CLIENT, 0.001 if at == 0 else gap) for at in range(count)]
        self.flow |= {"syn": marks[-1], "syn_count": count, "syn_marks": tuple(marks)}
        return self

    def connect(self, rtt: float = 0.02) -> Story:
        """The TCP handshake."""
        self.syn()
        self.flow |= {"syn_ack": self.packet(PROXY, rtt), "syn_ack_count": 1}
        self.flow |= {"ack": self.packet(CLIENT, 0.0001), "rtt_ns": round(rtt * 1e9)}
        return self

    def ask(self, item: Request | None = None, **how: Any) -> Story:
        """A request."""
        item = item or request(**how)
        mark = self.say(CLIENT, item.length)
        self.exchanges.append(Exchange(item, mark))
        self.speak(CLIENT, "http")
        return self

    def answer(
        self,
        status: int = 200,
        reason: str = "Connection established",
        *,
        after: float = 0.1,
        body: bytes = b"",
        expected: int | None = None,
        received: int = 0,
        complete: bool | None = True,
        whole_head: bool = True,
        **how: Any,
    ) -> Story:
        """A reply to the last request (or to none); a 2xx to CONNECT opens the tunnel."""
        self.wait(after)
        reply = response(status, reason, complete=whole_head, **how)
        mark = self.say(PROXY, reply.length + max(received, len(body)))
        last = self.exchanges.pop() if self.exchanges else Exchange()
        if last.response is not None:
            self.exchanges.append(last)
            last = Exchange()
        self.exchanges.append(
            replace(
                last, response=reply, response_mark=mark, body_start=body,
                body_expected=expected, body_received=received, body_complete=complete,
            )
        )  # fmt: skip
        asked = last.request
        if whole_head and 200 <= status < 300 and asked and asked.form == "authority":
            self.flow["tunnel"] = mark
        self.speak(PROXY, "http")
        return self

    def speak(self, sender: int, language: str, head: bytes = b"") -> Story:
        """Note a side's first language."""
        spoken = list(self.flow.get("first_language", ("", "")))
        heads = list(self.flow.get("first_bytes", (b"", b"")))
        spoken[sender] = spoken[sender] or language
        heads[sender] = heads[sender] or head
        self.flow |= {"first_language": tuple(spoken), "first_bytes": tuple(heads)}
        return self

    # -- TLS -----------------------------------------------------------------------------

    def record(self, sender: int, kind: int, length: int, **how: Any) -> Mark:
        """One TLS record."""
        mark = self.say(sender, length + 5, **how)
        self.records[sender].append(Record(mark, kind, length))
        return mark

    def client_hello(self, item: ClientHello | None = None, **how: Any) -> Story:
        """The ClientHello, in the tunnel or on the bare flow."""
        item = item or hello()
        self.speak(CLIENT, "tls", b"\x16\x03\x01\x02\x00\x01\x00")
        mark = self.record(CLIENT, 22, item.length + 4, **how)
        self.tls |= {"client_hello": item, "client_hello_mark": mark, "client_hello_end": mark,
                     "client_hello_packets": 1}  # fmt: skip
        self.flow["tunnel_protocol"] = "tls"
        return self

    def server_flight(self, version: int = TLS13, *, shown: Certificate | None = None) -> Story:
        """ServerHello and what follows it, up to the client's turn."""
        self.wait(0.02)
        self.speak(PROXY, "tls", b"\x16\x03\x03\x00\x7a\x02")
        mark = self.record(PROXY, 22, 122)
        self.tls |= {
            "server_hello": ServerHello(version, 0x1302, None, False),
            "server_hello_mark": mark,
        }
        if version == TLS13:
            for kind, length in ((20, 1), (23, 42), (23, 1753), (23, 281), (23, 69)):
                self.record(PROXY, kind, length)
        else:
            self.tls |= {"certificates": (shown or certificate(),), "certificate_mark": mark}
            for kind, length in ((22, 1731), (22, 300), (22, 4)):
                self.record(PROXY, kind, length)
        return self

    def finish(self) -> Story:
        """The end of the handshake from both sides, with two session tickets (TLS 1.3)."""
        modern = self.tls["server_hello"].version == TLS13
        if modern:
            self.record(CLIENT, 20, 1)
            self.record(CLIENT, 23, 69)
            return self
        for kind, length in ((22, 37), (20, 1), (22, 40)):
            self.record(CLIENT, kind, length)
        self.record(PROXY, 20, 1)
        self.record(PROXY, 22, 40)
        return self

    def tickets(self) -> Story:
        """Two session tickets, as OpenSSL's server sends them."""
        for _ in range(2):
            self.record(PROXY, 23, 298)
        return self

    def fetch(self, size: int = 3000, *, up: int = 97) -> Story:
        """A request inside TLS and its answer in records of at most 16 kB."""
        self.record(CLIENT, 23, up)
        self.wait(0.02)
        if self.tls["server_hello"].version == TLS13 and len(self.records[PROXY]) < 8:
            self.tickets()
        while size > 0:
            self.record(PROXY, 23, min(size, 16_384) + 17)
            size -= 16_384
        return self

    def goodbye(self, sender: int = CLIENT) -> Story:
        """close_notify."""
        modern = self.tls["server_hello"].version == TLS13
        self.record(sender, *((23, 19) if modern else (21, 26)))
        return self

    def alert(self, sender: int, code: int, level: int = 2) -> Story:
        """An alert in clear text."""
        mark = self.record(sender, 21, 2)
        self.tls["alerts"] = (*self.tls.get("alerts", ()), Alert(mark, sender, level, code))
        return self

    # -- the end -------------------------------------------------------------------------

    def close(self, name: str, after: float = 0.001) -> Story:
        """``client_fin``, ``proxy_rst``, …"""
        sender = CLIENT if name.startswith("client") else PROXY
        mark = self.packet(sender, after)
        if name not in [close for close, _ in self.closes]:
            self.closes.append((name, mark))
        side = self.sides[sender]
        if name.endswith("rst"):
            side |= {"rst": mark, "rst_ttl": side["ttl"], "rst_window": 501}
        else:
            side |= {"fin": mark, "fin_acked": True, "fin_sent": side.get("fin_sent", 0) + 1}
        return self

    def repeat(self, sender: int, length: int, times: int = 6, *, gap: float = 0.4) -> Story:
        """A segment sent again and again without an acknowledgement."""
        side = self.sides[sender]
        first = self.say(sender, length, segment=length, acked=False)
        marks = [first]
        for at in range(times - 1):
            marks.append(self.packet(sender, gap * 2**at))
        side["retransmissions"] = side.get("retransmissions", 0) + times - 1
        side["unacked_since"] = marks[-1]
        side["run"] = RetransmitRun(
            side["stream_bytes"] - length, length, length + 52, times, tuple(marks), False, False
        )
        return self

    def hole(self, sender: int, size: int, beyond: int, *, acked: bool = False) -> Story:
        """``size`` bytes that never came, before ``beyond`` bytes that did."""
        side = self.sides[sender]
        left = side.get("stream_bytes", 0)
        mark = self.say(sender, beyond)
        side["stream_bytes"] += size
        side["holes"] = (*side.get("holes", ()), Hole(left, left + size, mark, acked, beyond))
        return self

    def set(self, sender: int | None = None, **fields: Any) -> Story:
        """Set facts of the flow, or of one side."""
        (self.flow if sender is None else self.sides[sender]).update(fields)
        return self

    def facts(self) -> FlowFacts:
        """The facts of the flow that was told."""
        tls = None
        if self.tls or any(self.records):
            missing = self.flow.pop("missing", (0, 0))
            sides = [self._direction(sender, missing[sender]) for sender in (CLIENT, PROXY)]
            tls = TlsFacts(**self.tls, sides=(sides[0], sides[1]))
        if self.flow.get("tunnel") and self.sides[PROXY].get("last_payload"):
            self.waits.append(Silence(self.sides[PROXY]["last_payload"], self.last))
        longest = {
            name: max(found, key=lambda item: item.seconds, default=None)
            for name, found in (("longest_silence", self.silences), ("longest_wait", self.waits))
        }
        fields: dict[str, Any] = {
            "first": self.first or self.last, "last": self.last, "packets": self.packets,
            "sides": (Direction(**self.sides[0]), Direction(**self.sides[1])),
            "roles_certain": True, "exchanges": tuple(self.exchanges), "tls": tls,
            "tunnel_bytes": tuple(self.inside), "closes": tuple(self.closes),
        } | longest | self.flow  # fmt: skip
        return FlowFacts(**fields)

    def _direction(self, sender: int, missing: int | None) -> TlsDirection:
        records = self.records[sender]
        data = [item for item in records if item.type == 23]
        return TlsDirection(
            records=tuple(records[:16]),
            last=records[-1] if records else None,
            count=len(records),
            missing=missing,
            app_bytes=sum(item.length + 5 for item in records[records.index(data[0]) :])
            if data
            else 0,
            first_app=data[0].mark if data else None,
        )


def opened(**how: Any) -> Story:
    """Connected, CONNECT, 200."""
    return Story(**how).connect().ask().answer()


def tunnel(version: int = TLS13, **how: Any) -> Story:
    """A tunnel with its TLS handshake done."""
    return opened(**how).client_hello().server_flight(version).finish()


def healthy(**how: Any) -> Story:
    """A tunnel used and closed by the client."""
    return tunnel(**how).fetch().goodbye().close("client_fin").close("proxy_fin")


def capture(flow: FlowFacts | None = None, after: float = 0.5, **fields: Any) -> CaptureFacts:
    """The capture around a flow; it goes on ``after`` seconds beyond the flow's last packet."""
    last = (flow.last.time_ns if flow else START_NS) + round(after * 1e9)
    return CaptureFacts(**{"first_ns": START_NS, "last_ns": last, "packets": 1000} | fields)
