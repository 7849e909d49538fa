"""Feeds a live analysis with conversations whose clock the test holds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from capture.frames import FrameBlock, SourceInfo, no_frames
from capture.judging import Catalogue
from capture.options import AnalysisOptions
from capture.report.model import FlowReport, Report
from capture.watching.analysis import LiveAnalysis
from tests.capture.decode.building import Frame, block_of
from tests.capture.tracking.building import START_NS, story

CATALOGUE = Catalogue.load()


def together(*texts: str, first_port: int = 40000) -> list[Frame]:
    """The frames of several conversations, each from a port of its own, by time."""
    frames = [
        frame
        for number, text in enumerate(texts)
        for frame in story(text, port=first_port + number, isn=(number * 77, number)).frames
    ]
    return sorted(frames, key=lambda frame: frame.time_ns)


class Watch:
    """A live analysis, and the frames that are still to come."""

    def __init__(self, frames: Iterable[Frame], **options: Any) -> None:
        self.info = SourceInfo("eth0", "live", clock_ns=START_NS)
        self.analysis = LiveAnalysis(
            self.info, AnalysisOptions(keep_packets=True, **options), CATALOGUE
        )
        self._coming = list(frames)
        self._next = 1

    def at(self, ms: float) -> Report:
        """Let the clock go to ``ms`` after the start; what the report says then."""
        self.take_until(ms)
        return self.analysis.report(final=False)

    def take_until(self, ms: float) -> None:
        """Let the clock go to ``ms`` after the start, without a report."""
        clock = START_NS + round(ms * 1e6)
        ripe = [frame for frame in self._coming if frame.time_ns <= clock]
        self._coming = self._coming[len(ripe) :]
        self.analysis.take(block_of(ripe, first_number=self._next))
        self._next += len(ripe)
        self.info.clock_ns = clock

    def more(self, frames: Iterable[Frame]) -> None:
        """Let frames come, too."""
        self._coming = sorted([*self._coming, *frames], key=lambda frame: frame.time_ns)

    def end(self) -> Report:
        """The last report."""
        return self.analysis.report(final=True)


def only(report: Report) -> FlowReport:
    """The one flow of a report."""
    (flow,) = report.flows
    return flow


def rules(flow: FlowReport) -> list[str]:
    return [finding.rule for finding in flow.findings]


class ScriptedSource:
    """A live source that gives prepared blocks, with the clock after each.

    Args:
        script: Frames of a block (none: nothing came) and the clock in ms after the start.
    """

    store = None

    def __init__(self, script: Sequence[tuple[Sequence[Frame], float]]) -> None:
        self.info = SourceInfo("eth0", "live", clock_ns=START_NS)
        self.closed = self.stopped = False
        self._script = script

    def blocks(self) -> Iterator[FrameBlock]:
        number = 1
        for frames, ms in self._script:
            if self.stopped:
                return
            self.info.clock_ns = START_NS + round(ms * 1e6)
            yield block_of(list(frames), first_number=number) if frames else no_frames(number)
            number += len(frames)

    def progress(self) -> tuple[int, int | None]:
        return 0, None

    def stop(self) -> None:
        self.stopped = True

    def close(self) -> None:
        self.closed = True
