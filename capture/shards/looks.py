"""The first look at a capture, shared by the workers.

Every frame is looked at by one worker only: in turn they find the records of a window, read
their headers, and show each other those of the other's flows. Whose turn it is must know where
its window begins, which the one before tells as soon as it has found its records. So that nobody
waits for long, each looks at its next window before it tracks what the others saw in theirs.

Frames that are not plain are shown to all: what they say (names, fragments, errors) is everybody's.
From a window on that holds more than packets, or what cannot be shown, each reads by itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

from capture.decode.heads import Look, look_at
from capture.decode.share import Share
from capture.frames import FrameBlock
from capture.shards.exchange import NoRoom, Peers
from capture.shards.shown import Shown, seen, show
from capture.sources.recorded import RecordedSource, Spot


class _Left(NamedTuple):
    """A window that is not shown: from there on each worker reads by itself."""

    spot: Spot | None
    """Where it begins; None: our source stands behind it."""
    block: FrameBlock | None = None
    """Its frames then, if there are any."""


def looks(source: RecordedSource, share: Share | None, peers: Peers) -> Iterator[Look]:
    """What there is to see in a file for one of several workers, all of which ask.

    Args:
        source: The file, mapped; nothing was read of it yet.
        share: The worker's.
        peers: The other workers.

    Raises:
        Lost: One of them is gone.
    """
    # All must know what the file says of itself in front of the packets.
    block, _ = source.look()
    if block is not None:
        yield look_at(block, share)
        del block
        yield from _Turns(source, share, peers)
    peers.part()
    for block in source.blocks():
        yield look_at(block, share)
        del block


class _Turns:
    """The windows at which the workers look in turn.

    Window ``i`` is that of worker ``i % count``. Before a worker takes window ``i`` it looks at its
    own one up to ``i + count - 1``, so it has taken all up to ``j - count`` when it tells where
    window ``j + 1`` begins. Who hears that of window ``j`` knows by the ones that told each other
    before that all have taken those up to ``j - 2 * count``: what it showed two turns ago.
    """

    def __init__(self, source: RecordedSource, share: Share | None, peers: Peers) -> None:
        self._source = source
        self._share = share
        self._peers = peers
        self._own: dict[int, Shown | _Left] = {}
        """What came of the windows at which we looked."""

    def __iter__(self) -> Iterator[Look]:
        peers, number = self._peers, 0
        self._look(peers.index)
        while isinstance(found := self._found(number), Shown):
            data = self._source.mapped_bytes(found.base, found.end)
            slot = peers.slot(number % peers.count, number // peers.count)
            yield seen(found, slot, peers.index, data)
            del data
            number += 1
            ahead = number + peers.count - 1
            if ahead % peers.count == peers.index:
                self._look(ahead)
        if found.spot is not None:
            self._source.go_to(found.spot)
        elif found.block is not None:
            yield look_at(found.block, self._share)

    def _found(self, number: int) -> Shown | _Left:
        """What came of a window, at which we looked or somebody else."""
        owner = number % self._peers.count
        if owner == self._peers.index:
            return self._own.pop(number)
        found: Shown | _Left = self._peers.hear(owner)
        return found

    def _look(self, number: int) -> None:
        """Look at a window of ours and show it."""
        source, peers = self._source, self._peers
        following = (number + 1) % peers.count
        if number:
            spot = peers.hear((number - 1) % peers.count)
            if spot is None:
                peers.tell(following, None)
                return
            source.go_to(spot)
        spot = source.spot
        block, steady = source.look()
        peers.tell(following, source.spot if steady else None)
        found: Shown | _Left = _Left(spot)
        if steady and block is not None:
            slot = peers.slot(peers.index, number // peers.count)
            with suppress(NoRoom):
                found = show(look_at(block), slot, peers.count)
        for other in peers.others:
            peers.tell(other, found)
        self._own[number] = found if steady else _Left(None, block)
