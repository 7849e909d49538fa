"""Which flows count as proxied."""

from __future__ import annotations

from typing import Any

import pytest

from capture.decode.columns import DnsMessage
from capture.facts import CLIENT, PROXY, Endpoint
from capture.judging.select import is_proxied, kind, proves_proxy
from tests.capture.judging.build import PROXY_END, Story, capture, healthy
from tests.capture.judging.stories import bare, denied, get, midway

PUBLIC = Endpoint("93.184.216.34", 80)
SQUID = Endpoint("10.10.10.1", 3128)


def origin_form(proxy: Endpoint = PUBLIC, status: int = 200, **how: Any) -> Story:
    return Story(proxy=proxy).connect().ask(method="GET", target="/index.html").answer(
        status, "OK", **how
    )  # fmt: skip


def absolute(
    proxy: Endpoint = PUBLIC, target: str = "http://www.example.com/", **how: Any
) -> Story:
    asked = how.pop("asked", {})
    return Story(proxy=proxy).connect().ask(method="GET", target=target, **asked).answer(
        200, "OK", **how
    )  # fmt: skip


def tls_direct(port: int) -> Story:
    return Story(proxy=Endpoint("93.184.216.34", port)).connect().client_hello().server_flight()


def refused(proxy: Endpoint) -> Story:
    return Story(proxy=proxy).syn().close("proxy_rst")


KNOWN = {"proxies": frozenset({PROXY_END})}
NAMED = {
    "dns": (DnsMessage(1, 1, 1, 2, 3, "www.example.com", 1, True, 0, (0x5DB8D822,)),),
}  # 93.184.216.34

PROXIED: dict[str, tuple[Story, dict[str, Any]]] = {
    "CONNECT": (healthy(), {}),
    "CONNECT denied on an odd port": (denied(), {}),
    "absolute URI with Proxy-Connection": (
        absolute(asked={"headers": (("proxy-connection", "keep-alive"),)}), {}),
    "absolute URI, answer has Via": (absolute(headers=(("via", "1.1 proxy"),)), {}),
    "absolute URI for another port": (absolute(target="http://www.example.com:81/"), {}),
    "absolute URI for another address": (absolute(target="http://198.51.100.7/"), {}),
    "absolute URI with a public name to a private address": (absolute(PROXY_END), {}),
    "absolute URI to a known proxy": (absolute(PROXY_END, "http://10.10.10.1/"), KNOWN),
    "TLS answered in HTTP on 80": (
        Story().connect().client_hello().answer(400, "Bad Request"), {}),
    "SOCKS to port 80, silence": (bare("socks5", b"\5\1\0", 3), {}),
    "refused on 80, nothing else in the capture": (refused(PROXY_END), {}),
    "refused on 3128": (refused(SQUID), {}),
    "refused on 8888 of a known proxy's host": (refused(Endpoint("10.10.10.1", 8888)), KNOWN),
    "refused by a known proxy": (refused(PROXY_END), {**KNOWN, "direct_web": 9}),
    "silence at a known proxy": (Story().connect(), KNOWN),
    "TLS seen on port 80 in mid-stream": (midway(), {}),
    "407 without its request": (Story().connect().answer(407, "Auth"), {}),
    "binary first message to 3128": (Story(proxy=SQUID).connect().set(
        CLIENT, bytes=9).speak(CLIENT, "other"), {}),
    "text capture of port 3128": (Story(proxy=SQUID).connect().set(
        CLIENT, bytes=900).set(PROXY, bytes=900), {"text": True}),
    "a lone 200 that only CONNECT gets": (Story().connect().answer(), {}),
    "a lone 200 as F5 words it": (Story().connect().answer(200, "Connected"), {}),
    "two bytes of CONNECT, the rest cut off": (bare("http-part", b"CO", 130).set(
        CLIENT, cut_by_snaplen=3).set(PROXY, bytes=39), {}),
}  # fmt: skip

OTHER: dict[str, tuple[Story, dict[str, Any]]] = {
    "web server": (origin_form(), {}),
    "web server's error": (origin_form(status=404), {}),
    "origin-form answered by a known proxy (its own page)": (origin_form(PROXY_END), KNOWN),
    "two bytes of another method, the rest cut off": (bare("http-part", b"GE", 130).set(
        CLIENT, cut_by_snaplen=3).set(PROXY, bytes=39), {}),
    "absolute URI to the host itself": (absolute(target="http://93.184.216.34/"), {}),
    "absolute URI to the host DNS names": (absolute(), NAMED),
    "absolute URI to a public address, no trace of a proxy": (absolute(), {}),
    "direct HTTPS": (tls_direct(443), {}),
    "HTTPS on 8443": (tls_direct(8443), {}),
    "TLS answered in HTTP by a web server": (
        Story(proxy=PUBLIC).connect().client_hello().answer(
            400, "Bad Request", headers=(("server", "nginx"),)), {}),
    "refused on 443": (refused(Endpoint("10.10.10.1", 443)), {}),
    "refused on 22": (refused(Endpoint("10.10.10.1", 22)), {}),
    "refused on 80 among web traffic": (refused(PUBLIC), {"direct_web": 12}),
    "refused on 80 where the proxy is another host": (refused(PUBLIC), KNOWN),
    "a port scan": (refused(Endpoint("10.10.10.1", 8080)), {"silent_endpoints": 100}),
    "a real SOCKS proxy": (bare("socks5", b"\5\1\0", 3).set(proxy=Endpoint("10.0.0.9", 1080)), {}),
    "SOCKS answered on 8888": (
        bare("socks5").set(proxy=Endpoint("1.1.1.1", 8888)).set(PROXY, bytes=2), {}),
    "SSH": (bare("ssh").set(proxy=Endpoint("1.1.1.1", 22)), {}),
    "binary on 80": (bare("other").set(proxy=PUBLIC), {}),
    "connected to 80 and left": (Story(proxy=PUBLIC).connect().close("client_fin"), {}),
    "download on 80 in mid-stream": (
        Story(proxy=PUBLIC).set(mid_stream=True).speak(PROXY, "other").set(PROXY, bytes=9), {}),
    "server that speaks first on a known proxy's port": (
        Story().connect().set(PROXY, bytes=30).speak(PROXY, "ssh"), KNOWN),
}  # fmt: skip


@pytest.mark.parametrize("name", PROXIED)
def test_listed(name: str) -> None:
    story, around = PROXIED[name]
    flow = story.facts()
    assert is_proxied(flow, capture(flow, **around))


@pytest.mark.parametrize("name", OTHER)
def test_not_listed(name: str) -> None:
    story, around = OTHER[name]
    flow = story.facts()
    assert not is_proxied(flow, capture(flow, **around))


def test_a_tunnel_proves_its_proxy_and_a_web_server_nothing() -> None:
    around = capture()
    assert proves_proxy(healthy().facts(), around)
    assert proves_proxy(get(headers=(("proxy-connection", "x"),)).answer(200).facts(), around)
    assert not proves_proxy(origin_form().facts(), around)
    assert not proves_proxy(absolute().facts(), around)
    refusal = denied(405, "Not Allowed", headers=(("server", "nginx"),))
    assert not proves_proxy(refusal.facts(), around)


@pytest.mark.parametrize(
    ("story", "expected"),
    [(healthy(), "tunnel"), (get(), "plain"), (Story().syn(), "unknown"), (midway(), "unknown")],
)
def test_kind(story: Story, expected: str) -> None:
    assert kind(story.facts()) == expected
