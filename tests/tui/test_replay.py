"""The replay clock under the keys and the mouse, with the real engine on a demo."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from capture.demo import demo_path, find_demo
from capture.options import AnalysisOptions
from capture.snapshot import ReplayClock
from tests.capture.decode.building import frames_of
from tests.capture.tracking.building import write_pcap
from tests.tui.fakes import loaded_app
from tests.tui.user import User, using
from tui.application import TunnelscopeApp
from tui.engine_bridge import EngineBridge
from tui.feeds import FileFeed
from tui.screens.parts.replay import KEYS_S
from tui.sessions import Setup, open_bridge
from widgets import line_list
from widgets.replay_bar import ReplayBar

TOUR = demo_path()
DENIED = Path(__file__).parent.parent / "data" / "captures" / "02a_squid_acl_deny.pcap"


class Viewer(User):
    """A user of a recording."""

    @property
    def clock(self) -> ReplayClock:
        snapshot = self.screen._snapshot
        assert snapshot is not None
        assert snapshot.clock is not None
        return snapshot.clock

    async def answered(self) -> None:
        """Wait until all commands given so far are obeyed, and shown."""
        replay = self.screen._bridge.replay
        assert replay is not None
        await self.until(lambda: self.clock.asked >= replay.sent)

    async def rest(self) -> None:
        if self.screen._snapshot and self.screen._snapshot.clock and self.clock.playing:
            await self.pilot.pause()  # there is no rest while the clock runs
        else:
            await super().rest()

    async def do(self, *keys: str) -> None:
        for key in keys:
            await self.press(key)
            await self.answered()

    async def go(self, text: str) -> None:
        await self.press("T", *text, "enter")
        await self.answered()

    def selected(self) -> int | None:
        flow = self.tunnels().selected
        return flow.uid if flow is not None else None

    def bar(self) -> str:
        return self.screen.query_one(ReplayBar).render_line(0).text

    def cells(self) -> range:
        """Of the bar, where it is now."""
        return self.screen.query_one(ReplayBar)._bar


@pytest.fixture
def bridges() -> Iterator[list[EngineBridge]]:
    made: list[EngineBridge] = []
    yield made
    for bridge in made:
        bridge.stop()


@asynccontextmanager
async def watching(
    bridges: list[EngineBridge], path: Path = TOUR, size: tuple[int, int] = (120, 36)
) -> AsyncIterator[Viewer]:
    bridge = open_bridge(FileFeed(str(path), name="demo"), Setup(AnalysisOptions(), None, 0.05))
    bridges.append(bridge)
    app = TunnelscopeApp(bridge, title="demo", period_s=0.05)
    async with app.run_test(size=size) as pilot:
        viewer = Viewer(app, pilot)
        await viewer.until(lambda: viewer.screen._snapshot and viewer.screen._snapshot.clock)
        yield viewer


async def test_a_recording_is_shown_at_its_end(bridges: list[EngineBridge]) -> None:
    async with watching(bridges) as viewer:
        assert viewer.clock.at_end
        assert not viewer.clock.playing
        assert "100%" in viewer.bar()
        assert "play" in viewer.screen.query_one("#footline").render().plain  # type: ignore[union-attr]


async def test_play_starts_over_and_stops_at_the_end(bridges: list[EngineBridge]) -> None:
    async with watching(bridges) as viewer:
        await viewer.do("p")
        assert viewer.clock.playing
        assert viewer.clock.share < 0.5
        await viewer.until(lambda: "pause" in viewer.text().splitlines()[-1])
        await viewer.do(*["plus"] * 8)
        await viewer.until(lambda: viewer.clock.at_end)
        assert not viewer.clock.playing


async def test_space_pauses_and_goes_on(bridges: list[EngineBridge]) -> None:
    async with watching(bridges) as viewer:
        await viewer.do("space", "space")
        at = viewer.clock.at_packet
        assert not viewer.clock.playing
        await viewer.pilot.pause(0.1)
        assert viewer.clock.at_packet == at
        await viewer.do("space")
        assert viewer.clock.playing


async def test_steps_go_by_what_the_packet_pane_shows(bridges: list[EngineBridge]) -> None:
    async with watching(bridges) as viewer:
        viewer.tunnels().select(3)
        await viewer.until(lambda: viewer.screen._shown and viewer.screen._shown.uid == 3)
        first = viewer.packets()._view_row(0) + 1
        await viewer.go("#1")
        await viewer.do("full_stop")
        assert viewer.clock.at_packet == first
        assert viewer.packets().selected_number == first
        await viewer.do("full_stop", "full_stop", "comma")
        assert viewer.packets().row_count() == 2
        await viewer.go("#1")
        await viewer.do("a", "full_stop")
        assert viewer.clock.at_packet == 2


async def test_messages_and_problems(bridges: list[EngineBridge]) -> None:
    async with watching(bridges) as viewer:
        await viewer.go("0%")
        await viewer.do("right_curly_bracket")
        flow = viewer.tunnels().selected
        assert flow is not None
        assert flow.uid == viewer.clock.flow
        assert flow.failing
        at = viewer.clock.at_packet
        await viewer.do("left_parenthesis")
        assert viewer.clock.at_packet < at
        await viewer.do("right_parenthesis")
        assert viewer.clock.at_packet <= at
        await viewer.do("left_curly_bracket")
        await viewer.go("0%")
        await viewer.do("left_curly_bracket")
        assert viewer.said() == "no problem before this moment"


async def test_the_chosen_tunnel_is_selected_again_when_it_is_back(
    bridges: list[EngineBridge],
) -> None:
    async with watching(bridges) as viewer:
        viewer.tunnels().select(5)
        await viewer.until(lambda: viewer.selected() == 5)
        await viewer.go("#20")
        assert viewer.selected() == 1
        await viewer.go("#30")
        assert viewer.selected() in (1, 2)
        await viewer.go("100%")
        assert viewer.selected() == 5
        assert viewer.screen._shown is not None
        assert viewer.screen._shown.uid == 5


async def test_another_choice_made_meanwhile_stays(bridges: list[EngineBridge]) -> None:
    async with watching(bridges) as viewer:
        viewer.tunnels().select(8)
        await viewer.until(lambda: viewer.selected() == 8)
        await viewer.go("#40")
        other = 1 if viewer.selected() == 2 else 2
        viewer.tunnels().select(other)
        await viewer.go("100%")
        assert viewer.selected() == other


async def test_before_the_first_packet_nothing_is_there(bridges: list[EngineBridge]) -> None:
    async with watching(bridges) as viewer:
        await viewer.go("0%")
        assert viewer.clock.at_packet == 0
        assert viewer.packets().row_count() == 0
        assert viewer.selected() is None
        await viewer.do("comma")
        assert viewer.said()


async def test_a_text_that_leads_nowhere_is_explained(bridges: list[EngineBridge]) -> None:
    async with watching(bridges) as viewer:
        await viewer.go("noon")
        assert "11:30:18" in viewer.said()
        assert viewer.screen._finder.query == ""
        assert viewer.clock.at_end
        await viewer.press("T", "escape")
        assert viewer.focus() == "tunnels"


async def test_the_mouse_moves_the_clock_on_the_bar(bridges: list[EngineBridge]) -> None:
    async with watching(bridges) as viewer:
        cells = viewer.cells()
        await viewer.click(ReplayBar, cells.start + len(cells) // 2)
        await viewer.answered()
        assert abs(viewer.clock.share - 0.5) < 0.1
        await viewer.click(ReplayBar, viewer.cells()[-1])
        await viewer.answered()
        assert viewer.clock.at_end
        await viewer.click(ReplayBar, 2)
        await viewer.answered()
        assert viewer.clock.playing


async def test_seeking_by_keys(bridges: list[EngineBridge]) -> None:
    async with watching(bridges) as viewer:
        await viewer.do("shift+left")
        assert viewer.clock.share == pytest.approx(0.98, abs=0.001)
        await viewer.do("ctrl+left")
        assert viewer.clock.share == pytest.approx(0.88, abs=0.001)
        await viewer.do("shift+right", "ctrl+right")
        assert viewer.clock.at_end


async def test_what_was_said_of_a_wrong_time_goes_with_the_next_one(
    bridges: list[EngineBridge],
) -> None:
    async with watching(bridges) as viewer:
        await viewer.go("noon")
        await viewer.until(lambda: "no time" in viewer.said())
        await viewer.go("50%")
        await viewer.until(lambda: not viewer.clock.at_end)
        assert not viewer.said()


async def test_speed_is_shown_and_silences_are_skipped(bridges: list[EngineBridge]) -> None:
    async with watching(bridges) as viewer:
        await viewer.do("plus", "plus")
        assert " 4x " in viewer.bar()
        await viewer.do("minus", "minus", "minus")
        assert " 1/4x " in viewer.bar()
        await viewer.do("S")
        assert viewer.clock.skipping
        assert viewer.said() == "long silences are skipped"


async def test_who_scrolls_the_packets_is_left_alone(
    bridges: list[EngineBridge], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line_list, "GROWTH_PERIOD_S", 3600.0)  # a command does not wait for it
    async with watching(bridges) as viewer:
        await viewer.do("a")
        await viewer.go("#60")
        packets = viewer.packets()
        assert packets.selected_number == viewer.clock.at_packet
        await viewer.do("space", "space")
        assert packets.selected_number == viewer.clock.at_packet
        viewer.screen.set_focus(packets)
        await viewer.do("space")
        await viewer.press("home")
        now_ns = viewer.clock.now_ns
        await viewer.until(lambda: viewer.clock.now_ns > now_ns)
        assert packets.selected_number == 1


async def test_pending_steps_have_the_clocks_age(bridges: list[EngineBridge]) -> None:
    async with watching(bridges, find_demo("tls-stall").path) as viewer:
        await viewer.go("+0")
        viewer.tunnels().select(1)
        first = viewer.clock.first_ns
        await viewer.go("1.5")
        assert viewer.clock.now_ns == first + 1_500_000_000
        assert "waiting" in viewer.text().lower()
        await viewer.go("100%")
        assert "waiting" not in viewer.text().lower()


@pytest.mark.parametrize("size", [(80, 24), (120, 36)])
async def test_the_bar_is_readable_once_it_is_used(
    bridges: list[EngineBridge], size: tuple[int, int]
) -> None:
    async with watching(bridges, size=size) as viewer:
        await viewer.go("50%")
        line = viewer.text().splitlines()[0]
        assert "1x" in line
        assert "●" in line
        assert line.rstrip().endswith("50%")
        assert "failing" in line


async def test_what_cannot_be_played_has_no_such_keys() -> None:
    async with using(loaded_app()) as user:
        for action in ("step_packet", "when", "speed", "pause"):
            assert not user.screen.check_action(action, ())
        await user.press("full_stop", "T", "space")
        assert user.focus() == "tunnels"
        assert not user.screen.query_one(ReplayBar).display


async def test_a_tunnel_is_played_from_where_it_begins(bridges: list[EngineBridge]) -> None:
    async with watching(bridges) as viewer:
        viewer.tunnels().select(5)
        await viewer.until(lambda: viewer.selected() == 5)
        await viewer.until(lambda: viewer.screen._shown and viewer.screen._shown.uid == 5)
        first = viewer.packets()._view_row(0) + 1
        await viewer.do(*["minus"] * 8, "P")
        assert viewer.clock.playing
        assert first <= viewer.clock.at_packet
        assert not viewer.clock.at_end
        assert viewer.selected() == 5


async def test_a_tunnel_that_begins_with_the_last_packet_is_no_reason_to_start_over(
    bridges: list[EngineBridge], tmp_path: Path
) -> None:
    before = frames_of(DENIED)
    # Behind Ethernet and IPv4 without options: TCP, and no flag but SYN.
    first = next(frame for frame in before if frame.data[23] == 6 and frame.data[47] == 2)
    port = (50_000).to_bytes(2, "big")
    syn = first.data[:34] + port + first.data[36:]
    last = replace(first, data=syn, time_ns=before[-1].time_ns + 1000)
    write_pcap(tmp_path / "late.pcap", [*before, last])
    async with watching(bridges, tmp_path / "late.pcap") as viewer:
        late = next(flow for flow in viewer.tunnels().order if flow.client.endswith(":50000"))
        viewer.tunnels().select(late.uid)
        await viewer.until(lambda: viewer.screen._shown and viewer.screen._shown.uid == late.uid)
        await viewer.do("P")
        assert viewer.clock.at_packet >= len(before)


async def test_while_the_clock_runs_the_screen_rests_but_answers(
    bridges: list[EngineBridge],
) -> None:
    async with watching(bridges) as viewer:
        await viewer.do("minus", "minus", "minus", "space")
        screen, speed = viewer.screen, viewer.clock.speed
        screen._rests_until = math.inf
        assert screen.rests()
        seen = screen._snapshot
        screen._pull()
        assert screen._snapshot is seen
        await viewer.do("plus")
        assert viewer.clock.speed > speed
        await viewer.do("space")
        assert not viewer.clock.playing
        assert not screen.rests()


async def test_what_comes_by_itself_comes_behind_keys(
    bridges: list[EngineBridge], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with watching(bridges) as viewer:
        screen, replay = viewer.screen, bridges[0].replay
        assert replay is not None
        keys = [False]
        monkeypatch.setattr(screen._budget, "asked_within", lambda seconds: keys[0])
        assert not replay.keys_first()
        await viewer.do("minus", "minus", "minus", "minus", "space")
        with monkeypatch.context() as patch:
            patch.setattr("tui.screens.parts.replay.monotonic", lambda: 1000.0)
            screen._rests_until = 1000.0 - KEYS_S / 2
            assert not screen.rests()
            keys[0] = True
            assert replay.keys_first()
            assert screen.rests()
            screen._rests_until = 1000.0 - KEYS_S
            assert not screen.rests()  # keys that keep coming are not waited for any longer
        keys[0] = False
        await viewer.do("space")


async def test_a_pause_is_seen_before_the_engine_has_heard_of_it(
    bridges: list[EngineBridge], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with watching(bridges) as viewer:
        screen, replay = viewer.screen, bridges[0].replay
        assert replay is not None
        await viewer.do("minus", "minus", "minus", "minus", "space")
        clock = screen._clock
        assert clock is not None
        assert screen._playing
        with monkeypatch.context() as patch:
            patch.setattr(replay, "_put", lambda *_: setattr(replay, "sent", replay.sent + 1))
            screen.action_pause()
            seen = [screen._playing]
            screen._show_clock(clock)  # a state from before
            seen.append(screen._playing)
        assert seen == [False, False]
        replay.sent -= 1
        screen._toggled = 0
        screen._show_clock(clock)
        assert viewer.bar().startswith(" ▶")


async def test_from_one_end_to_the_other_and_what_a_filter_finds_there(
    bridges: list[EngineBridge],
) -> None:
    async with watching(bridges) as viewer:
        await viewer.do("ctrl+home")
        assert viewer.clock.at_packet == 0
        await viewer.do("ctrl+end")
        assert viewer.clock.at_end
        await viewer.go("#60")
        await viewer.pilot.press("f", *"verdict", "space", "equals_sign", "equals_sign", "space")
        await viewer.pilot.press(*"tls_stall", "enter")
        await viewer.until(lambda: viewer.said().startswith("no tunnel found by 09:36:5"))
