"""Where the TCP payload lies in frames that are fetched again."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from capture.frames import FrameBlock

__all__ = ["payload_spans"]


def payload_spans(
    frames: Sequence[bytes], linktypes: Sequence[int]
) -> list[tuple[int, int] | None]:
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
