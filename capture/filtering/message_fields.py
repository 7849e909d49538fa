"""What single packets say in HTTP, TLS and ICMP, by Wireshark's names.

The facts know the packet that a message begins with, and that is the one to have its
fields; Wireshark gives those of a message of several packets to the last one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from typing import Any, Final

from capture.facts import CLIENT, PROXY, Exchange, FlowFacts, Mark
from capture.filtering.fields import MessageField
from capture.filtering.kinds import Kind, Unit
from capture.protocols.events import ClientHello, Request, Response, ServerHello
from capture.protocols.tls_names import alert_name, cipher_name

__all__ = ["MESSAGE_FIELDS"]

Occurrences = Sequence[tuple[int, Any]]
Get = Callable[[FlowFacts], Occurrences]
"""(Packet number, value) of every occurrence. Lists and plain loops all along: a filter asks
tens of thousands of tunnels at once."""

TLS_1_2: Final = 0x0303
"""What TLS 1.3 writes where older versions wrote their own (RFC 8446 section 4.1.2)."""

_CLIENT_HELLO, _SERVER_HELLO, _CERTIFICATE, _CERTIFICATE_REQUEST = 1, 2, 11, 13
HANDSHAKE_TYPES: Final = {
    "client_hello": _CLIENT_HELLO, "client hello": _CLIENT_HELLO,
    "server_hello": _SERVER_HELLO, "server hello": _SERVER_HELLO, "certificate": _CERTIFICATE,
}  # fmt: skip
TLS_VERSIONS: Final = {
    "sslv3": 0x0300, "tlsv1": 0x0301, "tlsv1.0": 0x0301, "tlsv1.1": 0x0302, "tlsv1.2": 0x0303,
    "tlsv1.3": 0x0304,
}  # fmt: skip
ALERTS: Final = {alert_name(code): code for code in range(256) if " " not in alert_name(code)}
CIPHERS: Final = {
    cipher_name(code).lower(): code
    for code in (*range(0x100), *range(0x1300, 0x1310), *range(0xC000, 0xC100),
                 *range(0xCC00, 0xCD00))
    if not cipher_name(code).startswith("0x")
}  # fmt: skip
METHODS: Final = ("CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")


def _requests(value: Callable[[Request], Any]) -> Get:
    """A field of each request."""

    def get(facts: FlowFacts) -> Occurrences:
        found = []
        for exchange in facts.exchanges:
            if exchange.request is not None and exchange.request_mark is not None:
                item = value(exchange.request)
                if item is not None and item != "":
                    found.append((exchange.request_mark.number, item))
        return found

    return get


def _replies(value: Callable[[Response], Any]) -> Get:
    """A field of each final reply."""

    def get(facts: FlowFacts) -> Occurrences:
        found = []
        for exchange in facts.exchanges:
            if exchange.response is not None and exchange.response_mark is not None:
                item = value(exchange.response)
                if item is not None and item != "":
                    found.append((exchange.response_mark.number, item))
        return found

    return get


def _header(name: str) -> Callable[[Request | Response], str | None]:
    """The first value of a header field."""

    def value(head: Request | Response) -> str | None:
        for key, text in head.headers:
            if key == name:
                return text
        return None

    return value


def _in_request(name: str) -> Get:
    return _requests(_header(name))


def _in_reply(name: str) -> Get:
    return _replies(_header(name))


def _in_either(name: str) -> Get:
    of_requests, of_replies = _in_request(name), _in_reply(name)
    return lambda facts: [*of_requests(facts), *of_replies(facts)]


def _lines(of_request: bool) -> Get:
    """Each header line of a head, ``name: value``; names are in lower case."""

    def get(facts: FlowFacts) -> Occurrences:
        found = []
        for exchange in facts.exchanges:
            head = exchange.request if of_request else exchange.response
            mark = exchange.request_mark if of_request else exchange.response_mark
            if head is not None and mark is not None:
                found += [(mark.number, f"{name}: {value}") for name, value in head.headers]
        return found

    return get


def _content_length(facts: FlowFacts) -> Occurrences:
    lengths = _in_either("content-length")(facts)
    return [(at, int(text)) for at, text in lengths if text.isdecimal() and len(text) < 19]


def _answered(facts: FlowFacts) -> list[tuple[Exchange, Mark, Mark]]:
    """Exchanges with the packets of their request and of their reply."""
    return [
        (exchange, exchange.request_mark, exchange.response_mark)
        for exchange in facts.exchanges
        if exchange.request_mark is not None and exchange.response_mark is not None
    ]


def _delays(facts: FlowFacts) -> Occurrences:
    return [(end.number, end.time_ns - start.time_ns) for _, start, end in _answered(facts)]


def _answered_targets(facts: FlowFacts) -> Occurrences:
    return [
        (end.number, exchange.request.target)
        for exchange, _, end in _answered(facts)
        if exchange.request is not None
    ]


def _connect_host(request: Request) -> str | None:
    if request.method.upper() != "CONNECT":
        return None
    host, colon, _ = request.authority.rpartition(":")
    return host.strip("[]") if colon else request.authority


def _connect_port(request: Request) -> int | None:
    port = request.authority.rpartition(":")[2]
    connect = request.method.upper() == "CONNECT"
    return int(port) if connect and port.isdecimal() and len(port) < 6 else None


def _marked(mark: Mark | None, values: Iterable[Any]) -> Occurrences:
    if mark is None:
        return ()
    number = mark.number
    return [(number, value) for value in values if value is not None]


def _hello(values: Callable[[ClientHello], Iterable[Any]]) -> Get:
    """Fields of the ClientHello."""

    def get(facts: FlowFacts) -> Occurrences:
        tls = facts.tls
        if tls is None or tls.client_hello is None:
            return ()
        return _marked(tls.client_hello_mark, values(tls.client_hello))

    return get


def _both_hellos(of_client: Callable[[ClientHello], Iterable[Any]],
                 of_server: Callable[[ServerHello], Any]) -> Get:  # fmt: skip
    """Fields of the ClientHello, and the one of the ServerHello."""
    client = _hello(of_client)

    def get(facts: FlowFacts) -> Occurrences:
        found = client(facts)
        tls = facts.tls
        if tls is None or tls.server_hello is None:
            return found
        return [*found, *_marked(tls.server_hello_mark, (of_server(tls.server_hello),))]

    return get


def _legacy_versions(hello: ClientHello) -> tuple[int, ...]:
    return (min(max(hello.versions), TLS_1_2),) if hello.versions else ()


def _handshakes(facts: FlowFacts) -> Occurrences:
    tls = facts.tls
    if tls is None:
        return ()
    found: list[tuple[int, Any]] = []
    for there, mark, kind in (
        (tls.client_hello, tls.client_hello_mark, _CLIENT_HELLO),
        (tls.server_hello, tls.server_hello_mark, _SERVER_HELLO),
        (tls.certificates, tls.certificate_mark, _CERTIFICATE),
        (tls.certificate_request, tls.certificate_mark, _CERTIFICATE_REQUEST),
    ):
        if there and mark is not None:
            found.append((mark.number, kind))
    return found


def _certificates(facts: FlowFacts) -> Occurrences:
    tls = facts.tls
    return _marked(tls.certificate_mark, (True,)) if tls is not None and tls.certificates else ()


def _alerts(name: str) -> Get:
    value = attrgetter(name)
    return lambda facts: (
        [(alert.mark.number, value(alert)) for alert in facts.tls.alerts] if facts.tls else ()
    )


def _icmp(version: int, name: str) -> Get:
    value = attrgetter(name)
    return lambda facts: [
        (error.number, value(error))
        for error in facts.icmp
        if error.version == version and (name != "mtu" or error.mtu)
    ]


def _syns(name: str) -> Get:
    """An option of the SYN and of the SYN-ACK."""
    value, none = attrgetter(name), 0 if name == "mss" else -1
    return lambda facts: [
        (mark.number, value(facts.sides[sender]))
        for sender, mark in ((CLIENT, facts.syn), (PROXY, facts.syn_ack))
        if mark is not None and value(facts.sides[sender]) > none
    ]


def _initial_rtt(facts: FlowFacts) -> Occurrences:
    return _marked(facts.ack, (facts.rtt_ns,))


def _field(name: str, kind: Kind, help: str, get: Get, **more: Any) -> MessageField:
    return MessageField(name=name, kind=kind, help=help, get=get, **more)


_TEXT, _NUMBER, _THERE = Kind.TEXT, Kind.NUMBER, Kind.PRESENCE

MESSAGE_FIELDS: Final = (
    _field("http.request", _THERE, "a request", _requests(lambda request: True)),
    _field("http.request.method", _TEXT, "CONNECT, GET, …",
           _requests(attrgetter("method")),
           words=METHODS),
    _field("http.request.uri", _TEXT, "target as the client wrote it",
           _requests(attrgetter("target"))),
    _field("http.request.version", _TEXT, "HTTP/1.1",
           _requests(attrgetter("version"))),
    _field("http.request.line", _TEXT, "each header line of a request", _lines(True)),
    _field("http.host", _TEXT, "Host header, with a port if it has one", _in_request("host")),
    _field("http.user_agent", _TEXT, "User-Agent header", _in_request("user-agent")),
    _field("http.proxy_authorization", _TEXT, "Proxy-Authorization, masked",
           _in_request("proxy-authorization")),
    _field("http.authorization", _TEXT, "Authorization, masked", _in_request("authorization")),
    _field("http.proxy_connect_host", _TEXT, "host of a CONNECT", _requests(_connect_host),
           onward=True),
    _field("http.proxy_connect_port", _NUMBER, "port of a CONNECT", _requests(_connect_port),
           onward=True),
    _field("http.response", _THERE, "a reply", _replies(lambda reply: True)),
    _field("http.response.code", _NUMBER, "status code",
           _replies(attrgetter("status"))),
    _field("http.response.phrase", _TEXT, "reason phrase",
           _replies(attrgetter("reason"))),
    _field("http.response.version", _TEXT, "HTTP/1.1",
           _replies(attrgetter("version"))),
    _field("http.response.line", _TEXT, "each header line of a reply", _lines(False)),
    _field("http.response_for.uri", _TEXT, "target that a reply answers",
           _answered_targets),
    _field("http.server", _TEXT, "Server header", _in_reply("server")),
    _field("http.location", _TEXT, "Location header", _in_reply("location")),
    _field("http.proxy_authenticate", _TEXT, "Proxy-Authenticate header",
           _in_reply("proxy-authenticate")),
    _field("http.www_authenticate", _TEXT, "WWW-Authenticate header",
           _in_reply("www-authenticate")),
    _field("http.content_type", _TEXT, "Content-Type header", _in_either("content-type")),
    _field("http.content_length", _NUMBER, "Content-Length header", _content_length,
           unit=Unit.BYTES),
    _field("http.connection", _TEXT, "Connection header", _in_either("connection")),
    _field("http.time", _NUMBER, "request to reply: 0.2, 150ms", _delays,
           unit=Unit.SECONDS),
    _field("tls.handshake", _THERE, "a handshake message in clear", _handshakes),
    _field("tls.handshake.type", _NUMBER, "1 ClientHello, 2 ServerHello, 11 Certificate",
           _handshakes, names=HANDSHAKE_TYPES),
    _field("tls.handshake.extensions_server_name", _TEXT, "SNI",
           _hello(lambda hello: (hello.sni,))),
    _field("tls.handshake.version", _NUMBER, "0x0303: TLS 1.2 and 1.3",
           _both_hellos(_legacy_versions, lambda hello: min(hello.version, TLS_1_2)),
           names=TLS_VERSIONS),
    _field("tls.handshake.extensions.supported_version", _NUMBER, "offered or chosen: 0x0304",
           _both_hellos(attrgetter("versions"), attrgetter("version")),
           names=TLS_VERSIONS),
    _field("tls.handshake.ciphersuite", _NUMBER, "offered or chosen: 0x1301",
           _both_hellos(attrgetter("ciphers"), attrgetter("cipher")),
           names=CIPHERS),
    _field("tls.handshake.extensions_alpn_str", _TEXT, "protocols in ALPN",
           _both_hellos(attrgetter("alpn"), attrgetter("alpn"))),
    _field("tls.handshake.extensions_supported_group", _NUMBER, "groups offered: 29 is x25519",
           _hello(attrgetter("groups"))),
    _field("tls.handshake.certificate", _THERE, "a certificate in clear",
           _certificates),
    _field("tls.alert_message", _THERE, "an alert in clear", _alerts("code")),
    _field("tls.alert_message.desc", _NUMBER, "48 or unknown_ca", _alerts("code"),
           names=ALERTS),
    _field("tls.alert_message.level", _NUMBER, "1 warning, 2 fatal", _alerts("level"),
           names={"warning": 1, "fatal": 2}),
    _field("icmp", _THERE, "an ICMP error about a tunnel", _icmp(4, "type")),
    _field("icmp.type", _NUMBER, "3 unreachable, 11 time exceeded", _icmp(4, "type")),
    _field("icmp.code", _NUMBER, "4 fragmentation needed", _icmp(4, "code")),
    _field("icmp.mtu", _NUMBER, "next-hop MTU", _icmp(4, "mtu")),
    _field("icmpv6", _THERE, "an ICMPv6 error about a tunnel", _icmp(6, "type")),
    _field("icmpv6.type", _NUMBER, "2 packet too big", _icmp(6, "type")),
    _field("icmpv6.code", _NUMBER, "the error's code", _icmp(6, "code")),
    _field("icmpv6.mtu", _NUMBER, "next-hop MTU", _icmp(6, "mtu")),
    _field("tcp.options.mss_val", _NUMBER, "MSS of a SYN", _syns("mss"), unit=Unit.BYTES),
    _field("tcp.options.wscale.shift", _NUMBER, "window scale of a SYN", _syns("wscale")),
    _field("tcp.analysis.initial_rtt", _NUMBER, "round trip of the handshake: 0.02, 20ms",
           _initial_rtt, unit=Unit.SECONDS),
)  # fmt: skip
