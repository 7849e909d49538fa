"""The replay as its user handles it: commands in, the state of the capture out. No thread."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from capture.keeping.store import FrameGone
from capture.replay import when
from capture.replay.clock import Clock
from capture.replay.giving_way import GiveWay, go_on
from capture.replay.landmarks import Landmarks, Problem
from capture.replay.past import Moment, Past
from capture.snapshot import ReplayClock

_ANY_FLOW: Final = 1 << 32


class Player:
    """A recording and its clock.

    Args:
        past: Of the recording.
        end: The state at its end.
    """

    def __init__(self, past: Past, end: Moment) -> None:
        self.clock = Clock(past.times, past.rests)
        self._past = past
        self._end = self._moment = end
        self._shown = self.clock.at, self.clock.now_ns
        self._landmarks = Landmarks(past)
        self._asked = 0
        self._note = ""
        self._problem: Problem | None = None
        """Where the last step went, while the clock stands there."""

    # -- commands ---------------------------------------------------------------------

    def command(self, name: str, *arguments: object) -> None:
        """Do what a user asked for: one of the methods below, by its name."""
        self._asked += 1
        self._note = ""
        problem, self._problem = self._problem, None
        if name == "step_problem":
            self._problem = problem
        getattr(self, name)(*arguments)

    def toggle(self) -> None:
        """Play, or pause."""
        if self.clock.playing:
            self.clock.pause()
        else:
            self.clock.play()

    def pause(self) -> None:
        self.clock.pause()

    def play_from(self, number: int) -> None:
        """Play from just behind a packet."""
        self.clock.go_to_packet(number)
        self.clock.play()

    def faster(self, steps: int) -> None:
        """Play faster (or slower) by so many steps."""
        self.clock.faster(steps)

    def skip_silences(self) -> None:
        """Skip long silences, or do not any more."""
        self.clock.skipping = not self.clock.skipping

    def seek_share(self, share: float) -> None:
        """Stand at a part (0 to 1) of the recording."""
        self.clock.go_to_share(share)

    def seek_by(self, share: float) -> None:
        """Go on (or back) by a part of the recording."""
        self.clock.go_to_share(self.clock.share + share)

    def seek_packet(self, number: int) -> None:
        """Stand just behind a packet."""
        self.clock.go_to_packet(number)

    def seek(self, text: str) -> None:
        """Go where a text says (see ``when``)."""
        try:
            when.go(self.clock, text)
        except when.NoSuchMoment as error:
            self._note = str(error)

    def step_packet(self, direction: int, uid: int | None) -> None:
        """Go to the next (or previous) packet, of one tunnel or (None) of all."""
        found = self._landmarks.packet(self.clock.at, direction, uid)
        self._step(found, "packet", direction, uid)

    def step_message(self, direction: int, uid: int | None) -> None:
        """Go to the next (or previous) packet that says something: SYN, HTTP, TLS, FIN."""
        found = self._landmarks.message(self.clock.at, direction, uid)
        self._step(found, "message", direction, uid)

    def _step(self, found: int | None, what: str, direction: int, uid: int | None) -> None:
        self.clock.pause()
        if found is not None:
            self.clock.go_to_packet(found)
            return
        place = "after" if direction > 0 else "before"
        whose = " of this tunnel" if uid is not None else ""
        self._note = f"no {what}{whose} {place} this moment"

    def step_problem(self, direction: int) -> None:
        """Go to the moment at which the next (or previous) failing tunnel shows it."""
        self.clock.pause()
        at = self.clock.at
        beside = self._problem or Problem(at, _ANY_FLOW if direction > 0 else 0)
        found = self._landmarks.problem(beside, direction)
        if found is None:
            self._note = f"no problem {'after' if direction > 0 else 'before'} this moment"
            return
        self._problem = found
        try:
            self.clock.stand(*self._past.when_failing(found.uid))
        except FrameGone as error:
            self._note = str(error)

    # -- what is shown ----------------------------------------------------------------

    @property
    def asked(self) -> int:
        """Commands obeyed so far."""
        return self._asked

    @property
    def behind(self) -> bool:
        """Whether ``moment`` has more to show of the same moment when it is asked again."""
        return self._moment.behind > 0

    def prepare(self) -> Iterator[bool]:
        """Use idle time: does a little of what later moments need at each step."""
        for _ in self._past.prepare():
            yield True

    def moment(self, give_way: GiveWay = go_on) -> Moment:
        """The state of the capture at the clock; the same object while that stands still.

        Args:
            give_way: Called now and then while it is made.
        """
        clock = self.clock
        place = clock.at, clock.now_ns
        if place == self._shown and not self.behind:
            return self._moment
        try:
            moment = self._end
            if not clock.at_end:
                moment = self._past.at(*place, afresh=not clock.playing, give_way=give_way)
        except FrameGone as error:
            clock.pause()
            clock.stand(*self._shown)
            self._note = str(error)
        else:
            self._moment, self._shown = moment, place
        return self._moment

    def state(self) -> ReplayClock:
        """Where the clock stands."""
        clock, times = self.clock, self.clock.times
        return ReplayClock(
            now_ns=clock.now_ns,
            first_ns=times.first_ns,
            last_ns=times.last_ns,
            speed=clock.speed,
            playing=clock.playing,
            at_packet=clock.at,
            packets=len(times),
            share=clock.share,
            timed=times.known,
            at_end=clock.at_end,
            skipping=clock.skipping,
            flow=self._problem.uid if self._problem is not None else None,
            note=self._note,
            asked=self._asked,
        )
