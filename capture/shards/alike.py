"""Judges flows that are alike once.

The first flow of a form (``forms``) is judged with traced times and sizes (``traced``): what the
rules decided by them is known then. Every other flow of the form for whose times and sizes they
would have decided the same gets the same judgement, without facts of its own. Rules need not know
of this.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Generator, Hashable, Iterator, Sequence
from dataclasses import fields, is_dataclass, replace
from functools import cache
from sys import intern
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from capture.facts import CLIENT, PROXY, CaptureFacts, Direction, Endpoint, FlowFacts, Mark
from capture.frames import Ints
from capture.judging.cards import Card
from capture.protocols.events import ClientHello, Request, Response, ServerHello
from capture.report.table import TableRow
from capture.shards.forms import PACKETS_AT, SHUT_AT, SIZES, SPANNED, SPANS, SPANS_AT, Forms
from capture.shards.lots import Cards, Column, Line, Lot, Same, each
from capture.shards.said import Reader
from capture.shards.traced import Trace, Untraceable
from capture.tracking.build import FlowRows, longest_silence, longest_wait, zero_window
from capture.tracking.events import ZeroWindow
from capture.tracking.tracker import Tracker

CHUNK: Final = 8192
"""Flows whose forms are looked at at once."""
FEW: Final = 8
"""Fewer flows than this are judged one by one: that takes no longer."""
BATCH: Final = 256
"""Flows whose facts are gathered at once."""

_PLAIN: Final = frozenset({
    int, bool, float, str, bytes, type(None), Request, Response, ClientHello, ServerHello, Endpoint,
})  # fmt: skip
"""Types without packets in them: most of what facts are made of."""


@cache
def _names(kind: type) -> tuple[str, ...]:
    """The fields of a dataclass, in order; none of another type."""
    return tuple([item.name for item in fields(kind)]) if is_dataclass(kind) else ()


Judge = Callable[[FlowFacts], Line | None]
"""Judges a flow by itself; None for one that is not to a proxy."""


class Alike:
    """Judges flows.

    Args:
        tracker: Has them; what is kept of a flow is let go once it is judged.
        capture: The capture.
        judge: Judges one.
    """

    def __init__(self, tracker: Tracker, capture: CaptureFacts, judge: Judge) -> None:
        self._tracker = tracker
        self._judge = judge
        self._shared = not (capture.untimed or capture.text)
        """Whether packets differ in nothing but their place and time."""
        self._reader = Reader()
        self._known: dict[Hashable, list[_Judged]] = defaultdict(list)

    def lots(self, flows: Sequence[int]) -> Iterator[Lot]:
        """Those of the flows (ascending) that are to a proxy, each in one lot."""
        for start in range(0, len(flows), CHUNK):
            chunk = np.array(flows[start : start + CHUNK], np.int64)
            alone = np.ones(len(chunk), np.bool_)
            if self._shared and len(chunk) >= FEW:
                yield from self._together(chunk, alone)
            rest = chunk[alone].tolist()
            for at in range(0, len(rest), BATCH):
                batch = rest[at : at + BATCH]
                yield Lot.of([*filter(None, map(self._judge, self._tracker.facts_of(batch)))])
                self._tracker.release(batch)
            self._tracker.release(chunk.tolist())

    def _together(self, flows: Ints, alone: NDArray[np.bool_]) -> Iterator[Lot]:
        """Judge those of the flows that have many like them; ``alone`` is cleared for these."""
        forms = Forms(self._tracker, flows, self._reader)
        alike: dict[Hashable, list[int]] = defaultdict(list)
        for at, key in enumerate(forms.keys):
            if key is not None:
                alike[key].append(at)
        many = [key for key, places in alike.items() if len(places) >= FEW]
        firsts = [alike[key][0] for key in many if key not in self._known]
        ready = self._judged(forms, flows, firsts)
        for key, places in alike.items():
            rest = np.array(places)
            known = self._known[key] if key in self._known or len(rest) >= FEW else []
            for judged in known:
                rest = yield from self._give(judged, forms, flows, rest, alone)
            while len(rest) >= FEW:
                first = int(rest[0])
                one = ready.get(first) or self._judged(forms, flows, [first]).get(first)
                if one is None:
                    break
                known.append(one)
                rest = yield from self._give(one, forms, flows, rest, alone)

    def _judged(self, forms: Forms, flows: Ints, places: list[int]) -> dict[int, _Judged]:
        """Judge the flows at these places for all that are alike; by place, without those that
        cannot speak for others."""
        judged = {
            int(flows[at]): _Judged(self._tracker, forms, at, int(flows[at])) for at in places
        }
        try:
            facts = self._tracker.facts_of(list(judged), lambda flow, rows: judged[flow].seen(rows))
        except Untraceable:
            if len(places) < 2:
                return {}
            parts = [self._judged(forms, flows, [at]) for at in places]
            return {at: one for part in parts for at, one in part.items()}
        ready = {}
        for at, one, seen in zip(places, judged.values(), facts, strict=True):
            try:
                one.judge(self._judge, seen)
            except Untraceable:
                continue
            ready[at] = one
        return ready

    @staticmethod
    def _give(
        judged: _Judged, forms: Forms, flows: Ints, rest: Ints, alone: NDArray[np.bool_]
    ) -> Generator[Lot, None, Ints]:
        """Give a judgement to those to whom it belongs; returns the others."""
        same = judged.fits(forms, rest)
        mine = rest[same]
        alone[mine] = False
        lot = judged.lot(forms, flows, mine) if len(mine) else None
        if lot is not None:
            yield lot
        return rest[~same]


class _Judged:
    """A flow that is judged for all that are alike.

    Args:
        tracker: Has the flow.
        forms: Its form is among these.
        at: There.
        flow: Its number.
    """

    def __init__(self, tracker: Tracker, forms: Forms, at: int, flow: int) -> None:
        self._flow = flow
        self._tracker = tracker
        self._trace = Trace()
        self._line: Line | None = None
        self._host = forms.hosts[at]
        self._sized = forms.sized[at]
        self._values = forms.values[at].tolist()
        numbers = self._values[PACKETS_AT::2]
        self._places = {number: place for place, number in enumerate(numbers) if number}
        self._rows: FlowRows | None = None

    def seen(self, rows: FlowRows) -> FlowRows:
        """The flow's columns with its sizes traced."""
        self._rows = rows
        if not self._sized:
            return rows
        client, proxy = [
            side._replace(**self._given(SIZES, number * len(SIZES)))
            for number, side in enumerate(rows.sides)
        ]
        return rows._replace(sides=(client, proxy))

    def _given(self, names: Sequence[str], first: int) -> dict[str, int]:
        """Traced numbers by name, whose places begin at one."""
        values = enumerate(self._values[first : first + len(names)], first)
        return {
            name: self._trace.given(value, place)
            for name, (place, value) in zip(names, values, strict=True)
        }

    def judge(self, judge: Judge, facts: FlowFacts) -> None:
        """Judge the flow by facts that were made of what was ``seen``.

        Raises:
            Untraceable: It does not speak for others.
        """
        assert self._rows is not None
        spans = self._given(SPANS, SPANS_AT)
        for what in SPANNED:
            spans[f"{what}_ns"] -= spans[f"{what}_from_ns"]  # where it ends was given
        own = self._rows.flow._replace(**spans)
        facts = self._traced(replace(facts, longest_silence=None, longest_wait=None))
        # What follows from times is worked out again.
        self._line = judge(
            replace(
                facts,
                rtt_ns=facts.ack.time_ns - facts.syn.time_ns if facts.ack and facts.syn else None,
                longest_silence=longest_silence(own),
                longest_wait=longest_wait(own, facts.sides, facts.tunnel, facts.last),
                sides=(self._shut(facts, CLIENT), self._shut(facts, PROXY)),
            )
        )

    def _shut(self, facts: FlowFacts, side: int) -> Direction:
        """A direction with the times traced for which its window was shut."""
        window = self._tracker.odd.windows.get(2 * self._flow + side)
        if window is None:
            return facts.sides[side]
        traced = ZeroWindow(
            self._traced(window.since),
            self._trace.given(window.longest_ns, SHUT_AT + side),
            self._traced(window.longest),
        )
        return replace(facts.sides[side], **zero_window(traced, facts.last.time_ns))

    def _traced(self, value: Any) -> Any:
        """A value with the numbers and times of all packets in it traced."""
        if isinstance(value, Mark):
            place = PACKETS_AT + 2 * self._places.get(value.number, 0)
            if self._values[place : place + 2] != [*value]:
                raise Untraceable
            number, time_ns = self._trace.ranked(value.number, place), value.time_ns
            return Mark(number, self._trace.given(time_ns, place + 1))
        if isinstance(value, tuple):
            items = [item if type(item) in _PLAIN else self._traced(item) for item in value]
            return type(value)(*items) if hasattr(value, "_fields") else tuple(items)
        names = _names(value.__class__)
        if names:
            parts = [getattr(value, name) for name in names]
            return type(value)(
                *[part if type(part) in _PLAIN else self._traced(part) for part in parts]
            )
        return value

    def fits(self, forms: Forms, which: Ints) -> NDArray[np.bool_]:
        """To which flows of the form the judgement belongs."""
        return self._trace.holds(forms.values[which])

    def lot(self, forms: Forms, flows: Ints, which: Ints) -> Lot | None:
        """Flows to which the judgement belongs; None if they are not to a proxy."""
        line = self._line
        if line is None:
            return None
        asked = [forms.hosts[at] for at in which.tolist()]
        given = _Given(self._host, forms.values[which], asked)
        table, tracker = self._tracker.table.flows, self._tracker
        ends = table.client[flows[which]].tolist()
        names = {key: tracker.address_text(key) for key in {end >> 16 for end in ends}}
        clients = [tracker.endpoint_text(end) for end in ends]
        hosts = [names[end >> 16] for end in ends]
        return Lot(
            [line.judgement] * len(which),
            Cards(len(which), given.columns(line.card, client=clients, client_host=hosts)),
            given.columns(line.row, client=clients),
        )


class _Given:
    """Some flows to which the judgement of another belongs.

    Args:
        host: The host that the judged one asked for; empty: all asked for the same.
        values: What differs between the flows (see ``Forms``).
        hosts: The host that each asked for.
    """

    def __init__(self, host: str, values: Ints, hosts: list[str]) -> None:
        self._host = host
        self._values = values
        self._hosts = hosts

    def columns(self, item: Card | TableRow, **own: list[str]) -> tuple[Column, ...]:
        """The row or card of the judged flow, as the flows have it; ``own``: fields that they
        tell by themselves."""
        return tuple(
            [
                own[name] if name in own else self._column(value)
                for name, value in item._asdict().items()
            ]
        )

    def _column(self, value: Any) -> Column:
        """A value of the judged flow, as the flows have it."""
        values = Trace.values(value, self._values)
        if values is not None:
            return values
        if isinstance(value, str) and self._host and self._host in value:
            # There are few, and they are shown to others: equal ones as one object cost less.
            return [intern(value.replace(self._host, host)) for host in self._hosts]
        if isinstance(value, tuple):
            parts = [self._column(part) for part in value]
            if not all(isinstance(part, Same) for part in parts):
                count = len(self._hosts)
                return list(zip(*[each(part, count) for part in parts], strict=True))
        return Same(value)
