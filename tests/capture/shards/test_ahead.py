"""A process that finds records ahead finds those that are there."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from capture import shards
from capture.check import check_file
from capture.options import AnalysisOptions
from capture.report.model import Report
from capture.shards import ahead as finding
from capture.shards import divide as dividing
from capture.shards import walk_ahead
from capture.shards.ahead import Ahead
from capture.sources import open_source, windows
from capture.sources.pcap import PcapSource, Walks
from capture.sources.walk import walk
from tests.capture.shards.building import OPTIONS, everything_as_pcap, one, table
from tests.capture.sources.building import frames_in, read

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="divided on Linux only")


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Divide every file, and read it in small windows."""
    monkeypatch.setattr(shards, "LARGE", 0)
    monkeypatch.setattr(windows, "MAPPED", 20_000)
    monkeypatch.setattr(windows, "RECORDS", 1)


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    path = tmp_path / "capture.pcap"
    path.write_bytes(everything_as_pcap())
    return path


def opened(path: Path) -> PcapSource:
    source = open_source(str(path))
    assert isinstance(source, PcapSource)
    return source


def walked(ahead: Ahead) -> Walks:
    """What it finds when nobody stops it."""
    os.waitid(os.P_PID, ahead._pid, os.WEXITED | os.WNOWAIT)
    return ahead.stop()


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.mark.parametrize("cut", [0, 7, 20])
def test_what_was_found_need_not_be_looked_for(
    capture: Path, cut: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with capture.open("r+b") as stream:
        stream.truncate(capture.stat().st_size - cut)
    expected, info = read(capture)
    source = opened(capture)
    source.known = walked(Ahead(source))
    assert len(source.known) > 50
    searched: list[int] = []

    def note(*args: object) -> object:
        searched.append(1)
        return walk(*args)  # type: ignore[arg-type]

    monkeypatch.setattr("capture.sources.pcap.walk", note)
    source.mapped = True
    frames = [frame for block in source.blocks() for frame in frames_in(block)]
    source.close()
    assert frames == expected
    assert source.info.warnings == info.warnings
    assert len(searched) <= 2  # what is left at the end


def test_it_stops_where_there_is_no_room(capture: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finding, "ROOM", 8192)
    source = opened(capture)
    known = walked(Ahead(source))
    source.close()
    assert known
    assert sum(len(walk.starts) for walk in known.values()) <= 2048


def test_it_is_stopped(capture: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def endless(_: PcapSource) -> Iterator[object]:
        signal.pause()
        yield None

    monkeypatch.setattr(PcapSource, "walks", endless)
    source = opened(capture)
    ahead = Ahead(source)
    assert not gone(ahead._pid)
    assert ahead.stop() == {}
    assert gone(ahead._pid)
    assert ahead.stop() == {}
    source.close()


def test_what_it_found_before_it_failed_counts(
    capture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    walks = PcapSource.walks

    def failing(source: PcapSource) -> Iterator[object]:
        for number, item in enumerate(walks(source)):
            if number == 3:
                raise MemoryError
            yield item

    monkeypatch.setattr(PcapSource, "walks", failing)
    source = opened(capture)
    assert len(walked(Ahead(source))) == 3
    source.close()


def test_workers_are_told(capture: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Walks] = []
    divide = dividing.divide

    def note(*args: object) -> Report | None:
        told.append(args[-1])  # type: ignore[arg-type]
        return divide(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(dividing, "divide", note)
    monkeypatch.setattr(Ahead, "stop", walked_once(Ahead.stop))
    outcome = check_file(str(capture), OPTIONS, processes=2)
    assert isinstance(outcome, Report)
    assert table(outcome) == table(one(capture))
    assert len(told[0]) > 50


def walked_once(stop: object) -> object:
    """``Ahead.stop`` that waits for the end."""

    def method(ahead: Ahead) -> Walks:
        if not ahead._stopped:
            os.waitid(os.P_PID, ahead._pid, os.WEXITED | os.WNOWAIT)
        known: Walks = stop(ahead)  # type: ignore[operator]
        return known

    return method


@pytest.mark.parametrize(
    ("options", "processes"),
    [
        (OPTIONS, 1),
        (replace(OPTIONS, keep_texts=True), 2),
        (replace(OPTIONS, display_filter="tcp"), 2),
        (replace(OPTIONS, rules=("rules.toml",)), 2),
    ],
)
def test_only_what_will_be_divided_is_walked(
    capture: Path, options: AnalysisOptions, processes: int
) -> None:
    source = opened(capture)
    assert walk_ahead(source, options, processes) is None
    source.close()


def test_a_small_file_is_not_walked(capture: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "LARGE", 1 << 40)
    source = opened(capture)
    assert walk_ahead(source, OPTIONS, 2) is None
    source.close()
