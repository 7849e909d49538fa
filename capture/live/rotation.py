"""When a live capture's packets go to another file, and what that is called."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import Final

from capture.keeping import spool
from capture.keeping.spool import SPOOL_FILES, spool_bytes
from capture.live.settings import CaptureSettings

_KB: Final = 1000
_NUMBERS: Final = 100_000
"""File numbers have five digits and start again at 0 (Wireshark's ringbuffer.c)."""


@dataclass(frozen=True, slots=True)
class Limits:
    """When a file has all that it may have; None: not for this reason."""

    rotating: bool
    """Another file follows."""
    bytes: int | None = None
    packets: int | None = None
    duration_s: float | None = None
    keep: int | None = None
    """Files kept; the oldest goes."""
    most: int | None = None
    """Files after which the capture ends."""


def limits_of(settings: CaptureSettings) -> Limits:
    """Limits of the files that the user named (``-w``, ``-b``, ``-a``).

    dumpcap's sizes are in units of 1000 bytes, and ``-a filesize`` is the same as
    ``-b filesize`` where there are several files.
    """
    ring, stop = settings.ring, settings.stop
    size = stop.filesize_kb if ring is None else ring.filesize_kb or stop.filesize_kb
    most_bytes = None if size is None else size * _KB
    if ring is None:
        return Limits(rotating=False, bytes=most_bytes)
    return Limits(
        rotating=True,
        bytes=most_bytes,
        packets=ring.packets,
        duration_s=ring.duration_s,
        keep=ring.files,
        most=stop.files,
    )


def spool_limits(directory: str, most: int | None) -> Limits:
    """Limits of temporary files.

    Args:
        directory: Where they lie.
        most: Bytes that all of them may take; None: what suits the disk.
    """
    size = spool_bytes(directory) if most is None else max(most, spool.LEAST_SPOOL)
    return Limits(rotating=True, bytes=size // SPOOL_FILES, keep=SPOOL_FILES)


def ring_name(path: str, number: int) -> str:
    """Name of a file of a series: ``name_00001_20251122113000.pcapng``, in local time.

    Args:
        path: As ``-w`` gave it; the last component's suffix stays at the end.
        number: 1 for the first file.
    """
    directory, name = os.path.split(path)
    stem, dot, suffix = name.rpartition(".")
    if not dot:
        stem, suffix = name, ""
    stamp = time.strftime("%Y%m%d%H%M%S", time.localtime())
    return os.path.join(directory, f"{stem}_{number % _NUMBERS:05d}_{stamp}{dot}{suffix}")
