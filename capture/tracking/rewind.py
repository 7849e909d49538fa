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
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from capture.frames import Ints
from capture.tracking.tracker import Tracker

_PROTOCOL: Final = 5

Values = dict[str, NDArray[Any]]


class SavedTalk(NamedTuple):
    """A conversation as it was saved last."""

    state: tuple[object, ...]
    pickled: bytes


@dataclass(slots=True)
class SavedFlows:
    """State of some flows at one moment."""

    flows: Ints
    """Their numbers (0-based), ascending."""
    own: Values
    """Columns of the flows; shape (n,)."""
    sides: Values
    """Columns of their directions; shape (2n,), both sides of a flow one after the other."""
    talks: dict[int, bytes]
    """Pickled conversations of those that have one."""
    objects: dict[int, bytes]
    """What else is known of a flow, pickled, of those that have any such."""

    @property
    def nbytes(self) -> int:
        """About how much memory it takes."""
        columns = sum(column.nbytes for column in (*self.own.values(), *self.sides.values()))
        pickles = sum(map(len, (*self.talks.values(), *self.objects.values())))
        return self.flows.nbytes + columns + pickles

    def some(self, wanted: NDArray[np.bool_]) -> SavedFlows:
        """The same of some of the flows only; ``wanted`` has shape (n,)."""
        flows, both = self.flows[wanted], np.repeat(wanted, 2)
        return SavedFlows(
            flows,
            {name: values[wanted] for name, values in self.own.items()},
            {name: values[both] for name, values in self.sides.items()},
            {flow: self.talks[flow] for flow in flows.tolist() if flow in self.talks},
            {flow: self.objects[flow] for flow in flows.tolist() if flow in self.objects},
        )


def save_flows(
    tracker: Tracker, flows: Ints, before: dict[int, SavedTalk] | None = None
) -> SavedFlows:
    """The state of some flows (ascending numbers), to be kept.

    Args:
        tracker: Knows them.
        flows: Their numbers.
        before: Conversations saved earlier on, by flow; those that nothing was said in since
            are not pickled again. Is brought up to date.
    """
    talks, objects = {}, {}
    known = before if before is not None else {}
    for flow in flows.tolist():
        talk = tracker.payload.conversations.get(flow)
        if talk is not None:
            saved = known.get(flow)
            if saved is None or saved.state != talk.state:
                saved = known[flow] = SavedTalk(talk.state, pickle.dumps(talk, _PROTOCOL))
            talks[flow] = saved.pickled
        held = _objects_of(tracker, flow)
        if any(held):
            objects[flow] = pickle.dumps(held, _PROTOCOL)
    own, sides = tracker.table.flows.save(flows), tracker.table.sides.save(_rows(flows))
    return SavedFlows(flows, own, sides, talks, objects)


def load_columns(tracker: Tracker, saved: SavedFlows) -> None:
    """Put the columns of flows into a tracker that has none of them yet."""
    tracker.table.flows.load(saved.flows, saved.own)
    tracker.table.sides.load(_rows(saved.flows), saved.sides)


def load_flows(tracker: Tracker, saved: SavedFlows) -> None:
    """Put the whole state of flows into a tracker that has none of them yet."""
    load_columns(tracker, saved)
    for flow, talk in saved.talks.items():
        tracker.payload.resume(flow, pickle.loads(talk))
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
    return (tracker.odd.syns.get(flow), *found)


def _give_objects(tracker: Tracker, flow: int, held: tuple[Any, ...]) -> None:
    syns, *found = held
    if syns is not None:
        tracker.odd.syns[flow] = syns
    each = iter(found)
    for table in _by_row(tracker):
        for row in (2 * flow, 2 * flow + 1):
            value = next(each)
            if value is not None:
                table[row] = value
