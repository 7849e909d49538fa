"""Unusual things that may explain a tunnel that is slow or carries nothing: hints, no verdicts."""

from __future__ import annotations

from typing import Final

from capture.facts import CLIENT, PROXY
from capture.judging.hit import CERTAIN, INFO, LIKELY, POSSIBLE, Hit, packets, sentence
from capture.judging.scene import SECOND, Scene
from capture.units import count, duration, octets, plural, size

EARLY_NS: Final = 1_000_000
"""A client that spoke by so much (or by half a round trip) before the 2xx did not wait for it:
less is the order in which a capture happened to take them."""

PROMPT_S: Final = 0.05
"""Beyond two round trips, the time that a proxy takes to close after its client did."""

FILLED: Final = 20
"""Times the window must have been filled: more than a burst does."""
LONG_RTT_NS: Final = 10_000_000
"""Round trip from which on 64 kB in each are slow: 6.5 MB/s."""
BULK: Final = 1_000_000
"""Less is over too soon for a window to matter."""


def early_data(scene: Scene) -> Hit | None:
    """The client spoke before the 2xx, and nothing came back in the tunnel.

    A proxy may throw away what comes before it has promised a tunnel, or take it for a part
    of the request.
    """
    flow, said = scene.flow, scene.flow.tunnel_first[CLIENT]
    if not flow.early_data or flow.tunnel is None or said is None or scene.heard:
        return None
    if not scene.quality.absent(PROXY) or scene.stream_gap(CLIENT) or not scene.quality.timed:
        return None
    before = flow.tunnel.time_ns - said.time_ns
    if before < max(EARLY_NS, (flow.rtt_ns or 0) // 2) or not scene.capture.timed(said):
        return None
    return Hit(
        "early-data",
        INFO,
        POSSIBLE,
        sentence(
            f"#{said.number} the client's first bytes for the far side, "
            f"{scene.span(said, flow.tunnel)} before #{flow.tunnel.number}, the 2xx",
            "nothing came back in the tunnel",
        ),
        packets(said, flow.tunnel),
    )


def half_close(scene: Scene) -> Hit | None:
    """The client asked in plain HTTP, closed its half, and the proxy closed the other at once.

    Plain HTTP only: of an encrypted or unknown conversation nobody can tell whether an answer
    was still to come.
    """
    flow, client, proxy = scene.flow, scene.client.fin, scene.proxy.fin
    if flow.tunnel is None or scene.first_end != "client_fin" or client is None or proxy is None:
        return None
    if flow.tunnel_language[CLIENT] != "http" or scene.heard or not flow.tunnel_bytes[CLIENT]:
        return None
    if scene.client.rst is not None or not scene.quality.absent(PROXY) or not scene.quality.timed:
        return None
    most = 2 * (flow.rtt_ns or 0) + PROMPT_S * SECOND
    if not 0 <= proxy.time_ns - client.time_ns <= most:
        return None
    return Hit(
        "half-close",
        INFO,
        LIKELY,
        sentence(
            f"{octets(flow.tunnel_bytes[CLIENT])} of HTTP from the client, then "
            f"#{client.number}, its FIN",
            f"#{proxy.number} the proxy's FIN {scene.span(client, proxy)} later, without an answer",
        ),
        packets(flow.tunnel, client, proxy),
    )


def window_limited(scene: Scene) -> Hit | None:
    """Without window scaling (RFC 7323 section 2) a round trip carries 64 kB, and it did."""
    flow, rtt_ns = scene.flow, scene.flow.rtt_ns
    unscaled = [side for side in (CLIENT, PROXY) if flow.sides[side].wscale < 0]
    if not unscaled or flow.syn is None or flow.syn_ack is None or rtt_ns is None:
        return None
    sender = max((CLIENT, PROXY), key=lambda side: flow.sides[side].window_full)
    full, sent = flow.sides[sender].window_full, flow.sides[sender].bytes
    if full < FILLED or sent < BULK or rtt_ns < LONG_RTT_NS or scene.stream_gap(sender):
        return None
    if scene.quality.one_way or scene.quality.text or not scene.quality.timed:
        return None
    who = "neither SYN" if len(unscaled) == 2 else ("the SYN", "the SYN-ACK")[unscaled[0]]
    verb = "has" if len(unscaled) == 2 else "does not have"
    return Hit(
        "window-limited",
        INFO,
        LIKELY,
        sentence(
            f"the receiver's window was full {count(full)} times in {size(sent)} from the "
            f"{('client', 'proxy')[sender]}",
            f"{who} (#{flow.syn.number}, #{flow.syn_ack.number}) {verb} the window scale option",
            f"a round trip takes {duration(rtt_ns / SECOND)}",
        ),
        packets(flow.syn, flow.syn_ack),
    )


def fragmented(scene: Scene) -> Hit | None:
    """The flow's packets came in IP fragments."""
    parts = [side.fragments for side in scene.flow.sides]
    if not any(parts):
        return None
    whose = " and ".join(
        f"{plural(number, 'packet')} from the {name}"
        for number, name in zip(parts, ("client", "proxy"), strict=True)
        if number
    )
    return Hit("ip-fragments", INFO, CERTAIN, sentence(f"{whose} came in IP fragments"))
