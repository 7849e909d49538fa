"""Size-dependent loss: full-size packets vanish while small ones pass (RFC 1191, 2923, 8899)."""

from __future__ import annotations

from typing import Final

from capture.decode.columns import IcmpError
from capture.facts import CLIENT, PROXY, SENDERS, Hole, RetransmitRun
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
from capture.judging.reach import icmp_words
from capture.judging.reset import origin
from capture.judging.scene import DEFAULT_MSS, FULL_SIZE, SECOND, Scene
from capture.report.model import Confidence
from capture.units import duration, octets, plural

BIG_PACKET: Final = 1200
"""Smallest IP packet that an MTU hole plausibly swallows: paths below are rare, and IPv6
guarantees 1280."""

SAFE_MTU: Final = 1280
"""What to try first where the path MTU is not known: IPv6's minimum, which tunnels keep."""

ANSWERED_S: Final = 1.0
"""A FIN beyond missing data draws an acknowledgement at once (RFC 9293 section 3.10.7.4): one
that is not there after this time, more than most round trips, will not come."""

_DIRECTIONS: Final = ("from the client to the proxy", "from the proxy to the client")


def too_big(error: IcmpError) -> bool:
    """ICMP "fragmentation needed" or ICMPv6 "packet too big"."""
    return (error.version == 4 and error.type == 3 and error.code == 4) or (
        error.version == 6 and error.type == 2
    )


def unheard(scene: Scene, sender: int) -> str:
    """What shows that not even small packets get through from ``sender`` and back; else empty.

    Its FIN draws no answer, or the other side sends again and again what the capture shows
    acknowledged.
    """
    side, peer = scene.flow.sides[sender], scene.flow.sides[1 - sender]
    tries, run, fin = scene.limits.mtu_hole_tries, peer.run, side.fin
    if fin is not None and not side.fin_acked and side.run is not None and side.run.marks:
        behind = side.run.marks[0].number < fin.number
        silent = peer.last is None or peer.last.number < fin.number
        if behind and silent and scene.passed(fin, ANSWERED_S):
            return f"#{fin.number} its FIN, a small packet, had no answer either"
    if run is None or not run.acked or min(run.sent, peer.spurious_retransmissions) < tries:
        return ""
    return (
        f"the {SENDERS[1 - sender]} repeated what had been acknowledged: nothing from the "
        f"{SENDERS[sender]} gets through"
    )


def lost_at_sender(scene: Scene, sender: int) -> RetransmitRun | None:
    """A full-size segment sent again and again, while smaller ones were acknowledged.

    The capture lies near the sender: it sees each try and no acknowledgement.
    """
    side = scene.flow.sides[sender]
    run = side.run
    if run is None or run.acked or run.sent < scene.limits.mtu_hole_tries or scene.quality.one_way:
        return None
    if scene.quality.gaps[sender] or side.largest_acked == 0 or unheard(scene, sender):
        return None
    limit = scene.segment_limit(sender)
    full = run.ip_length >= BIG_PACKET or (limit and run.length >= FULL_SIZE * limit)
    return run if full and run.length > side.largest_acked else None


def _full(scene: Scene, sender: int) -> int:
    """What a full-size segment holds; the usual where the handshake was not captured."""
    return scene.segment_limit(sender) or DEFAULT_MSS[scene.ip_version]


def hole_at_receiver(scene: Scene, sender: int) -> Hole | None:
    """Full-size bytes that never came, though smaller later ones did.

    The capture lies near the receiver, which never acknowledges the missing bytes.
    """
    side = scene.flow.sides[sender]
    limit = _full(scene, sender)
    if scene.quality.gaps[sender] or scene.quality.one_way or scene.quality.mid_stream:
        return None
    if scene.quality.merged[sender] or side.largest >= FULL_SIZE * limit:
        return None
    for hole in side.holes:
        if hole.acked or hole.right - hole.left < FULL_SIZE * limit:
            continue
        if not scene.quality.clocked or scene.waited_for(hole.mark, scene.limits.mtu_hole_s):
            return hole
    return None


def swallowed(scene: Scene) -> int:
    """Bytes that the proxy sent after all that came, and that never came.

    The client's FIN draws an acknowledgement whose own sequence number shows how much its
    sender had said by then. Acknowledgements pass, so the path is not dead.
    """
    proxy, limit = scene.proxy, _full(scene, PROXY)
    if proxy.largest >= FULL_SIZE * limit or not scene.quality.absent(PROXY):
        return 0
    if proxy.rst is not None or proxy.holes or proxy.retransmissions:
        return 0
    if scene.quality.text or scene.quality.mid_stream:
        return 0
    sent = proxy.stream_bytes - proxy.bytes
    last = proxy.last_payload or scene.flow.syn_ack
    if sent < FULL_SIZE * limit or not scene.waited_for(last, scene.limits.mtu_hole_s):
        return 0
    return sent


def size_dependent(scene: Scene) -> bool:
    """Whether the loss of full-size packets is what stops this flow."""
    return bool(swallowed(scene)) or any(
        lost_at_sender(scene, sender) or hole_at_receiver(scene, sender)
        for sender in (CLIENT, PROXY)
    )


def full_size_reset(scene: Scene) -> bool:
    """The proxy's side answered the client's first full-size packet with RST."""
    client, flow = scene.client, scene.flow
    limit = _full(scene, CLIENT)
    if scene.first_end != "proxy_rst" or flow.tunnel is None or scene.client_left_first:
        return False
    if client.largest < FULL_SIZE * limit or scene.quality.gaps[CLIENT]:
        return False
    return 0 < client.largest_acked < client.largest and client.unacked >= client.largest


def black_hole(scene: Scene) -> Hit | None:
    """Full-size packets vanish, in either direction, seen from either end."""
    for sender in (CLIENT, PROXY):
        run = lost_at_sender(scene, sender)
        if run is not None:
            return _seen_by_sender(scene, sender, run)
        hole = hole_at_receiver(scene, sender)
        if hole is not None:
            return _seen_by_receiver(scene, sender, hole)
    return _all_swallowed(scene) if swallowed(scene) else None


def _all_swallowed(scene: Scene) -> Hit:
    limit, last = _full(scene, PROXY), scene.proxy.last
    return Hit(
        "mtu-black-hole",
        PROBLEM,
        LIKELY,
        sentence(
            f"{octets(swallowed(scene))} {_DIRECTIONS[PROXY]} never came, as the sequence "
            f"number of #{last.number if last else 0} shows",
            f"full-size segments would have {octets(limit)}",
            "its acknowledgements, which are small, came",
            scene.ending_text,
        ),
        packets(scene.flow.tunnel, scene.client_end, last),
        "mtu_blackhole",
        values=_sizes(scene, PROXY, scene.proxy.largest, limit + 40),
    )


def _seen_by_sender(scene: Scene, sender: int, run: RetransmitRun) -> Hit:
    side, peer = scene.flow.sides[sender], scene.flow.sides[1 - sender]
    error = _told(scene, sender)
    last_try = run.marks[-1] if run.marks else None
    took = scene.span(run.marks[0], last_try) if run.marks else ""
    newest = side.last_payload  # no retransmission: what came back after it, came meanwhile
    alive = peer.last is not None and newest is not None and peer.last.number > newest.number
    merged = scene.quality.merged[sender]
    if error is not None:
        rule, sure = "mtu-icmp-ignored", CERTAIN
    elif merged or not (alive or side.sacked_beyond_hole):
        rule, sure = "mtu-black-hole", POSSIBLE
    else:
        rule, sure = "mtu-black-hole", LIKELY
    values = _sizes(scene, sender, side.largest_acked, run.ip_length)
    if error is not None:
        values |= {"mtu": str(error.mtu or "unknown"), "router": scene.address(error.sender)}
    first = f"#{run.marks[0].number} " if run.marks else ""
    return Hit(
        rule,
        PROBLEM,
        sure,
        sentence(
            f"{first}a segment of {run.length} bytes {_DIRECTIONS[sender]} was sent "
            f"{run.sent} times" + (f" in {took}" if took else "") + " and never acknowledged",
            f"segments up to {side.largest_acked} bytes were",
            "data beyond it arrived (SACK)" if side.sacked_beyond_hole else "",
            f"#{error.number} {icmp_words(error)}, MTU {error.mtu}" if error else "",
            "sizes are those before an offload, not on the wire" if merged else "",
            _offered(scene),
        ),
        tuple(sorted({*packets(*run.marks), *([error.number] if error else [])})),
        "mtu_blackhole",
        values=values,
    )


def _seen_by_receiver(scene: Scene, sender: int, hole: Hole) -> Hit:
    side = scene.flow.sides[sender]
    limit = _full(scene, sender)
    missing = hole.right - hole.left
    whole = missing % limit == 0
    beyond = f"a segment of {hole.beyond} bytes" if hole.beyond else "an acknowledgement"
    count = missing // limit
    return Hit(
        "mtu-black-hole",
        PROBLEM,
        LIKELY,
        sentence(
            f"{octets(missing)} {_DIRECTIONS[sender]} are missing before "
            f"#{hole.mark.number}, {beyond}, and never came",
            f"that is {plural(count, 'full-size segment')} of {limit} bytes" if whole else "",
            f"the largest segment that arrived has {octets(side.largest)}",
            _offered(scene),
            scene.ending_text,
        ),
        packets(scene.flow.tunnel or scene.asked, hole.mark, scene.client_end),
        "mtu_blackhole",
        values=_sizes(scene, sender, side.largest, limit + 40),
    )


def _offered(scene: Scene) -> str:
    """A box that lowers the MSS in one direction only leaves the other one to the hole."""
    client, proxy = scene.client.mss, scene.proxy.mss
    if not client or not proxy or client == proxy:
        return ""
    return f"the client's SYN offers an MSS of {client}, the proxy's one of {proxy}"


def _sizes(scene: Scene, sender: int, passed: int, lost_ip: int) -> dict[str, str]:
    header = 60 if scene.ip_version == 6 else 40
    return {
        "size": str(max(passed, 0)),
        "mss": str(scene.segment_limit(sender) or "unknown"),
        "ping_size": str(max(lost_ip - (48 if scene.ip_version == 6 else 28), 500)),
        "mtu": str(max(passed + header, SAFE_MTU)),
        "direction": _DIRECTIONS[sender],
    }


def _told(scene: Scene, sender: int) -> IcmpError | None:
    """The ICMP error that told ``sender`` to send smaller packets."""
    port = scene.flow.client.port if sender == CLIENT else scene.flow.proxy.port
    for error in scene.flow.icmp:
        if too_big(error) and error.sport in (port, 0):
            return error
    return None


def obeyed(scene: Scene) -> Hit | None:
    """ICMP told the path MTU, and the sender went on with smaller packets."""
    error = next((item for item in scene.flow.icmp if too_big(item)), None)
    if error is None or size_dependent(scene) or scene.client.unacked or scene.proxy.unacked:
        return None
    return Hit(
        "mtu-discovered",
        INFO,
        CERTAIN,
        sentence(
            f"#{error.number} {icmp_words(error)}, next-hop MTU {error.mtu}, from "
            f"{scene.address(error.sender)}",
            f"for a packet of {error.ip_length} bytes" if error.ip_length else "",
            "the sender went on with smaller ones",
        ),
        (error.number,),
        values={"mtu": str(error.mtu), "router": scene.address(error.sender)},
    )


def reset_by_size(scene: Scene) -> Hit | None:
    """A full-size packet answered by RST."""
    if not full_size_reset(scene) or size_dependent(scene):
        return None
    client, reset = scene.client, scene.proxy.rst
    signs = origin(scene.proxy)
    sure: Confidence = POSSIBLE
    if signs.signs and not scene.quality.merged[CLIENT]:
        sure = LIKELY
    return Hit(
        "mtu-rst",
        PROBLEM,
        sure,
        sentence(
            f"segments up to {client.largest_acked} bytes were acknowledged",
            f"the first ones of {client.largest} bytes were not, and "
            f"#{reset.number if reset else 0} RST came back",
            f"the RST may not be the proxy's: {signs.text}" if signs.signs else "",
            _quiet_since(scene),
        ),
        packets(scene.flow.tunnel, reset, client.unacked_since),
        "mtu_rst",
        values=_sizes(scene, CLIENT, client.largest_acked, client.largest + 52),
    )


def _quiet_since(scene: Scene) -> str:
    last, reset = scene.proxy.last_payload, scene.proxy.rst
    if last is None or reset is None or not scene.quality.timed or reset.number < last.number:
        return ""
    after = (reset.time_ns - last.time_ns) / SECOND
    return f"that is {duration(after)} after the last data from the proxy"
