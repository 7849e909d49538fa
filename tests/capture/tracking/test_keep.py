"""Flows let go of take everything known of them along, and nothing of the others."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capture.decode import Decoder
from capture.tracking.tracker import Tracker
from tests.capture.decode.building import Frame, block_of
from tests.capture.tracking.building import captures, frames_in, story
from tests.capture.tracking.scenarios import SCENARIOS


class Feed:
    """A tracker that is fed frame by frame."""

    def __init__(self) -> None:
        self.decoder = Decoder()
        self.tracker = Tracker(self.decoder.addresses.text, settle=False)

    def add(self, frames: list[Frame], first: int) -> None:
        self.tracker.add(self.decoder.decode(block_of(frames, first_number=first)))

    def facts(self) -> dict[int, Any]:
        flows = range(len(self.tracker))
        return {facts.id: facts for facts in self.tracker.facts_of(flows)}


def mixed(names: list[int]) -> list[Frame]:
    """Several scenarios, each from a port of its own, at the same time."""
    frames = []
    for number, name in enumerate(names):
        scenario = SCENARIOS[name]
        frames += story(scenario.text, port=41000 + number).frames
    return sorted(frames, key=lambda frame: frame.time_ns)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, len(SCENARIOS) - 1), min_size=2, max_size=6),
    st.data(),
)
def test_who_stays_is_known_as_if_nobody_had_gone(names: list[int], data: st.DataObject) -> None:
    frames = mixed(names)
    cut = data.draw(st.integers(1, len(frames)))
    whole, some = Feed(), Feed()
    for feed in (whole, some):
        feed.add(frames[:cut], 1)
    count = len(some.tracker)
    stays = sorted(data.draw(st.sets(st.integers(0, count - 1))))
    number = some.tracker.keep(np.array(stays, np.int64))
    assert [int(number[flow]) for flow in stays] == list(range(len(stays)))
    assert (number >= 0).sum() == len(some.tracker) == len(stays)
    if cut < len(frames):
        for feed in (whole, some):
            feed.add(frames[cut:], cut + 1)
    expected = whole.facts()
    found = some.facts()
    for flow in stays:
        assert found[flow + 1] == expected[flow + 1]
    assert not {flow + 1 for flow in range(count) if flow not in stays} & found.keys()


@pytest.mark.parametrize("path", captures()[::5], ids=lambda path: path.name)
def test_of_what_went_nothing_is_left(path: Any) -> None:
    feed = Feed()
    feed.add(frames_in(path), 1)
    tracker = feed.tracker
    tracker.keep(np.zeros(0, np.int64))
    assert len(tracker) == 0
    odd, payload = tracker.odd, tracker.payload
    for left in (
        odd.ranges, odd.gaps, odd.windows, odd.resets, odd.syns, tracker.icmp,
        payload.conversations, payload.walker.alerts, payload.openings.chunks(),
    ):  # fmt: skip
        assert not left
