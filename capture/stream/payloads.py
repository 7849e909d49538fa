"""Where the TCP payload lies in frames that are fetched again."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from capture.decode.columns import Segments
from capture.frames import FrameBlock

__all__ = ["payload_spans", "segments_of"]


def segments_of(frames: Sequence[bytes], linktypes: Sequence[int]) -> Segments:
    """The TCP segments in some frames, each frame by itself, as the decoder reads them.

    Args:
        frames: Captured bytes.
        linktypes: LINKTYPE number of each.

    Returns:
        Columns whose ``number`` counts the frames from 1, and whose offsets are those in
        all frames one after the other.
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
    return Decoder().decode(block).segments


def payload_spans(
    frames: Sequence[bytes], linktypes: Sequence[int]
) -> list[tuple[int, int] | None]:
    """Where the TCP payload lies in each frame; None for what is no TCP segment of its own.

    The program's own decoder says so, because it knows every encapsulation that flows are
    tracked through.
    """
    segments = segments_of(frames, linktypes)
    ends = np.cumsum([len(frame) for frame in frames]).tolist()
    spans: list[tuple[int, int] | None] = [None] * len(frames)
    for number, at, captured in zip(
        segments.number.tolist(),
        segments.payload_at.tolist(),
        segments.payload_captured.tolist(),
        strict=True,
    ):
        length = len(frames[number - 1])
        start = at - (ends[number - 1] - length)
        if 0 <= start <= start + captured <= length:
            spans[number - 1] = (start, start + captured)
    return spans
