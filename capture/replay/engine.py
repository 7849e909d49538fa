"""The engine for recordings: reads to the end, as any engine, then plays what was read."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from capture import collector
from capture.analysis import Analysis
from capture.engine import Engine
from capture.frames import FrameBlock, Source
from capture.judging import Catalogue
from capture.options import AnalysisOptions
from capture.replay.controls import ReplayControls
from capture.replay.giving_way import GiveWay, GivingWay, go_on
from capture.replay.past import Moment, Past
from capture.replay.player import Player
from capture.replay.recorder import Recorder
from capture.snapshot import Snapshot

PATIENCE: Final = 3.0
"""While playing, the thread rests at least this many times as long as the last state took:
the keys are answered by another thread, and Python runs one of them at a time."""

UNSEEN_S: Final = 1.0
"""Nor is a state made before the last one was fetched, unless nobody does for so long, ..."""
SHOWING_S: Final = 0.06
"""... nor while it is being shown."""
LOOK_S: Final = 0.02
"""How often it is looked whether it was."""


class ReplayEngine(Engine):
    """An engine whose capture can be played when it has been read.

    Attributes:
        replay: Takes the commands; those given before the end is read are obeyed then.
    """

    def __init__(
        self,
        source: Source,
        options: AnalysisOptions,
        *,
        period_s: float = 0.25,
        catalogue: Catalogue | None = None,
    ) -> None:
        super().__init__(source, options, period_s=period_s, catalogue=catalogue)
        self.replay = ReplayControls()
        self._recorder: Recorder | None = None
        self._fetched_s: float | None = None
        """When somebody took the newest state."""

    def latest(self) -> Snapshot | None:
        if self._fetched_s is None:
            self._fetched_s = time.monotonic()
        return super().latest()

    def stop(self, timeout_s: float = 2.0) -> None:
        self._stop_asked.set()
        self.replay.close()
        super().stop(timeout_s)

    def run(self) -> None:
        try:
            super().run()
        finally:
            collector.take_back()

    def begin(self, analysis: Analysis) -> Callable[[FrameBlock], None]:
        if analysis.live or self.store is None:
            return super().begin(analysis)
        self._recorder = Recorder(analysis, store=self.store)
        return self._recorder.take

    def ended(self) -> None:
        store, end = self.store, self._latest
        recorder, self._recorder = self._recorder, None
        if recorder is None or store is None or end is None or end.error is not None:
            return
        if not len(end.packets):
            return
        past = Past(recorder, end.report, store)
        del recorder  # it knows more than is needed from now on
        player = Player(past, Moment(end.report, end.facts, end.packets))
        collector.set_aside()
        try:
            self._obey(player, end)
        except Exception as problem:  # what is shown stays; a thread must not die silently
            words = f"the replay is over: internal error: {type(problem).__name__}: {problem}"
            clock = replace(player.state(), playing=False, note=words)
            self._latest = replace(self._latest or end, rev=self._rev + 1, clock=clock)

    def _publish(
        self, analysis: Analysis | None, *, finished: bool = False, error: str | None = None
    ) -> None:
        super()._publish(analysis, finished=finished, error=error)
        collector.set_aside()

    def _obey(self, player: Player, end: Snapshot) -> None:
        self._show(player, end)
        before, due = time.monotonic(), 0.0
        preparing = player.prepare()
        give_way = GivingWay(self.replay.screen_is_busy, math.inf)
        while True:
            playing = player.clock.playing
            while not (playing or self.replay.waiting) and next(preparing, False):
                give_way()
            wait = max(0.0, due - time.monotonic()) if playing else None
            if player.behind:
                wait = 0.0
            asked = player.asked
            if not self.replay.obey(player, wait):
                return
            now = time.monotonic()
            by_itself = playing and player.asked == asked and not player.behind
            if by_itself and not self._is_seen(now) and now < before + UNSEEN_S:
                due = now + LOOK_S
                continue
            if playing:
                player.clock.advance(now - before)
            before = now
            giving_way = GivingWay(self.replay.screen_is_busy)
            self._show(player, end, giving_way if by_itself else go_on)
            shown = time.monotonic()
            spent = shown - now - giving_way.waited_s
            due = shown + max(self._period_s - spent, PATIENCE * spent)

    def _is_seen(self, now: float) -> bool:
        """Whether the last state was fetched, and there was time to show it."""
        return self._fetched_s is not None and now >= self._fetched_s + SHOWING_S

    def _show(self, player: Player, end: Snapshot, give_way: GiveWay = go_on) -> None:
        """Publish the state at the clock."""
        with collector.put_off():
            moment = player.moment(give_way)
            give_way()
            collector.catch_up()
        self._rev += 1
        self._fetched_s = None
        self._latest = replace(
            end,
            rev=self._rev,
            report=moment.report,
            facts=moment.facts,
            packets=moment.packets,
            clock=player.state(),
        )
