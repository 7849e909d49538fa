"""Plain requests whose reply's body stops before its end (RFC 9112 section 8)."""

from __future__ import annotations

from capture.facts import PROXY, Exchange
from capture.judging.hit import CERTAIN, LIKELY, PROBLEM, Hit, packets, sentence
from capture.judging.scene import Scene
from capture.units import duration, size


def body_cut(scene: Scene) -> Hit | None:
    """The reply to a plain request ends before its announced length."""
    exchange, response = scene.exchange, scene.response
    if scene.stage != "answered" or exchange is None or response is None or scene.is_connect:
        return None
    if exchange.body_complete is not False or response.status >= 400 or _bodyless(exchange):
        return None
    if scene.quality.one_way or scene.stream_gap(PROXY) or scene.quality.text:
        return None
    last, name, limits = scene.proxy.last_payload, scene.first_end, scene.limits
    if name == "proxy_fin":
        rule, verdict = "body-cut", "tunnel_closed_early"
    elif name == "proxy_rst":
        rule, verdict = "body-reset", "transfer_reset"
    elif scene.client.zero_window_open:
        return None  # the client does not take more: a player that pauses
    elif scene.waited_for(last, limits.transfer_gave_up_s if name else limits.transfer_stalled_s):
        rule, verdict = "body-stall", "transfer_stalled"
    else:
        return None
    got = size(exchange.body_received)
    expected = exchange.body_expected
    return Hit(
        rule,
        PROBLEM,
        CERTAIN if rule == "body-cut" else LIKELY,
        sentence(
            scene.request_text,
            scene.reply_text,
            f"{got} of {size(expected)} arrived" if expected else f"{got} and no last chunk",
            scene.ending_text or f"nothing more for {duration(scene.waited(last))}",
        ),
        packets(scene.asked, scene.answered, last, *[mark for _, mark in scene.flow.closes]),
        verdict,
        code=response.status,
        values={"gap": duration(scene.waited(last))},
    )


def _bodyless(exchange: Exchange) -> bool:
    status = exchange.response.status if exchange.response else 0
    method = exchange.request.method if exchange.request else ""
    return method == "HEAD" or status in (204, 304) or status < 200
