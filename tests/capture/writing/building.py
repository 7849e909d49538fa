"""Frame blocks made of plain frames, and what a file holds as frames."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from capture.frames import FrameBlock

TSHARK = shutil.which("tshark")
needs_tshark = pytest.mark.skipif(TSHARK is None, reason="tshark is not installed")

START_NS = 1_700_000_000_123_456_789


def block_of(
    frames: Sequence[bytes],
    *,
    gap: int = 0,
    interfaces: Sequence[int] | None = None,
    linktypes: Sequence[int] | None = None,
    first_number: int = 1,
    cut: int = 0,
) -> FrameBlock:
    """A block of frames a microsecond apart.

    Args:
        frames: Their bytes.
        gap: Bytes between two frames in the buffer (and none behind the last).
        interfaces: Of each frame; none: 0.
        linktypes: Of each frame; none: Ethernet.
        first_number: Number of the first.
        cut: Bytes that each frame had more on the wire.
    """
    sizes = np.array([len(frame) for frame in frames], np.int64)
    count = len(frames)
    return FrameBlock(
        data=np.frombuffer((b"\xee" * gap).join(frames), np.uint8),
        offset=np.cumsum(sizes + gap) - sizes - gap,
        time_ns=START_NS + 1000 * np.arange(count, dtype=np.int64),
        caplen=sizes,
        wirelen=sizes + cut,
        linktype=np.array(linktypes or [1] * count, np.uint16),
        interface=np.array(interfaces or [0] * count, np.int32),
        position=np.zeros(count, np.int64),
        first_number=first_number,
    )


def tshark_fields(path: Path | str, *fields: str, options: Sequence[str] = ()) -> list[list[str]]:
    """What tshark makes of a file: one list of values a packet. It must find nothing amiss."""
    assert TSHARK is not None
    command = [TSHARK, "-n", "-r", str(path), "-T", "fields", "-E", "separator=|", *options]
    command += [part for field in fields for part in ("-e", field)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    said = [line for line in done.stderr.splitlines() if "as user" not in line]
    assert not said, said
    return [line.split("|") for line in done.stdout.splitlines()]
