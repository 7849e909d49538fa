"""What a user asks of a live capture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

SNAPLEN: Final = 262_144
"""Bytes kept of a packet: as tcpdump and dumpcap do by default."""
BUFFER_MIB: Final = 0
"""Kernel buffer in MiB, where the user does not say: what suits the machine."""


@dataclass(frozen=True, slots=True)
class StopWhen:
    """When a capture ends by itself (``-c``, ``-a``); None: not for this reason."""

    packets: int | None = None
    duration_s: float | None = None
    filesize_kb: int | None = None
    files: int | None = None


@dataclass(frozen=True, slots=True)
class Ring:
    """When the packet file is changed for the next one (``-b``), as dumpcap does."""

    filesize_kb: int | None = None
    duration_s: float | None = None
    packets: int | None = None
    files: int | None = None
    """Files kept; the oldest goes. None: all are kept."""


@dataclass(frozen=True, slots=True)
class CaptureSettings:
    """Everything ``-i``, ``--ssh`` and their companions say."""

    interfaces: tuple[str, ...]
    """Names; ``any`` is Linux's pseudo interface."""
    filter: str = ""
    """Capture filter in pcap's language."""
    snaplen: int = SNAPLEN
    promiscuous: bool = True
    buffer_mib: int = BUFFER_MIB
    """Kernel buffer of each interface in MiB; 0: what suits the machine that captures."""
    stop: StopWhen = StopWhen()
    write: str | None = None
    """``-w``: the file that keeps the packets; None: a temporary one, for the screen."""
    ring: Ring | None = None
    user: str | None = None
    """``-Z``: who to become once the sockets are open; None: the invoking user under sudo."""
    ssh: str | None = None
    """``USER@HOST`` where a remote tcpdump does the capturing; None: this machine."""
