"""Which flows go to a proxy, and what they are.

Only CONNECT proves a proxy by itself. An absolute URI may reach an origin server (RFC 9112
section 3.2.2 makes servers accept it), port 80 and 8080 mostly carry ordinary web traffic,
and a port scan refuses more SYNs than any broken proxy. So flows without a request are
listed only where the port, what was said, and the rest of the capture leave little doubt.
"""

from __future__ import annotations

import re
from typing import Final

from capture.facts import CLIENT, PROXY, CaptureFacts, Endpoint, Exchange, FlowFacts
from capture.judging.signs import from_proxy

PROXY_PORTS: Final = frozenset({3128, 3129, 8118, 8888, 9400, 9480})
"""Ports on which little else than HTTP proxies listens (squid, privoxy, tinyproxy, cloud
proxies)."""

SHARED_PORTS: Final = frozenset({8080, 8000, 8081, 8008, 8001, 8090, 9090, 800, 808, 81})
"""Ports of proxies and of web servers alike."""

WEB_PORT: Final = 80

CANDIDATE_PORTS: Final = PROXY_PORTS | SHARED_PORTS | {WEB_PORT}
"""Ports on which a flow without a byte of payload may be one to a proxy that is not known."""

SCAN: Final = 8
"""More silent endpoints than this are a scan or a broken network, not a broken proxy."""

_ESTABLISHED: Final = re.compile(
    r"(connection|tunnel) established|connected|connect(ion)? (ok|success)", re.I
)
"""Reason phrases of a 2xx that only CONNECT gets."""

_PROXY_FIELDS: Final = ("proxy-connection", "proxy-authorization")
_PASSED_ON: Final = ("via", "x-cache", "x-cache-lookup", "proxy-agent", "proxy-status")
LITERAL: Final = re.compile(r"[0-9.]+|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*")
"""An address instead of a name."""
_PRIVATE: Final = re.compile(r"10\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.|100\.(6[4-9]|[7-9]\d|1[01]"
                             r"\d|12[0-7])\.|127\.|f[cd][0-9a-f]{2}:|fe80:|::1$", re.I)  # fmt: skip


def kind(flow: FlowFacts) -> str:
    """``tunnel`` (a CONNECT was seen), ``plain`` (other requests) or ``unknown``."""
    found = "unknown"
    for item in flow.exchanges:
        if item.request is not None:
            if item.request.form == "authority":
                return "tunnel"
            found = "plain"
    return found


def is_proxied(flow: FlowFacts, capture: CaptureFacts) -> bool:
    """Whether a flow goes (or was meant to go) through a proxy.

    Args:
        flow: Any TCP flow of the capture.
        capture: What else is known; its ``proxies`` should hold every endpoint for which
            ``proves_proxy`` is true of some flow.
    """
    known = flow.proxy in capture.proxies
    if flow.exchanges:
        return _by_requests(flow, capture, known)
    return _silent(flow, capture, known)


def proves_proxy(flow: FlowFacts, capture: CaptureFacts) -> bool:
    """Whether this flow alone proves that its server is a proxy."""
    for item in flow.exchanges:
        if item.request is None:
            if item.response is not None and _tunnel_reply(item):
                return True
        elif item.request.form == "authority":
            if flow.tunnel is not None or item.response is None or _spoken_by_proxy(item):
                return True
        elif item.request.form == "absolute" and _sent_to_proxy(flow, item, capture) is True:
            return True
    return False


# -- flows with HTTP -----------------------------------------------------------------------


def _by_requests(flow: FlowFacts, capture: CaptureFacts, known: bool) -> bool:
    for item in flow.exchanges:
        request = item.request
        if request is None:
            if _lone_reply(flow, item, known):
                return True
        elif request.form == "authority":
            return True
        elif request.form == "absolute":
            answer = _sent_to_proxy(flow, item, capture)
            if known or answer or (answer is None and _looks_inside(flow, item)):
                return True
        elif _failed_at_proxy(flow, item, known):
            return True
    return False


def _tunnel_reply(item: Exchange) -> bool:
    """A reply that only a proxy gives, whatever the request was."""
    response = item.response
    assert response is not None
    if response.status == 407 or response.header("proxy-agent"):
        return True
    return 200 <= response.status < 300 and bool(_ESTABLISHED.search(response.reason))


def _spoken_by_proxy(item: Exchange) -> bool:
    response = item.response
    return response is not None and (
        response.status == 407 or bool(from_proxy(response)) or response.header("via") is not None
    )


def _lone_reply(flow: FlowFacts, item: Exchange, known: bool) -> bool:
    """A reply without its request: one side captured, or TLS sent to an HTTP port."""
    response = item.response
    if response is None:
        return False
    if flow.first_language[CLIENT] in ("tls", "socks4", "socks5", "http2", "other"):
        return _wrong_language(flow, item, known)
    if known and response.status >= 400:
        return True
    return _tunnel_reply(item) or bool(response.header("x-squid-error"))


def _wrong_language(flow: FlowFacts, item: Exchange, known: bool) -> bool:
    """TLS or SOCKS answered in HTTP by something that may be a proxy."""
    response, port = item.response, flow.proxy.port
    if known or (response is not None and _spoken_by_proxy(item)):
        return True
    if port in PROXY_PORTS:
        return True
    web = response is not None and re.search(
        r"nginx|apache|iis|lighttpd|caddy|cloudfront|cloudflare|gws|envoy|jetty|awselb|akamai",
        response.header("server") or "",
        re.IGNORECASE,
    )
    return (port in SHARED_PORTS or port == WEB_PORT) and not web


def _failed_at_proxy(flow: FlowFacts, item: Exchange, known: bool) -> bool:
    """An origin-form request that a proxy did not take."""
    response = item.response
    if response is None:
        never = flow.proxy.port in PROXY_PORTS or known
        return never and not flow.sides[PROXY].bytes
    return (known and response.status >= 400) or bool(
        response.status >= 400 and response.header("x-squid-error")
    )


def _sent_to_proxy(flow: FlowFacts, item: Exchange, capture: CaptureFacts) -> bool | None:
    """Whether an absolute URI went to a proxy: yes, no, or (None) the packets do not tell."""
    request, response = item.request, item.response
    assert request is not None
    if any(request.header(name) for name in _PROXY_FIELDS):
        return True
    if response is not None and (
        response.status == 407
        or bool(from_proxy(response))
        or any(response.header(name) for name in _PASSED_ON)
    ):
        return True
    host, _, port = request.authority.rpartition(":")
    host = host.strip("[]").lower()
    if port.isdigit() and int(port) != flow.proxy.port:
        return True
    if host == flow.proxy.host.lower() or _resolves_to(host, flow.proxy, capture):
        return False
    if flow.proxy.port in PROXY_PORTS:
        return True
    return True if LITERAL.fullmatch(host) else None


def _resolves_to(host: str, endpoint: Endpoint, capture: CaptureFacts) -> bool:
    """A DNS answer of the capture gives ``host`` the server's own address."""
    from capture.judging.scene import address_text

    return any(
        message.response
        and message.name == host
        and any(address_text(number, capture) == endpoint.host for number in message.answers)
        for message in capture.dns
    )


def _looks_inside(flow: FlowFacts, item: Exchange) -> bool:
    """A public name asked of a private address: the client's proxy, not the origin."""
    assert item.request is not None
    host = item.request.authority.rpartition(":")[0].lower()
    public = "." in host and not host.endswith((".local", ".lan", ".internal", ".home", ".corp"))
    return public and bool(_PRIVATE.match(flow.proxy.host))


# -- flows without HTTP --------------------------------------------------------------------


def _silent(flow: FlowFacts, capture: CaptureFacts, known: bool) -> bool:
    client, proxy = flow.sides
    spoken, answer = flow.first_language
    if not client.bytes and not proxy.bytes:
        return _only_handshake(flow, capture, known)
    if flow.mid_stream:
        return _midway(flow, known)
    if known:
        # What a proxy's port carries without HTTP is a failure or an HTTPS proxy; a server
        # that speaks first (SSH, SMTP) shares the address, not the port.
        return bool(client.bytes) or not proxy.bytes
    port = flow.proxy.port
    if _cut_connect(flow) and port in CANDIDATE_PORTS:
        return True
    if capture.text and not spoken and not answer:
        return port in PROXY_PORTS
    if port in PROXY_PORTS and spoken == "tls":
        return True
    if proxy.bytes:
        return False
    if spoken in ("tls", "socks4", "socks5", "http-part"):
        return port in PROXY_PORTS or (
            (port in SHARED_PORTS or port == WEB_PORT) and _plausible(flow, capture)
        )
    return port in PROXY_PORTS


def _cut_connect(flow: FlowFacts) -> bool:
    """A snapshot length that left a few bytes of payload: they are CONNECT's."""
    head = flow.first_bytes[CLIENT]
    cut = flow.sides[CLIENT].cut_by_snaplen > 0
    return cut and len(head) >= 2 and b"CONNECT ".startswith(head.upper())


def _only_handshake(flow: FlowFacts, capture: CaptureFacts, known: bool) -> bool:
    """No payload at all: refused, unanswered, or connected in silence."""
    if known:
        return True
    port = flow.proxy.port
    if flow.syn is None or flow.syn_ack is not None:
        return False
    if any(flow.proxy.host == endpoint.host for endpoint in capture.proxies):
        return port in PROXY_PORTS or port in SHARED_PORTS or port == WEB_PORT
    if port in PROXY_PORTS:
        return capture.silent_endpoints <= SCAN
    return (port in SHARED_PORTS or port == WEB_PORT) and _plausible(flow, capture)


def _plausible(flow: FlowFacts, capture: CaptureFacts) -> bool:
    """Nothing else in the capture speaks for a web server (or a scan) instead of a proxy."""
    if capture.silent_endpoints > SCAN:
        return False
    if flow.proxy.port == WEB_PORT:
        return not capture.direct_web and not capture.proxies
    return not capture.direct_web or bool(_PRIVATE.match(flow.proxy.host))


def _midway(flow: FlowFacts, known: bool) -> bool:
    """Open when the capture began: TLS where plain HTTP is spoken is a tunnel."""
    if known or flow.proxy.port in PROXY_PORTS:
        return True
    port = flow.proxy.port
    in_tls = flow.tls is not None or "tls" in flow.first_language
    return in_tls and (port == WEB_PORT or port in SHARED_PORTS)
