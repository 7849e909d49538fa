"""Divides a capture among worker processes and puts their results together."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import partial
from typing import Final

from capture.frames import Source
from capture.judging import Catalogue
from capture.options import AnalysisOptions
from capture.report.model import Report
from capture.shards.channel import Channel, Kind, Lost, pack, unpack
from capture.shards.exchange import Exchange, Peers
from capture.shards.forking import end, fork
from capture.shards.looks import looks
from capture.shards.part import Part, Rows, for_table, joined
from capture.sources.pcap import PcapSource, Walks
from capture.sources.recorded import RecordedSource

MOST: Final = 4
"""Workers that still speed up each other's work: one after the other they find the records."""

Progress = Callable[[int, int | None], None]


def divide(
    source: Source,
    options: AnalysisOptions,
    catalogue: Catalogue,
    processes: int,
    progress: Progress | None = None,
    known: Walks | None = None,
) -> Report | None:
    """Read a source to its end with several processes and report its table.

    Args:
        source: Nothing was read of it yet.
        options: The user's choices.
        catalogue: Texts of the rules.
        processes: How many may work at once.
        progress: Called now and then with (bytes done, bytes in total).
        known: Records that were found before.

    Returns:
        The report; None where the work cannot be divided or a worker did not get to its end.
        Then nothing was read, and one process must do it.
    """
    if not isinstance(source, RecordedSource) or not _divisible(source, options, catalogue):
        return None
    count = min(processes, MOST)
    channels: list[Channel] = []
    pids: list[int] = []
    exchange = None
    try:
        exchange = Exchange(count)
        for index in range(count):
            part = partial(Part, source.info, options, catalogue, index, count)
            pids.append(_start(source, known or {}, part, partial(exchange.of, index), channels))
        exchange.close()
        total = source.progress()[1]
        return _report(channels, (lambda done: progress(done, total)) if progress else None)
    except (Lost, OSError):
        return None
    finally:
        if exchange is not None:
            exchange.close()
        for channel in channels:
            channel.close()
        for pid in pids:
            end(pid)


def _divisible(source: RecordedSource, options: AnalysisOptions, catalogue: Catalogue) -> bool:
    """Whether it is a plain file of which a table is wanted, on a system that can fork."""
    return (
        sys.platform == "linux"  # elsewhere a forked process may not use the system's libraries
        and source.mappable
        and for_table(options, catalogue)
    )


def _start(
    source: RecordedSource,
    known: Walks,
    part: Callable[[], Part],
    peers: Callable[[], Peers],
    channels: list[Channel],
) -> int:
    """Fork a worker; its channel is appended to ``channels``.

    Args:
        source: Nothing was read of it yet.
        known: Records of it that were found before.
        part: Makes the worker's part.
        peers: Lets the worker know the others.
        channels: To those that were started before.
    """
    mine, theirs = Channel.pair()
    parent = os.getpid()

    def work() -> None:
        for channel in (mine, *channels):  # or nobody would notice that a worker is gone
            channel.close()
        if known and isinstance(source, PcapSource):
            source.known = known
        _work(source, part(), peers(), theirs, parent)

    pid = fork(work)
    theirs.close()
    channels.append(mine)
    return pid


def _work(source: RecordedSource, part: Part, peers: Peers, channel: Channel, parent: int) -> None:
    """What a worker does. Wherever it fails, the parent reads the file again by itself.

    Raises:
        Lost: The parent is gone, or another worker.
    """
    source.mapped = True
    if source.fd is not None:
        part.leave_in(source.fd)
    for look in looks(source, part.share, peers):
        part.take_look(look)
        if os.getppid() != parent:
            raise Lost
        channel.send(Kind.PROGRESS, pack(look.base + len(look.data)))
        del look  # its buffer need not outlive it

    channel.send(Kind.DONE, pack(part.finish(peers.show)))


def _report(channels: list[Channel], progress: Callable[[int], None] | None) -> Report:
    """Wait until all workers are done. They go on together: one tells how far."""
    first, *others = channels
    return _agreed([_done(first, progress), *[_done(other, None) for other in others]])


def _done(channel: Channel, progress: Callable[[int], None] | None) -> Rows:
    while True:
        kind, data = channel.receive()
        if kind is Kind.DONE:
            rows: Rows = unpack(data)
            return rows
        if progress is not None:
            progress(unpack(data))


def _agreed(parts: list[Rows]) -> Report:
    """One report of all shares.

    Raises:
        Lost: They did not read the same.
    """
    if any(part.source != parts[0].source for part in parts):
        raise Lost
    return joined(parts)
