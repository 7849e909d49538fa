"""What a live capture lets go of, so that it can run for days.

Memory is packets (a row each), flows (columns, and what was said on them) and the spool, which
``capture.live`` bounds. Packets go by age, flows by worth: first what is no flow to a proxy,
then the oldest healthy tunnels that are over, then open ones, and last those with a finding, as
long as these are not the half of all: a capture full of old failures must not be blind to new ones.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from capture.frames import Ints
from capture.tracking.table import FlowTable
from capture.watching.attention import UNLISTED, Attention

LIVE_PACKETS: Final = 500_000
"""Packet rows kept of a live capture: 60 bytes each, twice that while some are let go."""

LIVE_FLOWS: Final = 8_000
"""Flows kept of a live capture: some 15 kB each on a screen (measured)."""

ADDRESSES: Final = 50_000
"""IPv6 addresses known before those that nothing refers to are forgotten."""

SPARED: Final = 0.8
"""Share of the bound that is left when flows are let go: it must not happen all the time."""

NEW_NS: Final = 2_000_000_000
"""A flow that nobody had time to look at is not let go before this age."""

IDLE_NS: Final = 60_000_000_000
"""A flow that is listed nowhere and silent for so long is let go like one that is over."""

SEAL_AFTER_NS: Final = 5_000_000_000
"""The payload of a flow that is over is let go at this age, when there are many."""

UNSEALED: Final = 1_000
"""Flows that are over and whose payload is kept all the same."""


def least_worth(table: FlowTable, attention: Attention, excess: int, now_ns: int) -> Ints:
    """The flows to let go.

    Args:
        table: The flows.
        attention: How they were judged.
        excess: How many must go.
        now_ns: The clock.

    Returns:
        Their numbers, ascending.
    """
    count = attention.grow()
    over, rank = attention.over(), attention.rank[:count].astype(np.int64)
    last_ns = table.flows.last_ns[:count]
    worth = np.where(over, 1, 3) + 2 * rank  # clean: 1 over, 3 open; problem: 7 and 9
    stale = over | (last_ns < now_ns - IDLE_NS)
    unlisted = rank == UNLISTED
    worth[unlisted] = np.where(stale, 0, 2)[unlisted]
    unknown = (attention.seen_no[:count] == 0) & ~attention.hidden[:count]
    worth[unknown] = 2
    worth[unknown & (table.flows.first_ns[:count] > now_ns - NEW_NS)] = 10
    found = np.flatnonzero(rank > 0)
    found = found[np.lexsort((last_ns[found], worth[found]))]
    worth[found[: max(0, len(found) - (count - excess) // 2)]] = 1
    order = np.lexsort((last_ns, worth))
    return np.sort(order[:excess])


def worth_of_packets(table: FlowTable, attention: Attention) -> Ints:
    """Number of the last packet worth keeping of each flow when old packets go.

    All of a flow with a finding; of an open tunnel those with which it began, without which
    nobody could tell later what it was; nothing of others.
    """
    count = attention.grow()
    sides, rank = table.sides, attention.rank[:count]
    began = np.maximum(sides.data_no[0 : 2 * count : 2], sides.data_no[1 : 2 * count : 2])
    opened = np.where(
        began > 0, began, np.maximum(table.flows.ack_no[:count], table.flows.syn_no[:count])
    )
    worth = np.where(attention.over() | (rank == UNLISTED), 0, opened).astype(np.int64)
    worth[rank > 0] = np.iinfo(np.int64).max
    return worth


def sealable(table: FlowTable, attention: Attention, now_ns: int) -> Ints:
    """Flows that are over and judged for good: their payload is not needed any more."""
    count = attention.grow()
    done = attention.over() & ~attention.sealed[:count]
    done &= attention.seen_no[:count] == table.flows.last_no[:count]
    done &= table.flows.last_ns[:count] < now_ns - SEAL_AFTER_NS
    found = np.flatnonzero(done)
    return found[: max(0, len(found) - UNSEALED)]
