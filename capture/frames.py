"""What a source hands to the decoder: blocks of raw frames, and what it knows about itself.

A source (file, pipe, text, live ring) yields ``FrameBlock``s. Nothing here looks inside a
frame. All times are capture times in nanoseconds since the Unix epoch (int64).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from capture.record import record

if TYPE_CHECKING:
    from capture.keeping.store import PacketStore

Bytes = NDArray[np.uint8]
Ints = NDArray[np.int64]


@dataclass(slots=True)
class FrameBlock:
    """A run of consecutive frames whose bytes lie in one buffer.

    The arrays all have one entry a frame (shape ``(n,)``). ``data`` may be reused by the
    source once the consumer asks for the next block: whoever keeps bytes must copy them.
    """

    data: Bytes
    """The bytes of the block; frame i is ``data[offset[i] : offset[i] + caplen[i]]``."""
    offset: Ints
    """Start of each frame in ``data``."""
    time_ns: Ints
    """Capture time, ns since the epoch; 0 where the source has none."""
    caplen: Ints
    """Bytes captured of each frame."""
    wirelen: Ints
    """Bytes the frame had on the wire (>= caplen; larger when a snaplen cut it)."""
    linktype: NDArray[np.uint16]
    """LINKTYPE_/DLT_ number of each frame, as in pcap files."""
    interface: NDArray[np.int32]
    """Index into ``SourceInfo.interfaces``."""
    position: Ints
    """Where the frame's bytes start in the file (or in the spool), for ``PacketStore``."""
    first_number: int
    """1-based number of the block's first frame, as Wireshark numbers frames."""

    def __len__(self) -> int:
        return len(self.offset)


def rows_of(block: FrameBlock, rows: slice | Ints | NDArray[np.bool_]) -> FrameBlock:
    """Some frames of a block, their bytes where they were."""
    return replace(
        block,
        offset=block.offset[rows],
        time_ns=block.time_ns[rows],
        caplen=block.caplen[rows],
        wirelen=block.wirelen[rows],
        linktype=block.linktype[rows],
        interface=block.interface[rows],
        position=block.position[rows],
    )


def no_frames(first_number: int) -> FrameBlock:
    """An empty block: nothing came for a moment.

    Args:
        first_number: Number of the next frame, when one comes.
    """
    none = np.zeros(0, np.int64)
    return FrameBlock(
        data=np.zeros(0, np.uint8),
        offset=none,
        time_ns=none,
        caplen=none,
        wirelen=none,
        linktype=np.zeros(0, np.uint16),
        interface=np.zeros(0, np.int32),
        position=none,
        first_number=first_number,
    )


@record
class CaptureWarning:
    """Something about the input that a reader of the report must know."""

    code: str
    """Kebab-case and stable, for programs: ``truncated-file``, ``corrupt-record``, …"""
    message: str
    """One line for people, with the numbers."""


@dataclass(slots=True)
class Interface:
    """One capture interface of the source."""

    linktype: int
    name: str = ""
    snaplen: int = 0
    """0: not limited or not known."""
    filter: str = ""
    """Capture filter, where the file tells."""


@dataclass(slots=True)
class SourceInfo:
    """What is known of a source; grows while it is read, complete when ``blocks()`` ends."""

    path: str
    format: str
    """``pcap``, ``pcapng``, ``tcpdump-text`` or ``wireshark-text``; live: ``live``."""
    compression: str = ""
    """``gzip``, ``xz``, ``zstd`` or empty."""
    interfaces: list[Interface] = field(default_factory=list)
    warnings: list[CaptureWarning] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)
    lost_kernel: int | None = None
    """Packets the kernel or interface dropped; None where the source does not say."""
    lost_queue: int | None = None
    """Packets our own queue dropped; None where there is none."""
    assumed: list[str] = field(default_factory=list)
    """What a text had to be assumed (dates, missing times, roles), one line each."""
    names: dict[str, str] = field(default_factory=dict)
    """Address -> the name that the source itself has for it. A text that prints host names
    gives them made-up addresses, which must never be shown."""
    contents_known: bool = True
    """False: a text that does not print what every segment held."""
    untimed: set[int] = field(default_factory=set)
    """Numbers of frames whose time is made up (heads that a document prints without one),
    while others have theirs: no delay may be reckoned from them."""
    clock_ns: int | None = None
    """Live sources: the moment the source has got to, so that silence can be judged while no
    packet comes; None for a recording, whose clock stands at its last packet."""
    tls_secrets: list[bytes] = field(default_factory=list, repr=False)
    """Key logs that the capture carries (pcapng's Decryption Secrets Blocks)."""
    times_known: bool = True
    """False: the source has no times at all (``tcpdump -t``); every ``time_ns`` is 0."""

    def warn(self, code: str, message: str) -> None:
        """Add a warning once (same code and message: kept once)."""
        item = CaptureWarning(code, message)
        if item not in self.warnings:
            self.warnings.append(item)


class UnreadableInput(Exception):
    """The input is no capture, does not exist or cannot be read. ``str()`` is one line."""


class Source(Protocol):
    """Anything that yields frames."""

    info: SourceInfo

    def blocks(self) -> Iterator[FrameBlock]:
        """All frames in order.

        A live source yields an empty block when nothing came for a moment, so that its
        consumer can look at the clock. Cut or corrupt input ends the iteration with a warning
        in ``info``; only input of which nothing at all can be read raises
        ``UnreadableInput``.
        """
        ...

    def progress(self) -> tuple[int, int | None]:
        """(bytes consumed, bytes in total or None), safe to call from another thread."""
        ...

    def close(self) -> None:
        """Release files; idempotent."""
        ...


class FileSource(Source, Protocol):
    """A source that was opened from a path."""

    @property
    def store(self) -> PacketStore | None:
        """Fetches frames again; None unless ``spool`` was asked for and possible, or while
        nothing came yet. It lives longer than the source: close it apart."""
        ...
