"""Capture quality as findings: what the capture lacks for a judgement of this flow."""

from __future__ import annotations

from capture.facts import CLIENT, PROXY, SENDERS
from capture.judging.hit import CERTAIN, INFO, LIKELY, Hit, packets, sentence
from capture.judging.scene import Scene
from capture.units import plural, size


def one_way(scene: Scene) -> Hit | None:
    """Only one side of the flow was captured."""
    if not scene.quality.one_way:
        return None
    seen = CLIENT if scene.client.packets >= scene.proxy.packets else PROXY
    return Hit(
        "capture-one-way",
        INFO,
        LIKELY,
        sentence(
            f"{plural(scene.flow.sides[seen].packets, 'packet')} from the {SENDERS[seen]}, "
            f"none from the {SENDERS[1 - seen]}, although the acknowledgements advance"
        ),
        packets(scene.flow.first),
        values={"direction": SENDERS[1 - seen]},
    )


def mid_stream(scene: Scene) -> Hit | None:
    """The flow was open when the capture began, and its request was not captured."""
    if not scene.quality.mid_stream or scene.request is not None:
        return None
    up, down = (side.bytes for side in scene.flow.sides)
    return Hit(
        "capture-began-later",
        INFO,
        CERTAIN,
        sentence(
            f"#{scene.flow.first.number} the first packet of the flow is no SYN",
            f"{size(up)} to the proxy and {size(down)} to the client were captured",
        ),
        packets(scene.flow.first),
    )


def gap(scene: Scene) -> Hit | None:
    """The capture missed packets that arrived."""
    for sender in (CLIENT, PROXY):
        side = scene.flow.sides[sender]
        if not scene.quality.gaps[sender] or scene.quality.one_way or scene.capture.text:
            continue
        return Hit(
            "capture-gap",
            INFO,
            CERTAIN,
            sentence(
                f"{plural(max(side.acked_unseen, 1), 'time')} data of the {SENDERS[sender]} was "
                "acknowledged that the capture does not hold"
            ),
            packets(*[hole.mark for hole in side.holes if hole.acked]),
        )
    return None
