"""Reaching the proxy: everything up to the end of the TCP handshake (RFC 9293)."""

from __future__ import annotations

from typing import Final

from capture.decode.columns import IcmpError
from capture.facts import CLIENT, PROXY, SENDERS, Mark
from capture.judging.hit import (
    CERTAIN,
    INFO,
    LIKELY,
    POSSIBLE,
    PROBLEM,
    Hit,
    packets,
    sentence,
)
from capture.judging.scene import Scene
from capture.protocols.icmp_names import icmp_name
from capture.units import duration, octets, plural

CLOSED_AT_ONCE_S: Final = 3.0
"""A connection closed within this time of the handshake was not closed for idleness."""

_PROHIBITED: Final = frozenset({(4, 3, 9), (4, 3, 10), (4, 3, 13), (6, 1, 1), (6, 1, 5)})
"""(IP version, type, code) of "administratively prohibited" (RFC 1812, RFC 4443)."""


def _answer_kind(error: IcmpError) -> str:
    key = (error.version, error.type, error.code)
    if key in _PROHIBITED:
        return "tcp-prohibited"
    if error.type == (11 if error.version == 4 else 3):
        return "tcp-loop"
    if (error.version == 4 and error.type == 3 and error.code != 4) or (
        error.version == 6 and error.type == 1
    ):
        return "tcp-unreachable"
    return ""


def icmp_words(error: IcmpError) -> str:
    """``ICMP 3/13, communication administratively prohibited``."""
    family = "ICMPv6" if error.version == 6 else "ICMP"
    text = icmp_name(error.version, error.type, error.code)
    return f"{family} {error.type}/{error.code}" + (f", {text}" if text else "")


def _syns(scene: Scene) -> str:
    flow = scene.flow
    first = flow.syn_marks[0] if flow.syn_marks else flow.syn
    if first is None:
        return "no SYN was captured"
    if flow.syn_count <= 1:
        return f"#{first.number} SYN to {flow.proxy}"
    times = [
        duration((mark.time_ns - first.time_ns) / 1e9)
        for mark in flow.syn_marks[1:7]
        if scene.quality.timed
    ]
    again = f", repeated after {', '.join(times)}" if times else ""
    return f"#{first.number} SYN to {flow.proxy}, sent {flow.syn_count} times{again}"


def icmp_answer(scene: Scene) -> Hit | None:
    """A router or host answered the SYN with an ICMP error."""
    flow = scene.flow
    if flow.syn_ack is not None:
        return None
    for error in flow.icmp:
        rule = _answer_kind(error)
        if not rule:
            continue
        router = scene.address(error.sender)
        seen = f"#{error.number} {icmp_words(error)}, from {router}"
        return Hit(
            rule,
            PROBLEM,
            LIKELY if rule == "tcp-loop" else CERTAIN,
            sentence(_syns(scene), seen),
            tuple(sorted({*packets(*flow.syn_marks, flow.syn), error.number})),
            "proxy_unreachable",
            values={"router": router, "detail": icmp_words(error)},
        )
    return None


def rejected_midway(scene: Scene) -> Hit | None:
    """A router or host rejects packets of the established connection, and they stay lost."""
    flow = scene.flow
    for error in flow.icmp if flow.syn_ack is not None or flow.mid_stream else ():
        sender = CLIENT if error.sport == flow.client.port else PROXY
        side, other = flow.sides[sender], flow.sides[1 - sender]
        lost = side.unacked > 0 or (side.fin is not None and not side.fin_acked)
        heard = other.last_payload is not None and other.last_payload.number > error.number
        if not _answer_kind(error) or not lost or heard or scene.quality.one_way:
            continue
        router = scene.address(error.sender)
        return Hit(
            "path-rejected",
            PROBLEM,
            CERTAIN,
            sentence(
                f"#{error.number} {icmp_words(error)}, from {router}, for a packet of the "
                f"{SENDERS[sender]}",
                f"{octets(side.unacked)} of the {SENDERS[sender]} stayed without an answer"
                if side.unacked
                else "its FIN was never acknowledged",
                scene.ending_text,
            ),
            tuple(sorted({*packets(side.unacked_since), error.number})),
            _broken_off(scene),
            values={"router": router, "detail": icmp_words(error)},
        )
    return None


def _broken_off(scene: Scene) -> str:
    """The verdict of a connection that broke down where it stood."""
    if scene.flow.tunnel is None:
        return "connect_no_reply"
    hello = scene.tls.server_hello if scene.tls else None
    return "tls_stall" if scene.speaks_tls and hello is None else "transfer_stalled"


def refused(scene: Scene) -> Hit | None:
    """RST in answer to the SYN."""
    flow, reset = scene.flow, scene.proxy.rst
    if flow.syn_ack is not None or reset is None or flow.syn is None or flow.challenge_ack:
        return None
    after = scene.span(flow.syn_marks[0] if flow.syn_marks else flow.syn, reset)
    answer = f"#{reset.number} RST" + (f" after {after}" if after else "")
    return Hit(
        "tcp-refused",
        PROBLEM,
        CERTAIN,
        sentence(_syns(scene), f"answered by {answer}"),
        packets(flow.syn, *flow.syn_marks, reset),
        "proxy_refused",
    )


def no_answer(scene: Scene) -> Hit | None:
    """SYNs without any answer."""
    flow = scene.flow
    first: Mark | None = flow.syn_marks[0] if flow.syn_marks else flow.syn
    if flow.syn_ack is not None or first is None or scene.quality.one_way:
        return None
    if scene.proxy.packets or any(_answer_kind(error) for error in flow.icmp):
        return None
    if not scene.waited_for(first, scene.limits.syn_unanswered_s):
        return None
    sure = LIKELY if flow.syn_count > 1 and not scene.quality.dropped else POSSIBLE
    seen = f"no packet came back in {duration(scene.waited(first))}"
    return Hit(
        "tcp-no-answer",
        PROBLEM,
        sure,
        sentence(_syns(scene), seen),
        packets(*flow.syn_marks, flow.syn),
        "proxy_unreachable",
    )


def challenged(scene: Scene) -> Hit | None:
    """SYN answered by a bare ACK of another connection (RFC 5961 section 4)."""
    flow = scene.flow
    if not flow.challenge_ack or flow.syn_ack is not None or scene.stage != "syn":
        return None
    client = scene.client
    if client.stream_bytes or client.acked_beyond or client.fin or scene.proxy.fin:
        return None  # they were connected: the capture lost the handshake
    return Hit(
        "tcp-challenge",
        PROBLEM,
        LIKELY,
        sentence(
            _syns(scene),
            "the answer is an ACK that belongs to no SYN of this connection",
            scene.ending_text,
        ),
        packets(flow.syn, scene.proxy.first, scene.client.rst, scene.proxy.rst),
        "proxy_unreachable",
    )


def half_open(scene: Scene) -> Hit | None:
    """The SYN-ACK comes again and again, and the client never acknowledges it."""
    flow = scene.flow
    if flow.syn_ack is None or flow.ack is not None or scene.client.bytes:
        return None
    if flow.syn_ack_count < 2 or scene.quality.one_way or flow.syn is None:
        return None
    if scene.first_end == "client_rst":
        return None
    if not scene.waited_for(flow.syn_ack, scene.limits.syn_unanswered_s):
        return None
    return Hit(
        "tcp-half-open",
        PROBLEM,
        LIKELY,
        sentence(
            _syns(scene),
            f"#{flow.syn_ack.number} SYN-ACK, sent {flow.syn_ack_count} times",
            "the client never acknowledged it",
        ),
        packets(flow.syn, flow.syn_ack),
        "proxy_unreachable",
    )


def closed_at_once(scene: Scene) -> Hit | None:
    """The proxy closed before the client said anything."""
    flow, end = scene.flow, scene.proxy_end
    if end is None or not scene.proxy_ended_first or not scene.quality.absent(CLIENT):
        return None
    connected = flow.ack or flow.syn_ack
    if connected is None or scene.waited(connected) > CLOSED_AT_ONCE_S:
        return None
    how = "RST" if scene.first_end == "proxy_rst" else "FIN"
    after = scene.span(connected, end)
    return Hit(
        "proxy-closes-at-once",
        PROBLEM,
        POSSIBLE,
        sentence(
            f"#{connected.number} handshake done",
            f"#{end.number} {how} from the proxy" + (f" {after} later" if after else ""),
            "the client had not sent a byte",
        ),
        packets(flow.syn, flow.syn_ack, end),
        "connect_no_reply",
    )


def slow_handshake(scene: Scene) -> Hit | None:
    """The handshake needed a second SYN or took long, and then all went well."""
    flow = scene.flow
    first = flow.syn_marks[0] if flow.syn_marks else flow.syn
    if first is None or flow.syn_ack is None or not scene.quality.timed:
        return None
    took = (flow.syn_ack.time_ns - first.time_ns) / 1e9
    if took <= scene.limits.syn_slow_s:
        return None
    lost = f"{plural(flow.syn_count - 1, 'SYN')} stayed without an answer"
    return Hit(
        "tcp-slow",
        INFO,
        POSSIBLE,
        sentence(
            f"#{first.number} SYN to #{flow.syn_ack.number} SYN-ACK took {duration(took)}",
            lost if flow.syn_count > 1 else "",
        ),
        packets(first, flow.syn_ack),
    )
