"""What hints say a word about, and what is so near to it that they must not."""

from __future__ import annotations

from dataclasses import replace

from capture.facts import CLIENT, PROXY, FlowFacts, Mark
from tests.capture.judging.build import Story, healthy, opened
from tests.capture.judging.stories import Scenario, healthy_with


def early(by_ns: int, story: Story) -> FlowFacts:
    """The client spoke so long before the 2xx."""
    flow = story.facts()
    assert flow.tunnel is not None
    said = Mark(flow.tunnel.number - 1, flow.tunnel.time_ns - by_ns)
    return replace(flow, early_data=True, tunnel_first=(said, flow.tunnel_first[PROXY]))


def half_closed(*, after: float = 0.001, answer: int = 0, language: str = "http") -> Story:
    """A request in the tunnel, the client's FIN, the proxy's."""
    story = opened()
    story.say(CLIENT, 70)
    story.close("client_fin")
    if answer:
        story.say(PROXY, answer)
    story.set(tunnel_protocol=language, tunnel_language=(language, ""))
    return story.close("proxy_fin", after)


def unscaled(*, rtt_ms: int = 40, full: int = 300, scale: tuple[int, int] = (7, -1)) -> Story:
    """A healthy download that filled the window again and again."""
    story = healthy_with(PROXY, window_full=full, bytes=5_000_000, wscale=scale[PROXY])
    return story.set(CLIENT, wscale=scale[CLIENT]).set(rtt_ns=rtt_ms * 1_000_000)


SILENT = (
    Scenario("the client spoke first, and all went well",
             lambda: early(50_000_000, healthy()), "ok"),
    Scenario("half closed after a request, and answered",
             lambda: half_closed(answer=500), "ok"),
    Scenario("half closed after a request, the proxy's FIN much later",
             lambda: half_closed(after=3.0), "ok"),
    Scenario("half closed after something else",
             lambda: half_closed(language="other"), "ok"),
    Scenario("window filled, but it scales", lambda: unscaled(scale=(7, 7)), "ok"),
    Scenario("window filled on a short path", lambda: unscaled(rtt_ms=1), "ok"),
    Scenario("window filled a few times", lambda: unscaled(full=3), "ok"),
)  # fmt: skip

HINTED = (
    *SILENT,
    Scenario("the proxy ends the tunnel with the client's half", half_closed, "ok",
             ("half-close",)),
    Scenario("no window scaling in the SYN-ACK", unscaled, "ok", ("window-limited",)),
    Scenario("no window scaling at all", lambda: unscaled(scale=(-1, -1)), "ok",
             ("window-limited",)),
    Scenario("IP fragments", lambda: healthy_with(PROXY, fragments=12), "ok",
             ("ip-fragments",)),
)  # fmt: skip

MUTE = (
    Scenario("the client spoke before the 2xx, then silence",
             lambda: early(50_000_000, opened().client_hello()), "tls_stall",
             ("tls-stall", "early-data"), 30.0),
    Scenario("captured in the wrong order, then silence",
             lambda: early(20_000, opened().client_hello()), "tls_stall", ("tls-stall",), 30.0),
)  # fmt: skip
