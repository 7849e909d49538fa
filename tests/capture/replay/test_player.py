from __future__ import annotations

from pathlib import Path

import pytest

from capture.demo import demo_path, find_demo
from capture.keeping.store import FrameGone
from capture.replay.past import Moment
from capture.replay.player import Player
from capture.timeline.telling import tellings
from tests.capture.replay.recordings import Recording, record

TOUR = demo_path()


def player(path: Path = TOUR) -> tuple[Player, Recording]:
    recording = record(path)
    analysis = recording.recorder.analysis
    assert analysis.index is not None
    end = Moment(recording.report, analysis.facts(), analysis.index.view())
    return Player(recording.past, end), recording


def test_at_the_end_the_final_state_is_shown_itself() -> None:
    made, recording = player()
    assert made.moment().report is recording.report
    made.command("seek_packet", 20)
    assert len(made.moment().packets) == 20
    made.command("seek_share", 1.0)
    assert made.moment().report is recording.report


def test_the_same_moment_is_made_once() -> None:
    made, _ = player()
    made.command("seek_packet", 20)
    moment = made.moment()
    made.command("faster", 1)
    assert made.moment() is moment


def test_what_did_not_change_is_the_same_object() -> None:
    made, recording = player()
    made.command("seek_packet", 100)
    before = {flow.uid: flow for flow in made.moment().report.flows}
    made.command("step_packet", 1, None)
    after = {flow.uid: flow for flow in made.moment().report.flows}
    moved = int(recording.past.packets.rows["flow"][100])
    assert after[moved] is not before[moved]
    closed = [uid for uid in before if recording.past.facts_at_end(uid).closes]  # type: ignore[union-attr]
    assert all(after[uid] is before[uid] for uid in closed if uid != moved)


def test_reports_that_differ_differ_in_their_revision() -> None:
    made, recording = player()
    seen: dict[tuple[int, int], object] = {}
    for number in [*range(0, recording.packets, 9), *range(recording.packets, 0, -7)]:
        made.command("seek_packet", number)
        for flow in made.moment().report.flows:
            assert seen.setdefault((flow.uid, flow.rev), flow) == flow


def test_packet_by_packet_of_all_and_of_one_tunnel() -> None:
    made, recording = player()
    made.command("seek_packet", 0)
    made.command("step_packet", 1, None)
    assert made.clock.at == 1
    made.command("step_packet", -1, None)
    made.command("step_packet", -1, None)
    assert (made.clock.at, made.state().note) == (0, "no packet before this moment")
    mine = [n + 1 for n in recording.past.packets.of_flow(3).tolist()]
    visited = []
    made.command("step_packet", 1, 3)
    while not made.state().note:
        visited.append(made.clock.at)
        made.command("step_packet", 1, 3)
    assert visited == mine
    made.command("step_packet", -1, 3)
    assert made.clock.at == mine[-2]


def test_message_by_message() -> None:
    made, recording = player()
    all_told = {
        item.number
        for flow in recording.report.flows
        for item in tellings(recording.past.facts_at_end(flow.uid))  # type: ignore[arg-type]
    }
    for uid in (None, 2):
        told = sorted(
            all_told
            if uid is None
            else {item.number for item in tellings(recording.past.facts_at_end(uid))}  # type: ignore[arg-type]
        )
        made.command("seek_packet", 0)
        made.command("step_message", 1, uid)
        visited = []
        while not made.state().note:
            visited.append(made.clock.at)
            made.command("step_message", 1, uid)
        assert visited == told
        made.command("seek_packet", recording.packets)
        made.command("step_message", -1, uid)
        back = []
        while not made.state().note:
            back.append(made.clock.at)
            made.command("step_message", -1, uid)
        assert back == [number for number in reversed(told) if number < recording.packets]


def test_problem_by_problem_each_failing_at_its_moment() -> None:
    made, recording = player()
    failing = {flow.uid for flow in recording.report.flows if flow.failing}
    made.command("seek_packet", 0)
    visited: list[int] = []
    made.command("step_problem", 1)
    while not (state := made.state()).note:
        assert state.flow is not None
        shown = {flow.uid: flow for flow in made.moment().report.flows}
        assert shown[state.flow].failing
        visited.append(state.flow)
        made.command("step_problem", 1)
    assert sorted(visited) == sorted(failing)
    made.command("seek_packet", recording.packets)
    back: list[int] = []
    made.command("step_problem", -1)
    while not (state := made.state()).note:
        assert state.flow is not None
        back.append(state.flow)
        made.command("step_problem", -1)
    assert back == visited[::-1]


def test_a_problem_of_absence_shows_when_enough_time_went_by() -> None:
    made, _ = player(find_demo("tls-stall").path)
    made.command("seek_packet", 0)
    made.command("step_problem", 1)
    at, now_ns = made.clock.at, made.clock.now_ns
    assert made.moment().report.flows[0].failing
    before = made._past.at(at, now_ns - 1) if made.clock.times.of(at) < now_ns else None
    if before is not None:
        assert not before.report.flows[0].failing


def test_playing_shows_what_a_live_capture_showed() -> None:
    made, recording = player(find_demo("proxy-unreachable").path)
    made.command("toggle")
    verdicts = []
    while made.clock.playing:
        made.clock.advance(0.5)
        flows = made.moment().report.flows
        verdicts.append(flows[0].findings[0].rule if flows and flows[0].findings else "")
    assert verdicts[0] == ""
    assert verdicts[-1] == recording.report.flows[0].findings[0].rule
    changes = [
        rule for rule, before in zip(verdicts, ["", *verdicts], strict=False) if rule != before
    ]
    assert len(changes) == len(set(changes))  # nothing comes, goes and comes again


def test_a_file_that_is_gone_leaves_the_clock_where_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    made, _ = player()
    made.command("seek_packet", 30)
    moment = made.moment()

    def gone(number: int, now_ns: int, **_: object) -> Moment:
        raise FrameGone("the capture file was cut since it was read")

    monkeypatch.setattr(made._past, "at", gone)
    made.command("seek_packet", 90)
    assert made.moment() is moment
    state = made.state()
    assert (state.at_packet, state.note) == (30, "the capture file was cut since it was read")


def test_a_text_that_leads_nowhere_says_so() -> None:
    made, recording = player()
    made.command("seek", "#30")
    made.command("seek", f"#{recording.packets + 1}")
    state = made.state()
    assert (state.at_packet, state.asked) == (30, 2)
    assert str(recording.packets) in state.note
    made.command("seek", "50%")
    assert made.state().note == ""


def test_playing_from_a_packet() -> None:
    """Also from the start, and from the end: what was played there before is over."""
    made, _ = player()
    for number in (40, 0):
        made.command("play_from", number)
        assert made.state().playing
        assert made.state().at_packet == number
        made.command("play_from", number)
        assert made.state().playing, "asking again does not pause"
