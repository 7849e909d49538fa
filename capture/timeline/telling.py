"""The telling packets of a flow: what each of them says, in words, from the facts alone.

One packet may say several things (ServerHello and Certificate in one segment). The texts
are what the packet list and the ladder show; nothing here looks at bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Final, NamedTuple

from capture.decode.columns import IPV6_BASE, IcmpError
from capture.facts import CLIENT, PROXY, Exchange, FlowFacts, Mark, TlsDirection, TlsFacts
from capture.protocols.events import ClientHello, Request, Response, ServerHello
from capture.protocols.icmp_names import icmp_name
from capture.protocols.tls_names import alert_name, chosen_cipher, version_name
from capture.report.model import Severity
from capture.report.redact import safe

NETWORK: Final = 2
"""Sender of what neither end sent: an ICMP error of a router."""

_ENCRYPTED: Final = ", encrypted"
_RECORD_NAMES: Final = {20: "ChangeCipherSpec", 22: f"Handshake{_ENCRYPTED}", 24: "Heartbeat"}
_ALERT_RECORD: Final = 21
_FATAL: Final = 2


@dataclass(frozen=True, slots=True)
class Telling:
    """One thing that one packet says."""

    number: int
    time_ns: int
    sender: int
    """``CLIENT``, ``PROXY`` or ``NETWORK``."""
    proto: str
    """``TCP``, ``HTTP``, ``TLS`` or ``ICMP``."""
    text: str
    severity: Severity | None = None
    last_number: int = 0
    """Last packet of it where it took several; 0 otherwise."""

    @property
    def sealed(self) -> bool:
        """It says only that something is encrypted."""
        return self.text.endswith(_ENCRYPTED)


class _Said(NamedTuple):
    """A telling before it is put on its packet."""

    mark: Mark | None
    sender: int
    proto: str
    text: str
    severity: Severity | None = None
    last: Mark | None = None


def tellings(facts: FlowFacts) -> tuple[Telling, ...]:
    """Everything the facts can say of single packets, in capture order."""
    said = [*_handshake(facts), *_http(facts), *_tls(facts), *_ends(facts), *_icmp(facts)]
    told = [
        Telling(
            item.mark.number,
            item.mark.time_ns,
            item.sender,
            item.proto,
            item.text,
            item.severity,
            item.last.number if item.last and item.last.number > item.mark.number else 0,
        )
        for item in said
        if item.mark is not None
    ]
    # Stable: what one packet says stays in the order of the protocols.
    told.sort(key=lambda item: item.number)
    return tuple(told)


def _handshake(facts: FlowFacts) -> Iterator[_Said]:
    marks = facts.syn_marks or ((facts.syn,) if facts.syn else ())
    for place, mark in enumerate(marks):
        again = Severity.WARNING if place else None
        yield _Said(mark, CLIENT, "TCP", _with_options("SYN", facts, CLIENT), again)
    if facts.syn_ack:
        yield _Said(facts.syn_ack, PROXY, "TCP", _with_options("SYN-ACK", facts, PROXY))
    if facts.ack:
        yield _Said(facts.ack, CLIENT, "TCP", "ACK")


def _with_options(name: str, facts: FlowFacts, sender: int) -> str:
    side = facts.sides[sender]
    mss = f"  mss {side.mss}" if side.mss else ""
    scale = f"  ws {1 << side.wscale}" if side.wscale >= 0 else ""
    return f"{name}{mss}{scale}"


def _http(facts: FlowFacts) -> Iterator[_Said]:
    for exchange in facts.exchanges:
        if exchange.request:
            yield _Said(exchange.request_mark, CLIENT, "HTTP", request_line(exchange.request))
        if exchange.response:
            text = status_line(exchange.response)
            yield _Said(exchange.response_mark, PROXY, "HTTP", text, _status_severity(exchange))


def request_line(request: Request) -> str:
    """``CONNECT host:443 HTTP/1.1  (basic credentials)``, without any secret."""
    parts = [request.method, request.target, request.version]
    line = " ".join(part for part in parts if part)
    if request.credentials:
        line += f"  ({request.credentials.scheme} credentials)"
    return line if request.version else f"{line}  (cut off)"


def status_line(response: Response) -> str:
    """``403 Forbidden``; of a 407 also the schemes it offers."""
    line = safe(f"{response.status} {response.reason}".strip())
    if response.status in (401, 407) and response.challenges:
        schemes = dict.fromkeys(challenge.scheme for challenge in response.challenges)
        line += f"  (offers {', '.join(schemes)})"
    return f"{line}  (cut off)" if response.reason_cut else line


def _status_severity(exchange: Exchange) -> Severity | None:
    response, request = exchange.response, exchange.request
    if response is None or response.status < 300:
        return None
    if response.status in (401, 407):
        return Severity.WARNING  # the first half of every authentication
    if response.status < 400:
        connect = request is not None and request.method.upper() == "CONNECT"
        return Severity.PROBLEM if connect else None
    return Severity.PROBLEM


def _tls(facts: FlowFacts) -> Iterator[_Said]:
    tls = facts.tls
    if tls is None:
        return
    if tls.client_hello:
        text = client_hello_text(tls.client_hello)
        end = tls.client_hello_end
        yield _Said(tls.client_hello_mark, CLIENT, "TLS", text, last=end)
    if tls.server_hello:
        yield _Said(tls.server_hello_mark, PROXY, "TLS", server_hello_text(tls.server_hello))
    if tls.certificates:
        subject = tls.certificates[0].subject
        yield _Said(tls.certificate_mark, PROXY, "TLS", f"Certificate {subject}")
    for alert in tls.alerts:
        level = "fatal" if alert.level == _FATAL else "warning"
        grave = Severity.PROBLEM if alert.level == _FATAL else None
        text = f"Alert {alert_name(alert.code)} ({level})"
        yield _Said(alert.mark, alert.sender, "TLS", text, grave)
    for sender in (CLIENT, PROXY):
        yield from _records(tls, sender)


def client_hello_text(hello: ClientHello) -> str:
    """``ClientHello SNI=host``; without a name it says so."""
    name = f" SNI={hello.sni}" if hello.sni else " without SNI" if hello.complete else ""
    return f"ClientHello{name}" + ("" if hello.complete else "  (incomplete)")


def server_hello_text(hello: ServerHello) -> str:
    """``ServerHello TLSv1.3 TLS_AES_128_GCM_SHA256``."""
    name = "HelloRetryRequest" if hello.retry else "ServerHello"
    return f"{name} {version_name(hello.version)} {chosen_cipher(hello.cipher) or ''}".rstrip()


def _records(tls: TlsFacts, sender: int) -> Iterator[_Said]:
    """Records that carry no application data, beyond the messages that were understood."""
    side: TlsDirection = tls.sides[sender]
    told = [tls.client_hello_mark, tls.server_hello_mark, tls.certificate_mark]
    known = {mark.number for mark in (*told, *(alert.mark for alert in tls.alerts)) if mark}
    records = list(side.records)
    if side.last is not None and side.last not in records:
        records.append(side.last)
    encrypted = False
    for record in records:
        if record.type == 22 and not encrypted:
            # In clear: a hello, a certificate, or one of the messages around them.
            if record.mark.number not in known:
                yield _Said(record.mark, sender, "TLS", "Handshake")
        elif record.type == _ALERT_RECORD:
            if record.mark.number not in known:
                yield _Said(record.mark, sender, "TLS", f"Alert{_ENCRYPTED}")
        elif record.type in _RECORD_NAMES:
            yield _Said(record.mark, sender, "TLS", _RECORD_NAMES[record.type])
        encrypted = encrypted or record.type == 20


def _ends(facts: FlowFacts) -> Iterator[_Said]:
    first = facts.closes[0][0] if facts.closes else ""
    for sender in (CLIENT, PROXY):
        side = facts.sides[sender]
        yield _Said(side.fin, sender, "TCP", "FIN")
        # A client resets whatever it does not care to read; a proxy has a reason.
        grave = Severity.PROBLEM if sender == PROXY and first == "proxy_rst" else None
        yield _Said(side.rst, sender, "TCP", "RST", grave)


def _icmp(facts: FlowFacts) -> Iterator[_Said]:
    for error in facts.icmp:
        mark = Mark(error.number, error.time_ns)
        yield _Said(mark, NETWORK, "ICMP", icmp_text(error), Severity.WARNING)


def icmp_text(error: IcmpError) -> str:
    """``ICMP fragmentation needed, MTU 1400, from 10.0.0.1``."""
    protocol = "ICMPv6" if error.version == 6 else "ICMP"
    name = icmp_name(error.version, error.type, error.code)
    name = name or f"type {error.type} code {error.code}"
    mtu = f", MTU {error.mtu}" if error.mtu else ""
    # An IPv6 address is a number in the decoder's book, which is not at hand here.
    sender = f", from {IPv4Address(error.sender)}" if 0 <= error.sender < IPV6_BASE else ""
    return f"{protocol} {name}{mtu}{sender}"
