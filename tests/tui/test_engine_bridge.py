from __future__ import annotations

import threading

import pytest

from capture.packets.index import EMPTY
from capture.snapshot import Snapshot
from tests.tui.fakes import FakeEngine, FakeStore, capture, started
from tests.widgets.build import flow, report
from tui.engine_bridge import EngineBridge
from tui.names.naming import Naming
from tui.names.resolver import Resolver


def snapshot(rev: int, **changes: object) -> Snapshot:
    return Snapshot(rev, report(), {}, **changes)  # type: ignore[arg-type]


def test_each_snapshot_is_given_once() -> None:
    engine = FakeEngine(snapshot(1), snapshot(2))
    bridge = EngineBridge(lambda: engine)
    assert bridge.poll() is None  # not started yet
    bridge.start()
    assert bridge.poll() is engine.snapshots[0]
    assert bridge.poll() is None
    engine.advance()
    assert bridge.poll() is engine.snapshots[0]
    assert started(FakeEngine()).poll() is None


def test_progress_between_snapshots() -> None:
    engine = FakeEngine(snapshot(1, bytes_done=10, bytes_total=100), snapshot(2, finished=True))
    bridge = EngineBridge(lambda: engine, lambda: (60, 100))
    bridge.start()
    assert bridge.reading() is None
    bridge.poll()
    reading = bridge.reading()
    assert reading is not None
    assert (reading.rev, reading.bytes_done, reading.bytes_total) == (1, 60, 100)
    engine.advance()
    bridge.poll()
    assert [bridge.reading()] == [None]


def test_failure_of_a_finished_analysis_is_none() -> None:
    engine = FakeEngine(snapshot(1, finished=True))
    bridge = EngineBridge(lambda: engine)
    bridge.start()
    bridge.poll()
    engine.alive = False
    assert bridge.failure is None


def test_failure_is_what_the_source_said() -> None:
    bridge = started(FakeEngine(snapshot(1, error="is a PNG image", finished=True)))
    bridge.poll()
    assert bridge.failure == "is a PNG image"


def test_failure_of_a_thread_that_died() -> None:
    engine = FakeEngine(snapshot(1))
    bridge = EngineBridge(lambda: engine)
    assert [bridge.failure] == [None]  # not started yet
    bridge.start()
    assert [bridge.failure] == [None]
    error = ZeroDivisionError("by\nzero")
    bridge.thread_died(threading.ExceptHookArgs((type(error), error, None, None)))
    engine.alive = False
    assert bridge.failure is not None
    assert "stopped before the end" in bridge.failure
    assert "ZeroDivisionError" in bridge.failure


def test_stop_before_start_and_twice() -> None:
    engine = FakeEngine()
    bridge = EngineBridge(lambda: engine)
    bridge.stop()
    assert engine.calls == []
    bridge.start()
    bridge.stop()
    bridge.stop()
    assert engine.calls.count("start") == 1


def test_engine_is_made_when_it_is_started_and_not_before() -> None:
    made: list[FakeEngine] = []

    def make() -> FakeEngine:
        made.append(FakeEngine())
        return made[-1]

    bridge = EngineBridge(make)
    assert bridge.failure is None
    assert not made
    bridge.start()
    assert len(made) == 1
    assert made[0].calls == ["start"]


def test_frames() -> None:
    full, store = capture()
    bridge = started(FakeEngine(full, store=store))
    assert bridge.frame(full.packets, 5) == store.frames[4]
    with pytest.raises(LookupError, match="no packet"):
        bridge.frame(full.packets, len(full.packets) + 1)
    with pytest.raises(LookupError, match="no packet"):
        bridge.frame(EMPTY, 1)
    with pytest.raises(LookupError, match="replaced"):
        started(FakeEngine(full, store=FakeStore([]))).frame(full.packets, 1)
    with pytest.raises(LookupError, match="not kept"):
        started(FakeEngine(full)).frame(full.packets, 1)


def test_a_snapshot_comes_again_when_a_name_became_known() -> None:
    answer = threading.Event()

    def late(host: str) -> str:
        answer.wait(20.0)
        return "proxy.lab" if host == "10.10.10.1" else ""

    resolver = Resolver(late)
    engine = FakeEngine(Snapshot(1, report(flow()), {}, finished=True))
    bridge = EngineBridge(lambda: engine, naming=Naming(resolver))
    bridge.start()
    first = bridge.poll()
    assert first is not None
    assert not first.report.names
    assert bridge.poll() is None
    answer.set()
    assert resolver.wait(20.0)
    again = bridge.poll()
    assert again is not None
    assert again.report.names == {"10.10.10.1": "proxy.lab"}
    assert again.report.flows == first.report.flows
    assert bridge.poll() is None
    assert bridge.last() is again
