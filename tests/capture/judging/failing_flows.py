"""Flows that fail before the transfer: reaching, asking, authentication, error replies."""

from __future__ import annotations

from typing import Any

from capture.facts import CLIENT, PROXY
from capture.protocols.events import Challenge, Credentials
from tests.capture.judging.build import (
    Story,
    request,
)
from tests.capture.judging.stories import (
    BASIC,
    Scenario,
    bare,
    bye_after,
    challenge,
    challenged,
    denied,
    get,
    half_open,
    half_reply,
    icmp,
    loop,
    page,
    rejected,
    reply_lost,
    squid,
    to_socks,
    to_ssh,
    to_tls,
    unacked,
)

REACHING = (
    Scenario("refused", lambda: Story().syn().close("proxy_rst"), "proxy_refused",
             ("tcp-refused",)),
    Scenario("no answer", lambda: Story().syn(4), "proxy_unreachable", ("tcp-no-answer",), 4.0),
    Scenario("no answer, while the clock stepped back", lambda: Story().syn(4).set(
             time_backwards=1), "proxy_unreachable", ("tcp-no-answer",), 4.0),
    Scenario("one SYN, long ago", lambda: Story().syn(), "proxy_unreachable", ("tcp-no-answer",),
             10.0),
    Scenario("prohibited", lambda: Story().syn().set(icmp=(icmp(3, 13),)), "proxy_unreachable",
             ("tcp-prohibited",)),
    Scenario("no such host", lambda: Story().syn(3).set(icmp=(icmp(3, 1),)), "proxy_unreachable",
             ("tcp-unreachable",), 9.0),
    Scenario("IPv6: no route", lambda: Story().syn().set(icmp=(icmp(1, 0, version=6),)),
             "proxy_unreachable", ("tcp-unreachable",)),
    Scenario("routing loop", lambda: Story().syn().set(icmp=(icmp(11, 0),)), "proxy_unreachable",
             ("tcp-loop",)),
    Scenario("challenge ACK", lambda: challenged(), "proxy_unreachable", ("tcp-challenge",)),
    Scenario("SYN-ACK never acknowledged", lambda: half_open(), "proxy_unreachable",
             ("tcp-half-open",), 10.0),
    Scenario("closed before a word", lambda: Story().connect().close("proxy_fin"),
             "connect_no_reply", ("proxy-closes-at-once",)),
    Scenario("reset before a word", lambda: Story().connect().close("proxy_rst"),
             "connect_no_reply", ("proxy-closes-at-once",)),
)  # fmt: skip


LANGUAGE = (
    Scenario("TLS to a plain port", lambda: Story().connect().client_hello()
             .set(tunnel_protocol="").answer(400, "Bad Request").set(first_language=("tls", "http"))
             .close("proxy_fin"), "tls_to_plain_proxy", ("tls-to-plain-proxy",)),
    Scenario("TLS to a port that stays silent", lambda: bye_after(
             Story().connect().client_hello(), 6.0), "connect_no_reply", ("tls-to-silent-proxy",)),
    Scenario("TLS to a plain port, or in a tunnel that the capture did not see open",
             lambda: bare("tls", size=517).set(mid_stream=True).answer(400, "Bad Request"),
             "bad_request", ("bad-request", "capture-began-later")),
    Scenario("SOCKS5, no answer", lambda: bye_after(bare("socks5", b"\5\2\0\2", 4), 5.0),
             "bad_request", ("socks-to-http-proxy",)),
    Scenario("SOCKS4, answered in HTTP", lambda: bare("socks4", b"\4\1\1\xbb").answer(
             400, "Bad Request"), "bad_request", ("socks-to-http-proxy",)),
    Scenario("HTTP/2 without upgrade", lambda: bare("http2", b"PRI * HTTP/2.0").answer(
             400, "Bad Request"), "bad_request", ("not-http",)),
    Scenario("unknown bytes, closed", lambda: bare("other", b"\x00\x01\x02").close("proxy_fin"),
             "connect_no_reply", ("not-http",)),
    Scenario("CONNECT to a TLS port", lambda: to_tls(), "connect_no_reply",
             ("http-to-tls-proxy",)),
    Scenario("CONNECT to a SOCKS port", lambda: to_socks(), "connect_no_reply",
             ("http-to-socks-proxy",)),
    Scenario("CONNECT to an SSH server", lambda: to_ssh(), "connect_no_reply",
             ("reply-not-http",)),
    Scenario("origin-form request to squid", lambda: Story().connect().ask(method="GET",
             target="/").answer(400, "Bad Request"), "bad_request", ("origin-form-request",)),
    Scenario("plain request to a TLS port, told in HTTP", lambda: page(
             400, "The plain HTTP request was sent to HTTPS port"), "bad_request",
             ("http-to-tls-proxy",)),
)  # fmt: skip


REQUESTS = (
    Scenario("hangs, client gives up", lambda: bye_after(Story().connect().ask(), 6.0),
             "connect_no_reply", ("connect-hang",)),
    Scenario("hangs, still open", lambda: Story().connect().ask(), "connect_no_reply",
             ("connect-hang",), 8.0),
    Scenario("client leaves at once", lambda: bye_after(Story().connect().ask(), 0.2),
             "connect_no_reply", ("connect-cancelled",)),
    Scenario("FIN without a reply", lambda: Story().connect().ask().wait(1).close("proxy_fin"),
             "connect_no_reply", ("connect-closed",)),
    Scenario("RST at once", lambda: Story().connect().ask().close("proxy_rst"),
             "connect_no_reply", ("connect-reset",)),
    Scenario("RST to what a text does not print", lambda: bare("", size=122).close("proxy_rst"),
             "connect_no_reply", ("connect-reset",), capture={"text": True}),
    Scenario("RST late", lambda: Story().connect().ask().wait(9).close("proxy_rst"),
             "connect_no_reply", ("connect-closed",)),
    Scenario("request never acknowledged", lambda: unacked(), "connect_no_reply",
             ("connect-not-acked",), 5.0),
    Scenario("request rejected by a firewall", lambda: rejected(unacked()), "connect_no_reply",
             ("path-rejected",)),
    Scenario("accept queue full", lambda: unacked().set(syn_ack_count=3), "connect_no_reply",
             ("connect-backlog",), 5.0),
    Scenario("never acknowledged, every packet captured twice",
             lambda: unacked().set(syn_ack_count=2).set(CLIENT, duplicates=5),
             "connect_no_reply", ("connect-not-acked",), 5.0),
    Scenario("FIN behind a reply that never came by", lambda: Story().connect().ask().set(
             PROXY, stream_bytes=3347).close("proxy_fin"), "connect_no_reply", ("reply-missing",)),
    Scenario("half a head, FIN", lambda: half_reply().close("proxy_fin"), "connect_no_reply",
             ("connect-half-reply",)),
    Scenario("half a head, silence", half_reply, "connect_no_reply", ("connect-half-reply",), 9.0),
    Scenario("hangs after the 407", lambda: bye_after(Story().connect().ask().answer(
             **challenge("basic")).ask(credentials=BASIC), 30.0), "connect_no_reply",
             ("connect-hang",)),
    Scenario("half a request, the proxy closes", lambda: Story().connect().ask(
             request(complete=False)).wait(4).close("proxy_fin"), "connect_no_reply",
             ("request-unfinished",)),
    Scenario("half a request, the client gives up", lambda: bye_after(Story().connect().ask(
             request(complete=False)), 6.0), "connect_no_reply", ("request-unfinished",)),
    Scenario("the 2xx never acknowledged", lambda: reply_lost(), "connect_no_reply",
             ("connect-reply-lost",)),
    Scenario("2xx with a body", lambda: Story().connect().ask().answer(
             200, "OK", headers=(("content-length", "12"),)), "transfer_stalled",
             ("connect-2xx-body",), 9.0),
)  # fmt: skip


AUTH = (
    Scenario("no credentials", lambda: denied(**challenge("basic", "digest")), "auth_required",
             ("auth-challenge",)),
    Scenario("no credentials yet, when the capture ends", lambda: denied(
             **challenge("basic")), "auth_required", ("auth-challenge",), 0.2),
    Scenario("credentials sent when the proxy had hung up", lambda: denied(**challenge("basic"))
             .close("proxy_fin").ask(credentials=BASIC).close("proxy_rst"), "auth_required",
             ("auth-closed",)),
    Scenario("wrong password", lambda: denied(**challenge("basic")).ask(credentials=BASIC)
             .answer(**challenge("basic")), "auth_required", ("auth-rejected",)),
    Scenario("only NTLM offered", lambda: denied(**challenge("ntlm")), "auth_required",
             ("auth-scheme",), 2.0),
    Scenario("what ISA offers", lambda: denied(**challenge("negotiate", "kerberos", "ntlm")),
             "auth_required", ("auth-scheme",), 2.0),
    Scenario("what ISA offers, just now: a ticket may come", lambda: denied(**challenge(
             "negotiate", "kerberos", "ntlm")), "auth_required", ("auth-challenge",)),
    Scenario("Basic where only NTLM is offered", lambda: Story().connect().ask(credentials=BASIC)
             .answer(**challenge("ntlm", "negotiate")), "auth_required", ("auth-scheme",)),
    Scenario("no scheme named", lambda: denied(**challenge()), "auth_required",
             ("auth-no-scheme",)),
    Scenario("stale nonce", lambda: Story().connect().ask(credentials=Credentials("digest"))
             .answer(**challenge("digest", stale=True)), "auth_required", ("auth-stale",)),
    Scenario("refused three times", lambda: loop(), "auth_required", ("auth-loop",)),
    Scenario("NTLM message 3 without message 2", lambda: Story().connect().ask(
             credentials=Credentials("ntlm", 3)).answer(**challenge("ntlm")), "auth_required",
             ("auth-ntlm-broken",)),
    Scenario("left after NTLM message 2", lambda: Story().connect().ask(
             credentials=Credentials("ntlm", 1)).answer(**challenge("ntlm", ntlm_type=2))
             .close("client_fin"), "auth_required", ("auth-ntlm-dropped",)),
    Scenario("NTLM message 2, just now", lambda: Story().connect().ask(credentials=Credentials(
             "ntlm", 1)).answer(**challenge("ntlm", ntlm_type=2)), "auth_required",
             ("auth-challenge",)),
    Scenario("Negotiate with NTLM inside", lambda: Story().connect().ask(
             credentials=Credentials("negotiate", 1)).answer(**challenge("negotiate")),
             "auth_required", ("auth-rejected", "auth-no-ticket")),
    Scenario("a server's login", lambda: get().answer(401, "Unauthorized",
             challenges=(Challenge("basic"),), headers=(("via", "1.1 p"),)), "auth_required",
             ("origin-login",)),
)  # fmt: skip


def _status(status: int, reason: str, verdict: str, *rules: str, **how: Any) -> Scenario:
    return Scenario(f"{status} {reason}", lambda: denied(status, reason, **how), verdict, rules)


STATUS = (
    Scenario("a filter's page in answer to a plain request", lambda: get().answer(302, "Moved",
             headers=(("location", "http://10.0.0.5:15871/cgi-bin/blockpage.cgi?ws-session=1"),)),
             "acl_denied", ("acl-redirect",)),
    _status(400, "Bad Request", "bad_request", "bad-request"),
    _status(403, "Forbidden", "acl_denied", "acl-deny"),
    _status(403, "Forbidden", "acl_denied", "acl-port", target="mail.example.com:25"),
    _status(403, "Tunnel Forbidden", "acl_denied", "acl-port", target="mail.example.com:25"),
    _status(403, "Filtered", "acl_denied", "acl-deny"),
    _status(502, "Proxy Error ( The specified Secure Sockets Layer (SSL) port is not allowed. )",
            "bad_gateway", "acl-port", target="www.example.com:8443"),
    _status(404, "Not Found", "not_found", "not-found", headers=(("via", "1.1 x"),)),
    _status(405, "Not Allowed", "bad_request", "not-a-proxy",
            headers=(("server", "nginx"),)),
    _status(408, "Request Timeout", "bad_request", "bad-request"),
    _status(414, "URI Too Long", "bad_request", "request-too-big"),
    _status(429, "Too Many Requests", "service_unavailable", "up-busy"),
    _status(431, "Too Large", "bad_request", "request-too-big"),
    _status(451, "Unavailable For Legal Reasons", "acl_denied", "acl-deny"),
    _status(500, "Internal Server Error", "server_error", "server-error"),
    _status(500, "Unable to connect", "server_error", "bad-gateway"),
    _status(501, "Not Implemented", "bad_request", "not-a-proxy"),
    _status(502, "Bad Gateway", "bad_gateway", "bad-gateway"),
    _status(502, "cannot find server", "bad_gateway", "up-dns"),
    _status(503, "Service Unavailable", "service_unavailable", "service-unavailable"),
    _status(503, "Busy", "service_unavailable", "up-busy", headers=(("retry-after", "60"),)),
    _status(504, "Gateway Timeout", "gateway_timeout", "gateway-timeout"),
    _status(504, "Gateway Time-out", "gateway_timeout", "gateway-timeout"),
    _status(511, "Network Authentication Required", "captive_redirect", "captive-portal"),
    _status(522, "Odd", "gateway_timeout", "gateway-timeout"),
    _status(599, "Odd", "gateway_timeout", "gateway-timeout"),
    _status(302, "Found", "captive_redirect", "captive-redirect",
            headers=(("location", "http://portal.lab.example/login?orig=x"),)),
    _status(302, "Found", "captive_redirect", "captive-redirect"),
    _status(307, "Temporary Redirect", "acl_denied", "acl-redirect",
            headers=(("location", "http://intranet/why"), ("x-squid-error", "403 Access Denied"))),
    _status(302, "Moved", "acl_denied", "acl-redirect",
            headers=(("location", "http://gw.example/blockpage?cat=7"),)),
    Scenario("squid: refused", lambda: squid(503, "Service Unavailable", "ERR_CONNECT_FAIL 111"),
             "service_unavailable", ("up-refused",)),
    Scenario("squid: timed out", lambda: squid(503, "Service Unavailable", "ERR_CONNECT_FAIL 110"),
             "service_unavailable", ("up-timeout",)),
    Scenario("squid: no route", lambda: squid(503, "Service Unavailable", "ERR_CONNECT_FAIL 113"),
             "service_unavailable", ("up-no-route",)),
    Scenario("squid: no ports", lambda: squid(503, "Service Unavailable", "ERR_CONNECT_FAIL 99"),
             "service_unavailable", ("up-no-ports",)),
    Scenario("squid: reset", lambda: squid(502, "Bad Gateway", "ERR_READ_ERROR 104"),
             "bad_gateway", ("up-reset",)),
    Scenario("squid: cannot forward", lambda: squid(500, "Internal Server Error",
             "ERR_CANNOT_FORWARD 0"), "server_error", ("up-cannot-forward",)),
    Scenario("squid: name", lambda: squid(503, "Service Unavailable", "ERR_DNS_FAIL 0"),
             "service_unavailable", ("up-dns",)),
    Scenario("squid: TLS", lambda: squid(503, "Service Unavailable", "ERR_SECURE_CONNECT_FAIL 71"),
             "service_unavailable", ("up-tls",)),
    Scenario("squid: scanner", lambda: squid(500, "Internal Server Error", "ERR_ICAP_FAILURE 0"),
             "server_error", ("up-scanner",)),
    Scenario("squid: read timeout", lambda: squid(504, "Gateway Timeout", "ERR_READ_TIMEOUT 0"),
             "gateway_timeout", ("up-read-timeout",)),
    Scenario("squid: protocol", lambda: squid(400, "Bad Request", "ERR_INVALID_URL 0"),
             "bad_request", ("request-not-understood",)),
    Scenario("squid: denial under another status", lambda: squid(
             503, "Service Unavailable", "ERR_ACCESS_DENIED 0"), "acl_denied", ("acl-deny",)),
    Scenario("Proxy-Status: loop", lambda: denied(502, "Bad Gateway", headers=(
             ("proxy-status", "p; error=proxy_loop_detected"),)), "bad_gateway", ("up-loop",)),
    Scenario("Proxy-Status: cut response", lambda: denied(502, "Bad Gateway", headers=(
             ("proxy-status", "p; error=http_response_incomplete"),)), "bad_gateway",
             ("up-incomplete",)),
    Scenario("Proxy-Status: own fault", lambda: denied(500, "Error", headers=(
             ("proxy-status", "p; error=proxy_internal_error"),)), "server_error",
             ("proxy-fault",)),
    Scenario("page: category", lambda: page(403, "Category: Games"), "acl_denied",
             ("acl-category",)),
    Scenario("page: unknown host", lambda: page(502, "no such host"), "bad_gateway", ("up-dns",)),
    Scenario("HTTP/1.0 refused", lambda: Story().connect().ask(version="HTTP/1.0").answer(
             426, "Upgrade Required"), "bad_request", ("http10-refused",)),
    Scenario("malformed", lambda: Story().connect().ask(target="https://x", malformed=(
             "scheme in authority",)).answer(400, "Bad Request"), "bad_request",
             ("malformed-request",)),
    Scenario("the server's own 404", lambda: get().answer(404, "Not Found", headers=(
             ("server", "nginx"), ("via", "1.1 proxy (squid/5.7)"))), "not_found",
             ("origin-error",)),
    Scenario("plain, denied by squid", lambda: get().answer(403, "Forbidden", headers=(
             ("x-squid-error", "ERR_ACCESS_DENIED 0"), ("via", "1.1 proxy"))), "acl_denied",
             ("acl-deny",)),
    Scenario("plain, portal", lambda: get().answer(302, "Found", headers=(
             ("server", "CaptivePortal"), ("location", "http://wifi/login"))), "captive_redirect",
             ("captive-redirect",)),
    Scenario("https without CONNECT", lambda: get("https://www.example.com/").answer(200, "OK"),
             "plain_http", ("https-without-connect",)),
    Scenario("plain body cut", lambda: get().answer(200, "OK", expected=9000, received=4000,
             complete=False).close("proxy_fin"), "tunnel_closed_early", ("body-cut",)),
    Scenario("plain body reset", lambda: get().answer(200, "OK", expected=9000, received=4000,
             complete=False).close("proxy_rst"), "transfer_reset", ("body-reset",)),
    Scenario("plain body stalls", lambda: bye_after(get().answer(200, "OK", expected=9000,
             received=4000, complete=False), 8.0), "transfer_stalled", ("body-stall",)),
)  # fmt: skip
