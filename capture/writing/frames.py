"""Copies the frames of a block to where a file's blocks have them, many at a time."""

from __future__ import annotations

import itertools

import numpy as np

from capture.frames import Bytes, FrameBlock, Ints


def copy_frames(block: FrameBlock, out: Bytes, to: Ints, step: int) -> None:
    """Copy all frames, those of about one length at once.

    Lengths are rounded up, so that there are few of them: what is copied too much is
    overwritten by whoever writes the rest of ``out`` afterwards.

    Args:
        block: The frames.
        out: Where they go.
        to: Where in it each begins; shape ``(n,)``.
        step: What lengths are rounded up to (a power of two); so many bytes behind each
            frame are not written yet.
    """
    data, offset, caplen = block.data, block.offset, block.caplen
    rounded = (caplen + (step - 1)) & -step
    at_end = offset + rounded > len(data)
    for index in np.flatnonzero(at_end).tolist():
        # There are no bytes behind it that could be copied with it.
        start, size, begin = int(offset[index]), int(caplen[index]), int(to[index])
        out[begin : begin + size] = data[start : start + size]
    if at_end.any():
        inside = ~at_end
        offset, to, rounded = offset[inside], to[inside], rounded[inside]
    order = np.argsort(rounded, kind="stable")
    ordered = rounded[order]
    borders = np.flatnonzero(np.diff(ordered, prepend=-1, append=-1)).tolist()
    for low, high in itertools.pairwise(borders):
        size = int(ordered[low])
        if not size:
            continue
        some = order[low:high]
        source = np.ndarray((len(data) - size + 1,), f"V{size}", data, 0, (1,))
        target = np.ndarray((len(out) - size + 1,), f"V{size}", out, 0, (1,))
        target[to[some]] = source[offset[some]]
