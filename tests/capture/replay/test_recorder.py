from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from capture.analysis import Analysis
from capture.decode.decoder import Decoder
from capture.demo import demo_path, find_demo
from capture.keeping.store import FrameGone
from capture.options import AnalysisOptions
from capture.replay import recorder as recording_module
from capture.replay.recorder import Recorder
from capture.tracking.payloads import Spots
from capture.tracking.tracker import Tracker
from tests.capture.replay.recordings import CATALOGUE, differences, record

TOUR = demo_path()


def test_checkpoints_are_apart_and_begin_where_blocks_do() -> None:
    recorder = record(TOUR, 25).recorder
    places = [checkpoint.packets for checkpoint in recorder.checkpoints]
    assert places[0] == 0
    assert all(0 < right - left <= 25 for left, right in itertools.pairwise(places))
    assert set(places) <= set(recorder.borders)


def test_a_flow_is_saved_once_after_a_checkpoint_and_only_if_it_goes_on() -> None:
    recorded = record(TOUR, 25)
    rows = recorded.past.packets.rows
    checkpoints = recorded.recorder.checkpoints
    ends = [*(item.packets for item in checkpoints[1:]), recorded.packets]
    assert sum(len(item.saved) for item in checkpoints)
    for checkpoint, end in zip(checkpoints, ends, strict=True):
        saved = [flow for part in checkpoint.saved for flow in part.flows.tolist()]
        assert len(saved) == len(set(saved))
        going_on = set(rows["flow"][checkpoint.packets : end].tolist()) - {0}
        assert {flow + 1 for flow in saved} == {uid for uid in going_on if uid <= checkpoint.flows}


def test_checkpoints_give_way_when_they_take_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ROOM", "ROOM_PER_PACKET", "ROOM_PER_FLOW"):
        monkeypatch.setattr(recording_module, name, 0)
    record.cache_clear()
    thin = record(TOUR, 6)
    record.cache_clear()
    monkeypatch.undo()
    assert len(thin.recorder.checkpoints) < len(record(TOUR, 6).recorder.checkpoints) / 2
    for number in range(0, thin.packets + 1, 13):
        assert not differences(thin, number)


def test_a_crowd_of_open_flows_spreads_the_checkpoints(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = len(record(TOUR, 5).recorder.checkpoints)
    monkeypatch.setattr(recording_module, "CROWD", 0)
    record.cache_clear()
    wide = record(TOUR, 5)
    record.cache_clear()
    assert len(wide.recorder.checkpoints) < usual / 2
    assert not differences(wide, wide.packets // 2)


def test_nothing_that_a_tracker_knows_of_flows_is_forgotten() -> None:
    """Whoever gives these classes another attribute has to think of ``tracking.rewind``."""
    tracker = Tracker(str)
    assert set(vars(tracker)) <= {
        # Saved by flow.
        "table", "odd", "payload",
        # Told apart by packet number, or only for healthy flows of captures without a screen.
        "icmp", "stray_icmp", "_settler", "_settling", "_now_ns",
        # Follow from the rest, or belong to one block.
        "_hosts", "address_text", "before", "flipped",
    }  # fmt: skip
    assert set(vars(tracker.payload)) <= {
        "conversations", "openings", "walker", "_flipped", "_table", "_waiting",
    }  # fmt: skip
    assert set(vars(tracker.payload.walker)) <= {"_table", "_carry", "alerts"}
    assert set(vars(tracker.payload.openings)) <= {"_chunks", "_join_at", "file", "lexicon"}
    assert set(tracker.odd.__slots__) <= {"ranges", "gaps", "windows", "resets", "syns"}
    assert set(vars(tracker.table)) <= {"count", "born", "flows", "sides", "_current", "_before"}
    decoder = Decoder()
    assert set(vars(decoder)) <= {
        "addresses", "frames", "_reasons", "_reassembler", "_now_ns", "_dns", "_icmp", "_share",
    }  # fmt: skip


def test_saved_columns_come_back_as_they_were() -> None:
    tracker = record(TOUR).recorder.analysis.tracker
    flows = np.arange(len(tracker))
    other = Tracker(str)
    other.table.resume(len(flows), len(flows))
    for mine, others, rows in (
        (tracker.table.flows, other.table.flows, flows),
        (tracker.table.sides, other.table.sides, np.arange(2 * len(flows))),
    ):
        others.load(rows, mine.save(rows))
        assert mine.take(rows) == others.take(rows)


class Cut:
    """A store whose file was cut: nothing can be read again."""

    def frame(self, position: int, caplen: int) -> bytes:
        raise FrameGone("cut")

    span = frame

    def close(self) -> None: ...


def test_what_is_kept_of_openings_stays_in_the_file() -> None:
    recorder = record(find_demo("ok-tls13").path).recorder
    chunks = recorder.analysis.tracker.payload.openings.chunks()
    assert chunks
    assert all(isinstance(chunk.payloads, Spots) for chunk in chunks)


def test_a_file_cut_while_it_is_read_costs_what_was_said_and_no_more() -> None:
    whole = record(TOUR)
    analysis = Analysis(whole.recorder.analysis.info, AnalysisOptions(keep_packets=True), CATALOGUE)
    recorder = Recorder(analysis, store=Cut())
    for block in whole.blocks:
        recorder.take(block)
    report = analysis.report()
    assert [flow.client for flow in report.flows][:1] == [whole.report.flows[0].client]
    assert sum(flow.packets for flow in report.flows) > 0


def test_blocks_that_do_not_lie_in_the_file_as_they_are_are_copied() -> None:
    whole = record(TOUR)
    analysis = Analysis(whole.recorder.analysis.info, AnalysisOptions(keep_packets=True), CATALOGUE)
    recorder = Recorder(analysis, store=Cut())
    for block in whole.blocks:
        apart = block.position + np.arange(len(block))
        recorder.take(replace(block, position=apart))
    assert analysis.report().flows == whole.report.flows
