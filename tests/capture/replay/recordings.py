"""Recordings for the tests, and what an analysis cut off at a packet says of them."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np

from capture.analysis import Analysis
from capture.facts import CaptureFacts, FlowFacts
from capture.frames import FrameBlock, SourceInfo
from capture.judging import Catalogue
from capture.keeping.store import PacketStore
from capture.options import AnalysisOptions
from capture.packets.index import PacketView
from capture.replay.past import Past
from capture.replay.recorder import PACKETS, Recorder, pieces
from capture.report.model import Report
from capture.sources import open_source

CATALOGUE: Final = Catalogue.load()

_PER_FRAME: Final = (
    "offset", "time_ns", "caplen", "wirelen", "linktype", "interface", "position",
)  # fmt: skip


class _GoingOn(Analysis):
    """An analysis that says nothing of the end of the capture: it is not there yet."""

    def _capture(self, final: bool) -> CaptureFacts:
        return replace(super()._capture(final), live=True)


@dataclass(frozen=True, slots=True)
class Recording:
    """A capture that was read to its end."""

    blocks: tuple[FrameBlock, ...]
    recorder: Recorder
    report: Report
    past: Past

    @property
    def packets(self) -> int:
        return self.recorder.analysis.packets

    def cut(self, number: int) -> tuple[Report, dict[int, FlowFacts], PacketView]:
        """What an analysis of the first ``number`` packets says, proxies known beforehand."""
        whole = self.recorder.analysis
        proxies = tuple((end.host, end.port) for end in whole.capture_facts().proxies)
        options = AnalysisOptions(keep_packets=True, proxies=proxies)
        analysis = _GoingOn(whole.info, options, CATALOGUE)
        for block in self.blocks:
            left = number - (block.first_number - 1)
            if left > 0:
                analysis.take(part(block, 0, left))
        report = analysis.report()
        assert analysis.index is not None
        return report, analysis.facts(), analysis.index.view()


def part(block: FrameBlock, start: int, end: int) -> FrameBlock:
    """Some frames of a block."""
    columns = {name: getattr(block, name)[start:end] for name in _PER_FRAME}
    return replace(block, first_number=block.first_number + start, **columns)


@cache
def record(path: Path, packets: int = PACKETS) -> Recording:
    """Record a capture with a checkpoint after so many packets."""
    source = open_source(str(path), spool=True)
    blocks: list[FrameBlock] = []
    for block in source.blocks():
        # A view, as blocks of files are: kept payload may be left in the file.
        own = replace(block, data=np.frombuffer(block.data.tobytes(), np.uint8))
        blocks.extend(pieces(own, packets))
    source.close()
    assert source.store is not None
    return recorded(source.info, tuple(blocks), packets, source.store)


def recorded(
    info: SourceInfo, blocks: tuple[FrameBlock, ...], packets: int, store: PacketStore
) -> Recording:
    """Record blocks whose frames the store has."""
    analysis = Analysis(info, AnalysisOptions(keep_packets=True), CATALOGUE)
    recorder = Recorder(analysis, packets, store)
    for block in blocks:
        recorder.take(block)
    report = analysis.report()
    return Recording(blocks, recorder, report, Past(recorder, report, store))


def differences(recording: Recording, number: int) -> list[str]:
    """Where the state after a packet is not what an analysis cut off there says."""
    report, facts, view = recording.cut(number)
    times = recording.past.packets.rows["time_ns"][:number]
    moment = recording.past.at(number, int(times.max()) if number else 0)
    found = []
    expected = {flow.uid: flow for flow in report.flows}
    shown = {flow.uid: flow for flow in moment.report.flows}
    listed = {flow.uid for flow in recording.report.flows}
    if set(expected) & listed > set(shown):
        found.append(f"not listed: {sorted(set(expected) & listed - set(shown))}")
    for uid in expected.keys() & shown.keys():
        found += _unlike(f"facts of {uid}", facts[uid], moment.facts[uid])
        found += _unlike(
            f"report of {uid}",
            replace(expected[uid], id=0, rev=0),
            replace(shown[uid], id=0, rev=0),
        )
    if not np.array_equal(view.rows, moment.packets.rows):
        found.append("packets")
    if expected.keys() == shown.keys():
        found += _unlike("findings", report.findings, moment.report.findings)
    source = replace(report.source, link_types=moment.report.source.link_types)
    found += _unlike("source", source, moment.report.source)
    return [f"after #{number}: {item}" for item in found]


def _unlike(name: str, expected: object, got: object) -> list[str]:
    if expected == got:
        return []
    try:
        names = [field.name for field in fields(expected)]  # type: ignore[arg-type]
    except TypeError:
        return [f"{name}: {got!r} instead of {expected!r}"]
    return [
        f"{name}.{key}: {getattr(got, key)!r} instead of {getattr(expected, key)!r}"
        for key in names
        if getattr(got, key) != getattr(expected, key)
    ]
