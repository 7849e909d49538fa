"""``/``: one query, looked for in the tunnels and in the packets on the screen."""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections.abc import Callable
from time import perf_counter
from typing import Final

import numpy as np
from numpy.typing import NDArray
from textual.worker import Worker

from capture.packets import EMPTY, PacketView
from tui.search import PacketSearch, next_in, search_flows
from widgets.packet_list import Describe, PacketList
from widgets.tunnel_list import TunnelList

__all__ = ["Finder"]

SLICE_S: Final = 0.008
"""Search time between two chances for the screen to draw and for keys to be heard."""
MARK_S: Final = 0.3
MARK_HITS: Final = 20_000


class Finder:
    """Holds the query and its hits, and moves the cursors to them.

    Tunnels are searched at once, packets in a task that gives way to the screen.
    """

    def __init__(
        self, tunnels: TunnelList, packets: PacketList, tell: Callable[[str, bool], None]
    ) -> None:
        """Search these two lists.

        Args:
            tunnels: List of tunnels.
            packets: List of packets; hits are marked in it.
            tell: Shows a line of text; the flag says whether the search still goes on.
        """
        self.query = ""
        """What is looked for; empty for nothing."""
        self.flows: set[int] = set()
        """Uids of the tunnels that match."""
        self._tunnels = tunnels
        self._packets = packets
        self._tell = tell
        self._view = EMPTY
        self._rows: NDArray[np.int64] | None = None
        self._describe: Describe | None = None
        self._search: PacketSearch | None = None
        self._worker: Worker[None] | None = None
        self._wanted = 0
        self._at: int | None = None

    # What is searched

    def scope(
        self, view: PacketView, rows: NDArray[np.int64] | None, describe: Describe, *, same: bool
    ) -> None:
        """Follow what the packet list shows.

        Args:
            view: The packet index.
            rows: Rows of it in the list; None for all.
            describe: Describes a row of ``view``.
            same: The rows only continue the former ones.
        """
        self._view, self._rows, self._describe = view, rows, describe
        shrunk = self._search is not None and self._search.count > self._count
        if self.query and (shrunk or not same):
            self._restart()
        elif self._search is not None:
            self._search.extend(self._count)
            self._go_on()

    def tunnels_changed(self) -> None:
        """Look through the tunnels again, after they changed."""
        if self.query:
            self.flows = search_flows(self._tunnels.order, self.query.casefold())

    def find(self, query: str) -> None:
        """Look for something else; the cursor of neither list moves yet."""
        self.query = query
        self.tunnels_changed()
        self._restart()

    def clear(self) -> None:
        """Look for nothing; unmark the hits."""
        self.query = ""
        self.flows = set()
        self._search = None
        self._wanted = 0
        self._at = None
        self._packets.set_hits(())

    # Moving

    def step(self, direction: int, *, in_packets: bool) -> None:
        """Go to the next hit (or the one before), going round at the ends.

        Args:
            direction: 1 or -1.
            in_packets: The user looks at packets; else at tunnels. Where there is no hit,
                the other list is tried.
        """
        if not self.query:
            self._tell("nothing to look for: press / first", False)
        elif self.flows and not in_packets:
            self._step_tunnels(direction)
        elif self._search is not None and (self._search.hits or not self._search.finished):
            self._step_packets(direction)
        elif self.flows:
            self._step_tunnels(direction)
        else:
            self._tell(f"{self.query}: not found", False)

    def _step_tunnels(self, direction: int) -> None:
        order = list(self._tunnels.order)
        hits = [row for row, flow in enumerate(order) if flow.uid in self.flows]
        row = next_in(hits, self._tunnels.cursor, direction)
        if row is not None:
            self._tunnels.select(order[row].uid)
            self._tell(f"{self.query}: tunnel {hits.index(row) + 1} of {len(hits)}", False)

    def _step_packets(self, direction: int) -> None:
        search = self._search
        number = self._packets.selected_number
        if search is None or number is None:
            return
        self._at = next_in(search.hits, self._row_of(number), direction)
        if self._at is None:
            self._wanted = direction  # go as soon as there is a hit
        else:
            self._packets.go_to(self._view.number(self._view_row(self._at)))
        self._tell_packets(search)

    def _tell_packets(self, search: PacketSearch) -> None:
        """Say which hit the packet list is at, and how far the search has come."""
        if self._at is not None:
            place, total = bisect_left(search.hits, self._at) + 1, len(search.hits)
            text = f"{self.query}: packet {place} of {total}"
        elif search.finished:
            text = f"{self.query}: not found"
        else:
            text = f"{self.query}: searching"
        if not search.finished:
            text += f", {search.progress:.0%} of the packets so far"
        self._tell(text, not search.finished)

    # The packets' rows

    @property
    def _count(self) -> int:
        return len(self._view) if self._rows is None else len(self._rows)

    def _view_row(self, row: int) -> int:
        return row if self._rows is None else int(self._rows[row])

    def _row_of(self, number: int) -> int:
        row = self._view.row_from(number)
        return row if self._rows is None else int(np.searchsorted(self._rows, row))

    def _text(self, row: int) -> str:
        if self._describe is None:
            return ""
        text = self._describe(self._view_row(row))
        return f"{text.proto} {text.info}"

    # The task

    def _restart(self) -> None:
        self._search = PacketSearch(self.query.casefold(), self._text)
        self._search.extend(self._count, near=self._row_of(self._packets.selected_number or 1))
        self._packets.set_hits(())
        self._at = None
        self._go_on()

    def _go_on(self) -> None:
        if self._worker is None or self._worker.is_finished:
            self._worker = self._packets.run_worker(self._work(), name="find", group="find")

    async def _work(self) -> None:
        """Search slice by slice until there is nothing left, whatever the query becomes."""
        marked = perf_counter()
        while (search := self._search) is not None and not search.finished:
            found = search.run(SLICE_S)
            if found and self._wanted:
                direction, self._wanted = self._wanted, 0
                self._step_packets(direction)
            if perf_counter() - marked > MARK_S or search.finished:
                marked = perf_counter()
                self._mark(search)
                self._tell_again(search)
            await asyncio.sleep(0)
        self._wanted = 0

    def _tell_again(self, search: PacketSearch) -> None:
        if self._wanted or self._at is not None:
            self._tell_packets(search)

    def _mark(self, search: PacketSearch) -> None:
        # While a search finds very much, marking every hit so far would cost more than it.
        if search.finished or len(search.hits) < MARK_HITS:
            rows = np.asarray(search.hits, np.int64)
            self._packets.set_hits(
                self._view.numbers_of(rows if self._rows is None else self._rows[rows])
            )
