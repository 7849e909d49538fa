"""The replay's clock in the first line: how it runs, where it stands, and a bar to move it."""

from __future__ import annotations

import math
from typing import ClassVar, Final

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from capture.snapshot import ReplayClock
from capture.units import time_of_day
from widgets.glyphs import UNICODE, Glyphs

_LEAST: Final = 6
"""Cells of the shortest bar; narrower, it gives way to the time."""
_ROOMY: Final = 44
"""Cells from which on there is room for milliseconds."""
_SPEED: Final = 5
_SHARE: Final = 4


class ReplayBar(Widget):
    """One line: ``▶ 4x  11:30:18.120 ━━━━━●━━━  71%``. A click on the bar moves the clock."""

    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "replay-bar--state", "replay-bar--time", "replay-bar--done", "replay-bar--rest",
    }  # fmt: skip
    DEFAULT_CSS = """
    ReplayBar {
        height: 1;
        background: $panel;
        color: $foreground;
        & > .replay-bar--state { color: $text-accent; text-style: bold; }
        & > .replay-bar--time { text-style: bold; }
        & > .replay-bar--done { color: $text-accent; }
        & > .replay-bar--rest { color: $text-muted; }
    }
    """

    class Sought(Message):
        """The user pointed at a place on the bar."""

        def __init__(self, bar: ReplayBar, share: float) -> None:
            super().__init__()
            self.bar = bar
            self.share = share
            """From 0 to 1."""

        @property
        def control(self) -> ReplayBar:
            return self.bar

    class Toggled(Message):
        """The user pointed at the sign that tells whether the clock runs."""

    def __init__(self, *, glyphs: Glyphs = UNICODE, id: str | None = None) -> None:
        super().__init__(id=id)
        self.glyphs = glyphs
        self._clock: ReplayClock | None = None
        self._bar = range(0)
        """Cells that the bar takes."""
        self._drawn: tuple[object, ...] = ()
        self._dragging = False

    def show(self, clock: ReplayClock) -> None:
        """Take the clock of a new snapshot; repaints only if the line reads differently."""
        self._clock = clock
        drawn = (self._state(clock), self._time(clock), self._done(clock, len(self._bar)))
        if drawn != self._drawn:
            self._drawn = drawn
            self.refresh()

    # The line

    def _state(self, clock: ReplayClock) -> str:
        sign = self.glyphs.playing if clock.playing else self.glyphs.paused
        return f"{sign} {speed_text(clock.speed):<{_SPEED}}"

    def _time(self, clock: ReplayClock) -> str:
        """The time, to milliseconds where there is room; the packet in a file without times."""
        if clock.timed:
            return time_of_day(clock.now_ns)[: 12 if self.size.width >= _ROOMY else 8]
        return f"#{clock.at_packet}".rjust(len(str(clock.packets)) + 1)

    @staticmethod
    def _done(clock: ReplayClock, cells: int) -> tuple[int, str]:
        """Cell of the knob, and the share in words: 100 % only at the very end."""
        share = min(max(clock.share, 0.0), 1.0)
        percent = 100 if clock.at_end else min(math.floor(share * 100), 99)
        return round(share * max(0, cells - 1)), f"{percent}%".rjust(_SHARE)

    def render_line(self, y: int) -> Strip:
        width, base = self.size.width, self.rich_style
        clock = self._clock
        if y or clock is None:
            return Strip.blank(width, base)
        state, time = self._state(clock), self._time(clock)
        start = 1 + cell_len(state) + 1 + cell_len(time) + 1
        cells = width - start - 1 - _SHARE - 1
        self._bar = range(start, start + cells) if cells >= _LEAST else range(0)
        knob, share = self._done(clock, len(self._bar))
        segments = [
            Segment(" ", base),
            Segment(state, self._style("state")),
            Segment(" ", base),
            Segment(time, self._style("time")),
            Segment(" ", base),
        ]
        if self._bar:
            signs = self.glyphs
            rest = signs.bar_empty * (len(self._bar) - knob - 1)
            segments += [
                Segment(signs.bar_full * knob + signs.knob, self._style("done")),
                Segment(rest, self._style("rest")),
                Segment(" ", base),
            ]
        segments.append(Segment(share, self._style("rest")))
        return Strip(segments).adjust_cell_length(width, base)

    def _style(self, part: str) -> Style:
        return self.get_component_rich_style(f"replay-bar--{part}")

    # The mouse

    def _point(self, x: int) -> None:
        bar = self._bar
        place = min(max(x - bar.start, 0), len(bar) - 1)
        self.post_message(self.Sought(self, place / max(1, len(bar) - 1)))

    def on_mouse_down(self, event: events.MouseDown) -> None:
        event.stop()
        if event.x in self._bar:
            self._dragging = True
            self.capture_mouse()
            self._point(event.x)
        elif event.x < self._bar.start:
            self.post_message(self.Toggled())

    def on_mouse_move(self, event: events.MouseMove) -> None:
        if self._dragging:
            event.stop()
            self._point(event.x)

    def on_mouse_up(self, event: events.MouseUp) -> None:
        if self._dragging:
            self._dragging = False
            self.release_mouse()


def speed_text(speed: float) -> str:
    """``4x``, ``1/16x``, ``max``."""
    if math.isinf(speed):
        return "max"
    return f"{speed:g}x" if speed >= 1 else f"1/{1 / speed:g}x"
