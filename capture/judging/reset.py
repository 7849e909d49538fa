"""Who sent a RST: signs that it did not come from the peer itself.

One capture point cannot prove it; two signs make a box between possible, three likely
("Who sends TCP RSTs?", weberblog.net). Linux kernels themselves send some RSTs without
options and with window 0, so these two count as one sign.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from capture.facts import Direction
from capture.report.model import Confidence

HOPS: Final = 1
"""TTL difference that counts: routes seldom change within a flow, and a box one hop nearer
was measured to show exactly one."""


class Origin(NamedTuple):
    """Signs against the peer as the sender of its RST."""

    signs: tuple[str, ...]

    @property
    def between(self) -> Confidence | None:
        """How sure a box between sent it; None when nothing says so."""
        if len(self.signs) >= 3:
            return Confidence.LIKELY
        return Confidence.POSSIBLE if self.signs else None

    @property
    def text(self) -> str:
        return ", ".join(self.signs)


def origin(side: Direction) -> Origin:
    """Collect the signs that ``side``'s RST was sent by somebody else."""
    if side.rst is None:
        return Origin(())
    signs = []
    if side.ttl and side.rst_ttl and abs(side.ttl - side.rst_ttl) >= HOPS:
        signs.append(f"its TTL is {side.rst_ttl} where the peer's packets have {side.ttl}")
    if side.timestamps and not side.rst_options and side.rst_window == 0:
        signs.append("it has window 0 and no TCP timestamps, unlike the packets before")
    if side.rst_seq_offset:
        signs.append(f"its sequence number is off by {side.rst_seq_offset}")
    return Origin(tuple(signs))
