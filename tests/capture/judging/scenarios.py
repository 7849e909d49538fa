"""Flows as data: each with the verdict and the rules that it must bring, and no others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from capture.decode.columns import IcmpError
from capture.facts import CLIENT, PROXY, CaptureFacts, Endpoint, FlowFacts, Hole, Silence
from capture.protocols.events import Challenge, Credentials, ServerHello
from tests.capture.judging.build import (
    TLS12,
    Story,
    capture,
    certificate,
    healthy,
    hello,
    opened,
    request,
    tunnel,
)

BASIC = Credentials("basic")


@dataclass(frozen=True)
class Scenario:
    """A flow, what the capture adds, and what must come of it."""

    name: str
    tell: Callable[[], Story | FlowFacts]
    verdict: str
    rules: tuple[str, ...] = ()
    after: float = 0.5
    """Seconds the capture goes on after the flow's last packet."""
    capture: dict[str, Any] = field(default_factory=dict)

    def facts(self) -> tuple[FlowFacts, CaptureFacts]:
        """Build the facts anew."""
        told = self.tell()
        flow = told.facts() if isinstance(told, Story) else told
        return flow, capture(flow, self.after, **self.capture)


def icmp(kind: int, code: int, *, mtu: int = 0, sport: int = 40000, version: int = 4) -> IcmpError:
    """An ICMP error that quotes a packet of the client."""
    return IcmpError(
        9, 1_700_000_000_500_000_000, 0x0A000001, 0x0A282801, version, kind, code, mtu,
        0x0A282801, 0x0A0A0A01, sport, 80, 1, 1500,
    )  # fmt: skip


def denied(status: int = 403, reason: str = "Forbidden", **how: Any) -> Story:
    """A CONNECT that gets an error instead of 200."""
    return Story().connect().ask(target=how.pop("target", "tools.cisco.com:443")).answer(
        status, reason, **how
    )  # fmt: skip


def squid(status: int, reason: str, error: str, **how: Any) -> Story:
    """An error page of squid."""
    return denied(
        status, reason, headers=(("server", "squid/5.7"), ("x-squid-error", error)), **how
    )


def page(status: int, text: str, **how: Any) -> Story:
    """A bare error with a phrase on its page."""
    return denied(status, "Error", body=f"<p>{text}</p>".encode(), **how)


def challenge(*schemes: str, **how: Any) -> dict[str, Any]:
    """How a 407 is answered."""
    return {
        "status": 407,
        "reason": "Proxy Authentication Required",
        "challenges": tuple(Challenge(name, **how) for name in schemes),
    }


def get(target: str = "http://www.example.com/", **how: Any) -> Story:
    """A plain request through the proxy."""
    return Story().connect().ask(method="GET", target=target, **how)


def download(size: int = 200_000) -> Story:
    """A tunnel in the middle of a download."""
    return tunnel().fetch(size)


def bare(language: str, head: bytes = b"", size: int = 20) -> Story:
    """A first message in another language."""
    story = Story().connect().speak(CLIENT, language, head)
    story.say(CLIENT, size)
    return story


def bye_after(story: Story, seconds: float) -> Story:
    """The client gives up after some time."""
    return story.wait(seconds).close("client_fin").close("proxy_fin")


HEALTHY = (
    Scenario("TLS 1.3, used, closed by the client", healthy, "ok"),
    Scenario("closed by the proxy's side after its close_notify",
             lambda: tunnel().fetch().goodbye(PROXY).close("proxy_fin").close("client_fin"), "ok"),
    Scenario("proxy's FIN answers the client's close_notify",
             lambda: tunnel().fetch().goodbye().close("proxy_fin").close("client_fin"), "ok"),
    Scenario("TLS 1.2, alert record before the FIN",
             lambda: tunnel(TLS12).fetch().goodbye().close("proxy_fin").close("client_fin"), "ok"),
    Scenario("small answer, proxy's FIN without close_notify",
             lambda: tunnel().fetch(900).close("proxy_fin").close("client_fin"), "ok"),
    Scenario("large download, client says goodbye",
             lambda: download(3_000_000).goodbye().close("client_fin").close("proxy_fin"), "ok"),
    Scenario("still downloading when the capture ends", download, "ok", after=0.0),
    Scenario("idle when the capture ends",
             lambda: tunnel().fetch(2000), "ok", after=600.0),
    Scenario("kept open for later, closed by the client after a minute",
             lambda: bye_after(download(), 60.0), "ok"),
    Scenario("websocket: talk now and then",
             lambda: tunnel().fetch(500).wait(300).fetch(60, up=50).wait(200).fetch(80, up=45)
             .goodbye().close("client_fin").close("proxy_fin"), "ok"),
    Scenario("idle connection reset by the server, nothing asked",
             lambda: tunnel().fetch(900).wait(37.0).close("proxy_rst"), "ok"),
    Scenario("client RST after its own FIN",
             lambda: healthy().close("client_rst"), "ok"),
    Scenario("proxy RST after the client's FIN",
             lambda: tunnel().fetch().goodbye().close("client_fin").close("proxy_rst"), "ok"),
    Scenario("client leaves in mid-record", lambda: download().set(missing=(0, 4000))
             .close("client_rst"), "ok", ("client-cancelled",)),
    Scenario("preconnect: handshake done, never used, closed much later",
             lambda: bye_after(tunnel().tickets(), 90.0), "ok"),
    Scenario("never used, closed by the server with close_notify", lambda: tunnel().tickets()
             .wait(10.0).goodbye(PROXY).close("proxy_fin"), "ok"),
    Scenario("answered, closed by the server five seconds later", lambda: tunnel().fetch(900)
             .wait(5.0).close("proxy_fin").close("client_fin"), "ok"),
    Scenario("SSH in the tunnel, closed by the far side without ceremony", lambda: ssh(), "ok"),
    Scenario("a tunnel without a word from anybody, closed by the client",
             lambda: opened().close("client_fin").close("proxy_fin"), "ok"),
    Scenario("CONNECT just sent when the capture ends",
             lambda: Story().connect().ask(), "ok", after=0.1),
    Scenario("ClientHello just sent when the capture ends",
             lambda: opened().client_hello(), "ok", after=1.0),
    Scenario("SYN just sent when the capture ends", lambda: Story().syn(), "ok", after=0.5),
    Scenario("connected and left without a word",
             lambda: Story().connect().wait(30).close("client_fin").close("proxy_fin"), "ok"),
    Scenario("407, then credentials on the same connection",
             lambda: Story().connect().ask().answer(**challenge("basic"))
             .ask(credentials=BASIC).answer().client_hello().server_flight().finish().fetch()
             .goodbye().close("client_fin").close("proxy_fin"), "auth_ok"),
    Scenario("NTLM in three messages",
             lambda: Story().connect().ask(credentials=Credentials("ntlm", 1))
             .answer(407, "Auth", challenges=(Challenge("ntlm", ntlm_type=2),))
             .ask(credentials=Credentials("ntlm", 3)).answer().client_hello().server_flight()
             .finish().fetch().goodbye().close("client_fin").close("proxy_fin"), "auth_ok"),
    Scenario("403, then another destination on the same connection",
             lambda: denied().ask(target="ok.example.com:443").answer().client_hello()
             .server_flight().finish().fetch().goodbye().close("client_fin"), "ok"),
    Scenario("plain request answered", lambda: get().answer(200, "OK"), "plain_http"),
    Scenario("plain redirect of the server",
             lambda: get().answer(302, "Found", headers=(("location", "https://www.example.com/"),
                                                         ("via", "1.1 proxy"))), "plain_http"),
    Scenario("plain redirect to a login of another host, through the proxy",
             lambda: get().answer(302, "Found", headers=(("location", "https://login.example.net/"),
                                                         ("via", "1.1 proxy"))), "plain_http"),
    Scenario("HEAD: length announced, no body", lambda: get_head(), "plain_http"),
    Scenario("plain 407, then the page",
             lambda: get().answer(**challenge("basic")).ask(method="GET",
             target="http://www.example.com/", credentials=BASIC).answer(200, "OK"), "auth_ok"),
    Scenario("one direction only, and it ends with CONNECT",
             lambda: Story().connect().ask().set(one_way=True), "ok", ("capture-one-way",), 60.0),
    Scenario("one direction only: FIN, no close_notify seen",
             lambda: download().set(one_way=True).close("proxy_fin"), "ok", ("capture-one-way",)),
    Scenario("began before the capture",
             lambda: midway().close("proxy_fin"), "ok", ("capture-began-later",)),
    Scenario("cut by the snapshot length",
             lambda: download().set(PROXY, cut_by_snaplen=100).set(missing=(0, 7))
             .close("proxy_fin").close("client_fin"), "ok"),
    Scenario("the capture lost packets in mid-transfer",
             lambda: download().set(PROXY, acked_unseen=3).set(missing=(0, None))
             .close("proxy_fin"), "ok", ("capture-gap",)),
    Scenario("a hole that the client acknowledged",
             lambda: tunnel().hole(PROXY, 2896, 800, acked=True).wait(8).close("client_fin"), "ok",
             ("capture-gap",)),
    Scenario("5 % loss, all repaired",
             lambda: healthy_with(PROXY, retransmissions=60, data_packets=1000), "ok",
             ("packet-loss",)),
    Scenario("path MTU told and obeyed",
             lambda: healthy().set(icmp=(icmp(3, 4, mtu=1300),)), "ok", ("mtu-discovered",)),
    Scenario("full-size segments repeated and acknowledged in the end",
             lambda: repaired(), "ok"),
    Scenario("first SYN lost", lambda: slow(), "ok", ("tcp-slow",)),
    Scenario("warning alert of a Java server, then all went well",
             lambda: warned(), "ok"),
    Scenario("window shut by the client, which then closes",
             lambda: shut(download(), CLIENT, 9).goodbye().close("client_fin"), "ok",
             ("window-shut-by-client",)),
    Scenario("HTTPS proxy: TLS with the proxy itself",
             lambda: Story(proxy=Endpoint("10.10.10.1", 3129)).connect().client_hello()
             .server_flight().finish().fetch().close("client_fin"), "ok", ("tls-proxy",)),
    Scenario("inspected, and accepted",
             lambda: inspected(), "ok", ("tls-inspected",)),
    Scenario("closed for idleness after a minute, several requests before",
             lambda: tunnel().fetch(500).fetch(600).fetch(700).fetch(800).wait(60.0)
             .close("proxy_fin").close("client_fin"), "ok", ("idle-close",)),
    Scenario("text capture: contents not printed",
             lambda: opened().set(tunnel_first=(None, None)).close("client_fin"), "ok",
             capture={"text": True}),
)  # fmt: skip


def ssh() -> Story:
    """SSH inside a tunnel to port 22."""
    story = Story().connect().ask(target="bastion.example.com:22").answer()
    story.say(PROXY, 40)
    story.say(CLIENT, 40)
    story.say(PROXY, 9000)
    return story.set(tunnel_protocol="ssh").close("proxy_fin").close("client_fin")


def shut(story: Story, sender: int, seconds: int) -> Story:
    """A side's window closes and stays so."""
    mark = story.packet(sender)
    return story.set(
        sender, zero_window_open=True, zero_windows=3, zero_window_mark=mark,
        zero_window_ns=seconds * 1_000_000_000,
    )  # fmt: skip


def get_head() -> Story:
    """HEAD announces a length and has no body."""
    return (
        Story().connect().ask(method="HEAD", target="http://www.example.com/")
        .answer(200, "OK", expected=5000, complete=False).close("proxy_fin")
    )  # fmt: skip


def midway() -> Story:
    """Nothing but the middle of a download."""
    story = Story(mss=0).set(mid_stream=True).speak(PROXY, "other").speak(CLIENT, "tls")
    story.say(PROXY, 50_000)
    story.say(CLIENT, 24)
    return story


def healthy_with(sender: int, **fields: Any) -> Story:
    """A healthy tunnel with some counters of its own."""
    return healthy().set(sender, **fields)


def repaired() -> FlowFacts:
    """A run of retransmissions that was acknowledged in the end."""
    facts = tunnel().repeat(CLIENT, 1448, 4).close("client_fin").facts()
    side = facts.sides[CLIENT]
    assert side.run is not None
    mended = replace(side, run=side.run._replace(acked=True), unacked=0, largest_acked=1448)
    return replace(facts, sides=(mended, facts.sides[PROXY]))


def slow() -> Story:
    """Three SYNs until the answer."""
    story = Story().syn(3)
    story.set(syn_ack=story.packet(PROXY), ack=story.packet(CLIENT))
    return (
        story.ask().answer().client_hello().server_flight().finish().fetch().goodbye()
        .close("client_fin")
    )  # fmt: skip


def warned() -> Story:
    """unrecognized_name as a warning before the ServerHello."""
    return (
        opened().client_hello().alert(PROXY, 112, level=1).server_flight().finish().fetch()
        .goodbye().close("client_fin")
    )  # fmt: skip


def inspected() -> Story:
    """TLS 1.2 with a gateway's certificate that the client accepts."""
    return (
        opened().client_hello()
        .server_flight(TLS12, shown=certificate("CN=Zscaler Intermediate Root CA"))
        .finish().fetch().goodbye().close("client_fin")
    )  # fmt: skip


REACHING = (
    Scenario("refused", lambda: Story().syn().close("proxy_rst"), "proxy_refused",
             ("tcp-refused",)),
    Scenario("no answer", lambda: Story().syn(4), "proxy_unreachable", ("tcp-no-answer",), 4.0),
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


def challenged() -> Story:
    """SYN, foreign ACK, RST."""
    story = Story().syn().set(challenge_ack=True)
    story.packet(PROXY)
    return story.close("client_rst")


def half_open() -> Story:
    """SYN, and the SYN-ACK three times."""
    story = Story().syn()
    first = story.packet(PROXY)
    story.packet(PROXY, 1.0)
    story.packet(PROXY, 2.0)
    return story.set(syn_ack=first, syn_ack_count=3)


LANGUAGE = (
    Scenario("TLS to a plain port", lambda: Story().connect().client_hello()
             .set(tunnel_protocol="").answer(400, "Bad Request").set(first_language=("tls", "http"))
             .close("proxy_fin"), "tls_to_plain_proxy", ("tls-to-plain-proxy",)),
    Scenario("TLS to a port that stays silent", lambda: bye_after(
             Story().connect().client_hello(), 6.0), "connect_no_reply", ("tls-to-silent-proxy",)),
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


def to_tls() -> Story:
    """A TLS alert in answer to CONNECT."""
    return Story().connect().ask().speak(PROXY, "tls").alert(PROXY, 10).close("proxy_fin")


def to_socks() -> Story:
    """A SOCKS refusal in answer to CONNECT."""
    story = Story().connect().ask().speak(PROXY, "other", b"\x05\xff")
    story.say(PROXY, 2)
    return story.close("proxy_fin")


def to_ssh() -> Story:
    """SSH's greeting in answer to CONNECT."""
    story = Story().connect().ask().speak(PROXY, "ssh", b"SSH-2.0-x")
    story.say(PROXY, 40)
    return story.close("proxy_fin")


def half_reply() -> Story:
    """The status line and nothing more."""
    return Story().connect().ask().answer(200, "OK", whole_head=False)


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
    Scenario("RST late", lambda: Story().connect().ask().wait(9).close("proxy_rst"),
             "connect_no_reply", ("connect-closed",)),
    Scenario("request never acknowledged", lambda: unacked(), "connect_no_reply",
             ("connect-not-acked",), 5.0),
    Scenario("accept queue full", lambda: unacked().set(syn_ack_count=3), "connect_no_reply",
             ("connect-backlog",), 5.0),
    Scenario("half a head, FIN", lambda: half_reply().close("proxy_fin"), "connect_no_reply",
             ("connect-half-reply",)),
    Scenario("half a head, silence", half_reply, "connect_no_reply", ("connect-half-reply",), 9.0),
    Scenario("hangs after the 407", lambda: bye_after(Story().connect().ask().answer(
             **challenge("basic")).ask(credentials=BASIC), 30.0), "connect_no_reply",
             ("connect-hang",)),
    Scenario("2xx with a body", lambda: Story().connect().ask().answer(
             200, "OK", headers=(("content-length", "12"),)), "transfer_stalled",
             ("connect-2xx-body",), 9.0),
)  # fmt: skip


def unacked() -> Story:
    """CONNECT sent again and again."""
    story = Story().connect().ask(version="HTTP/1.1")
    story.set(CLIENT, largest_acked=0, bytes=122)
    facts = story.sides[CLIENT]
    facts["unacked"] = 122
    facts["retransmissions"] = 4
    for _ in range(4):
        story.packet(CLIENT, 1.0)
    facts["unacked_since"] = story.last
    return story


AUTH = (
    Scenario("no credentials", lambda: denied(**challenge("basic", "digest")), "auth_required",
             ("auth-challenge",)),
    Scenario("wrong password", lambda: denied(**challenge("basic")).ask(credentials=BASIC)
             .answer(**challenge("basic")), "auth_required", ("auth-rejected",)),
    Scenario("only NTLM offered", lambda: denied(**challenge("ntlm")), "auth_required",
             ("auth-scheme",)),
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
    Scenario("Negotiate with NTLM inside", lambda: Story().connect().ask(
             credentials=Credentials("negotiate", 1)).answer(**challenge("negotiate")),
             "auth_required", ("auth-rejected", "auth-no-ticket")),
    Scenario("a server's login", lambda: get().answer(401, "Unauthorized",
             challenges=(Challenge("basic"),), headers=(("via", "1.1 p"),)), "auth_required",
             ("origin-login",)),
)  # fmt: skip


def loop() -> Story:
    """407 to credentials, three times."""
    story = Story().connect()
    for _ in range(3):
        story.ask(credentials=BASIC).answer(**challenge("basic"))
    return story


def _status(status: int, reason: str, verdict: str, *rules: str, **how: Any) -> Scenario:
    return Scenario(f"{status} {reason}", lambda: denied(status, reason, **how), verdict, rules)


STATUS = (
    _status(400, "Bad Request", "bad_request", "bad-request"),
    _status(403, "Forbidden", "acl_denied", "acl-deny"),
    _status(403, "Forbidden", "acl_denied", "acl-port", target="mail.example.com:25"),
    _status(403, "Tunnel Forbidden", "acl_denied", "acl-port", target="mail.example.com:25"),
    _status(403, "Filtered", "acl_denied", "acl-deny"),
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


def left(story: Story) -> Story:
    """The client leaves at once."""
    return story.close("client_fin").close("proxy_fin")


TLS = (
    Scenario("unknown CA, alert in clear", lambda: opened().client_hello().server_flight()
             .alert(CLIENT, 48).close("client_rst"), "tls_untrusted_ca", ("tls-untrusted-ca",)),
    Scenario("gateway's certificate rejected", lambda: opened().client_hello().server_flight(
             TLS12, shown=certificate("CN=mitmproxy")).alert(CLIENT, 48).close("client_rst"),
             "tls_untrusted_ca", ("tls-untrusted-ca",)),
    Scenario("expired, alert in clear", lambda: opened().client_hello().server_flight()
             .alert(CLIENT, 45).close("client_rst"), "tls_cert_expired", ("tls-cert-expired",)),
    Scenario("expired by its visible dates", lambda: opened().client_hello().server_flight(
             TLS12, shown=certificate(days=-3)).alert(CLIENT, 46).close("client_rst"),
             "tls_cert_expired", ("tls-cert-expired",)),
    Scenario("no common version", lambda: opened().client_hello().alert(PROXY, 70)
             .close("proxy_fin"), "tls_version", ("tls-version",)),
    Scenario("handshake failure", lambda: opened().client_hello().alert(PROXY, 40)
             .close("proxy_fin"), "tls_version", ("tls-handshake-failure",)),
    Scenario("name unknown", lambda: opened().client_hello().alert(PROXY, 112)
             .close("proxy_fin"), "tls_version", ("tls-sni-unknown",)),
    Scenario("client certificate wanted", lambda: opened().client_hello().server_flight(TLS12)
             .alert(PROXY, 116).close("proxy_fin"), "tls_untrusted_ca",
             ("tls-client-certificate",)),
    Scenario("no common ALPN", lambda: opened().client_hello().alert(PROXY, 120)
             .close("proxy_fin"), "tls_version", ("tls-alpn",)),
    Scenario("internal error", lambda: opened().client_hello().alert(PROXY, 80)
             .close("proxy_fin"), "tls_version", ("tls-alert",)),
    Scenario("encrypted alert instead of Finished", lambda: encrypted_alert(),
             "tls_untrusted_ca", ("tls-encrypted-alert",)),
    Scenario("left after the handshake", lambda: left(tunnel().tickets()), "tls_untrusted_ca",
             ("tls-left-after-handshake",)),
    Scenario("left after the handshake, with close_notify", lambda: left(tunnel().goodbye()),
             "tls_untrusted_ca", ("tls-left-after-handshake",)),
    Scenario("left in the handshake", lambda: left(opened().client_hello().server_flight()),
             "tls_untrusted_ca", ("tls-left-in-handshake",)),
    Scenario("left on a self-signed certificate", lambda: left(opened().client_hello()
             .server_flight(TLS12, shown=certificate(self_signed=True))), "tls_untrusted_ca",
             ("tls-left-in-handshake",)),
    Scenario("server silent", lambda: bye_after(opened().client_hello(), 6.0), "tls_stall",
             ("tls-stall",)),
    Scenario("server silent, still open", lambda: opened().client_hello(), "tls_stall",
             ("tls-stall",), 30.0),
    Scenario("large hello, silence", lambda: bye_after(opened().client_hello(hello(length=1790)),
             6.0), "tls_stall", ("tls-stall-large-hello",)),
    Scenario("hello lost", lambda: hello_lost(), "tls_stall", ("tls-hello-lost",), 5.0),
    Scenario("RST to the hello", lambda: opened().client_hello().close("proxy_rst"),
             "transfer_reset", ("tls-hello-reset",)),
    Scenario("FIN to the hello", lambda: opened().client_hello().close("proxy_fin"),
             "tunnel_closed_early", ("tls-hello-closed",)),
    Scenario("plain text in answer", lambda: plain_inside(), "tls_version",
             ("tls-answered-in-plain",)),
    Scenario("server's flight stops", lambda: bye_after(half_flight(), 8.0), "tls_stall",
             ("tls-half-flight",)),
    Scenario("nobody speaks, FIN", lambda: opened().close("proxy_fin"), "tunnel_closed_early",
             ("tunnel-closed-unused",)),
    Scenario("nobody speaks, RST", lambda: opened().close("proxy_rst"), "transfer_reset",
             ("tunnel-closed-unused",)),
    Scenario("far side says nothing to SSH", lambda: mute_ssh(), "transfer_stalled",
             ("tunnel-no-answer",)),
    Scenario("closed within the handshake", lambda: half_flight().close("proxy_fin"),
             "tunnel_closed_early", ("closed-in-handshake",)),
)  # fmt: skip


def encrypted_alert() -> Story:
    """TLS 1.3: one record of an alert's size where Finished belongs."""
    story = opened().client_hello().server_flight()
    story.record(CLIENT, 20, 1)
    story.record(CLIENT, 23, 19)
    return left(story)


def hello_lost() -> Story:
    """The ClientHello is never acknowledged."""
    return opened().repeat(CLIENT, 512, 5).set(tunnel_protocol="tls")


def plain_inside() -> Story:
    """HTTP inside the tunnel where TLS was expected."""
    story = opened().client_hello()
    story.say(PROXY, 300)
    return story.close("proxy_fin")


def half_flight() -> Story:
    """ServerHello, half of the certificate, nothing more."""
    story = opened().client_hello().server_flight()
    story.records[PROXY] = story.records[PROXY][:4]
    return story.set(missing=(0, 700))


def mute_ssh() -> Story:
    """An SSH client that gets no banner."""
    story = Story().connect().ask(target="bastion.example.com:22").answer()
    story.say(CLIENT, 40)
    return bye_after(story.set(tunnel_protocol="ssh"), 9.0)


def full_size(story: Story) -> Story:
    """The client's first full-size segments, never acknowledged."""
    story.sides[CLIENT]["largest_acked"] = 517
    story.say(CLIENT, 14_480, acked=False)
    return story


MTU = (
    Scenario("upload vanishes", lambda: answered_meanwhile(tunnel().fetch().repeat(CLIENT, 1448)),
             "mtu_blackhole", ("mtu-black-hole",)),
    Scenario("upload vanishes, path silent", lambda: tunnel().fetch().repeat(CLIENT, 1448),
             "mtu_blackhole", ("mtu-black-hole",)),
    Scenario("large CONNECT vanishes", lambda: Story().connect().ask().answer(
             **challenge("negotiate")).repeat(CLIENT, 1448), "mtu_blackhole", ("mtu-black-hole",
             "auth-scheme")),
    Scenario("large hello: tail acknowledged, head not", lambda: opened().repeat(CLIENT, 1448)
             .set(CLIENT, sacked_beyond_hole=True), "mtu_blackhole", ("mtu-black-hole",), 9.0),
    Scenario("server's flight vanishes", lambda: opened().client_hello().hole(PROXY, 2896, 1200)
             .wait(8).close("client_fin"), "mtu_blackhole", ("mtu-black-hole",)),
    Scenario("server's flight vanishes whole, FIN draws a telling ACK", lambda: swallowed(),
             "mtu_blackhole", ("mtu-black-hole",)),
    Scenario("small flight passes, the download vanishes", lambda: small_flight(),
             "mtu_blackhole", ("mtu-black-hole",)),
    Scenario("told, and ignored", lambda: tunnel().fetch().repeat(CLIENT, 1448)
             .set(icmp=(icmp(3, 4, mtu=1300),)), "mtu_blackhole", ("mtu-icmp-ignored",)),
    Scenario("full-size packet reset", lambda: full_size(tunnel().fetch()).close("proxy_rst")
             .set(PROXY, rst_ttl=64), "mtu_rst", ("mtu-rst",)),
)  # fmt: skip


def swallowed() -> Story:
    """Nothing comes but an ACK with a sequence number far ahead."""
    story = opened().client_hello().wait(8).close("client_fin")
    story.packet(PROXY)
    story.sides[PROXY]["stream_bytes"] += 2920
    return story


def small_flight() -> Story:
    """A handshake of small packets only, then nothing but a telling ACK."""
    story = opened().client_hello()
    story.tls |= {"server_hello": ServerHello(0x0304, 0x1302, None, False),
                  "server_hello_mark": story.record(PROXY, 22, 122)}  # fmt: skip
    story.record(PROXY, 23, 700)
    story.finish().tickets().record(CLIENT, 23, 97)
    story.wait(8).close("client_fin")
    story.packet(PROXY)
    story.sides[PROXY]["stream_bytes"] += 14_480
    return story


def answered_meanwhile(story: Story) -> Story:
    """The peer's packets keep coming."""
    story.packet(PROXY)
    return story


TRANSFER = (
    Scenario("cut in a record", lambda: download().set(missing=(0, 900)).close("proxy_fin"),
             "tunnel_closed_early", ("cut-in-record",)),
    Scenario("cut between records", lambda: download().close("proxy_fin").goodbye(),
             "tunnel_closed_early", ("cut-without-goodbye",)),
    Scenario("closed without an answer", lambda: unanswered().close("proxy_fin"),
             "tunnel_closed_early", ("closed-unanswered",)),
    Scenario("closed for idleness while the client waited", lambda: tunnel().fetch(9000).wait(60.0)
             .close("proxy_fin"), "tunnel_closed_early", ("idle-timeout", )),
    Scenario("never used, closed by an idle timer", lambda: tunnel().tickets().wait(10.0)
             .close("proxy_fin"), "tunnel_closed_early", ("idle-timeout",)),
    Scenario("reset in a record", lambda: download().set(missing=(0, 900)).close("proxy_rst"),
             "transfer_reset", ("reset-in-transfer",)),
    Scenario("reset while data flowed", lambda: download().close("proxy_rst"), "transfer_reset",
             ("reset-in-transfer",)),
    Scenario("reset after silence, on the next request", lambda: forgotten(), "transfer_reset",
             ("reset-after-idle",)),
    Scenario("stopped in a record", lambda: bye_after(download().set(missing=(0, 900)), 7.0),
             "transfer_stalled", ("transfer-stall",)),
    Scenario("stopped, still open", lambda: download().set(missing=(0, 900)), "transfer_stalled",
             ("transfer-stall",), 30.0),
    Scenario("stopped between records", lambda: bye_after(download(200_000), 11.0),
             "transfer_stalled", ("transfer-stall",)),
    Scenario("stopped after a full record", lambda: download(16_384 * 8), "transfer_stalled",
             ("transfer-stall",), 60.0),
    Scenario("lost data never came", lambda: lossy(), "transfer_stalled", ("transfer-loss",)),
    Scenario("path dies in a download", lambda: dead(), "transfer_stalled", ("path-dead",)),
    Scenario("path dies in an upload", lambda: tunnel().fetch().set(CLIENT, largest_acked=1448)
             .repeat(CLIENT, 1448), "transfer_stalled", ("path-dead",)),
    Scenario("path gone after a silence", lambda: tunnel().fetch().wait(1900).set(
             CLIENT, largest_acked=1448).repeat(CLIENT, 300, 5), "transfer_stalled",
             ("silent-drop",)),
    Scenario("no response", lambda: bye_after(unanswered(), 15.0), "transfer_stalled",
             ("no-response",)),
    Scenario("proxy shuts its window", lambda: shut(download(), PROXY, 20), "transfer_stalled",
             ("window-shut-by-proxy",), 1.0),
    Scenario("client shuts its window", lambda: shut(download(), CLIENT, 20), "transfer_stalled",
             ("window-shut-by-client",), 1.0),
)  # fmt: skip


def unanswered() -> Story:
    """A request inside TLS, and only session tickets came back."""
    story = tunnel()
    story.record(CLIENT, 23, 400)
    return story.tickets()


def forgotten() -> Story:
    """A request after a long silence is answered by RST."""
    story = tunnel().fetch(900).wait(400)
    story.record(CLIENT, 23, 300, acked=False)
    return story.close("proxy_rst")


def lossy() -> Story:
    """A full-size hole, though full-size segments had passed before."""
    return bye_after(download().hole(PROXY, 1448, 1448), 8.0)


def dead() -> Story:
    """A download stops, and the client's FIN is never acknowledged."""
    story = download().set(missing=(0, 600)).wait(8).close("client_fin")
    return story.set(CLIENT, fin_sent=5, fin_acked=False)


FAILING = (*REACHING, *LANGUAGE, *REQUESTS, *AUTH, *STATUS, *TLS, *MTU, *TRANSFER)
ALL = (*HEALTHY, *FAILING)

__all__ = ["ALL", "FAILING", "HEALTHY", "Hole", "Scenario", "Silence", "request"]
