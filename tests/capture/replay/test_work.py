"""How much is done for a moment: what makes seeking quick on any machine."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from capture.frames import FrameBlock
from capture.judging import Judgement, judge
from capture.replay.frames import FrameReader
from tests.capture.replay.recordings import Recording, record
from tests.capture.replay.test_past import TOUR

APART = 25
"""Packets from one checkpoint to the next."""


@pytest.fixture
def recording() -> Recording:
    return record(TOUR, APART)


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Flows in the order in which they were judged."""
    flows: list[int] = []

    def counted(facts: Any, *arguments: Any) -> Judgement:
        flows.append(facts.id)
        return judge(facts, *arguments)

    monkeypatch.setattr("capture.replay.looks.judge", counted)
    return flows


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Numbers of frames that were read again."""
    frames: list[int] = []
    blocks = FrameReader.blocks

    def counted(self: FrameReader, after: int, last: int) -> Iterator[FrameBlock]:
        for block in blocks(self, after, last):
            frames.extend(range(block.first_number, block.first_number + len(block)))
            yield block

    monkeypatch.setattr(FrameReader, "blocks", counted)
    return frames


def test_no_more_is_read_than_lies_behind_a_checkpoint(
    recording: Recording, read: list[int]
) -> None:
    rests = recording.past.rests
    for number in range(0, recording.packets + 1, 7):
        read.clear()
        recording.past.at(number, recording.past.times.of(number))
        before = max(rest for rest in rests if rest <= number)
        assert read == list(range(before + 1, number + 1))
        assert len(read) <= APART


def test_where_playing_at_full_speed_rests_nothing_is_read(
    recording: Recording, read: list[int]
) -> None:
    for number in recording.past.rests:
        recording.past.at(number, recording.past.times.of(number))
    assert read == []


def test_a_step_judges_the_flow_of_its_packet_and_those_that_wait(
    recording: Recording, judged: list[int]
) -> None:
    past = recording.past
    for _ in past.prepare():
        pass
    uids = past.packets.rows["flow"]
    last = {int(uid): number for number, uid in enumerate(uids.tolist(), 1)}
    open_ = {flow.uid for flow in recording.report.flows if not flow.closes}
    past.at(20, past.times.of(20))
    for number in range(21, recording.packets):
        judged.clear()
        past.at(number, past.times.of(number), afresh=False)
        going_on = {uid for uid in judged if last[uid] > number} - {int(uids[number - 1])}
        assert set(judged) - going_on <= {int(uids[number - 1])} | open_
        # Of those that go on, only such as say another thing because time went by.
        assert len(going_on) <= 3


def test_a_moment_that_is_asked_for_again_judges_nothing(
    recording: Recording, judged: list[int]
) -> None:
    past = recording.past
    for number in (recording.packets // 3, recording.packets // 2):
        now_ns = past.times.of(number)
        first = past.at(number, now_ns, afresh=False)
        judged.clear()
        again = past.at(number, now_ns, afresh=False)
        assert judged == []
        assert all(
            one is two for one, two in zip(first.report.flows, again.report.flows, strict=True)
        )


def test_what_was_over_is_shown_by_the_objects_of_the_end(recording: Recording) -> None:
    past = recording.past
    number = recording.packets * 2 // 3
    moment = past.at(number, past.times.of(number))
    same = {id(flow) for flow in past.end.flows}
    unchanged = sum(id(flow) in same for flow in moment.report.flows)
    assert unchanged >= len(moment.report.flows) // 2


def test_flows_for_which_there_is_no_time_get_their_turn_while_it_plays(
    recording: Recording, judged: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("capture.replay.looks.AT_ONCE_S", -1)
    monkeypatch.setattr("capture.replay.looks.BATCH", 1)
    past = recording.past
    past.at(0, past.times.first_ns)
    number = max(range(recording.packets), key=lambda at: going_on(recording, at))
    assert going_on(recording, number) > 2
    past.at(number, past.times.of(number), afresh=False)
    shown = set(judged)
    for at in range(number + 1, recording.packets):
        judged.clear()
        past.at(at, past.times.of(at), afresh=False)
        new = set(judged) - shown
        waiting = past._looks.behind
        shown |= new
        if not waiting:
            break
        assert new, "the same flows again, and others not at all"


def going_on(recording: Recording, number: int) -> int:
    """Reported flows that had begun by a packet and go on after it."""
    uids = recording.past.packets.rows["flow"]
    listed = {flow.uid for flow in recording.report.flows}
    return len(set(uids[:number].tolist()) & set(uids[number:].tolist()) & listed)
