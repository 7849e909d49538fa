"""A frame as it may be shown: its bytes with every secret covered.

Whether bytes belong to a secret can depend on the segments around: a head may be split
anywhere. So the stream's bytes right before and behind the frame are fetched as well.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from capture.facts import FlowFacts
from capture.packets.index import PacketView
from capture.protocols.covering import mask_payload
from capture.stream.payloads import payload_spans
from tui.engine_bridge import EngineBridge

__all__ = ["ShownFrame", "fetch_shown"]

CONTEXT_SEGMENTS: Final = 256
CONTEXT_BYTES: Final = 32 << 10
"""How much of the stream before a segment is read: heads are shorter, or no proxy takes them."""
SEGMENTS_BEHIND: Final = 16
"""How much of it is read behind: up to the ``@`` that makes userinfo of what is before it."""
NEARBY_ROWS: Final = 512
"""Packets of the flow before (and after) this one among which its neighbours are looked for."""
_NO_SOCKS: Final = ("http", "http-part", "tls", "ssh", "http2")
"""What a side's stream begins with when it is certainly no SOCKS."""


@dataclass(frozen=True, slots=True)
class ShownFrame:
    """One frame, safe to show."""

    number: int
    data: bytes
    """Captured bytes; each byte of a secret is ``*``."""
    wirelen: int
    linktype: int
    time_ns: int
    masked: bool
    """Whether anything was covered."""


def fetch_shown(
    bridge: EngineBridge, view: PacketView, number: int, facts: FlowFacts | None
) -> ShownFrame:
    """Fetch a frame and cover its secrets.

    Args:
        bridge: Fetches frames.
        view: The packet index.
        number: 1-based frame number.
        facts: Facts of its flow, where it has one.

    Raises:
        LookupError: Its bytes cannot be had; the message is one line.
    """
    frame = bridge.frame(view, number)
    row = view.row_from(number)
    packet = view.rows[row]
    before = b"".join(_payloads(bridge, view, _predecessors(view, row))[::-1])[-CONTEXT_BYTES:]
    after = b"".join(_payloads(bridge, view, _successors(view, row)))[:CONTEXT_BYTES]
    socks = facts is None or facts.first_language[int(packet["sender"])] not in _NO_SOCKS
    (span,) = payload_spans([frame], [int(packet["linktype"])])
    start, end = span or (0, len(frame))
    if span is None:
        before = after = b""
    shown = mask_payload(frame[start:end], before, after, socks=socks)
    data = frame[:start] + shown + frame[end:]
    return ShownFrame(
        number=number,
        data=data,
        wirelen=int(packet["wirelen"]),
        linktype=int(packet["linktype"]),
        time_ns=int(packet["time_ns"]),
        masked=data != frame,
    )


def _payloads(bridge: EngineBridge, view: PacketView, rows: list[int]) -> list[bytes]:
    """The payload of some packets, up to the first that cannot be had: what is beyond a hole
    in the stream says nothing."""
    frames: list[bytes] = []
    linktypes: list[int] = []
    with suppress(LookupError):
        for place in rows:
            frames.append(bridge.frame(view, view.number(place)))
            linktypes.append(int(view.rows["linktype"][place]))
    if not frames:
        return []
    spans = payload_spans(frames, linktypes)
    return [frame[slice(*span)] if span else b"" for frame, span in zip(frames, spans, strict=True)]


def _predecessors(view: PacketView, row: int) -> list[int]:
    """Rows of the segments that precede one without a gap, the nearest first."""
    rows = view.rows
    near = _nearby(view, row, before=True)
    ends = (rows["seq"][near] + rows["length"][near]).tolist()
    by_end = dict(zip(ends, near.tolist(), strict=True))  # the latest wins
    chain: list[int] = []
    seq = int(rows["seq"][row])
    while len(chain) < CONTEXT_SEGMENTS:
        place = by_end.get(seq)
        if place is None or place in chain:
            break
        chain.append(place)
        seq = int(rows["seq"][place])
    return chain


def _successors(view: PacketView, row: int) -> list[int]:
    """Rows of the segments that follow one without a gap, the nearest first."""
    rows = view.rows
    near = _nearby(view, row, before=False)[::-1]
    by_start = dict(zip(rows["seq"][near].tolist(), near.tolist(), strict=True))  # the next wins
    chain: list[int] = []
    end = int(rows["seq"][row]) + int(rows["length"][row])
    while len(chain) < SEGMENTS_BEHIND:
        place = by_start.get(end)
        if place is None or place in chain:
            break
        chain.append(place)
        end += int(rows["length"][place])
    return chain


def _nearby(view: PacketView, row: int, *, before: bool) -> NDArray[np.int64]:
    """The same side's data packets of the flow right before a row, or right behind it."""
    rows = view.rows
    packet = rows[row]
    if not packet["flow"] or not packet["length"]:
        return np.empty(0, np.int64)
    flow = view.of_flow(int(packet["flow"]))
    flow = flow[flow < row] if before else flow[flow > row]
    own: NDArray[np.int64] = flow[
        (rows["sender"][flow] == packet["sender"]) & (rows["length"][flow] > 0)
    ]
    return own[-NEARBY_ROWS:] if before else own[:NEARBY_ROWS]
