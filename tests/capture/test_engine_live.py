"""The engine with a live source, and ``check_live``."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

import pytest

from capture.engine import Engine
from capture.frames import FrameBlock, UnreadableInput
from capture.options import AnalysisOptions
from capture.snapshot import Capturing
from capture.watching.check import check_live
from tests.capture.live_feed import ScriptedSource, only, rules, together
from tests.capture.tracking.building import START_NS, story
from tests.capture.watching.test_analysis import ASKED, HEALTHY, REFUSED, SILENT, denied
from tests.patience import GIVE_UP_S

OPTIONS = AnalysisOptions(keep_packets=True)


def run(engine: Engine) -> None:
    engine.start()
    engine.join(GIVE_UP_S)
    assert not engine.is_alive()


def test_a_live_source_is_published_with_what_the_capture_says_of_itself() -> None:
    source = ScriptedSource([(together(HEALTHY), 100), ((), 4_000)])
    source.capturing = lambda: Capturing(("eth0",), "port 80")  # type: ignore[attr-defined]
    engine = Engine(source, OPTIONS)
    run(engine)
    last = engine.latest()
    assert last is not None
    assert last.finished
    assert last.error is None
    assert source.closed
    assert last.capturing == Capturing(("eth0",), "port 80", START_NS + 4_000_000_000)
    assert only(last.report).verdict == "ok"
    assert len(last.packets) == last.report.source.packets


def test_what_was_let_go_is_told() -> None:
    texts = [HEALTHY] * 12
    source = ScriptedSource([(together(text, first_port=40000 + n), 100 * n + 100)
                             for n, text in enumerate(texts)])  # fmt: skip
    engine = Engine(source, AnalysisOptions(keep_packets=True, max_flows=4, max_packets=20),
                    period_s=0)  # fmt: skip
    run(engine)
    last = engine.latest()
    assert last is not None
    assert last.capturing is not None
    assert last.capturing.evicted_packets == last.report.source.packets - len(last.packets) > 0
    assert last.capturing.evicted_flows + len(last.report.flows) <= len(texts)


class Asking(ScriptedSource):
    """Has its engine cleared behind its first block."""

    engine: Engine

    def blocks(self) -> Iterator[FrameBlock]:
        for number, block in enumerate(super().blocks()):
            if number == 1:
                self.engine.clear()
            yield block


def test_clearing_is_asked_of_the_thread() -> None:
    late = story(REFUSED, port=41000).frames
    for frame in late:
        frame.time_ns += 2_000_000_000
    first = together(HEALTHY, ASKED + denied(60))
    source = Asking([(first, 1_000), ((), 1_100), (late, 2_001)])
    source.engine = Engine(source, OPTIONS)
    run(source.engine)
    last = source.engine.latest()
    assert last is not None
    assert rules(only(last.report)) == ["tcp-refused"]
    assert last.report.source.packets < 20


# -- check_live ---------------------------------------------------------------------------


class Interrupting(ScriptedSource):
    """A signal comes before each of its blocks but the first."""

    signals: tuple[int, ...] = (signal.SIGINT,)

    def blocks(self) -> Iterator[FrameBlock]:
        coming = iter(self.signals)
        for block in super().blocks():
            yield block
            number = next(coming, None)
            if number is not None:
                os.kill(os.getpid(), number)
                time.sleep(0)  # handlers run between two instructions


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_the_first_signal_ends_the_capture_and_it_is_reported(name: str) -> None:
    number = getattr(signal, name)
    before = signal.getsignal(number)
    source = Interrupting([(together(REFUSED), 100), ((), 200), (together(HEALTHY), 9_000)])
    source.signals = (number,)
    report = check_live(source, AnalysisOptions())
    assert rules(only(report)) == ["tcp-refused"]
    assert source.closed
    assert signal.getsignal(number) is before


def test_the_second_signal_ends_all() -> None:
    source = Interrupting([((), 100), ((), 200), ((), 300)])
    source.signals = (signal.SIGINT, signal.SIGINT)
    source.stop = lambda: None  # type: ignore[method-assign]  # it takes its time
    with pytest.raises(KeyboardInterrupt):
        check_live(source, AnalysisOptions())
    assert source.closed


def test_silence_until_the_end_counts() -> None:
    source = ScriptedSource([(together(SILENT), 100), ((), 3_500)])
    assert rules(only(check_live(source, AnalysisOptions()))) == ["tcp-no-answer"]


def test_numbers_are_a_files_when_nothing_was_shown_before() -> None:
    texts = (ASKED + denied(60), HEALTHY, REFUSED)
    source = ScriptedSource([(together(*texts), 100), ((), 300)])
    report = check_live(source, AnalysisOptions())
    assert [flow.id for flow in report.flows] == [1, 2, 3]
    assert (report.source.format, report.source.path) == ("live", "eth0")


def test_progress_is_told_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("capture.watching.check.TELL_S", 0.0)
    told: list[tuple[float | None, str]] = []
    source = ScriptedSource([(together(REFUSED), 100), ((), 200)])
    source.info.lost_kernel = 3
    check_live(source, AnalysisOptions(), progress=lambda *words: told.append(words))
    assert told[0] == (None, "eth0: 2 packets, Ctrl+C ends it, 3 packets lost")


def test_a_source_that_fails_is_closed() -> None:
    class Failing(ScriptedSource):
        def blocks(self) -> Iterator[FrameBlock]:
            if not self.closed:
                raise UnreadableInput("gone")
            yield from ()

    source = Failing([])
    with pytest.raises(UnreadableInput):
        check_live(source, AnalysisOptions())
    assert source.closed
