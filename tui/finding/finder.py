"""``/``: one query, looked for in the tunnels and in the packets on the screen."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from time import perf_counter
from typing import Final

import numpy as np
from numpy.typing import NDArray
from textual.worker import Worker

from capture.facts import FlowFacts
from capture.packets.index import EMPTY, PacketView
from capture.packets.searching import TextIndex
from capture.report.model import FlowReport
from tui.finding.search import PacketSearch, TunnelSearch, next_in
from widgets.packet_list import PacketList
from widgets.tunnel_list import TunnelList

__all__ = ["Finder"]

AT_ONCE_S: Final = 0.01
"""Search time before the query's first answer, in tunnels and in packets: enough for all but large
captures."""
SLICE_S: Final = 0.006
"""Search time between two chances for the screen to draw and for keys to be heard, ..."""
REST_S: Final = 0.003
"""... and how long each of them is: a key goes through the hands of several widgets, and with one
turn of the loop at a time every one of them would wait for a slice."""
MARK_S: Final = 0.3
"""How often hits are marked and counted anew while the search goes on."""


class Finder:
    """Holds the query and its hits, and moves the cursors to them.

    What takes long is done in a task that gives way to the screen.
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
        self._tunnels = tunnels
        self._packets = packets
        self._tell = tell
        self._index = TextIndex()
        self._view = EMPTY
        self._rows: NDArray[np.int64] | None = None
        self._facts: Mapping[int, FlowFacts] = {}
        self._flow_search = TunnelSearch("", self._index)
        self._search = PacketSearch("", self._index)
        self._worker: Worker[None] | None = None
        self._wanted: tuple[int, bool] | None = None
        """Step that waits for a hit, and in which list."""
        self._at: int | None = None
        self._counting: tuple[FlowReport | None, str] | None = None
        """The tunnel whose place was said before all had been looked at, and whether the search
        went round to it."""
        self._round = ""
        self._anchor: tuple[int | None, int | None, bool] = (None, None, False)
        """Where typing began: tunnel, packet, and whether packets were looked at."""
        self._before = ""
        self._typed = False

    @property
    def flows(self) -> set[int]:
        """Uids of the tunnels that match, as far as they have been looked at."""
        return self._flow_search.hits

    # What is searched

    def scope(
        self,
        view: PacketView,
        rows: NDArray[np.int64] | None,
        facts: Mapping[int, FlowFacts],
        *,
        same: bool,
    ) -> None:
        """Follow what the packet list shows.

        Args:
            view: The packet index.
            rows: Rows of it in the list; None for all.
            facts: Of the flows, by uid.
            same: The rows only continue the former ones.
        """
        moved = (view.numbers is None) != (self._view.numbers is None)
        moved = moved or (view.numbers is not None and len(view) < len(self._view))
        self._view, self._rows, self._facts = view, rows, facts
        if not self.query:
            return
        if not same or moved or self._search.count > self._count:
            self._restart_packets()
        else:
            self._search.extend(view, rows, facts)
        self._go_on()

    def name_hosts(self, names: Mapping[str, str]) -> None:
        """Let tunnels be found by these names of hosts, by address."""
        self._index.names = names

    def tunnels_changed(self) -> None:
        """Look through the tunnels that changed."""
        if self.query:
            self._flow_search.extend(self._tunnels.order, self._facts)
            self._go_on()

    def find(self, query: str) -> None:
        """Look for something else; the cursor of neither list moves yet."""
        if query == self.query:
            return
        self.query = query
        self._wanted = self._counting = None
        if not query:
            self.clear()
            return
        self._flow_search = TunnelSearch(query.casefold(), self._index)
        self._flow_search.extend(self._tunnels.order, self._facts)
        self._flow_search.run(AT_ONCE_S)
        self._restart_packets()
        self._search.run(AT_ONCE_S)
        self._mark()
        self._go_on()

    def clear(self) -> None:
        """Look for nothing; unmark the hits."""
        self.query = ""
        self._flow_search = TunnelSearch("", self._index)
        self._search = PacketSearch("", self._index)
        self._wanted = self._counting = None
        self._at = None
        self._packets.set_hits(())

    # Typing

    def begin(self, *, in_packets: bool) -> None:
        """A query is about to be typed.

        Args:
            in_packets: The user looks at packets; else at tunnels.
        """
        flow = self._tunnels.selected
        number = self._packets.selected_number
        self._anchor = (None if flow is None else flow.uid, number, in_packets)
        self._before, self._typed = self.query, False

    def typed(self, query: str) -> None:
        """Go to the first hit from where typing began."""
        self._typed = True
        self._return()
        self.find(query)
        if query:
            self.step(0, in_packets=self._anchor[2])

    def settle(self, query: str) -> None:
        """The query is typed: stay at its hit, or go to the next one of the same as before."""
        step = 0 if self._typed and query == self.query else 1
        self.find(query)
        self.step(step, in_packets=self._anchor[2])

    def give_up(self) -> None:
        """Go back to where typing began, and to what was looked for then."""
        if self._typed:
            self._return()
            self.find(self._before)

    def _return(self) -> None:
        uid, number, in_packets = self._anchor
        selected = self._tunnels.selected
        if in_packets and number is not None:
            self._packets.go_to(number)
        elif uid is not None and selected is not None and selected.uid != uid:
            self._tunnels.select(uid)

    # Moving

    def step(self, direction: int, *, in_packets: bool) -> None:
        """Go to the next hit (or the one before), going round at the ends.

        Args:
            direction: 1 or -1; 0: the next one, unless the cursor is at one.
            in_packets: The user looks at packets; else at tunnels. Where there is no hit,
                the other list is tried.
        """
        self._wanted = self._counting = None
        if not self.query:
            self._tell("nothing to look for yet", False)
            return
        packets = len(self._search.hits) > 0
        if in_packets and packets:
            self._step_packets(direction)
        elif self.flows and (not in_packets or self._search.finished):
            self._step_tunnels(direction)
        elif not (self._flow_search.finished and self._search.finished):
            self._wanted = (direction, in_packets)
            self._tell(f"{self.query}: searching, {self._progress()}", True)
        elif packets:
            self._step_packets(direction)
        else:
            self._tell(f"{self.query}: not found", False)

    def _step_tunnels(self, direction: int) -> None:
        uids, found = self._tunnels.uids, self.flows
        hits = np.fromiter((row for row, uid in enumerate(uids) if uid in found), np.int64)
        row, round_ = next_in(hits, self._tunnels.cursor, direction)
        if row is None:
            self._tell(f"{self.query}: not in the tunnels shown", False)
            return
        self._tunnels.select(uids[row])
        self._tell_tunnels(hits, row, _rounded(round_, direction))

    def _tell_tunnels(self, hits: NDArray[np.int64], row: int, round_: str) -> None:
        """Say which hit the tunnel list is at; once more when all have been looked at."""
        place = int(np.searchsorted(hits, row)) + 1
        finished = self._flow_search.finished
        self._counting = None if finished else (self._tunnels.selected, round_)
        so_far = "" if finished else " so far"
        self._tell(f"{self.query}: tunnel {place} of {len(hits)}{so_far}{round_}", not finished)

    def _count_tunnels(self) -> None:
        """Say how many hits there are, if that was not known when it was said where the list is."""
        counting, self._counting = self._counting, None
        if counting is None or counting[0] is None:
            return
        uid = counting[0].uid
        uids = [uid for uid in self._tunnels.uids if uid in self.flows]
        if uid in uids:
            place = f"{uids.index(uid) + 1} of {len(uids)}"
            self._tell(f"{self.query}: tunnel {place}{counting[1]}", False)

    def _step_packets(self, direction: int) -> None:
        number = self._packets.selected_number
        if number is None:
            return
        row, round_ = next_in(self._search.hits, self._row_of(number), direction)
        if row is not None:
            self._at, self._round = row, _rounded(round_, direction)
            self._packets.go_to(self._number(row))
        self._tell_packets()

    def _tell_packets(self) -> None:
        """Say which hit the packet list is at, and how far the search has come."""
        if self._at is None:
            return
        hits = self._search.hits
        place = int(np.searchsorted(hits, self._at)) + 1
        text = f"{self.query}: packet {place} of {len(hits)}{self._round}"
        if not self._search.finished:
            text += f", {self._progress()}"
        self._tell(text, not self._search.finished)

    def _progress(self) -> str:
        return f"{self._search.progress:.0%} of the packets so far"

    # The packets' rows

    @property
    def _count(self) -> int:
        return len(self._view) if self._rows is None else len(self._rows)

    def _number(self, row: int) -> int:
        return self._view.number(row if self._rows is None else int(self._rows[row]))

    def _row_of(self, number: int) -> int:
        row = self._view.row_from(number)
        return row if self._rows is None else int(np.searchsorted(self._rows, row))

    # The task

    def _restart_packets(self) -> None:
        self._search = PacketSearch(self.query.casefold(), self._index)
        self._search.extend(self._view, self._rows, self._facts)
        self._packets.set_hits(())
        self._at = None

    def _go_on(self) -> None:
        if self._flow_search.finished and self._search.finished:
            self._mark()
        elif self._worker is None or self._worker.is_finished:
            self._worker = self._packets.run_worker(self._work(), name="find", group="find")

    async def _work(self) -> None:
        """Search slice by slice until there is nothing left, whatever the query becomes."""
        marked = perf_counter()
        while not (self._flow_search.finished and self._search.finished):
            if not self._flow_search.finished:
                self._flow_search.run(SLICE_S)
            else:
                self._count_tunnels()
                self._search.run(SLICE_S)
            if self._wanted is not None:
                self._try_again()
            if perf_counter() - marked > MARK_S:
                marked = perf_counter()
                self._mark()
            await asyncio.sleep(REST_S)
        if self._wanted is not None:
            self._try_again()
        self._mark()
        self._count_tunnels()
        self._tell_packets()

    def _try_again(self) -> None:
        """Take the step that was asked for, if there is a hit by now."""
        wanted = self._wanted
        if wanted is not None:
            ended = self._flow_search.finished and self._search.finished
            if ended or self.flows or self._search.hits.size:
                self.step(wanted[0], in_packets=wanted[1])

    def _mark(self) -> None:
        hits = self._search.hits
        rows = hits if self._rows is None else self._rows[hits]
        self._packets.set_hits(self._view.numbers_of(rows))


def _rounded(round_: bool, direction: int) -> str:
    if not round_:
        return ""
    return ", from the top again" if direction >= 0 else ", from the end again"
