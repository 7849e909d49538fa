"""The replay clock: play, pause, step, seek, speed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from time import monotonic
from typing import TYPE_CHECKING, ClassVar, Final

from textual.binding import Binding, BindingType
from textual.timer import Timer

from tui.keys.bindings import REPLAY, BoundAction
from tui.screens.parts.base import MainPart
from widgets.replay_bar import ReplayBar

if TYPE_CHECKING:
    from capture.replay.controls import ReplayControls
    from capture.snapshot import ReplayClock, Snapshot
    from tui.lines.when_line import WhenLine

SEEK: Final = 0.02
"""Part of the recording that a seek goes over, and a far one."""
SEEK_FAR: Final = 0.1

ANSWER_S: Final = 0.005
"""How often the answer to a command is looked for, rather than a few times a second."""
ANSWER_LOOKS: Final = 600
"""After so many looks in vain, a few times a second will do."""

CALM: Final = 16
"""While the clock runs, a key may come at any moment: the screen takes the next state of the
capture at the earliest after this many times as long as it took to take the last one."""

KEY_S: Final = 0.1
"""Nor does it so soon after a key, ..."""
KEYS_S: Final = 0.5
"""... but for keys that keep coming it does not wait longer than that."""

_ACTIONS: Final = frozenset(
    {
        "play_tunnel",
        "step_packet",
        "step_message",
        "step_problem",
        "seek",
        "seek_to",
        "speed",
        "skip_silences",
        "when",
    }
)


class ReplayPart(MainPart):
    """The replay clock: play, pause, step, seek, speed."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("P", "play_tunnel", "Play this tunnel", show=False, id="main.play-tunnel",
                group=REPLAY, tooltip="From its first packet"),
        Binding("full_stop", "step_packet(1)", "Step: next packet", show=False,
                id="main.step", group=REPLAY),
        Binding("comma", "step_packet(-1)", "Step: packet before", show=False,
                id="main.step-back", group=REPLAY),
        Binding("right_parenthesis", "step_message(1)", "Step: next message", show=False,
                id="main.step-message", group=REPLAY),
        Binding("left_parenthesis", "step_message(-1)", "Step: message before", show=False,
                id="main.step-message-back", group=REPLAY),
        Binding("right_curly_bracket", "step_problem(1)", "Play to the next problem", show=False,
                id="main.step-problem", group=REPLAY),
        Binding("left_curly_bracket", "step_problem(-1)", "Back to the problem before", show=False,
                id="main.step-problem-back", group=REPLAY),
        Binding("plus,equals_sign", "speed(1)", "Faster", show=False, id="main.faster",
                group=REPLAY),
        Binding("minus", "speed(-1)", "Slower", show=False, id="main.slower", group=REPLAY),
        Binding("shift+right", "seek(1)", "Seek forward", show=False, id="main.seek", group=REPLAY),
        Binding("shift+left", "seek(-1)", "Seek back", show=False, id="main.seek-back",
                group=REPLAY),
        Binding("ctrl+right", "seek(10)", "Seek far forward", show=False, id="main.seek-far",
                group=REPLAY),
        Binding("ctrl+left", "seek(-10)", "Seek far back", show=False,
                id="main.seek-far-back", group=REPLAY),
        Binding("ctrl+home", "seek_to(0)", "To the start", show=False, id="main.seek-start",
                group=REPLAY),
        Binding("ctrl+end", "seek_to(1)", "To the end: all of it", show=False,
                id="main.seek-end", group=REPLAY),
        Binding("T", "when", "Go to a time or packet", show=False, id="main.when", group=REPLAY),
        Binding("S", "skip_silences", "Skip long silences", show=False, id="main.skip-silences",
                group=REPLAY),
    ]  # fmt: skip

    _bar: ReplayBar
    _when_line: WhenLine | None = None
    _answer: Timer | None = None
    """Looks for the answer to the last command."""
    _told: int = 0
    """Commands whose answer was shown."""
    _wanted: int | None = None
    """Uid of the tunnel that the user chose; it may not have begun at the clock."""
    _instead: int | None = None
    """Uid of the tunnel that is selected in its place."""
    _aged: bool = False
    _playing: bool = False
    """Whether the clock runs, or will as soon as the engine has heard of it."""
    _toggled: int = 0
    """Commands given by the time it was last told to run or to stop."""
    _began: float = 0.0
    """When the newest snapshot was about to be shown, on the monotonic clock."""
    _rests_until: float = 0.0

    @property
    def _clock(self) -> ReplayClock | None:
        return self._snapshot.clock if self._snapshot is not None else None

    def started(self) -> None:
        super().started()
        replay = self._bridge.replay
        if replay is not None:
            replay.keys_first = lambda: self._budget.asked_within(KEY_S)

    # Snapshots

    def rests(self) -> bool:
        clock, replay = self._clock, self._bridge.replay
        runs_by_itself = clock is not None and clock.playing
        answered = clock is None or replay is None or clock.asked >= replay.sent
        until = self._rests_until
        if self._budget.asked_within(KEY_S):
            until += KEYS_S
        return (runs_by_itself and answered and monotonic() < until) or super().rests()

    def holds(self, snapshot: Snapshot) -> bool:
        self._began = monotonic()
        selected = self._tunnels.selected
        if selected is not None and selected.uid != self._instead:
            self._wanted, self._instead = selected.uid, None
        if snapshot.clock is not None and snapshot.clock.flow is not None:
            self._wanted = snapshot.clock.flow
        return super().holds(snapshot)

    def took(self, snapshot: Snapshot) -> None:
        super().took(snapshot)
        clock = snapshot.clock
        if clock is None:
            return
        self._show_clock(clock)
        if not self.has_class("-replay"):
            self.add_class("-replay")
            self.refresh_bindings()
        self._keep_wanted(snapshot)
        self._show_age(None if clock.at_end else clock.now_ns)
        if clock.asked > self._told or not clock.playing:
            self._packets.catch_up()  # what was asked for is not put off
        if not clock.at_end and self._packets.following and not self._timeline.has_focus:
            self._timeline.move_cursor(self._timeline.row_count() - 1, tell=False)
        if clock.asked > self._told:
            self._told = clock.asked
            self.set_class(not clock.at_end or self.has_class("-engaged"), "-engaged")
            if clock.note:
                self.tell(clock.note)
        now = monotonic()
        self._rests_until = now + CALM * (now - self._began)

    def _show_clock(self, clock: ReplayClock) -> None:
        """Show where the clock stands, and what it does once it has heard of the last command."""
        playing = clock.playing if clock.asked >= self._toggled else self._playing
        self._bar.show(replace(clock, playing=playing))
        if playing != self._playing:
            self._playing = playing
            self.refresh_bindings()

    def _keep_wanted(self, snapshot: Snapshot) -> None:
        """Select the tunnel that the user chose as soon as it is there again."""
        selected = self._tunnels.selected
        wanted = self._wanted
        if selected is None or selected.uid == wanted:
            return
        if wanted is not None and wanted in snapshot.facts and self._tunnels.select(wanted):
            self._instead = None
            self.fill()
        else:
            self._instead = selected.uid

    def _show_age(self, clock_ns: int | None) -> None:
        if clock_ns is None and not self._aged:
            return
        self._aged = clock_ns is not None
        for pane in (self._timeline, self._issue, self._brief):
            pane.age(clock_ns)

    # Commands

    def _ask(self, command: Callable[[ReplayControls], None], *, follow: bool = True) -> None:
        """Give a command to the replay and look for the answer at once."""
        replay = self._bridge.replay
        if replay is None or self._clock is None:
            return
        command(replay)
        if follow:
            self._packets.following = True
        if self._answer is not None:
            self._answer.stop()
        self._answer = self.set_interval(ANSWER_S, self._look_for_answer, repeat=ANSWER_LOOKS)

    def _look_for_answer(self) -> None:
        replay, clock = self._bridge.replay, self._clock
        if replay is None or clock is None or clock.asked >= replay.sent:
            if self._answer is not None:
                self._answer.stop()
                self._answer = None
            return
        self._pull()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action in _ACTIONS:
            return self._clock is not None
        if action == "pause" and self._clock is not None:
            return True
        return super().check_action(action, parameters)

    def hint(self, action: BoundAction) -> str:
        if action.id == "main.pause" and self._clock is not None:
            return "pause" if self._playing else "play"
        return super().hint(action)

    def action_pause(self) -> None:
        clock = self._clock
        if clock is None:
            super().action_pause()
            return
        replay = self._bridge.replay
        self._ask(lambda replay: replay.toggle(), follow=not self._playing)
        if replay is not None:
            # Seen at once, though the engine may be busy with a state.
            self._toggled, self._playing = replay.sent, not self._playing
            self._show_clock(clock)
            self.refresh_bindings()

    def action_play_tunnel(self) -> None:
        """Play from the selected tunnel's first packet on, which shows at once: a moment before
        it the tunnel would not be there, and the panes would show another one."""
        snapshot, flow = self._snapshot, self._tunnels.selected
        if snapshot is None or flow is None:
            self.tell("no tunnel is selected")
            return
        self._wanted, self._instead = flow.uid, None
        rows = snapshot.packets.of_flow(flow.uid)
        first = snapshot.packets.number(int(rows[0])) if len(rows) else 0
        last = self._clock.packets if self._clock is not None else 0
        # Behind the last packet there is nothing to play, and playing would start over.
        self._ask(lambda replay: replay.play_from(max(0, min(first, last - 1))))

    def action_step_packet(self, direction: int) -> None:
        uid = self._scope()
        self._ask(lambda replay: replay.step_packet(direction, uid))

    def action_step_message(self, direction: int) -> None:
        uid = self._scope()
        self._ask(lambda replay: replay.step_message(direction, uid))

    def action_step_problem(self, direction: int) -> None:
        self._ask(lambda replay: replay.step_problem(direction))

    def _scope(self) -> int | None:
        """Uid of the tunnel whose packets the packet pane shows; None: those of all."""
        return None if self._every_packet else self._wanted

    def action_seek(self, steps: int) -> None:
        share = SEEK_FAR if abs(steps) > 1 else SEEK
        self._ask(lambda replay: replay.seek_by(share if steps > 0 else -share))

    def action_seek_to(self, share: int) -> None:
        self._ask(lambda replay: replay.seek_share(float(share)))

    def action_speed(self, steps: int) -> None:
        self._ask(lambda replay: replay.faster(steps), follow=False)

    def action_skip_silences(self) -> None:
        clock = self._clock
        if clock is not None:
            skipping = not clock.skipping
            self._ask(lambda replay: replay.skip_silences(), follow=False)
            self.tell("long silences are skipped" if skipping else "silences take their time")

    async def action_when(self) -> None:
        from tui.lines.when_line import WhenLine

        if self._when_line is None:
            self._when_line = WhenLine(id="when")
            await self.mount(self._when_line)
        self._when_line.open()

    def on_when_line_closed(self, message: WhenLine.Closed) -> None:
        message.stop()
        text = message.query
        if text is not None:
            self._footline.clear()  # what was said of the try before
            self._ask(lambda replay: replay.seek(text))

    def on_replay_bar_sought(self, message: ReplayBar.Sought) -> None:
        message.stop()
        self._ask(lambda replay: replay.seek_share(message.share))

    def on_replay_bar_toggled(self, message: ReplayBar.Toggled) -> None:
        message.stop()
        self.action_pause()
