"""CONNECT (or another request) without a whole reply."""

from __future__ import annotations

from typing import Final

from capture.facts import CLIENT, PROXY, Mark
from capture.judging.hit import (
    CERTAIN,
    INFO,
    LIKELY,
    POSSIBLE,
    PROBLEM,
    WARNING,
    Hit,
    packets,
    sentence,
)
from capture.judging.reset import origin
from capture.judging.scene import SECOND, Scene
from capture.units import duration, octets, plural

IMPATIENT_S: Final = 1.0
"""A client that leaves sooner cancelled by itself: browsers race connections."""

AT_ONCE_S: Final = 0.05
"""A close within one round trip and this time is no proxy that tried the destination."""


def _acked(scene: Scene) -> bool:
    """The proxy's host acknowledged the whole request."""
    exchange = scene.exchange
    if exchange is None or exchange.request is None:
        return scene.client.unacked == 0
    return scene.client.unacked < max(exchange.request.length, 1)


def no_reply(scene: Scene) -> Hit | None:
    """No byte of a reply: never delivered, silence, FIN or RST."""
    if scene.stage != "asked" or not scene.quality.absent(PROXY):
        return None
    flow = scene.flow
    if scene.request is None and not scene.unprinted:
        return None
    if _partial(scene) or (flow.first_language[PROXY] and len(flow.exchanges) == 1):
        return None
    if not scene.quality.absent(CLIENT) and not flow.closes:
        return None
    if scene.proxy_ended_first:
        return _closed(scene)
    return _not_acked(scene) if not _acked(scene) else _hung(scene)


def _partial(scene: Scene) -> bool:
    """Bytes of a reply came after the last request."""
    asked, last = scene.asked, scene.proxy.last_payload
    return asked is not None and last is not None and last.number > asked.number


def _unfinished(scene: Scene) -> str:
    """Words for a head that the client began and never ended."""
    request = scene.request
    if request is None or request.complete or scene.quality.text or scene.stream_gap(CLIENT):
        return ""
    return "its head never ended: no blank line came"


def _closed(scene: Scene) -> Hit:
    end, reset = scene.proxy_end, scene.first_end == "proxy_rst"
    after = scene.span(scene.asked, end)
    rtt = scene.flow.rtt_ns or 0
    quick = scene.waited(scene.asked) <= AT_ONCE_S + rtt / 1e9
    seen = f"#{end.number if end else 0} {'RST' if reset else 'FIN'} without a byte of a reply"
    signs = origin(scene.proxy).text if reset else ""
    rule = "connect-reset" if reset and quick else "connect-closed"
    lacking = scene.proxy.stream_bytes - scene.proxy.bytes
    if lacking > 0:
        return _reply_missing(scene, end, lacking)
    if unfinished := _unfinished(scene):
        rule = "request-unfinished"
    return Hit(
        rule,
        PROBLEM,
        POSSIBLE if rule == "connect-closed" else LIKELY,
        sentence(
            scene.request_text,
            unfinished,
            seen + (f" after {after}" if after else ""),
            f"the RST may not be the proxy's: {signs}" if signs else "",
        ),
        packets(scene.asked, end),
        "connect_no_reply",
        values={"delay": after or "an unknown time"},
    )


def _reply_missing(scene: Scene, end: Mark | None, lacking: int) -> Hit:
    """The proxy's close stands behind bytes that never came by."""
    return Hit(
        "reply-missing",
        WARNING,
        POSSIBLE,
        sentence(
            scene.request_text,
            f"#{end.number if end else 0} the proxy closed behind {octets(lacking)} that are "
            "not in the capture and that nobody acknowledged",
        ),
        packets(scene.asked, end),
        "connect_no_reply",
    )


def _not_acked(scene: Scene) -> Hit | None:
    client = scene.client
    given_up = scene.flow.closes and client.retransmissions
    if not given_up and not scene.waited_for(scene.asked, scene.limits.reply_slow_s):
        return None
    if not client.retransmissions and not scene.waited_for(scene.asked, scene.limits.reply_hung_s):
        return None
    marks = client.run.marks if client.run else ()
    copied = client.duplicates or scene.proxy.duplicates  # "any" captures hold packets twice
    backlog = scene.flow.syn_ack_count > 1 and not copied
    return Hit(
        "connect-backlog" if backlog else "connect-not-acked",
        PROBLEM,
        LIKELY,
        sentence(
            scene.request_text,
            f"sent {client.run.sent} times" if client.run else
            f"{plural(client.retransmissions, 'retransmission')}",
            f"never acknowledged in {duration(scene.waited(scene.asked))}",
            f"the SYN-ACK came {scene.flow.syn_ack_count} times" if backlog else "",
            scene.ending_text,
        ),
        packets(scene.asked, *marks, client.unacked_since),
        "connect_no_reply",
    )  # fmt: skip


def _hung(scene: Scene) -> Hit | None:
    waited = scene.waited(scene.asked)
    left = scene.client_ended_first
    if not left and not scene.waited_for(scene.asked, scene.limits.reply_slow_s):
        return None
    if left and waited < IMPATIENT_S:
        severity = INFO
    else:
        hung = left or scene.waited_for(scene.asked, scene.limits.reply_hung_s)
        severity = PROBLEM if hung else WARNING
    how = "acknowledged" if scene.quality.timed else "taken"
    rule = "connect-cancelled" if severity is INFO else "connect-hang"
    unfinished = _unfinished(scene)
    if unfinished and severity is not INFO:
        rule = "request-unfinished"
    return Hit(
        rule,
        severity,
        LIKELY if rule == "request-unfinished" else POSSIBLE,
        sentence(
            f"{scene.request_text}, {how}",
            unfinished,
            f"no byte of a reply in {duration(waited)}",
            scene.ending_text,
        ),
        packets(scene.asked, scene.client_end),
        "connect_no_reply",
        values={"delay": duration(waited)},
    )


def reply_lost(scene: Scene) -> Hit | None:
    """The 2xx is sent again and again, and the client never acknowledges it."""
    flow, proxy, run = scene.flow, scene.proxy, scene.proxy.run
    if flow.tunnel is None or run is None or run.acked or run.sent < scene.limits.mtu_hole_tries:
        return None
    if proxy.largest_acked or scene.heard or flow.tunnel_bytes[CLIENT]:
        return None
    if scene.quality.one_way or scene.quality.mid_stream or not scene.quality.absent(CLIENT):
        return None
    after = scene.span(run.marks[0], run.marks[-1]) if run.marks else ""
    return Hit(
        "connect-reply-lost",
        PROBLEM,
        LIKELY,
        sentence(
            scene.request_text,
            scene.reply_text,
            f"the reply was sent {run.sent} times"
            + (f" in {after}" if after else "")
            + " and never acknowledged",
            scene.ending_text,
        ),
        packets(scene.asked, scene.answered, *run.marks),
        "connect_no_reply",
        code=scene.response.status if scene.response else None,
    )


def slow_reply(scene: Scene) -> Hit | None:
    """The tunnel opened, but so late that clients less patient would have left."""
    delay = scene.delay_ns
    if not scene.is_connect or delay is None or delay < scene.limits.reply_slow_s * SECOND:
        return None
    if scene.stream_gap(CLIENT) or scene.stream_gap(PROXY):
        return None
    return Hit(
        "connect-slow",
        INFO,
        POSSIBLE,
        sentence(scene.request_text, scene.reply_text),
        packets(scene.asked, scene.answered),
        values={"delay": duration(delay / SECOND)},
    )


def half_reply(scene: Scene) -> Hit | None:
    """A status line began, and its head never ended."""
    response = scene.response
    started = scene.flow.first_language[PROXY] == "http-part"
    if response is not None:
        if response.complete or scene.quality.cut[PROXY] or scene.capture.text:
            return None
    elif not (scene.stage == "asked" and (started or _partial(scene))):
        return None
    if scene.stream_gap(PROXY) or scene.quality.one_way or scene.flow.tunnel is not None:
        return None
    if scene.flow.first_language[PROXY] not in ("http", "http-part"):
        return None
    last = scene.proxy.last_payload
    if not scene.flow.closes and not scene.waited_for(last, scene.limits.reply_slow_s):
        return None
    where = scene.answered or scene.proxy.first_payload
    return Hit(
        "connect-half-reply",
        PROBLEM,
        POSSIBLE,
        sentence(
            scene.request_text,
            f"#{where.number if where else 0} a reply began and its head never ended",
            scene.ending_text or f"nothing more came in {duration(scene.waited(last))}",
        ),
        packets(scene.asked, where, last, scene.proxy_end),
        "connect_no_reply",
    )


def wrong_first_reply(scene: Scene) -> Hit | None:
    """The reply is no HTTP at all."""
    if scene.request is None or scene.response is not None or scene.flow.tunnel is not None:
        return None
    if scene.flow.first_language[PROXY] not in ("ssh", "other", "http2"):
        return None
    if scene.stage != "asked" or scene.quality.text or len(scene.flow.exchanges) > 1:
        return None
    if not scene.opening_seen(PROXY):
        return None
    head = scene.flow.first_bytes[PROXY]
    if head[:1] in (b"\x05", b"\x00"):  # SOCKS, which has its own rule
        return None
    first = scene.proxy.first_payload
    return Hit(
        "reply-not-http",
        PROBLEM,
        CERTAIN,
        sentence(
            scene.request_text,
            f"#{first.number if first else 0} the reply is not HTTP"
            + (f" (first bytes {head[:8].hex(' ')})" if head else ""),
        ),
        packets(scene.asked, first),
        "connect_no_reply",
    )


def body_in_2xx(scene: Scene) -> Hit | None:
    """The 2xx promises a body (RFC 9110 section 9.3.6 forbids it), and the client waits."""
    response = scene.response
    if scene.flow.tunnel is None or response is None or not scene.is_connect:
        return None
    length = response.header("content-length")
    coding = response.header("transfer-encoding")
    if (length in (None, "0")) and coding is None:
        return None
    if scene.flow.tunnel_bytes[CLIENT] or not scene.quality.absent(CLIENT):
        return None
    if not scene.waited_for(scene.answered, UNSPOKEN_S):
        return None
    field = f"Transfer-Encoding: {coding}" if coding else f"Content-Length: {length}"
    return Hit(
        "connect-2xx-body",
        PROBLEM,
        LIKELY,
        sentence(
            scene.request_text,
            f"{scene.reply_text} with {field}",
            "the client sends nothing into the tunnel",
        ),
        packets(scene.asked, scene.answered),
        "tunnel_closed_early" if scene.flow.closes else "transfer_stalled",
        code=response.status,
    )


UNSPOKEN_S: Final = 3.0
"""A client that says nothing in its new tunnel for this long waits for something."""
