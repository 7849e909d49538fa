"""Drives an analysis: to the end for ``check``, in a thread of its own for the screen."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from capture import collector
from capture.analysis import Analysis
from capture.frames import FrameBlock, Source, SourceInfo, UnreadableInput
from capture.judging import Catalogue
from capture.options import AnalysisOptions
from capture.report.model import Report, SourceReport

if TYPE_CHECKING:
    from capture.keeping.store import PacketStore
    from capture.snapshot import Capturing, Snapshot

PATIENCE = 4
LIVE_PATIENCE = 2
"""A snapshot may be made again after this many times the time it took to make. That is the time
this thread computed: on a busy machine all that it does takes longer in the same measure."""


def analyse(
    source: Source,
    options: AnalysisOptions,
    *,
    catalogue: Catalogue | None = None,
    progress: Callable[[int, int | None], None] | None = None,
) -> Report:
    """Read a source to its end and report.

    Args:
        source: Is closed at the end.
        options: The user's choices.
        catalogue: Texts of the rules; None: the built-in ones.
        progress: Called after each block with (bytes done, bytes in total or None).

    Raises:
        UnreadableInput: Nothing at all of the source could be read.
    """
    analysis = Analysis(source.info, options, catalogue or Catalogue.load())
    try:
        with collector.put_off():
            for block in source.blocks():
                analysis.take(block)
                del block  # its buffer need not outlive it: the reports need the room
                if progress is not None:
                    progress(*source.progress())
            return opened(analysis.chosen_report(), analysis, source)
    finally:
        source.close()


def opened(report: Report, analysis: Analysis, source: Source) -> Report:
    """The report with what keys open, where there are keys, packets and their bytes."""
    store: PacketStore | None = getattr(source, "store", None)
    keylog, carried = analysis.options.tls_keylog, source.info.tls_secrets
    if not (keylog or carried) or store is None or analysis.index is None:
        return report
    from capture.decrypt.keys import TlsKeys

    keys = TlsKeys(keylog, lambda: carried)()
    if not keys:
        return report
    from capture.report.inside import opened_report

    view = analysis.index.view()

    def fetch(number: int) -> bytes:
        row = view.rows[view.row(number)]
        try:
            return store.frame(int(row["position"]), int(row["caplen"]))
        except Exception as error:
            raise LookupError(str(error)) from error

    return opened_report(report, view, fetch, keys)


class Engine(threading.Thread):
    """Analyses a source in a thread and publishes immutable snapshots.

    The thread owns all mutable state. ``latest`` is a one-slot mailbox: a reader that is
    slow misses snapshots, never the newest one.
    """

    def __init__(
        self,
        source: Source,
        options: AnalysisOptions,
        *,
        period_s: float = 0.25,
        catalogue: Catalogue | None = None,
    ) -> None:
        super().__init__(name="engine", daemon=True)
        self._source = source
        self._options = options
        self._catalogue = catalogue
        self._period_s = period_s
        self._stop_asked = threading.Event()
        self._clear_asked = threading.Event()
        self._latest: Snapshot | None = None
        self._rev = 0

    @property
    def store(self) -> PacketStore | None:
        """Fetches frames again; None where that is not possible, or not yet."""
        store: PacketStore | None = getattr(self._source, "store", None)
        return store

    def latest(self) -> Snapshot | None:
        """The newest snapshot, or None before the first."""
        return self._latest

    def stop(self, timeout_s: float = 2.0) -> None:
        """Ask the thread to end and wait for it a little."""
        self._stop_asked.set()
        if self.is_alive() and threading.current_thread() is not self:
            self.join(timeout_s)

    def clear(self) -> None:
        """Ask the thread to forget what was seen so far; a live capture goes on.

        Flows that are still open are followed on, unseen until they go on. A file cannot be
        cleared.
        """
        self._clear_asked.set()

    def run(self) -> None:
        """Thread body: read, analyse, publish. Never lets an exception out."""
        analysis, error = None, None
        try:
            catalogue = self._catalogue or Catalogue.load(self._options.rules)
            analysis = analysis_of(self._source, self._options, catalogue)
            self._read(analysis, self.begin(analysis))
            while analysis.behind and not self._stop_asked.is_set():
                self._publish(analysis)
        except UnreadableInput as problem:
            error = str(problem)
        except Exception as problem:  # the screen shows it; a thread must not die silently
            error = _words(problem)
        finally:
            self._source.close()
            if analysis is not None and analysis.live:
                collector.take_back()
        if not self._stop_asked.is_set():
            self._publish(analysis, finished=True, error=error)
            self.ended()

    def begin(self, analysis: Analysis) -> Callable[[FrameBlock], None]:
        """Called before the first block; returns what takes the blocks for the analysis."""
        return analysis.take

    def ended(self) -> None:
        """Called when all was read and published."""

    def _read(self, analysis: Analysis, take: Callable[[FrameBlock], None]) -> None:
        due = time.monotonic()
        keeper = collector.Keeper(due) if analysis.live else None
        patience = LIVE_PATIENCE if analysis.live else PATIENCE
        for block in self._source.blocks():
            if self._stop_asked.is_set():
                return
            take(block)
            now = time.monotonic()
            if self._clear_asked.is_set():
                self._clear_asked.clear()
                analysis.clear()
                due = now
            if now >= due:
                began = time.thread_time()
                self._publish(analysis)
                spent = time.thread_time() - began
                if keeper is not None:
                    keeper.tend(now)
                due = time.monotonic() + max(self._period_s, patience * spent)

    def _publish(
        self, analysis: Analysis | None, *, finished: bool = False, error: str | None = None
    ) -> None:
        from capture.packets.index import EMPTY
        from capture.snapshot import Snapshot

        report, facts, packets, ends, legs = None, {}, EMPTY, None, {}
        try:
            if analysis is not None:
                report = analysis.report(final=finished)
                facts = analysis.facts()
                packets = analysis.index.view() if analysis.index else EMPTY
                ends, legs = analysis.ends(), analysis.legs()
        except Exception as problem:
            error = error or _words(problem)
        if report is None:  # what was shown before is still true
            report = self._latest.report if self._latest else _empty(self._source.info)
        done, total = self._source.progress()
        self._rev += 1
        self._latest = Snapshot(
            rev=self._rev,
            report=report,
            facts=facts,
            packets=packets,
            bytes_done=done,
            bytes_total=total,
            finished=finished,
            error=error,
            ends=ends,
            legs=legs,
            capturing=self._capturing(analysis),
        )

    def _capturing(self, analysis: Analysis | None) -> Capturing | None:
        """State of a live source, with what the analysis let go of."""
        if analysis is None or not analysis.live:
            return None
        from dataclasses import replace

        from capture.snapshot import Capturing

        told = getattr(self._source, "capturing", None)
        state: Capturing = told() if told is not None else Capturing((self._source.info.path,))
        return replace(
            state,
            clock_ns=analysis.clock_ns,
            evicted_flows=analysis.evicted_flows,
            evicted_packets=analysis.evicted_packets,
        )


def analysis_of(source: Source, options: AnalysisOptions, catalogue: Catalogue) -> Analysis:
    """The analysis that suits a source: one within bounds where it may never end."""
    if source.info.format != "live" and source.progress()[1] is not None:
        return Analysis(source.info, options, catalogue)
    from capture.watching.analysis import LiveAnalysis  # which few need

    return LiveAnalysis(source.info, options, catalogue)


def _words(problem: Exception) -> str:
    return f"internal error: {type(problem).__name__}: {problem}"


def _empty(info: SourceInfo) -> Report:
    """The report of a source of which nothing was analysed."""
    return Report(SourceReport(info.path, info.format, (), 0, 0, None, None), (), 0)
