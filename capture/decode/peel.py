"""Peeling headers off many frames at once.

The frames that the fast way leaves over are *rows*: where each frame's unread bytes begin
and end. A layer is a function that reads one header of all rows given to it, moves them
behind it and hands each to its next layer. Rows that meet at a layer in the same round are
read together, so the cost is a few numpy calls a layer and round, not a frame.

Every layer consumes at least one byte or drops the row, and ``Peel.run`` ends after
``MAX_HEADERS`` rounds: no input can keep it busy.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from capture.decode.gather import groups
from capture.frames import Bytes, Ints

MAX_HEADERS: Final = 24
"""Headers of one frame, outermost included. QinQ in MPLS in GRE in VXLAN takes 14."""
MAX_REASONS: Final = 200
"""Reasons told apart; an input of random bytes has thousands of ethertypes."""
OTHER_REASON: Final = "other kinds of frames"


@dataclass(slots=True)
class Rows:
    """Frames on their way through the layers; arrays of shape ``(n,)``."""

    frame: Ints
    """Index in the block."""
    at: Ints
    """First byte not yet read."""
    end: Ints
    """End of what was captured, at most the end of the layer around."""
    wire: Ints
    """Where the layer around ends on the wire; beyond ``end`` when the frame was cut."""
    ip: Ints
    """Start of the innermost IP header; -1 before one was met."""
    ip_length: Ints
    """Length of that IP packet."""

    def __len__(self) -> int:
        return len(self.frame)

    def take(self, which: Ints | NDArray[np.bool_]) -> Rows:
        """Some of the rows, by index or mask."""
        return Rows(
            self.frame[which], self.at[which], self.end[which],
            self.wire[which], self.ip[which], self.ip_length[which],
        )  # fmt: skip

    def moved(self, count: Ints | int) -> Rows:
        """The same rows, ``count`` bytes further."""
        return Rows(self.frame, self.at + count, self.end, self.wire, self.ip, self.ip_length)

    @staticmethod
    def join(parts: list[Rows]) -> Rows:
        """All rows of the parts, one after the other (none: no rows)."""
        if len(parts) == 1:
            return parts[0]
        if not parts:
            return Rows(*(np.zeros(0, np.int64) for _ in range(6)))
        return Rows(
            np.concatenate([part.frame for part in parts]),
            np.concatenate([part.at for part in parts]),
            np.concatenate([part.end for part in parts]),
            np.concatenate([part.wire for part in parts]),
            np.concatenate([part.ip for part in parts]),
            np.concatenate([part.ip_length for part in parts]),
        )


Layer = Callable[["Peel", Rows], None]
LAYERS: Final[dict[str, Layer]] = {}
"""The layers by name; names let layers refer to each other in circles (IP in GRE in IP)."""


def layer(name: str) -> Callable[[Layer], Layer]:
    """Register a layer under ``name``."""

    def register(function: Layer) -> Layer:
        LAYERS[name] = function
        return function

    return register


class Peel:
    """The work list of one block, and what came to light in it."""

    def __init__(self, data: Bytes, reasons: Counter[str]) -> None:
        self.data = data
        self.reasons = reasons
        self.tcp: list[Rows] = []
        """At the TCP header, at least 20 bytes of it captured."""
        self.icmp_errors: list[Rows] = []
        """At the ICMP or ICMPv6 header, of which 8 bytes were captured."""
        self.dns: list[Rows] = []
        """At the DNS header."""
        self.fragments: list[Rows] = []
        """Fragments of TCP and ICMP: at the fragment's payload."""
        self._waiting: dict[str, list[Rows]] = {}

    def give(self, name: str, rows: Rows) -> None:
        """Queue rows for a layer."""
        if len(rows):
            self._waiting.setdefault(name, []).append(rows)

    def run(self) -> None:
        """Peel until nothing waits."""
        for _ in range(MAX_HEADERS):
            if not self._waiting:
                return
            waiting, self._waiting = self._waiting, {}
            for name, parts in waiting.items():
                LAYERS[name](self, Rows.join(parts))
        for parts in self._waiting.values():
            self.refuse("headers nested too deep", sum(map(len, parts)))
        self._waiting = {}

    def refuse(self, reason: str, frames: int) -> None:
        """Count frames that are not decoded any further."""
        refuse(self.reasons, reason, frames)

    def need(self, rows: Rows, size: Ints | int, what: str) -> Rows:
        """The rows of which ``size`` more bytes were captured; the others are refused.

        Args:
            rows: The rows.
            size: Bytes the header ``what`` takes.
            what: The header's name, as it begins a sentence.
        """
        reach = rows.at + size
        enough = reach <= rows.end
        if enough.all():
            return rows
        cut = int(np.count_nonzero(~enough & (reach <= rows.wire)))
        self.refuse(f"{what} cut by the snaplen", cut)
        self.refuse(f"{what}: frame too short", len(rows) - int(enough.sum()) - cut)
        return rows.take(enough)

    def keep(self, rows: Rows, good: NDArray[np.bool_], reason: str) -> Rows:
        """The rows that are ``good``; the others are refused for ``reason``."""
        if good.all():
            return rows
        self.refuse(reason, len(rows) - int(good.sum()))
        return rows.take(good)

    def dispatch(
        self, rows: Rows, values: Ints, layers: Mapping[int, str], name: Callable[[int], str]
    ) -> None:
        """Give each row to the layer of its value.

        Args:
            rows: The rows, at the next header.
            values: What the header before calls the next one, shape ``(n,)``.
            layers: Layer by value.
            name: Reason to refuse a value that is not in ``layers``.
        """
        known = 0
        for value, which in groups(values, tuple(layers)):
            self.give(layers[value], rows if which is None else rows.take(which))
            known += len(rows) if which is None else len(which)
        if known < len(rows):
            self.refuse_by_value(values[~np.isin(values, tuple(layers), kind="table")], name)

    def refuse_by_value(self, values: Ints, name: Callable[[int], str]) -> None:
        """Count frames that are refused for what a field says, the frequent values by name."""
        distinct, counts = np.unique(values, return_counts=True)
        if len(distinct) > MAX_REASONS:
            frequent = np.argsort(-counts, kind="stable")[:MAX_REASONS]
            self.refuse(OTHER_REASON, len(values) - int(counts[frequent].sum()))
            distinct, counts = distinct[frequent], counts[frequent]
        for value, count in zip(distinct.tolist(), counts.tolist(), strict=True):
            self.refuse(name(value), count)


def refuse(reasons: Counter[str], reason: str, frames: int) -> None:
    """Count ``frames`` under ``reason``, or under one catch-all when there are too many."""
    if frames <= 0:
        return
    if reason not in reasons and len(reasons) >= MAX_REASONS:
        reason = OTHER_REASON
    reasons[reason] += frames
