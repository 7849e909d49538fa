"""Several processes say of a capture what one says."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from capture.decode.heads import Look
from capture.judging import Catalogue
from capture.options import AnalysisOptions
from capture.shards import alike, finished, part
from capture.shards.divide import divide
from capture.shards.finished import Finished
from capture.shards.forking import end
from capture.shards.part import Part
from capture.sources import open_source, windows
from capture.tracking import tracker
from tests.capture.shards.building import OPTIONS, agree, everything_as_pcap, several
from tests.capture.tracking.building import DATA, binary, captures

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="divided on Linux only")

TEXTS = sorted(path for path in (DATA.parent / "text").iterdir() if path.is_file())


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All Ethernet captures one after the other, three times over with other clients."""
    path = tmp_path_factory.mktemp("divided") / "everything.pcap"
    path.write_bytes(everything_as_pcap())
    return path


@pytest.fixture(autouse=True)
def _judge_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Judge flows that are alike once, however few there are."""
    monkeypatch.setattr(alike, "FEW", 1)


@pytest.fixture
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settle flows early, let them go soon, and read in small windows."""
    monkeypatch.setattr(tracker, "MANY_FLOWS", 0)
    monkeypatch.setattr(part, "MANY_FLOWS", 0)
    monkeypatch.setattr(finished, "AT_ONCE", 1)
    monkeypatch.setattr(windows, "BLOCK", 20_000)
    monkeypatch.setattr(windows, "MAPPED", 20_000)
    monkeypatch.setattr(windows, "RECORDS", 1)


@pytest.mark.parametrize("count", [2, 3])
def test_all_captures_as_one(everything: Path, count: int) -> None:
    report = agree(everything, count)
    assert report.table is not None
    assert len(report.table.lines) > 150


@pytest.mark.usefixtures("_small")
@pytest.mark.parametrize("count", [1, 2])
def test_flows_that_are_let_go_leave_their_line(
    everything: Path, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone: list[int] = []
    take = Finished.take

    def note(held: Finished, seen: tracker.Tracker, now_ns: int, *, timed: bool) -> None:
        before = held.count
        take(held, seen, now_ns, timed=timed)
        gone.append(held.count - before)

    monkeypatch.setattr(Finished, "take", note)
    agree(everything, count)
    if count == 1:
        assert sum(gone) > 1


@pytest.mark.parametrize("path", binary(captures()[0].parent)[::3], ids=lambda path: path.stem)
def test_a_single_capture(path: Path) -> None:
    agree(path, 2)


@pytest.mark.parametrize("path", [*captures(), *TEXTS], ids=lambda path: path.stem)
def test_one_process_makes_the_same_table(path: Path) -> None:
    agree(path, 1)


def test_known_proxies_reach_all(everything: Path) -> None:
    options = AnalysisOptions(
        proxies=(("10.10.10.1", None), ("10.10.10.1", 80)), keep_steps=False, keep_texts=False
    )
    agree(everything, 2, options)


def test_progress_is_told(everything: Path) -> None:
    told: list[tuple[int, int | None]] = []
    source = open_source(str(everything))
    divide(source, OPTIONS, Catalogue.load(), 2, lambda done, total: told.append((done, total)))
    source.close()
    assert told
    assert told[-1][1] == everything.stat().st_size
    assert 0 < told[-1][0] <= everything.stat().st_size


@pytest.mark.parametrize(
    "options",
    [
        AnalysisOptions(),
        AnalysisOptions(keep_texts=False, keep_other=True),
        AnalysisOptions(keep_texts=False, keep_packets=True),
    ],
)
def test_only_tables_are_divided(everything: Path, options: AnalysisOptions) -> None:
    assert several(everything, 2, options) is None


def test_a_worker_that_fails_leaves_the_work_to_one_process(
    everything: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(Part, "take_look", fail)
    assert several(everything, 2) is None


def test_a_worker_that_cannot_begin_is_no_second_copy_of_us(
    everything: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(Part, "__init__", fail)
    copies = tmp_path / "copies"
    assert several(everything, 2) is None
    with copies.open("a") as stream:
        stream.write("one\n")
    assert copies.read_text() == "one\n"


def test_a_worker_that_dies_leaves_the_work_to_one_process(
    everything: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish = Part.finish

    def die(worker: Part, show: object) -> object:
        if worker._index == 1:
            os._exit(3)
        return finish(worker, show)  # type: ignore[arg-type]

    monkeypatch.setattr(Part, "finish", die)
    assert several(everything, 2) is None


def test_a_worker_that_dies_while_all_read_leaves_the_work_to_one_process(
    everything: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(windows, "MAPPED", 20_000)
    monkeypatch.setattr(windows, "RECORDS", 1)
    take = Part.take_look

    def die(worker: Part, look: Look) -> None:
        if worker._index == 1 and worker.packets > 1000:
            os._exit(3)
        take(worker, look)

    monkeypatch.setattr(Part, "take_look", die)
    assert several(everything, 3) is None


def test_a_file_that_differs_between_workers_is_read_by_one(
    everything: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take = Part.take_look

    def short(worker: Part, look: Look) -> None:
        take(worker, look)
        worker.packets += worker._index

    monkeypatch.setattr(Part, "take_look", short)
    assert several(everything, 2) is None


def test_no_worker_is_left_behind(everything: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pids: list[int] = []

    def note(pid: int) -> None:
        pids.append(pid)
        end(pid)

    monkeypatch.setattr("capture.shards.divide.end", note)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    source = open_source(str(everything))
    with pytest.raises(KeyboardInterrupt):
        divide(source, OPTIONS, Catalogue.load(), 2, interrupt)
    source.close()
    assert len(pids) == 2
    for pid in pids:
        with pytest.raises(OSError, match=r"No such process"):
            os.kill(pid, 0)
