"""What single packets say in HTTP, TLS and ICMP, by Wireshark's names.

The facts know the packet that a message begins with, and that is the one to have its
fields; Wireshark gives those of a message of several packets to the last one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from capture.facts import CLIENT, PROXY, Exchange, FlowFacts, Mark
from capture.filtering.fields import MessageField
from capture.filtering.kinds import Kind, Unit
from capture.protocols.tls_names import alert_name, cipher_name

__all__ = ["MESSAGE_FIELDS"]

Occurrences = Iterable[tuple[int, Any]]
Get = Callable[[FlowFacts], Occurrences]

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


def _requests(value: Callable[[Exchange], Any]) -> Get:
    """A field of each request."""

    def get(facts: FlowFacts) -> Iterator[tuple[int, Any]]:
        for exchange in facts.exchanges:
            if exchange.request is not None and exchange.request_mark is not None:
                found = value(exchange)
                if found not in (None, ""):
                    yield exchange.request_mark.number, found

    return get


def _replies(value: Callable[[Exchange], Any]) -> Get:
    """A field of each final reply."""

    def get(facts: FlowFacts) -> Iterator[tuple[int, Any]]:
        for exchange in facts.exchanges:
            if exchange.response is not None and exchange.response_mark is not None:
                found = value(exchange)
                if found not in (None, ""):
                    yield exchange.response_mark.number, found

    return get


def _in_request(name: str) -> Get:
    return _requests(lambda item: item.request.header(name) if item.request else None)


def _in_reply(name: str) -> Get:
    return _replies(lambda item: item.response.header(name) if item.response else None)


def _in_either(name: str) -> Get:
    of_requests, of_replies = _in_request(name), _in_reply(name)

    def get(facts: FlowFacts) -> Iterator[tuple[int, Any]]:
        yield from of_requests(facts)
        yield from of_replies(facts)

    return get


def _lines(of_request: bool) -> Get:
    """Each header line of a head, ``name: value``; names are in lower case."""

    def get(facts: FlowFacts) -> Iterator[tuple[int, str]]:
        for exchange in facts.exchanges:
            head = exchange.request if of_request else exchange.response
            mark = exchange.request_mark if of_request else exchange.response_mark
            if head is not None and mark is not None:
                for name, value in head.headers:
                    yield mark.number, f"{name}: {value}"

    return get


def _content_length(facts: FlowFacts) -> Iterator[tuple[int, int]]:
    for number, text in _in_either("content-length")(facts):
        if text.isdecimal() and len(text) < 19:
            yield number, int(text)


def _delay(exchange: Exchange) -> int | None:
    asked, answered = exchange.request_mark, exchange.response_mark
    if asked is None or answered is None:
        return None
    return answered.time_ns - asked.time_ns


def _connects(part: int) -> Get:
    """Host (0) or port (2) of each CONNECT."""

    def value(exchange: Exchange) -> Any:
        request = exchange.request
        if request is None or request.method.upper() != "CONNECT":
            return None
        pieces = request.authority.rpartition(":")
        if not pieces[1]:
            return request.authority if part == 0 else None
        if part == 0:
            return pieces[0].strip("[]")
        return int(pieces[2]) if pieces[2].isdecimal() and len(pieces[2]) < 6 else None

    return _requests(value)


def _marked(mark: Mark | None, *values: Any) -> Iterator[tuple[int, Any]]:
    if mark is not None:
        for value in values:
            if value is not None:
                yield mark.number, value


def _hello(values: Callable[[Any], Iterable[Any]]) -> Get:
    """Fields of the ClientHello."""

    def get(facts: FlowFacts) -> Iterator[tuple[int, Any]]:
        tls = facts.tls
        if tls is not None and tls.client_hello is not None:
            yield from _marked(tls.client_hello_mark, *values(tls.client_hello))

    return get


def _both_hellos(of_client: Callable[[Any], Iterable[Any]],
                 of_server: Callable[[Any], Iterable[Any]]) -> Get:  # fmt: skip
    client = _hello(of_client)

    def get(facts: FlowFacts) -> Iterator[tuple[int, Any]]:
        yield from client(facts)
        tls = facts.tls
        if tls is not None and tls.server_hello is not None:
            yield from _marked(tls.server_hello_mark, *of_server(tls.server_hello))

    return get


def _handshakes(facts: FlowFacts) -> Iterator[tuple[int, int]]:
    tls = facts.tls
    if tls is None:
        return
    if tls.client_hello is not None:
        yield from _marked(tls.client_hello_mark, _CLIENT_HELLO)
    if tls.server_hello is not None:
        yield from _marked(tls.server_hello_mark, _SERVER_HELLO)
    if tls.certificates:
        yield from _marked(tls.certificate_mark, _CERTIFICATE)
    if tls.certificate_request:
        yield from _marked(tls.certificate_mark, _CERTIFICATE_REQUEST)


def _alerts(name: str) -> Get:
    def get(facts: FlowFacts) -> Iterator[tuple[int, int]]:
        for alert in facts.tls.alerts if facts.tls is not None else ():
            yield alert.mark.number, getattr(alert, name)

    return get


def _icmp(version: int, name: str) -> Get:
    def get(facts: FlowFacts) -> Iterator[tuple[int, int]]:
        for error in facts.icmp:
            if error.version == version and (name != "mtu" or error.mtu):
                yield error.number, getattr(error, name)

    return get


def _syns(name: str) -> Get:
    """An option of the SYN and of the SYN-ACK."""

    def get(facts: FlowFacts) -> Iterator[tuple[int, int]]:
        for sender, mark in ((CLIENT, facts.syn), (PROXY, facts.syn_ack)):
            value = getattr(facts.sides[sender], name)
            if mark is not None and value > (0 if name == "mss" else -1):
                yield mark.number, value

    return get


def _initial_rtt(facts: FlowFacts) -> Iterator[tuple[int, int]]:
    if facts.rtt_ns is not None and facts.ack is not None:
        yield facts.ack.number, facts.rtt_ns


def _field(name: str, kind: Kind, help: str, get: Get, **more: Any) -> MessageField:
    return MessageField(name=name, kind=kind, help=help, get=get, **more)


_TEXT, _NUMBER, _THERE = Kind.TEXT, Kind.NUMBER, Kind.PRESENCE

MESSAGE_FIELDS: Final = (
    _field("http.request", _THERE, "a request", _requests(lambda item: True)),
    _field("http.request.method", _TEXT, "CONNECT, GET, …",
           _requests(lambda item: item.request.method if item.request else None),
           words=METHODS),
    _field("http.request.uri", _TEXT, "target as the client wrote it",
           _requests(lambda item: item.request.target if item.request else None)),
    _field("http.request.version", _TEXT, "HTTP/1.1",
           _requests(lambda item: item.request.version if item.request else None)),
    _field("http.request.line", _TEXT, "each header line of a request", _lines(True)),
    _field("http.host", _TEXT, "Host header, with a port if it has one", _in_request("host")),
    _field("http.user_agent", _TEXT, "User-Agent header", _in_request("user-agent")),
    _field("http.proxy_authorization", _TEXT, "Proxy-Authorization, masked",
           _in_request("proxy-authorization")),
    _field("http.authorization", _TEXT, "Authorization, masked", _in_request("authorization")),
    _field("http.proxy_connect_host", _TEXT, "host of a CONNECT", _connects(0), onward=True),
    _field("http.proxy_connect_port", _NUMBER, "port of a CONNECT", _connects(2), onward=True),
    _field("http.response", _THERE, "a reply", _replies(lambda item: True)),
    _field("http.response.code", _NUMBER, "status code",
           _replies(lambda item: item.response.status if item.response else None)),
    _field("http.response.phrase", _TEXT, "reason phrase",
           _replies(lambda item: item.response.reason if item.response else None)),
    _field("http.response.version", _TEXT, "HTTP/1.1",
           _replies(lambda item: item.response.version if item.response else None)),
    _field("http.response.line", _TEXT, "each header line of a reply", _lines(False)),
    _field("http.response_for.uri", _TEXT, "target that a reply answers",
           _replies(lambda item: item.request.target if item.request else None)),
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
    _field("http.time", _NUMBER, "request to reply: 0.2, 150ms", _replies(_delay),
           unit=Unit.SECONDS),
    _field("tls.handshake", _THERE, "a handshake message in clear", _handshakes),
    _field("tls.handshake.type", _NUMBER, "1 ClientHello, 2 ServerHello, 11 Certificate",
           _handshakes, names=HANDSHAKE_TYPES),
    _field("tls.handshake.extensions_server_name", _TEXT, "SNI",
           _hello(lambda hello: (hello.sni,))),
    _field("tls.handshake.version", _NUMBER, "0x0303: TLS 1.2 and 1.3",
           _both_hellos(lambda hello: [min(max(hello.versions), TLS_1_2)]
                        if hello.versions else (),
                        lambda hello: (min(hello.version, TLS_1_2),)),
           names=TLS_VERSIONS),
    _field("tls.handshake.extensions.supported_version", _NUMBER, "offered or chosen: 0x0304",
           _both_hellos(lambda hello: hello.versions, lambda hello: (hello.version,)),
           names=TLS_VERSIONS),
    _field("tls.handshake.ciphersuite", _NUMBER, "offered or chosen: 0x1301",
           _both_hellos(lambda hello: hello.ciphers, lambda hello: (hello.cipher,)),
           names=CIPHERS),
    _field("tls.handshake.extensions_alpn_str", _TEXT, "protocols in ALPN",
           _both_hellos(lambda hello: hello.alpn, lambda hello: (hello.alpn,))),
    _field("tls.handshake.extensions_supported_group", _NUMBER, "groups offered: 29 is x25519",
           _hello(lambda hello: hello.groups)),
    _field("tls.handshake.certificate", _THERE, "a certificate in clear",
           lambda facts: _marked(facts.tls.certificate_mark, True)
           if facts.tls is not None and facts.tls.certificates else ()),
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
