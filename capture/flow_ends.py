"""The two ends of every TCP flow, as columns: also of flows that are no tunnels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from capture.frames import Ints

PORT_BITS = 16


@dataclass(frozen=True, slots=True)
class FlowEnds:
    """A snapshot of who speaks with whom. An end is ``address number << 16 | port``."""

    uids: Ints
    """Flow numbers, ascending; shape (flows,)."""
    client: Ints
    proxy: Ints
    """The other end, which is no proxy where the flow is no tunnel."""
    text: Callable[[int], str]
    """The address, or the source's name for it, of an address number."""

    def ports(self, ends: Ints) -> Ints:
        """Ports of some ends."""
        return ends & ((1 << PORT_BITS) - 1)

    def hosts(self, ends: Ints) -> tuple[list[str], Ints]:
        """Hosts of some ends: each once, and which of them each end is."""
        numbers, which = np.unique(ends >> PORT_BITS, return_inverse=True)
        return [self.text(number) for number in numbers.tolist()], which
