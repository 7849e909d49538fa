"""Judges what is captured now, without a screen: until a condition or the user stops it.

The first Ctrl+C ends the capture, not the program: what was seen is judged and reported. So do
SIGTERM and SIGHUP, since a report that was asked for is worth more than a quick end; whoever
cannot wait says so a second time.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from types import FrameType, TracebackType
from typing import Any, Final

from capture.engine import opened
from capture.frames import Source
from capture.judging import Catalogue
from capture.options import AnalysisOptions
from capture.report.model import Report
from capture.units import count, plural
from capture.watching.analysis import LiveAnalysis

LOOK_S: Final = 1.0
"""How often flows are judged meanwhile, so that those without a finding can be let go."""

TELL_S: Final = 0.5

_SIGNALS: Final = ("SIGINT", "SIGTERM", "SIGHUP")


def check_live(
    source: Source,
    options: AnalysisOptions,
    *,
    catalogue: Catalogue | None = None,
    progress: Callable[[float | None, str], None] | None = None,
    ready: Callable[[], None] | None = None,
) -> Report:
    """Read a source that may never end, until it does or a signal says so, and report.

    Args:
        source: Opened; it is closed at the end. Its ``stop``, where it has one, is called
            when a signal comes, and what it still gives after that counts.
        options: Passed to the analysis.
        catalogue: Texts of the rules; None: those that the options name.
        progress: Told twice a second what has come so far.
        ready: Called once, when from now on a signal leads to a report.

    Raises:
        KeyboardInterrupt: A second signal came before the report was made.
        UnreadableInput: Nothing at all of the source could be read.
    """
    if options.tls_keylog:  # TLS is opened in the packets, once they are judged
        options = replace(options, keep_packets=True)
    try:
        with _Signals() as signals:
            analysis = LiveAnalysis(
                source.info, options, catalogue or Catalogue.load(options.rules)
            )
            if ready is not None:
                ready()
            _read(source, analysis, signals, progress)
            return opened(analysis.chosen_report(), analysis, source)
    finally:
        source.close()


def _read(
    source: Source,
    analysis: LiveAnalysis,
    signals: _Signals,
    progress: Callable[[float | None, str], None] | None,
) -> None:
    stop: Callable[[], None] | None = getattr(source, "stop", None)
    look_at = tell_at = time.monotonic() + TELL_S
    for block in source.blocks():
        analysis.take(block)
        if signals.asked:
            if stop is None:
                return
            stop()
        now = time.monotonic()
        if analysis.live and now >= look_at:
            analysis.look()
            look_at = time.monotonic() + LOOK_S
        if progress is not None and now >= tell_at:
            tell_at = now + TELL_S
            progress(None, _so_far(analysis))


def _so_far(analysis: LiveAnalysis) -> str:
    info = analysis.info
    words = [f"{info.path}: {count(analysis.packets)} packets, Ctrl+C ends it"]
    lost = (info.lost_kernel or 0) + (info.lost_queue or 0)
    if lost:
        words.append(f"{plural(lost, 'packet')} lost")
    return ", ".join(words)


class _Signals:
    """Notes the first signal that ends a program, and lets the second one end it.

    Only the main thread may handle signals; elsewhere nothing is noted. What is ignored
    (nohup) stays so.
    """

    def __init__(self) -> None:
        self.asked = False
        """A signal came."""
        self._before: dict[int, Any] = {}

    def __enter__(self) -> _Signals:
        if threading.current_thread() is threading.main_thread():
            for name in _SIGNALS:
                number = getattr(signal, name, None)
                if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._came)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _came(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
