"""Stories that several scenarios and tests tell."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from capture.decode.columns import IcmpError
from capture.facts import CLIENT, PROXY, CaptureFacts, FlowFacts, RetransmitRun
from capture.protocols.events import Challenge, Credentials, ServerHello
from tests.capture.judging.build import (
    TLS12,
    Story,
    capture,
    certificate,
    healthy,
    opened,
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


def probed(times: int, *, answered: bool = False) -> Story:
    """The client's window shuts; the proxy asks again and again whether it opened."""
    story = shut(download(), CLIENT, 0)
    for _ in range(times):
        story.packet(PROXY, 1.0)
        if answered:
            story.packet(CLIENT)
    return story.set(PROXY, keep_alives=times)


def get_head() -> Story:
    """HEAD announces a length and has no body."""
    return (
        Story().connect().ask(method="HEAD", target="http://www.example.com/")
        .answer(200, "OK", expected=5000, complete=False).close("proxy_fin")
    )  # fmt: skip


def two_segments(story: Story) -> Story:
    """The rest of a reply's head comes by itself."""
    story.sides[PROXY]["last_payload"] = story.packet(PROXY)
    return story


def midway() -> Story:
    """Nothing but the middle of a download."""
    story = Story(mss=0).set(mid_stream=True).speak(PROXY, "other").speak(CLIENT, "tls")
    story.say(PROXY, 50_000)
    story.say(CLIENT, 24)
    return story


def rest_of_reply() -> Story:
    """The rest of an error page, then another request."""
    story = Story(mss=0).set(mid_stream=True).speak(PROXY, "other")
    story.say(PROXY, 900)
    return story.ask()


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


def late(after: float = 5.1) -> Story:
    """The proxy opens the tunnel after a while."""
    return (
        Story().connect().ask().answer(after=after).client_hello().server_flight().finish()
        .fetch().goodbye().close("client_fin")
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


def reply_lost() -> Story:
    """The proxy repeats its 2xx, and nobody acknowledges it."""
    story = Story().connect().ask().answer()
    mark = story.last
    marks = [mark, *[story.packet(PROXY, gap) for gap in (0.2, 0.4, 0.8, 1.6)]]
    run = RetransmitRun(1, 39, 91, 5, tuple(marks), False, False)
    return story.set(PROXY, run=run, largest_acked=0, unacked=39, retransmissions=4)


def deaf(story: Story, times: int = 4) -> Story:
    """The client repeats what the proxy acknowledged; the proxy repeats a full-size segment."""
    run = RetransmitRun(1, 517, 569, times + 1, (story.last,), True, False)
    return story.repeat(PROXY, 1448).set(PROXY, largest_acked=39).set(
        CLIENT, spurious_retransmissions=times, run=run
    )  # fmt: skip


def rejected(story: Story) -> Story:
    """A router tells the client that its last packet was not let through."""
    error = icmp(3, 13)._replace(number=story.number)
    story.packet(CLIENT)
    return story.set(CLIENT, unacked=97, unacked_since=story.last).set(icmp=(error,))


def last_word(length: int, close: str = "proxy_fin") -> Story:
    """A download, silence, and a short message right before the end."""
    story = tunnel().fetch(200_000).wait(5.0)
    story.record(PROXY, 23, length)
    return story.close(close, 0.0001)


def terse(*, answered: bool = False) -> Story:
    """A request of 18 bytes: as long as an alert that Java pads."""
    story = tunnel().tickets()
    story.record(CLIENT, 23, 35)
    if answered:
        story.record(PROXY, 23, 336)
    return story


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


def loop() -> Story:
    """407 to credentials, three times."""
    story = Story().connect()
    for _ in range(3):
        story.ask(credentials=BASIC).answer(**challenge("basic"))
    return story


def left(story: Story) -> Story:
    """The client leaves at once."""
    return story.close("client_fin").close("proxy_fin")


def encrypted_alert(length: int = 19) -> Story:
    """TLS 1.3: one record of an alert's size where Finished belongs."""
    story = opened().client_hello().server_flight()
    story.record(CLIENT, 20, 1)
    story.record(CLIENT, 23, length)
    return left(story)


def hello_lost() -> Story:
    """The ClientHello is never acknowledged."""
    return opened().repeat(CLIENT, 512, 5).set(tunnel_protocol="tls")


def late_flight() -> Story:
    """The first bytes of the answer that were read are not the first that it has."""
    story = opened().client_hello()
    story.say(PROXY, 1750)
    story.record(CLIENT, 23, 69)
    return story.set(PROXY, acked_unseen=1)


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


def mute_in_text() -> Story:
    """517 bytes into a tunnel to port 443, contents not printed, no answer."""
    story = opened()
    story.say(CLIENT, 517)
    return bye_after(story.set(tunnel_protocol="other"), 12.0)


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
