"""The flows as they were at any moment: what was known of them, and what the rules said.

At a given moment a flow is one of three. It is over and closed: then it is as it was at the
end. It is over, but nobody closed it: its facts are those of the end, yet what is said of it
changes with time. Or more of its packets follow: then its facts come from a tracker that was
put back to that moment.
"""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from capture.decode.columns import IcmpError
from capture.facts import CaptureFacts, FlowFacts
from capture.frames import Ints
from capture.judged import JudgedFlow
from capture.judging import Catalogue, Judgement, judge
from capture.judging.cards import Card, card
from capture.replay.clock import Times
from capture.replay.giving_way import GiveWay, go_on
from capture.replay.resume import Resumed, Resumer
from capture.report.model import FlowReport

FRESH: Final = 32
"""Of so many open flows that wait, the latest, how long they have waited is told to the
moment. Of the others it is told as a live capture tells it: as of when it began to matter."""

AT_ONCE_S: Final = 0.1
"""Time after which flows of which more packets follow are left for the next look; at the same
moment that one may take twice as long, and so on."""
TWICE: Final = 4
"""So many times at most."""

BATCH: Final = 8
"""Flows that are looked at between two chances for the screen: 2 ms."""

Stamp = tuple[int, int]
"""A flow's packets and ICMP errors so far: the same stamp means the same facts."""


@dataclass(slots=True, eq=False)
class Look:
    """A flow as it was at some moment."""

    stamp: Stamp
    facts: FlowFacts
    judgement: Judgement
    """Of the flow alone."""
    judged_ns: int
    card: Card
    report: FlowReport | None = None
    """Made of it when it was shown last."""
    reported: Judgement | None = None
    """What ``report`` was made of."""

    def holds(self, now_ns: int) -> bool:
        """Whether the judgement is that of ``now_ns``, too, but for how long was waited."""
        until = self.judgement.until_ns
        return self.judged_ns <= now_ns and (until is None or now_ns < until)


class Looks:
    """Looks at the flows of a recording that are not, at a moment, as they were at the end.

    Args:
        ends: All reported flows at the end, by flow.
        errors: ICMP errors by flow, at the end.
        resumer: Knows when each flow began and ended.
        times: Of the packets.
        capture: What was known of the capture at the end.
        catalogue: Texts of the rules.
    """

    def __init__(
        self,
        ends: Mapping[int, JudgedFlow],
        errors: Mapping[int, list[IcmpError]],
        resumer: Resumer,
        times: Times,
        capture: CaptureFacts,
        catalogue: Catalogue,
    ) -> None:
        self.behind = 0
        """Flows that the last look had no time for."""
        self._ends = ends
        self._errors = errors
        self._times = times
        self._capture = capture
        self._catalogue = catalogue
        flows = len(resumer.last)
        self._last = resumer.last
        self._open = np.zeros(flows, np.bool_)
        """Flows that nobody closed."""
        self._open[[flow for flow, end in ends.items() if not end.facts.closes]] = True
        self._last_error = np.zeros(flows, np.int64)
        for flow, found in errors.items():
            self._last_error[flow] = max(error.number for error in found)
        self._now: dict[int, Look] = {}
        self._number = -1
        """Packets by the last look, and how often in a row they were the same."""
        self._again = 0
        self._waits: dict[int, list[Look]] = {}
        """Of each open flow after its last packet: a look at every moment from which another
        thing is said of it, as far as that was asked for."""

    def at(
        self,
        resumed: Resumed,
        begun: Ints,
        number: int,
        capture: CaptureFacts,
        *,
        afresh: bool,
        give_way: GiveWay = go_on,
    ) -> dict[int, Look]:
        """Look at all flows that need it.

        Args:
            resumed: The tracker as it was.
            begun: Reported flows that had begun, ascending.
            number: Packets by then.
            capture: What was known of the capture then; its ``last_ns`` is the moment.
            afresh: Tell how long was waited to the moment, where there are not too many.
            give_way: Called now and then.

        Returns:
            Looks by flow. Flows without one are as they were at the end.
        """
        before, self._now = self._now, {}
        going_on = begun[self._last[begun] > number]
        self._unfinished(before, resumed, going_on, number, capture, give_way)
        give_way()
        over = begun[self._last[begun] <= number]
        self._finished(before, over, number, capture, give_way, afresh=afresh)
        return self._now

    # -- flows of which more packets follow -------------------------------------------

    def _unfinished(
        self,
        before: dict[int, Look],
        resumed: Resumed,
        flows: Ints,
        number: int,
        capture: CaptureFacts,
        give_way: GiveWay,
    ) -> None:
        sides, now = resumed.tracker.table.sides, self._now
        packets = (sides.packets[2 * flows] + sides.packets[2 * flows + 1]).tolist()
        changed: list[tuple[int, int, Stamp]] = []
        for flow, count in zip(flows.tolist(), packets, strict=True):
            errors = [error for error in self._errors.get(flow, ()) if error.number <= number]
            if errors:
                resumed.tracker.icmp[flow] = errors
            known, stamp = before.get(flow), (count, len(errors))
            if known is None or known.stamp != stamp:
                stale = known is not None and known.stamp < stamp
                changed.append((known.judged_ns if known and stale else -1, flow, stamp))
            elif known.holds(capture.last_ns):
                now[flow] = known
            else:
                now[flow] = self._look(stamp, known.facts, capture)
        # Those that are not known at all come first, then those looked at the longest ago: while
        # the clock runs, one after the other gets its turn.
        changed.sort()
        self._again = min(self._again + 1, TWICE) if number == self._number else 0
        self._number = number
        deadline = time.monotonic() + AT_ONCE_S * 2**self._again
        self.behind = 0
        for start in range(0, len(changed), BATCH):
            deadline += give_way()
            if start and time.monotonic() > deadline:
                # What was so a moment ago may be shown a moment longer; what is not known
                # yet may not.
                for _, flow, stamp in changed[start:]:
                    self.behind += 1
                    known = before.get(flow)
                    if known is not None and known.stamp < stamp:
                        now[flow] = known
                break
            batch = changed[start : start + BATCH]
            found = resumed.tracker.facts_of([flow for _, flow, _ in batch])
            for (_, flow, stamp), facts in zip(batch, found, strict=True):
                now[flow] = self._look(stamp, facts, capture)

    def _look(self, stamp: Stamp, facts: FlowFacts, capture: CaptureFacts) -> Look:
        judgement = judge(facts, capture, self._catalogue)
        made = card(facts, judgement, capture)
        return Look(stamp, facts, judgement, capture.last_ns, made)

    # -- flows that were over ---------------------------------------------------------

    def _finished(
        self,
        before: dict[int, Look],
        over: Ints,
        number: int,
        capture: CaptureFacts,
        give_way: GiveWay,
        *,
        afresh: bool,
    ) -> None:
        now = self._now
        for flow in over[self._last_error[over] > number].tolist():
            facts = self._ends[flow].facts
            errors = tuple([error for error in facts.icmp if error.number <= number])
            known, stamp = before.get(flow), (facts.packets, len(errors))
            if known is not None and known.stamp == stamp and known.holds(capture.last_ns):
                now[flow] = known
            else:
                now[flow] = self._look(stamp, replace(facts, icmp=errors), capture)
        waiting = over[self._open[over] & (self._last_error[over] <= number)]
        if afresh:
            latest = np.argsort(self._last[waiting])[-FRESH:]
            for flow in waiting[latest].tolist():
                facts = self._ends[flow].facts
                now[flow] = self._look((facts.packets, len(facts.icmp)), facts, capture)
            waiting = np.delete(waiting, latest)
        for place, flow in enumerate(waiting.tolist()):
            if place % BATCH == 0:
                give_way()
            now[flow] = self._wait(flow, capture.last_ns)

    def _wait(self, flow: int, now_ns: int) -> Look:
        """An open flow some time after its last packet."""
        looks = self._waits.get(flow)
        if looks is None:
            last = max(int(self._last[flow]), int(self._last_error[flow]))
            looks = self._waits[flow] = [self._look_later(flow, self._times.of(last))]
        while (until := looks[-1].judgement.until_ns) is not None and until <= now_ns:
            looks.append(self._look_later(flow, max(until, looks[-1].judged_ns + 1)))
        return looks[max(0, bisect_right(looks, now_ns, key=_judged_ns) - 1)]

    def _look_later(self, flow: int, now_ns: int) -> Look:
        facts = self._ends[flow].facts
        capture = replace(self._capture, last_ns=now_ns, live=True)
        return self._look((facts.packets, len(facts.icmp)), facts, capture)

    def waits(self, flow: int) -> Iterator[Look]:
        """An open flow after its last packet, whenever another thing is said of it."""
        self._wait(flow, self._times.last_ns)
        yield from self._waits[flow]

    def prepare(self) -> Iterator[None]:
        """Look ahead at the flows that wait, one at each step."""
        for flow in np.flatnonzero(self._open).tolist():
            self._wait(flow, self._times.last_ns)
            yield


def _judged_ns(look: Look) -> int:
    return look.judged_ns
