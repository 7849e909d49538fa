"""Finds where the records of a block begin, many at a time.

Each record tells only where the next one starts, so a plain walk costs a Python step a
packet: half a microsecond, more than everything else that is done with it. Here a block
is split into lanes. In each a likely record start is guessed, and all lanes are walked in
lockstep with numpy. A lane counts only when the walk of the lane before it lands exactly
on the guessed start: then its records are the very ones a plain walk would have found,
because a walk depends on nothing but its start. Where it does not (a payload that looks
like records), that stretch is walked the plain way. So a guess can cost time, never truth.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from capture.frames import Ints
from capture.record import record

if TYPE_CHECKING:
    from mmap import mmap

    Buffer: TypeAlias = bytearray | mmap

Words = NDArray[np.uint32]
Guess = Callable[["Buffer", int, int], int]
"""``guess(buffer, low, high)``: a likely record start in ``low <= p < high``, or -1."""

MAX_RECORD: Final = 64 << 20
"""A record longer than this is corrupt. tcpdump's largest snaplen is 256 KiB; USB captures
reach a few MiB."""

_MIN_LANES: Final = 8
"""With fewer, the lockstep's fixed cost eats its gain (measured)."""
_MAX_LANES: Final = 1024
_CHECK_EVERY: Final = 8
"""Steps between two looks at how many lanes still walk."""


@record
class Layout:
    """How a record tells its length.

    A record at p is ``u32(p + at) + add`` bytes long, and at least ``header`` bytes.
    """

    order: str
    """``<`` or ``>``."""
    header: int
    """Bytes that must be there before the length can be trusted."""
    at: int
    add: int


@record
class Walk:
    """The records found in a block."""

    starts: Ints
    stop: int
    """Where the walk ended: the start of the first record that is not whole in the block,
    or is corrupt."""


def walk(
    buffer: Buffer, start: int, end: int, layout: Layout, guess: Guess | None, mean: int
) -> Walk:
    """Find the records of ``buffer[start:end]``, the first of which begins at ``start``.

    Args:
        buffer: The block's bytes, perhaps with others before and after.
        start: Offset of the first record.
        end: Offset behind the last byte that was read.
        layout: How records tell their length.
        guess: Finds a likely record start; None walks the plain way.
        mean: Mean bytes a record, as known so far; only the speed depends on it.
    """
    records = (end - start) // max(mean, layout.header)
    lanes = min(_MAX_LANES, int((2 * records) ** 0.5))
    if guess is None or lanes < _MIN_LANES * 2:
        return _plain_walk(buffer, start, end, layout)
    entries = _entries(buffer, start, end, lanes, guess)
    if len(entries) < _MIN_LANES:
        return _plain_walk(buffer, start, end, layout)
    return _join(buffer, end, layout, _lockstep(buffer, entries, end, layout))


def _plain_walk(buffer: Buffer, start: int, end: int, layout: Layout) -> Walk:
    starts, stop = plain(buffer, start, end, end, layout)
    return Walk(np.array(starts, np.int64), stop)


def plain(buffer: Buffer, start: int, goal: int, end: int, layout: Layout) -> tuple[list[int], int]:
    """Walk record by record until ``goal`` is reached or passed, or no whole record is left.

    Returns:
        The starts, and where the walk stands; that is below ``goal`` only when the record
        there is cut or corrupt.
    """
    length_of = struct.Struct(f"{layout.order}{layout.at}xI").unpack_from
    add, header = layout.add, layout.header
    starts: list[int] = []
    append = starts.append
    at = start
    last = min(goal - 1, end - header)
    while at <= last:
        size = length_of(buffer, at)[0] + add
        after = at + size
        if after > end or size < header:
            break
        append(at)
        at = after
    return starts, at


def _entries(buffer: Buffer, start: int, end: int, lanes: int, guess: Guess) -> Ints:
    """The true start, and a guessed one for each further lane."""
    entries = [start]
    step = (end - start) // lanes
    for lane in range(1, lanes):
        low = start + lane * step
        if low <= entries[-1]:
            continue
        found = guess(buffer, low, min(low + step, end))
        if found > entries[-1]:
            entries.append(found)
    return np.array(entries, np.int64)


@record
class _Lanes:
    entries: list[int]
    starts: Ints
    """The starts found, lane after lane."""
    bounds: list[int]
    """Where each lane's starts begin in ``starts``; one more than there are lanes."""
    stands: list[int]
    """Where each lane's walk stands."""


def _lockstep(buffer: Buffer, entries: Ints, end: int, layout: Layout) -> _Lanes:
    """Walk every lane from its entry to the entry of the next one, or nearly."""
    lengths: Words = np.ndarray(
        (end - layout.at - 3,), f"{layout.order}u4", buffer, layout.at, (1,)
    )  # fmt: skip
    last = end - layout.header
    # The goal also keeps a lane off the last bytes, where no header fits any more.
    goals = np.minimum(np.append(entries[1:], end), last + 1)
    at = entries
    trail = [at]
    walking = len(entries)
    while walking * 16 > len(entries):
        # Nobody looks where a lane should have stopped: what it finds then is left out below.
        for _ in range(_CHECK_EVERY):
            size = lengths[np.minimum(at, last)] + np.int64(layout.add)
            if layout.add < layout.header:
                size[size < layout.header] = end + 1
            at = at + size
            trail.append(at)
        walking = int(np.count_nonzero(at < goals))
    history = np.array(trail)
    moved = (history[:-1] < goals) & (history[1:] <= end)
    counts = np.count_nonzero(moved, 0)
    return _Lanes(
        entries.tolist(),
        history[:-1].T[moved.T],
        [0, *np.cumsum(counts).tolist()],
        history[counts, np.arange(len(entries))].tolist(),
    )


def _join(buffer: Buffer, end: int, layout: Layout, lanes: _Lanes) -> Walk:
    """Follow the true walk through the lanes, taking over each that it enters exactly."""
    pieces: list[Ints] = []
    at = lanes.entries[0]
    for lane, entry in enumerate(lanes.entries):
        if at < entry:
            # The lane before stopped early: it was far longer than most, or is corrupt.
            rest, at = plain(buffer, at, entry, end, layout)
            pieces.append(np.array(rest, np.int64))
            if at < entry:
                break
        if at == entry:
            pieces.append(lanes.starts[lanes.bounds[lane] : lanes.bounds[lane + 1]])
            at = lanes.stands[lane]
    rest, at = plain(buffer, at, end, end, layout)
    pieces.append(np.array(rest, np.int64))
    return Walk(np.concatenate(pieces), at)
