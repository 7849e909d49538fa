from __future__ import annotations

import gc
import gzip
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from capture.demo import demo_path
from capture.frames import Source, SourceInfo
from capture.keeping.store import FileStore, FrameGone
from capture.options import AnalysisOptions
from capture.replay.engine import ReplayEngine
from capture.replay.frames import FrameReader
from capture.replay.giving_way import GiveWay, GivingWay, go_on
from capture.replay.past import Moment
from capture.replay.player import Player
from capture.snapshot import ReplayClock, Snapshot
from capture.sources import open_source
from tests.capture.replay.recordings import record
from tests.capture.tracking.building import DATA
from tests.patience import GIVE_UP_S, until

TOUR = demo_path()


@contextmanager
def running(path: Path, *, spool: bool = True) -> Iterator[ReplayEngine]:
    source = open_source(str(path), spool=spool)
    engine = ReplayEngine(source, AnalysisOptions(keep_packets=True), period_s=0.01)
    engine.start()
    try:
        until(lambda: (latest := engine.latest()) is not None and latest.finished)
        yield engine
    finally:
        engine.stop()
        assert not engine.is_alive()
        if source.store is not None:
            source.store.close()


def ready(engine: ReplayEngine) -> ReplayClock:
    """The clock once all commands are obeyed."""

    def obeyed() -> bool:
        latest = engine.latest()
        return bool(latest and latest.clock and latest.clock.asked >= engine.replay.sent)

    until(obeyed)
    snapshot = engine.latest()
    assert snapshot is not None
    assert snapshot.clock is not None
    return snapshot.clock


@pytest.mark.parametrize("name", ["pcapng", "gzip", "text"])
def test_every_kind_of_file_can_be_replayed(name: str, tmp_path: Path) -> None:
    path = TOUR
    if name == "gzip":
        path = tmp_path / "tour.gz"
        path.write_bytes(gzip.compress(TOUR.read_bytes()))
    elif name == "text":
        path = DATA / "02a_squid_acl_deny.txt"
    with running(path) as engine:
        assert ready(engine).at_end
        engine.replay.seek("#5")
        assert ready(engine).at_packet == 5
        snapshot = engine.latest()
        assert snapshot is not None
        assert len(snapshot.packets) == snapshot.report.source.packets == 5
        assert snapshot.finished


def test_it_plays_by_itself_to_the_end() -> None:
    with running(TOUR) as engine:
        ready(engine)
        engine.replay.faster(99)
        engine.replay.seek("#10")
        engine.replay.toggle()
        until(lambda: ready(engine).at_end)
        assert not ready(engine).playing


def test_many_commands_at_once_are_all_obeyed() -> None:
    with running(TOUR) as engine:
        engine.replay.seek("#20")
        for _ in range(50):
            engine.replay.step_packet(1, None)
        assert ready(engine).at_packet == 70


def test_revisions_rise(tmp_path: Path) -> None:
    with running(TOUR) as engine:
        seen: list[Snapshot] = []
        for number in (30, 10, 30):
            engine.replay.seek_packet(number)
            ready(engine)
            latest = engine.latest()
            assert latest is not None
            seen.append(latest)
        assert sorted(item.rev for item in seen) == [item.rev for item in seen]


def test_without_a_way_to_read_again_there_is_no_clock() -> None:
    with running(TOUR, spool=False) as engine:
        engine.join(GIVE_UP_S)
        snapshot = engine.latest()
        assert snapshot is not None
        assert snapshot.clock is None


def test_an_empty_capture_has_no_clock(tmp_path: Path) -> None:
    path = tmp_path / "empty.pcap"
    path.write_bytes((DATA / "06a_proxy_port_closed.pcap").read_bytes()[:24])
    with running(path) as engine:
        engine.join(GIVE_UP_S)
        snapshot = engine.latest()
        assert snapshot is not None
        assert snapshot.clock is None


def test_a_file_cut_meanwhile_is_a_note_and_no_more(tmp_path: Path) -> None:
    path = tmp_path / "tour.pcapng"
    path.write_bytes(TOUR.read_bytes())
    with running(path) as engine:
        ready(engine)
        os.truncate(path, 500)
        engine.replay.seek("#100")
        clock = ready(engine)
        assert "the capture file was" in clock.note
        assert clock.at_end


def test_a_defect_ends_the_replay_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: Player, *_: object) -> None:
        raise ZeroDivisionError("oh")

    with running(TOUR) as engine:
        ready(engine)
        monkeypatch.setattr(Player, "moment", broken)
        engine.replay.seek("#100")
        engine.join(GIVE_UP_S)
        snapshot = engine.latest()
        assert snapshot is not None
        assert snapshot.clock is not None
        assert "internal error: ZeroDivisionError" in snapshot.clock.note
        assert snapshot.report.source.packets == len(snapshot.packets)


def test_a_stream_is_not_replayed_before_its_end() -> None:
    class Endless:
        info = SourceInfo("-", "pcap")
        store = None

        def blocks(self) -> Iterator[object]:
            return iter(())

        def progress(self) -> tuple[int, int | None]:
            return 0, None

        def close(self) -> None:
            pass

    source: Source = Endless()  # type: ignore[assignment]
    engine = ReplayEngine(source, AnalysisOptions(keep_packets=True))
    engine.run()
    snapshot = engine.latest()
    assert snapshot is not None
    assert snapshot.clock is None


def test_frames_that_lie_apart_are_read_one_by_one(tmp_path: Path) -> None:
    recording = record(TOUR)
    rows = recording.past.packets.rows.copy()
    whole = TOUR.read_bytes()
    path = tmp_path / "apart"
    with path.open("wb") as file:
        for row in reversed(rows):
            data = whole[int(row["position"]) : int(row["position"]) + int(row["caplen"])]
            file.seek(100_000, os.SEEK_CUR)
            row["position"] = file.tell()
            file.write(data)
    with path.open("rb") as file:
        store = FileStore(file.fileno())
    reader = FrameReader(rows, [0, 50], store)
    blocks = list(reader.blocks(20, 80))
    assert [block.first_number for block in blocks] == [21, 51]
    for block in blocks:
        for at, (offset, size) in enumerate(zip(block.offset, block.caplen, strict=True)):
            place = int(recording.past.packets.rows["position"][block.first_number - 1 + at])
            assert block.data[offset : offset + size].tobytes() == whole[place : place + size]
    assert np.array_equal(blocks[0].time_ns, rows["time_ns"][20:50])
    store.close()
    with pytest.raises(FrameGone):
        list(reader.blocks(0, 5))


def test_what_was_read_is_no_work_for_the_garbage_collector() -> None:
    gc.unfreeze()
    with running(TOUR) as engine:
        ready(engine)
        assert gc.get_freeze_count() > 0
    assert gc.get_freeze_count() == 0


def test_while_it_plays_nothing_is_made_that_nobody_fetches(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("capture.replay.engine.UNSEEN_S", math.inf)
    with running(TOUR) as engine:
        ready(engine)
        engine.replay.faster(-2)
        engine.replay.seek("#10")
        engine.replay.toggle()

        def obeyed() -> bool:  # without a look through ``latest``, which fetches
            newest = engine._latest
            return bool(newest and newest.clock and newest.clock.asked >= engine.replay.sent)

        until(obeyed)
        before = engine._rev
        for commands in range(1, 20):
            engine.replay.skip_silences()
            until(obeyed)
            assert engine._rev == before + commands
        assert engine.latest() is not None
        until(lambda: engine._rev > before + commands)


def test_only_a_state_that_comes_by_itself_gives_way(monkeypatch: pytest.MonkeyPatch) -> None:
    ways: list[GiveWay] = []
    moment = Player.moment

    def note(player: Player, give_way: GiveWay = go_on) -> Moment:
        ways.append(give_way)
        return moment(player, give_way)

    monkeypatch.setattr(Player, "moment", note)
    with running(TOUR) as engine:
        ready(engine)
        engine.replay.seek("#10")
        ready(engine)
        assert set(ways) == {go_on}
        asked: list[bool] = []

        def keys_first() -> bool:
            asked.append(False)
            return asked[-1]

        engine.replay.keys_first = keys_first
        engine.replay.faster(-2)
        engine.replay.toggle()
        until(lambda: engine.latest() is not None and isinstance(ways[-1], GivingWay))
        until(lambda: engine.latest() is not None and len(asked) > 9)  # time and again
