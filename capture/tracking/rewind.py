"""Takes the state of flows out of a tracker, and puts it into another one.

For the replay: a tracker that was at packet 1,000,000 is asked what it knew at packet
300,000. While the capture is read, the state of the flows that go on is saved from time to
time (``save_flows``); later a fresh tracker gets the state of those that matter
(``load_flows``) and is fed a few thousand packets.

What is known of a flow lies in columns, and, of the few flows that need it, in objects. These
are pickled: a copy that shares nothing with what the tracker goes on changing, made at a
tenth of the cost of ``copy.deepcopy``, and small.
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from capture.frames import Ints
from capture.tracking.tracker import Tracker

_PROTOCOL: Final = 5

Values = dict[str, NDArray[Any]]


@dataclass(slots=True)
class SavedFlows:
    """State of some flows at one moment."""

    flows: Ints
    """Their numbers (0-based), ascending."""
    own: Values
    """Columns of the flows; shape (n,)."""
    sides: Values
    """Columns of their directions; shape (2n,), both sides of a flow one after the other."""
    objects: dict[int, bytes]
    """What else is known of a flow, of those that have any such."""

    @property
    def nbytes(self) -> int:
        """About how much memory it takes."""
        columns = sum(column.nbytes for column in (*self.own.values(), *self.sides.values()))
        return self.flows.nbytes + columns + sum(map(len, self.objects.values()))

    def some(self, wanted: NDArray[np.bool_]) -> SavedFlows:
        """The same of some of the flows only; ``wanted`` has shape (n,)."""
        flows, both = self.flows[wanted], np.repeat(wanted, 2)
        return SavedFlows(
            flows,
            {name: values[wanted] for name, values in self.own.items()},
            {name: values[both] for name, values in self.sides.items()},
            {flow: self.objects[flow] for flow in flows.tolist() if flow in self.objects},
        )


def save_flows(tracker: Tracker, flows: Ints) -> SavedFlows:
    """The state of some flows (ascending numbers), to be kept."""
    objects = {}
    for flow in flows.tolist():
        held = _objects_of(tracker, flow)
        if any(held):
            objects[flow] = pickle.dumps(held, _PROTOCOL)
    return SavedFlows(
        flows, tracker.table.flows.save(flows), tracker.table.sides.save(_rows(flows)), objects
    )


def load_columns(tracker: Tracker, saved: SavedFlows) -> None:
    """Put the columns of flows into a tracker that has none of them yet."""
    tracker.table.flows.load(saved.flows, saved.own)
    tracker.table.sides.load(_rows(saved.flows), saved.sides)


def load_flows(tracker: Tracker, saved: SavedFlows) -> None:
    """Put the whole state of flows into a tracker that has none of them yet."""
    load_columns(tracker, saved)
    for flow, held in saved.objects.items():
        _give_objects(tracker, flow, pickle.loads(held))


def _rows(flows: Ints) -> Ints:
    """Rows of both sides of some flows."""
    rows: Ints = (2 * flows[:, None] + np.arange(2)).ravel()
    return rows


def _by_row(tracker: Tracker) -> tuple[dict[int, Any], ...]:
    """What is kept in dictionaries by direction."""
    odd, walker = tracker.odd, tracker.payload.walker
    return (odd.ranges, odd.gaps, odd.windows, odd.resets, walker.carry, walker.alerts)


def _objects_of(tracker: Tracker, flow: int) -> tuple[Any, ...]:
    found = [table.get(row) for table in _by_row(tracker) for row in (2 * flow, 2 * flow + 1)]
    return (tracker.payload.conversations.get(flow), tracker.odd.syns.get(flow), *found)


def _give_objects(tracker: Tracker, flow: int, held: tuple[Any, ...]) -> None:
    talk, syns, *found = held
    if talk is not None:
        tracker.payload.resume(flow, talk)
    if syns is not None:
        tracker.odd.syns[flow] = syns
    each = iter(found)
    for table in _by_row(tracker):
        for row in (2 * flow, 2 * flow + 1):
            value = next(each)
            if value is not None:
                table[row] = value
