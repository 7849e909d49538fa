"""Watching live: pausing the view, losses, a sniffer that died, starting afresh."""

from __future__ import annotations

import math
import time
from itertools import islice
from typing import TYPE_CHECKING, ClassVar, Final

from textual.binding import Binding, BindingType

from capture.report.waiting import waiting
from capture.units import plural
from tui.keys.bindings import LIVE, BoundAction, key_for
from tui.screens.parts.base import MainPart

if TYPE_CHECKING:
    from capture.report.model import FlowReport
    from capture.snapshot import Snapshot

ASKED_S: Final = 6.0
"""How long the answer to a question is waited for."""
AGE_PERIOD_NS: Final = 1_000_000_000
"""How often the age of what is waited for is shown anew."""
LEAD_S: Final = 2.0
"""How long a tunnel stays selected that was selected for the user, unless another one is the
first to tell something: a screen that leaps with every new tunnel cannot be read."""
LOOK_BACK: Final = 500
"""Of so many tunnels, the newest, one is selected for the user."""


class LivePart(MainPart):
    """Watching live: pausing the view, losses, a sniffer that died, starting afresh."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f5", "clear", "Start afresh", show=False, id="main.clear", group=LIVE),
    ]

    _held: Snapshot | None = None
    """The newest snapshot that came while paused."""
    _paused: bool = False
    _asked_s: float = -math.inf
    """When it was asked whether packets may be thrown away."""
    _led_s: float = -math.inf
    """When a tunnel was selected for the user."""
    _aged_ns: int = 0
    """Capture time that ages were shown at."""

    def started(self) -> None:
        super().started()
        if self._bridge.live:
            self._packets.following = True

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "clear" or (action == "pause" and self._bridge.live):
            return self._bridge.live
        return super().check_action(action, parameters)

    def hint(self, action: BoundAction) -> str:
        if action.id == "main.pause" and self._bridge.live:
            return "go on" if self._paused else "pause"
        return super().hint(action)

    # Snapshots

    def holds(self, snapshot: Snapshot) -> bool:
        if not self._paused or self._snapshot is None:
            return super().holds(snapshot)
        self._held = snapshot
        self._show_health(snapshot)
        return True

    def took(self, snapshot: Snapshot) -> None:
        super().took(snapshot)
        if snapshot.capturing is None:
            return
        self._show_health(snapshot)
        self._lead(snapshot)
        clock = snapshot.capturing.clock_ns
        if abs(clock - self._aged_ns) >= AGE_PERIOD_NS:
            self._aged_ns = clock
            for pane in (self._timeline, self._issue, self._brief):
                pane.age(clock)

    def _lead(self, snapshot: Snapshot) -> None:
        """Select the newest tunnel that fails or waits: the client was made to try again, and that
        try is what the user wants to see. Never once he has chosen one, or is somewhere else."""
        if not self.is_current or self.focused is not self._tunnels:
            return
        shown = self._tunnels.selected
        engaged = shown is not None and tells(shown)
        latest = list(islice(reversed(snapshot.report.flows), LOOK_BACK))
        wanted = [flow for flow in latest if tells(flow)]
        if time.monotonic() - self._led_s < LEAD_S and (engaged or not wanted):
            return
        for flow in wanted or (() if engaged else latest):
            if shown is not None and flow.uid == shown.uid:
                return
            if self._tunnels.lead(flow.uid):  # not those that a filter hides
                self._led_s = time.monotonic()
                self.fill()
                return

    def _show_health(self, snapshot: Snapshot) -> None:
        """What must be known of the capture itself, whatever the panes show."""
        shown = self._snapshot
        missed = None
        if self._paused and shown is not None:
            missed = snapshot.report.source.packets - shown.report.source.packets
        self._header.show(snapshot, paused=missed)
        if snapshot.error is None and self._bridge.failure is None:
            self.say_trouble(trouble(snapshot))

    # Actions

    def may_slip_out(self) -> bool:
        """Ask once before packets are thrown away that no file keeps."""
        shown = self._snapshot
        capturing = shown.capturing if shown is not None else None
        if shown is None or capturing is None or capturing.file or not shown.report.source.packets:
            return super().may_slip_out()
        asked, self._asked_s = self._asked_s, time.monotonic()
        if self._asked_s - asked < ASKED_S:
            return super().may_slip_out()
        leave, save = (key_for(id, self, self.app) for id in ("main.back", "main.save"))
        self.tell(f"no file keeps these packets: {leave} again leaves them, {save} saves tunnels")
        return False

    def action_pause(self) -> None:
        if not self._bridge.live:
            super().action_pause()
            return
        self._paused = not self._paused
        held, self._held = self._held, None
        if self._paused:
            self.tell("paused: the capture goes on, the view stands still", stay=True)
            if self._snapshot is not None:
                self._show_health(self._snapshot)
        else:
            self._footline.clear()
            if held is not None:
                self.take(held)
            elif self._snapshot is not None:
                self._show_health(self._snapshot)
        self.refresh_bindings()

    def action_clear(self) -> None:
        """Forget what was seen so far; the capture and its file go on."""
        if not self._bridge.clear():
            self.tell("this capture cannot be started afresh")
            return
        if self._paused:
            self.action_pause()
        kept = self._snapshot.capturing if self._snapshot is not None else None
        where = f"; {kept.file} has it" if kept is not None and kept.file else ""
        self.tell(f"started afresh: what was seen before is forgotten{where}")


def trouble(snapshot: Snapshot) -> str:
    """One line about what goes wrong with the capture itself; empty when nothing does."""
    capturing, source = snapshot.capturing, snapshot.report.source
    if capturing is None:
        return ""
    if capturing.trouble:
        return capturing.trouble
    kernel, queue = source.lost_kernel or 0, source.lost_queue or 0
    if not kernel and not queue:
        return ""
    where = []
    if kernel:
        where.append(f"{plural(kernel, 'packet')} by the kernel (a larger buffer: -B MIB)")
    if queue:
        where.append(f"{plural(queue, 'packet')} by this program (a narrower filter helps)")
    return f"lost {' and '.join(where)}: what was not captured cannot be judged"


def tells(flow: FlowReport) -> bool:
    """Whether a tunnel is one to look at while it happens: it fails, or waits for an answer."""
    return flow.failing or waiting(flow) is not None
