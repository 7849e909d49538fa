"""The thresholds a user may set, by name; each belongs to the module that states its source.

Rules read their thresholds as constants of their module, which keeps them next to the reason
for their value. ``use`` sets them for the whole process: one process judges by one set.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Threshold:
    """One number that rules compare with."""

    module: str
    constant: str
    meaning: str
    least: float
    """Below this a healthy tunnel would be called sick, or a rule would lose its proof."""

    def default(self) -> float:
        """The value as the module has it, or had it before ``use``."""
        found = _defaults.get(self)
        return float(self._read()) if found is None else found

    def _read(self) -> float:
        value: float = getattr(importlib.import_module(self.module), self.constant)
        return value

    def set(self, value: float) -> None:
        """Make the rules compare with ``value``."""
        _defaults.setdefault(self, self._read())
        module = importlib.import_module(self.module)
        whole = isinstance(getattr(module, self.constant), int)
        setattr(module, self.constant, round(value) if whole else value)


def _of(module: str, constant: str, meaning: str, least: float = 1.0) -> Threshold:
    return Threshold(f"capture.judging.{module}", constant, meaning, least)


THRESHOLDS: Final[dict[str, Threshold]] = {
    "syn-unanswered-s": _of("reach", "NO_ANSWER_S", "a SYN without an answer is a failure"),
    "syn-slow-s": _of("reach", "SLOW_S", "SYN to SYN-ACK longer than this is worth a word"),
    "reply-slow-s": _of("connect", "SILENT_S", "a request without a reply is worth a warning"),
    "reply-hung-s": _of("connect", "HUNG_S", "a request without a reply is a failure"),
    "tls-silent-s": _of("tls", "SILENT_S", "a ClientHello without an answer is a stall"),
    "transfer-stalled-s": _of("transfer", "STALLED_S", "silence in an open transfer is a stall"),
    "transfer-gave-up-s": _of(
        "transfer", "GAVE_UP_S", "silence after which a client closes for want of data"
    ),
    "pool-idle-s": _of("transfer", "POOL_IDLE_S", "an idle connection is one of a pool"),
    "path-dead-s": _of("transfer", "DEAD_S", "unanswered retransmissions over this time"),
    "forgotten-s": _of("transfer", "FORGOTTEN_S", "silence after which a firewall may forget"),
    "window-shut-s": _of("transfer", "WINDOW_SHUT_S", "a receive window of 0 stops a transfer"),
    "heavy-loss": _of("transfer", "HEAVY_LOSS", "share of data packets sent again", 0.001),
    "mtu-hole-s": _of("mtu", "HOLE_S", "large packets vanish for this long"),
    "mtu-hole-tries": _of("mtu", "TRIES", "times a large segment must be seen to vanish", 2),
}

_defaults: Final[dict[Threshold, float]] = {}


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


def use(chosen: Iterable[tuple[str, float]]) -> None:
    """Judge by these thresholds from now on, and by the defaults of all others.

    Raises:
        BadThreshold: See there; then nothing was changed.
    """
    wanted = dict(chosen)
    for name, value in wanted.items():
        check(name, value)
    for known, default in list(_defaults.items()):
        known.set(default)
    for name, value in wanted.items():
        THRESHOLDS[name].set(value)
