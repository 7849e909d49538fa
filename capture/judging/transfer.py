"""The transfer: cut, reset or stalled after the tunnel (or the reply) had begun well."""

from __future__ import annotations

from typing import Final

from capture.facts import CLIENT, PROXY, SENDERS, Mark
from capture.judging import mtu, talk
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
from capture.judging.idle import is_round
from capture.judging.reset import origin
from capture.judging.scene import SECOND, Scene
from capture.judging.tls import failure_alert
from capture.report.model import Confidence, Severity
from capture.units import duration, octets, plural, size

FLOWING_S: Final = 2.0
"""An end this soon after the last data met a transfer, not an idle connection."""

NOTICED_S: Final = 1.0
"""A client that reads gets the end of the stream at once, and closes (measured: within 10 ms)."""

PAUSES: Final = 2
"""A silence that ended by itself says that the next one may be this many times as long."""

UNANSWERED_OPEN_S: Final = 20.0
"""A first request without an answer for this long is worth a warning while all is open."""

MANY: Final = 20
"""Retransmissions from which on their share means something."""


def _judged(scene: Scene) -> bool:
    """The tunnel carried something, and the capture can say how it ended."""
    flow = scene.flow
    if flow.tunnel is None or not scene.heard:
        return False
    if scene.quality.one_way or scene.quality.mid_stream or scene.quality.gaps[PROXY]:
        return False
    return failure_alert(scene) is None and not mtu.size_dependent(scene)


def _progress(scene: Scene) -> str:
    up, down = (
        max(0, total - sum(hole.right - hole.left for hole in side.holes))
        for total, side in zip(scene.flow.tunnel_bytes, scene.flow.sides, strict=True)
    )
    return f"{size(up)} to the proxy and {size(down)} to the client went through the tunnel"


def _after_data(scene: Scene, end: Mark) -> str:
    after = scene.span(scene.proxy.last_payload, end)
    return f"#{end.number} {{}} from the proxy's side" + (
        f", {after} after its last data" if after else ""
    )


def _idle_s(scene: Scene, end: Mark) -> float:
    """Seconds between the last data of either side and ``end``."""
    marks = [s.last_payload for s in scene.flow.sides if s.last_payload is not None]
    before = [mark.time_ns for mark in marks if mark.number < end.number]
    if not before or not scene.quality.timed:
        return 0.0
    return (end.time_ns - max(before)) / SECOND


def _open_record(scene: Scene) -> str:
    lacking = talk.missing(scene)
    return f"its last TLS record lacks {octets(lacking)}" if lacking else ""


# -- closed by FIN -------------------------------------------------------------------------


def closed_early(scene: Scene) -> Hit | None:
    """The proxy's FIN before the far side had said all it had to."""
    end = scene.proxy_end
    if end is None or scene.first_end != "proxy_fin" or not _judged(scene):
        return None
    if scene.client_left_first or scene.tls is None or scene.tls.client_hello_mark is None:
        return None
    if scene.stream_gap(PROXY) or scene.quality.blind:
        return None
    found = _why_early(scene, end)
    if found is None:
        return None
    rule, severity, sure, words = found
    asked = talk.unanswered(scene)
    idle = _idle_s(scene, end)
    return Hit(
        rule,
        severity,
        sure,
        sentence(_progress(scene), _after_data(scene, end).format("FIN"), words),
        packets(scene.flow.tunnel, asked, scene.proxy.last_payload, end),
        "tunnel_closed_early",
        values={"gap": duration(idle)},
    )


def _why_early(scene: Scene, end: Mark) -> tuple[str, Severity, Confidence, str] | None:
    if not talk.client_finished(scene):
        if not scene.tls_side(PROXY).count or scene.stream_gap(CLIENT):
            return None  # no TLS: not_tls speaks for it; or its end was not captured
        words = "the TLS handshake was not finished"
        return "closed-in-handshake", PROBLEM, POSSIBLE, words
    if talk.missing(scene):
        return "cut-in-record", PROBLEM, CERTAIN, _open_record(scene)
    asked = talk.unanswered(scene)
    if asked is not None:
        words = f"#{asked.number} the client's last message had no answer"
        return "closed-unanswered", PROBLEM, LIKELY, words
    if scene.goodbye(PROXY) is not None or talk.last_word(scene):
        return None
    quiet = "no record of close_notify's size came before it"
    idle = _idle_s(scene, end)
    if idle > FLOWING_S and _unnoticed(scene, end):
        return None
    asked_for = talk.request_count(scene)
    flowing = idle <= FLOWING_S
    bulk = talk.bulk(scene)
    timer = is_round(idle, short=asked_for == 0 or bulk, coarse=bulk)
    if timer and not flowing and asked_for <= talk.FEW_REQUESTS:
        return "idle-timeout", WARNING, LIKELY, quiet
    if (flowing or talk.few_requests(scene)) and talk.full_last_record(scene):
        words = f"{quiet}; the last TLS record was a full one"
        return "cut-without-goodbye", PROBLEM, LIKELY, words
    if flowing and bulk:
        return "cut-without-goodbye", PROBLEM, POSSIBLE, quiet
    return None


def _unnoticed(scene: Scene, end: Mark) -> bool:
    """The client did not take notice of the proxy's FIN: nobody there waited for data."""
    left = scene.client_end
    if left is None:
        return scene.passed(end, NOTICED_S)
    return scene.quality.timed and (left.time_ns - end.time_ns) / SECOND > NOTICED_S


def idle_close(scene: Scene) -> Hit | None:
    """The proxy's side ended an idle tunnel whose client asked for nothing more."""
    end, flow = scene.proxy_end, scene.flow
    if end is None or not scene.proxy_ended_first or not _judged(scene):
        return None
    if scene.client_left_first or scene.goodbye(PROXY) is not None:
        return None
    idle = _idle_s(scene, end)
    if not is_round(idle):
        return None
    reset = scene.first_end == "proxy_rst"
    if (reset_in_transfer if reset else closed_early)(scene) is not None:
        return None
    return Hit(
        "idle-close",
        INFO,
        LIKELY,
        sentence(
            f"no data for {duration(idle)}",
            f"#{end.number} {'RST' if reset else 'FIN'} from the proxy's side",
        ),
        packets(scene.proxy.last_payload, scene.client.last_payload, end, flow.tunnel),
        values={"gap": duration(idle)},
    )


# -- cut by RST ----------------------------------------------------------------------------


def reset_in_transfer(scene: Scene) -> Hit | None:
    """RST from the proxy's side while the client still waited."""
    end = scene.proxy_end
    if end is None or scene.first_end != "proxy_rst" or not _judged(scene):
        return None
    if scene.client_left_first or mtu.full_size_reset(scene):
        return None
    said_goodbye = scene.goodbye(PROXY) is not None or talk.last_word(scene)
    if said_goodbye and not scene.client.unacked:
        return None
    asked, idle = talk.unanswered(scene), _idle_s(scene, end)
    waiting = [
        _open_record(scene),
        f"#{asked.number} the client's last message had no answer" if asked else "",
        f"{size(scene.client.unacked)} of the client's data were not acknowledged"
        if scene.client.unacked else "",
    ]  # fmt: skip
    if not any(waiting) and idle > FLOWING_S:
        return None
    signs = origin(scene.proxy)
    silence = scene.flow.longest_silence
    forgotten = (
        silence is not None
        and silence.seconds >= scene.limits.forgotten_s
        and silence.end.number <= end.number
        and (end.time_ns - silence.end.time_ns) / SECOND <= FLOWING_S
    )
    return Hit(
        "reset-after-idle" if forgotten else "reset-in-transfer",
        PROBLEM,
        LIKELY if forgotten else POSSIBLE,
        sentence(
            _progress(scene),
            _after_data(scene, end).format("RST"),
            *waiting,
            f"before that {duration(silence.seconds)} of silence" if forgotten and silence else "",
            f"the RST may not be the proxy's: {signs.text}" if signs.signs else "",
        ),
        packets(scene.flow.tunnel, asked, scene.proxy.last_payload, end),
        "transfer_reset",
        values={"gap": duration(silence.seconds if forgotten and silence else idle)},
    )


# -- stalled -------------------------------------------------------------------------------


def path_dead(scene: Scene) -> Hit | None:
    """Segments of a size that had passed before are sent again and again, without an answer."""
    flow, limits = scene.flow, scene.limits
    if scene.quality.one_way or flow.tunnel is None or mtu.size_dependent(scene):
        return None
    for sender in (CLIENT, PROXY):
        side, run = flow.sides[sender], flow.sides[sender].run
        if run is None or run.acked or run.sent < limits.mtu_hole_tries:
            continue
        if not run.marks or not side.unacked:
            continue
        if scene.quality.gaps[sender]:
            continue
        if run.length > side.largest_acked and not mtu.unheard(scene, sender):
            continue  # its size may be what stops it
        peer_end = scene.proxy_end if sender == CLIENT else scene.client_end
        gone = peer_end is not None and peer_end.number < run.marks[-1].number
        took = (run.marks[-1].time_ns - run.marks[0].time_ns) / SECOND
        if gone or _only_goodbye(scene, sender):
            continue
        if took < limits.path_dead_s and scene.quality.timed:
            continue
        return _dead(scene, sender, took)
    return _unheard(scene)


def _unheard(scene: Scene) -> Hit | None:
    """A receiver shut its window and was never heard again, though it was probed."""
    limits = scene.limits
    for sender in (CLIENT, PROXY):
        side, peer = scene.flow.sides[sender], scene.flow.sides[1 - sender]
        if not side.zero_window_open or side.last is None or peer.last is None:
            continue
        probes = peer.window_probes + peer.keep_alives
        silent = (peer.last.time_ns - side.last.time_ns) / SECOND
        ended = side.fin is not None or side.rst is not None
        if ended or probes < limits.mtu_hole_tries or silent < limits.path_dead_s:
            continue
        if scene.quality.gaps[sender]:
            continue
        return Hit(
            "path-dead",
            PROBLEM,
            LIKELY,
            sentence(
                _progress(scene),
                f"#{side.last.number} the {SENDERS[sender]} shut its receive window",
                f"the other side probed it for {duration(silent)} and got no answer",
                scene.ending_text,
            ),
            packets(side.last, peer.last),
            "transfer_stalled",
        )
    return None


def _only_goodbye(scene: Scene, sender: int) -> bool:
    """All that stayed unacknowledged is the sender's close_notify after a finished transfer."""
    bye, run = scene.goodbye(sender), scene.flow.sides[sender].run
    return bye is not None and run is not None and run.length <= talk.SMALL_TALK


def _dead(scene: Scene, sender: int, took: float) -> Hit:
    flow, side = scene.flow, scene.flow.sides[sender]
    run, silence = side.run, flow.longest_silence
    assert run is not None
    forgotten = (
        silence is not None
        and silence.seconds >= scene.limits.forgotten_s
        and silence.end.number <= run.marks[0].number
    )
    return Hit(
        "silent-drop" if forgotten else "path-dead",
        PROBLEM,
        LIKELY,
        sentence(
            _progress(scene),
            f"#{run.marks[0].number} {octets(run.length)} from the {SENDERS[sender]} sent "
            f"{run.sent} times in {duration(took)}, never acknowledged",
            f"before that {duration(silence.seconds)} of silence" if forgotten and silence else "",
            f"segments of up to {side.largest_acked} bytes had been acknowledged before",
            mtu.unheard(scene, sender),
            scene.ending_text,
        ),
        packets(*run.marks, side.unacked_since),
        "transfer_stalled" if talk.client_finished(scene) or not scene.tls else "tls_stall",
        values={"gap": duration(silence.seconds) if silence else "an unknown time"},
    )


def window_shut(scene: Scene) -> Hit | None:
    """A receiver shut its window and did not open it again."""
    for sender in (PROXY, CLIENT):
        side = scene.flow.sides[sender]
        if not side.zero_window_open or side.zero_window_ns < scene.limits.window_shut_s * SECOND:
            continue
        if scene.quality.one_way or scene.flow.tunnel is None:
            continue
        mark = side.zero_window_mark
        own_end = scene.proxy_end if sender == PROXY else scene.client_end
        harmless = sender == CLIENT and own_end is not None
        probes = scene.flow.sides[1 - sender].window_probes
        return Hit(
            "window-shut-by-proxy" if sender == PROXY else "window-shut-by-client",
            INFO if harmless else PROBLEM,
            LIKELY,
            sentence(
                f"#{mark.number if mark else 0} the {SENDERS[sender]} shut its receive window",
                f"shut for {duration(side.zero_window_ns / SECOND)}, to the end",
                f"{plural(probes, 'probe')} from the other side" if probes else "",
                scene.ending_text,
            ),
            packets(mark, own_end),
            None if harmless else "transfer_stalled",
        )
    return None


def stalled(scene: Scene) -> Hit | None:
    """Data flowed through the tunnel, then nothing more came from the far side."""
    if scene.proxy_ended_first or not _judged(scene) or scene.tls is None:
        return None
    if not talk.client_finished(scene) or scene.quality.blind or scene.client.zero_window_open:
        return None
    last = scene.proxy.last_payload
    found = _why_stalled(scene, last)
    if found is None:
        return None
    rule, severity, sure, words = found
    asked = talk.unanswered(scene)
    waited = duration(scene.waited(asked or last))
    dead = scene.client.fin_sent >= scene.limits.mtu_hole_tries and not scene.client.fin_acked
    path = ""
    if dead:
        path = f"the client's FIN was sent {scene.client.fin_sent} times and never acknowledged"
    elif scene.client.fin_acked:
        path = "the proxy acknowledged the client's FIN: the path to the proxy is sound"
    return Hit(
        "path-dead" if dead and rule != "no-response" else rule,
        severity,
        sure,
        sentence(
            _progress(scene),
            f"#{last.number} last data from the proxy" if last else "",
            f"then nothing for {waited}",
            words,
            scene.ending_text,
            path,
        ),
        packets(asked, last, scene.client_end),
        "transfer_stalled",
        values={"gap": waited, "delay": waited},
    )


def _why_stalled(
    scene: Scene, last: Mark | None
) -> tuple[str, Severity, Confidence, str] | None:  # fmt: skip
    gave_up = bool(scene.flow.closes)
    limits = scene.limits
    enough = scene.waited_for(
        last, limits.transfer_gave_up_s if gave_up else _patience(scene, last)
    )
    dead = scene.client.fin_sent >= limits.mtu_hole_tries and not scene.client.fin_acked
    if enough and talk.missing(scene):
        return "transfer-stall", PROBLEM, LIKELY, _open_record(scene)
    holes = [hole for hole in scene.proxy.holes if not hole.acked]
    if enough and holes:
        lost = holes[0].right - holes[0].left
        words = f"{octets(lost)} before #{holes[0].mark.number} were lost and never came"
        return "transfer-loss", PROBLEM, LIKELY, words
    asked = talk.unanswered(scene)
    if asked is not None and talk.only_tickets(scene):
        limit = limits.transfer_gave_up_s if gave_up else UNANSWERED_OPEN_S
        if scene.waited_for(asked, limit):
            severity = PROBLEM if gave_up else WARNING
            words = f"#{asked.number} the client's request had no answer"
            return "no-response", severity, POSSIBLE, words
        return None
    if not enough or not talk.few_requests(scene):
        return None
    if talk.full_last_record(scene):
        return "transfer-stall", PROBLEM, LIKELY, "the last TLS record was a full one"
    # A path that is proved dead needs less of a download to be what stopped it.
    more = talk.bulk(scene) or (dead and scene.tls_side(PROXY).app_bytes > talk.FULL_RECORD)
    if gave_up and more and (scene.waited(last) <= limits.pool_idle_s or dead):
        return "transfer-stall", PROBLEM, POSSIBLE, "the client had asked once and waited"
    return None


def _patience(scene: Scene, last: Mark | None) -> float:
    """Seconds of silence that count as a stall while the flow is open.

    A transfer that once paused for longer and went on is given twice that time: one that
    trickles must not be called stalled again and again.
    """
    pause = scene.flow.longest_wait
    if pause is None or pause.start == last:
        return scene.limits.transfer_stalled_s
    return max(scene.limits.transfer_stalled_s, PAUSES * pause.seconds)


def cancelled(scene: Scene) -> Hit | None:
    """The client left in the middle of a record: its own decision."""
    end = scene.client_end
    if end is None or not scene.client_ended_first or not _judged(scene):
        return None
    patience = scene.limits.transfer_gave_up_s
    if not talk.missing(scene) or scene.waited(scene.proxy.last_payload) >= patience:
        return None
    return Hit(
        "client-cancelled",
        INFO,
        LIKELY,
        sentence(
            _progress(scene),
            f"#{end.number} {scene.first_end[-3:].upper()} from the client while data came in",
            _open_record(scene),
        ),
        packets(scene.proxy.last_payload, end),
    )


# -- loss ----------------------------------------------------------------------------------


def heavy_loss(scene: Scene) -> Hit | None:
    """Many retransmissions, though the flow did its work."""
    for sender in (PROXY, CLIENT):
        side = scene.flow.sides[sender]
        lost = side.retransmissions - side.spurious_retransmissions
        if lost < max(MANY, scene.limits.heavy_loss * side.data_packets) or scene.quality.one_way:
            continue
        share = 100 * lost / max(side.data_packets, 1)
        return Hit(
            "packet-loss",
            INFO,
            CERTAIN,
            sentence(
                f"{plural(lost, 'retransmission')} in {plural(side.data_packets, 'data packet')} "
                f"from the {SENDERS[sender]} ({share:.1f} %)"
            ),
        )
    return None
