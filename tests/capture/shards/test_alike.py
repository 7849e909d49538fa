"""Flows that are alike get the judgement that each would have got by itself."""

from __future__ import annotations

import struct
from collections.abc import Callable
from itertools import permutations
from pathlib import Path
from random import Random
from typing import Any

import pytest

from bench.generate import Preset, write
from capture import analysis, engine
from capture.facts import CaptureFacts, FlowFacts
from capture.judging import Catalogue, Judgement, judge
from capture.options import AnalysisOptions
from capture.report.model import Report
from capture.report.render import render
from capture.shards import alike, part, tabulate
from capture.shards.traced import Untraceable
from capture.sources import open_source
from tests.capture.tracking.building import captures, frames_in

OPTIONS = AnalysisOptions(keep_steps=False, keep_texts=False)
APART_NS = 3_000_000_000_000
PACES = (1.0, 1.0, 1.001, 0.04, 0.6, 2.5, 30.0)
"""How many times as long a conversation takes: on either side of what rules compare with."""


@pytest.fixture(scope="module")
def paced(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All Ethernet captures one after the other, at several paces, each by other clients."""
    path = tmp_path_factory.mktemp("alike") / "paced.pcap"
    now = 1_700_000_000_000_000_000
    with path.open("wb") as stream:
        stream.write(struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262_144, 1))
        for turn, pace in enumerate(PACES):
            for item in captures():
                frames = [frame for frame in frames_in(item) if frame.linktype == 1]
                if not frames:
                    continue
                first = min(frame.time_ns for frame in frames)
                for frame in frames:
                    at = now + round((frame.time_ns - first) * pace)
                    # Other hosts, too, of names as long.
                    data = frame.data.replace(bytes([10, 40, 40]), bytes([10, 40, 40 + turn]), 4)
                    data = data.replace(b"example", b"exampl%d" % turn)
                    size = len(data)
                    stream.write(struct.pack("<IIII", at // 10**9, at % 10**9, size,
                                             frame.wirelen or size))  # fmt: skip
                    stream.write(data)
                now += APART_NS
    return path


def shared(path: Path) -> Report:
    source = open_source(str(path))
    try:
        return tabulate(source, OPTIONS, Catalogue.load())
    finally:
        source.close()


def table(report: Report) -> list[str]:
    return "".join(render("csv", [report])).splitlines()


@pytest.mark.parametrize("chunk", [alike.CHUNK, 40])
def test_all_captures(paced: Path, chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alike, "FEW", 1)
    monkeypatch.setattr(alike, "CHUNK", chunk)
    given, judged = 0, 0
    lot, init = alike._Judged.lot, alike._Judged.__init__

    def note_lot(self: Any, *taken: Any) -> Any:
        nonlocal given
        found = lot(self, *taken)
        given += len(found.judgements) if found is not None else 0
        return found

    def note_judged(self: Any, *taken: Any) -> None:
        nonlocal judged
        judged += 1
        init(self, *taken)

    monkeypatch.setattr(alike._Judged, "lot", note_lot)
    monkeypatch.setattr(alike._Judged, "__init__", note_judged)
    report = shared(paced)
    alone = engine.analyse(open_source(str(paced)), OPTIONS)
    assert table(report) == table(alone)
    assert report.findings == alone.findings
    assert report.gravest == alone.gravest
    assert given > judged + 100


GAPS_NS = (1_000, 1_000_000, 30_000_000, 700_000_000, 3_000_000_000, 40_000_000_000,
           400_000_000_000)  # fmt: skip
"""Times between packets, on either side of what rules compare with."""
TURNS = 24


def asking(flow: FlowFacts, capture: CaptureFacts, *_: object, **__: object) -> Judgement:
    """Judges by all that differs between flows that are alike."""
    said: list[object] = []
    marks = [flow.first, flow.tunnel, flow.last]
    marks += [mark for side in flow.sides for mark in (side.last_payload, side.fin)]
    for pause in (flow.longest_silence, flow.longest_wait):
        if pause is not None:
            said += [pause.seconds > limit for limit in (0.5, 2, 20, 200)]
            said += [pause.start == mark for mark in marks]
            said += [mark is not None and pause.end.number <= mark.number for mark in marks]
            said += [pause.end.time_ns - mark.time_ns < 2e9 for mark in marks if mark is not None]
    for side in flow.sides:
        since = side.zero_window_mark
        said += [side.zero_window_open, side.zero_window_ns > 1_000_000_000, since in marks]
    said += [flow.rtt_ns is not None and flow.rtt_ns >= 30_000_000, capture.text]
    said += [side.bytes > 2 * other.bytes for side, other in permutations(flow.sides)]
    return Judgement("".join(["ny"[bool(item)] for item in said]))


@pytest.mark.parametrize("judge", [asking, judge])
def test_any_pause_may_be_the_longest(
    judge: Callable[..., Judgement], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same conversations many times over, with pauses anywhere."""
    monkeypatch.setattr(alike, "FEW", 1)
    monkeypatch.setattr(analysis, "judge", judge)
    monkeypatch.setattr(part, "judge", judge)
    random = Random(1)
    path = tmp_path / "pauses.pcap"
    now = 1_700_000_000_000_000_000
    with path.open("wb") as stream:
        stream.write(struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262_144, 1))
        for item in captures():
            frames = [frame for frame in frames_in(item) if frame.linktype == 1]
            for turn in range(TURNS if len(frames) < 60 else 0):
                often = random.random() / 4
                for frame in frames:
                    slow = random.random() < often
                    now += random.choice(GAPS_NS) if slow else random.choice(GAPS_NS[:3])
                    data = frame.data.replace(bytes([10, 40, 40]), bytes([10, 40, 40 + turn]), 4)
                    size = len(data)
                    stream.write(struct.pack("<IIII", now // 10**9, now % 10**9, size,
                                             frame.wirelen or size))  # fmt: skip
                    stream.write(data)
                now += APART_NS
    alone = engine.analyse(open_source(str(path)), OPTIONS)
    assert table(shared(path)) == table(alone)


def test_few_flows_are_judged_one_by_one(paced: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(alike, "FEW", 1 << 20)
    monkeypatch.setattr(alike._Judged, "__init__", never)
    assert table(shared(paced)) == table(engine.analyse(open_source(str(paced)), OPTIONS))


def test_what_cannot_be_traced_is_judged_one_by_one(
    paced: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object) -> None:
        raise Untraceable

    monkeypatch.setattr(alike, "FEW", 1)
    monkeypatch.setattr(alike._Judged, "_traced", never)
    assert table(shared(paced)) == table(engine.analyse(open_source(str(paced)), OPTIONS))


@pytest.mark.parametrize("preset", [Preset(12_000, 60, 30), Preset(12_000, 650, 60)])
def test_many_tunnels_of_all_sizes(
    preset: Preset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "many.pcap"
    with path.open("wb") as stream:
        write(stream, preset)
    monkeypatch.setattr(alike, "FEW", 2)
    assert table(shared(path)) == table(engine.analyse(open_source(str(path)), OPTIONS))
