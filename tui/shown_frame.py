"""A frame as it may be shown: its bytes with every secret covered.

Whether bytes belong to a secret can depend on the segment before: a head may be split
anywhere. So the stream's bytes right before the frame are fetched as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from capture.facts import FlowFacts
from capture.frames import FrameBlock
from capture.packets import PacketView
from tui.engine_bridge import EngineBridge
from tui.masking import mask_payload

__all__ = ["ShownFrame", "fetch_shown"]

CONTEXT_SEGMENTS: Final = 16
CONTEXT_BYTES: Final = 32 << 10
"""How much of the stream before a segment is read: heads are shorter, or no proxy takes them."""
NEARBY_ROWS: Final = 512
"""Packets of the flow before this one among which its predecessors are looked for."""


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
    row = number - 1
    packet = view.rows[row]
    before = _stream_before(bridge, view, row)
    sender = int(packet["sender"])
    socks = facts is not None and facts.first_language[sender] == "socks5"
    (span,) = _payload_spans([frame], [int(packet["linktype"])])
    start, end = span or (0, len(frame))
    shown = mask_payload(frame[start:end], before if span else b"", socks=socks)
    data = frame[:start] + shown + frame[end:]
    return ShownFrame(
        number=number,
        data=data,
        wirelen=int(packet["wirelen"]),
        linktype=int(packet["linktype"]),
        time_ns=int(packet["time_ns"]),
        masked=data != frame,
    )


def _stream_before(bridge: EngineBridge, view: PacketView, row: int) -> bytes:
    """The same sender's bytes that end where this segment begins, as far as they can be had."""
    rows = _predecessors(view, row)
    frames: list[bytes] = []
    linktypes: list[int] = []
    for place in rows:
        try:
            frames.append(bridge.frame(view, place + 1))
        except LookupError:
            frames.clear()  # a hole in the stream: what is before it says nothing
            linktypes.clear()
            continue
        linktypes.append(int(view.rows["linktype"][place]))
    if not frames:
        return b""
    parts = []
    for frame, span in zip(frames, _payload_spans(frames, linktypes), strict=True):
        parts.append(frame[slice(*span)] if span else b"")
    return b"".join(parts)[-CONTEXT_BYTES:]


def _predecessors(view: PacketView, row: int) -> list[int]:
    """Rows of the segments that precede one without a gap, oldest first."""
    packet = view.rows[row]
    if not packet["flow"] or not packet["length"]:
        return []
    near = _nearby(view, row)
    nearby = view.rows[near]
    ends = (nearby["seq"] + nearby["length"]).tolist()
    by_end = dict(zip(ends, near.tolist(), strict=True))  # the latest wins
    chain: list[int] = []
    seq = int(packet["seq"])
    while len(chain) < CONTEXT_SEGMENTS:
        place = by_end.get(seq)
        if place is None or place in chain:
            break
        chain.append(place)
        seq = int(view.rows["seq"][place])
    return chain[::-1]


def _nearby(view: PacketView, row: int) -> NDArray[np.int64]:
    """The same side's last data packets of the flow before a row."""
    rows = view.rows
    packet = rows[row]
    flow = view.of_flow(int(packet["flow"]))
    flow = flow[flow < row]
    own: NDArray[np.int64] = flow[
        (rows["sender"][flow] == packet["sender"]) & (rows["length"][flow] > 0)
    ]
    return own[-NEARBY_ROWS:]


def _payload_spans(frames: list[bytes], linktypes: list[int]) -> list[tuple[int, int] | None]:
    """Where the TCP payload lies in each frame; None for what is no TCP segment of its own.

    The program's own decoder says so, because it knows every encapsulation that flows are
    tracked through.
    """
    from capture.decode.decoder import Decoder

    lengths = np.array([len(frame) for frame in frames], np.int64)
    offsets = np.cumsum(lengths) - lengths
    count = len(frames)
    block = FrameBlock(
        data=np.frombuffer(b"".join(frames), np.uint8),
        offset=offsets,
        time_ns=np.zeros(count, np.int64),
        caplen=lengths,
        wirelen=lengths,
        linktype=np.array(linktypes, np.uint16),
        interface=np.zeros(count, np.int32),
        position=offsets,
        first_number=1,
    )
    segments = Decoder().decode(block).segments
    spans: list[tuple[int, int] | None] = [None] * count
    for number, at, captured in zip(
        segments.number.tolist(),
        segments.payload_at.tolist(),
        segments.payload_captured.tolist(),
        strict=True,
    ):
        start = at - int(offsets[number - 1])
        if 0 <= start <= start + captured <= len(frames[number - 1]):
            spans[number - 1] = (start, start + captured)
    return spans
