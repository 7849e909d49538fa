"""The numbers that rules compare with and a user may set, with the reason for each."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import Field, field, fields
from typing import Any, Final

from capture.record import record


def _seconds(default: float, meaning: str) -> float:
    return _number(default, meaning, 1.0)


def _number(default: float, meaning: str, least: float) -> float:
    # dataclasses' own way to hang words on a field; the type is that of the value.
    number: float = field(default=default, metadata={"meaning": meaning, "least": least})
    return number


@record
class Thresholds:
    """What the rules compare with; times in seconds."""

    syn_unanswered_s: float = _seconds(3.0, "a SYN without an answer is a failure")
    """A SYN is repeated after 1 s (RFC 6298): 3 s cover two repetitions and most round trips."""
    syn_slow_s: float = _seconds(1.0, "SYN to SYN-ACK longer than this is worth a word")
    """The first SYN was lost, or something woke up."""
    reply_slow_s: float = _seconds(5.0, "a request without a reply is worth a warning")
    """While the client waits."""
    reply_hung_s: float = _seconds(20.0, "a request without a reply is a failure")
    """After this long most clients have given up or will."""
    tls_silent_s: float = _seconds(5.0, "a ClientHello without an answer is a stall")
    """No server flight for this long, while the client waits."""
    transfer_stalled_s: float = _seconds(10.0, "silence in an open transfer is a stall")
    """While the flow is still open."""
    transfer_gave_up_s: float = _seconds(
        5.0, "silence after which a client closes for want of data"
    )
    """Sooner, it may have had enough."""
    pool_idle_s: float = _seconds(45.0, "an idle connection is one of a pool")
    """Browsers, Go and .NET keep idle connections for 60 s and more; clients that wait for data
    give up after 30 s (curl, dnf, apt) or sooner. One that leaves a single large answer before
    this was waiting for the rest."""
    path_dead_s: float = _seconds(3.0, "unanswered retransmissions over this time")
    """Retransmissions over at least this time, all unanswered: the path is dead."""
    forgotten_s: float = _seconds(60.0, "silence after which a firewall may forget")
    """Firewalls and NATs begin to forget a connection."""
    window_shut_s: float = _seconds(5.0, "a receive window of 0 stops a transfer")
    """Shorter ones are how a busy receiver breathes."""
    heavy_loss: float = _number(0.03, "share of data packets sent again", 0.001)
    """From which on loss is worth a word."""
    mtu_hole_s: float = _seconds(3.0, "large packets vanish for this long")
    """A hole that stays open this long outlasted two retransmission time-outs."""
    mtu_hole_tries: float = _number(3, "times a large segment must be seen to vanish", 2)
    """Fewer may be an accident. What is told of a dead path or a lost goodbye takes as many."""


DEFAULTS: Final = Thresholds()


@record
class Threshold:
    """One of them, as a user knows it."""

    default: float
    meaning: str
    least: float
    """Below this a healthy tunnel would be called sick, or a rule would lose its proof."""


def _described(known: Field[Any]) -> Threshold:
    return Threshold(
        getattr(DEFAULTS, known.name), known.metadata["meaning"], known.metadata["least"]
    )


THRESHOLDS: Final[dict[str, Threshold]] = {
    known.name.replace("_", "-"): _described(known) for known in fields(Thresholds)
}
"""By the name that the configuration uses."""


class BadThreshold(ValueError):
    """No such threshold, or a value out of range. ``str()`` is one line."""


def check(name: str, value: float) -> None:
    """Say no to what cannot be used.

    Raises:
        BadThreshold: See there.
    """
    known = THRESHOLDS.get(name)
    if known is None:
        from difflib import get_close_matches

        near = get_close_matches(name, THRESHOLDS, n=3, cutoff=0.4)
        hint = f": did you mean {', '.join(near)}?" if near else ""
        raise BadThreshold(f"no threshold {name!r}{hint}")
    if not math.isfinite(value) or value < known.least:
        raise BadThreshold(f"{name} must be at least {known.least:g}")


def choose(chosen: Iterable[tuple[str, float]]) -> Thresholds:
    """The defaults, but for these.

    Raises:
        BadThreshold: See there.
    """
    wanted = dict(chosen)
    for name, value in wanted.items():
        check(name, value)
    return Thresholds(**{name.replace("-", "_"): value for name, value in wanted.items()})
