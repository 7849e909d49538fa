"""What tshark says of every frame's ``tcp.analysis``."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

from capture.packets import index as mark

TSHARK: Final = shutil.which("tshark")

FIELDS: Final = {
    "retransmission": mark.RETRANSMISSION,
    "fast_retransmission": mark.FAST_RETRANSMISSION,
    "spurious_retransmission": mark.SPURIOUS_RETRANSMISSION,
    "out_of_order": mark.OUT_OF_ORDER,
    "keep_alive": mark.KEEP_ALIVE,
    "keep_alive_ack": mark.KEEP_ALIVE_ACK,
    "duplicate_ack": mark.DUP_ACK,
    "zero_window": mark.ZERO_WINDOW,
    "zero_window_probe": mark.ZERO_WINDOW_PROBE,
    "zero_window_probe_ack": mark.ZERO_WINDOW_PROBE_ACK,
    "window_full": mark.WINDOW_FULL,
    "window_update": mark.WINDOW_UPDATE,
    "lost_segment": mark.LOST_SEGMENT,
    "ack_lost_segment": mark.ACKED_UNSEEN,
}


def analysis(path: Path, home: Path) -> dict[int, int]:
    """Our bits for what tshark finds, by frame number.

    Args:
        path: A capture.
        home: An empty directory, so that nobody's preferences count.
    """
    assert TSHARK is not None
    command = [TSHARK, "-n", "-r", str(path), "-T", "fields", "-E", "separator=;", "-E",
               "occurrence=f", "-e", "frame.number"]  # fmt: skip
    for name in FIELDS:
        command += ["-e", f"tcp.analysis.{name}"]
    environment = {**os.environ, "HOME": str(home), "XDG_CONFIG_HOME": str(home)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    found: dict[int, int] = {}
    for line in done.stdout.splitlines():
        number, *values = line.split(";")
        bits = 0
        for (_, bit), value in zip(FIELDS.items(), values, strict=True):
            bits |= bit if value else 0
        # Wireshark names the particular kind and the general one.
        if bits & (mark.FAST_RETRANSMISSION | mark.SPURIOUS_RETRANSMISSION):
            bits &= ~mark.RETRANSMISSION
        found[int(number)] = bits
    assert found, done.stderr
    return found
