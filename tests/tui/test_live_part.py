"""A live capture on the screen, its snapshots made beforehand."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from textual.pilot import Pilot

from capture.snapshot import Capturing, Snapshot
from tests.tui.fakes import FakeEngine
from tests.tui.live_script import busy_snapshots
from tests.tui.user import User
from tui.application import TunnelscopeApp
from tui.engine_bridge import EngineBridge
from tui.screens.parts import live
from tui.screens.parts.live import trouble
from widgets import line_list

SNAPSHOTS = tuple(busy_snapshots(6))
LATER = tuple(busy_snapshots(12))[7::2]
"""With tunnels that come and fail."""


class LiveEngine(FakeEngine):
    def clear(self) -> None:
        self.calls.append("clear")


class Watcher(User):
    """Sees snapshots one by one."""

    def __init__(self, app: TunnelscopeApp, pilot: Pilot[int], engine: LiveEngine) -> None:
        super().__init__(app, pilot)
        self.engine = engine

    async def advance(self) -> None:
        """Let the next snapshot come and be looked at."""
        self.engine.advance()
        await self.rest()

    def head(self) -> str:
        return self.text().split("\n")[0]


@asynccontextmanager
async def watching(
    *snapshots: Snapshot, size: tuple[int, int] = (140, 40), live: bool = True
) -> AsyncIterator[Watcher]:
    engine = LiveEngine(*(snapshots or SNAPSHOTS))
    app = TunnelscopeApp(
        EngineBridge(lambda: engine, live=live), title="eth0  port 3128", period_s=0.02
    )
    async with app.run_test(size=size) as pilot:
        user = Watcher(app, pilot, engine)
        await user.until(lambda: user.screen._snapshot is not None)
        yield user


def changed(snapshot: Snapshot, **capturing: Any) -> Snapshot:
    assert snapshot.capturing is not None
    return replace(snapshot, capturing=replace(snapshot.capturing, **capturing))


async def test_the_header_tells_source_rate_file_and_losses() -> None:
    lossless = replace(SNAPSHOTS[0].report.source, lost_kernel=0, lost_queue=0)
    first = replace(SNAPSHOTS[0], report=replace(SNAPSHOTS[0].report, source=lossless))
    async with watching(first) as user:
        head = user.head()
        for words in ("eth0  port 3128", "1,001/s", "out.pcapng 250 kB", "10 tunnels", "0 lost"):
            assert words in head
        assert "reading" not in head


@pytest.mark.parametrize("size", [(80, 24), (120, 36), (40, 12)])
async def test_it_fits_every_terminal(size: tuple[int, int]) -> None:
    async with watching(size=size) as user:
        await user.advance()
        lines = user.text().split("\n")
        assert len(lines) == size[1]
        assert {len(line) for line in lines} == {size[0]}


async def test_what_was_let_go_is_told() -> None:
    many = changed(SNAPSHOTS[0], evicted_flows=1234, evicted_packets=5678)
    async with watching(many, changed(SNAPSHOTS[1], evicted_packets=5678)) as user:
        assert "oldest 1,234 tunnels dropped" in user.head()
        await user.advance()
        assert "oldest 5,678 packets dropped" in user.head()


async def test_a_paused_view_stands_still_while_the_capture_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(line_list, "GROWTH_PERIOD_S", 0.01)
    async with watching(size=(160, 40)) as user:
        await user.press("p")
        before = user.text().split("\n")
        assert "paused, +0 packets" in before[0]
        assert "the capture goes on" in user.said()
        await user.advance()
        await user.advance()
        after = user.text().split("\n")
        assert after[1:] == before[1:]
        missed = SNAPSHOTS[2].report.source.packets - SNAPSHOTS[0].report.source.packets
        assert f"paused, +{missed} packets" in after[0]
        await user.press("space")
        assert user.screen._snapshot is SNAPSHOTS[2]
        assert "paused" not in user.head()
        assert "0 packets" not in user.said()
        await user.advance()
        assert user.screen._snapshot is SNAPSHOTS[3]


async def test_the_tail_is_followed_until_the_user_scrolls() -> None:
    async with watching() as user:
        packets = user.screen._packets
        await user.press(*["down"] * 3)
        await user.until(lambda: "Packets of 3" in user.text())
        for _ in range(2):
            await user.advance()
        await user.until(lambda: packets.cursor == packets.row_count() - 1)
        packets.focus()
        await user.press("up", "up")
        at = packets.selected_number
        count = packets.row_count()
        await user.advance()
        assert packets.selected_number == at
        assert f"+{packets.row_count() - count}" in user.text()
        await user.press("end")
        assert packets.following
        await user.advance()
        await user.until(lambda: packets.cursor == packets.row_count() - 1)


async def test_selection_and_order_stay_while_tunnels_come() -> None:
    async with watching() as user:
        tunnels = user.screen._tunnels
        await user.press("down", "down")
        chosen = tunnels.selected
        assert chosen is not None
        shown = [flow.uid for flow in tunnels.order]
        for _ in range(4):
            await user.advance()
            assert tunnels.selected is not None
            assert tunnels.selected.uid == chosen.uid
        now = [flow.uid for flow in tunnels.order]
        assert [uid for uid in now if uid in shown] == shown


async def test_what_is_waited_for_grows_older() -> None:
    later = [changed(SNAPSHOTS[0], clock_ns=clock(SNAPSHOTS[0]) + s * 10**9) for s in (0, 4, 5)]
    async with watching(*later) as user:
        tunnels = user.screen._tunnels
        silent = next(flow for flow in tunnels.order if flow.target == "silent.example:443")
        tunnels.select(silent.uid)
        await user.until(lambda: f"Timeline {silent.id}" in user.text())
        await user.advance()
        assert "Waiting for the proxy's reply, 4.2 s" in user.text()
        assert "no reply yet, 4.2 s" in user.text()
        await user.advance()
        assert "no reply yet, 5.2 s" in user.text()


def clock(snapshot: Snapshot) -> int:
    assert snapshot.capturing is not None
    return snapshot.capturing.clock_ns


async def test_trouble_is_shown_across_the_screen_until_it_is_over() -> None:
    broken = changed(SNAPSHOTS[1], trouble="eth0 is down: waiting for it to come back")
    async with watching(SNAPSHOTS[0], broken, SNAPSHOTS[2]) as user:
        assert "is down" not in user.text()
        await user.advance()
        assert "eth0 is down: waiting for it to come back" in user.text()
        await user.press("p")
        await user.advance()
        assert "is down" not in user.text(), "a paused view still tells how the capture goes"


def test_losses_are_trouble() -> None:
    source = SNAPSHOTS[0].report.source
    for kernel, queue, words in (
        (0, 0, ""),
        (None, None, ""),
        (3, 0, "lost 3 packets by the kernel"),
        (1, 20_000, "lost 1 packet by the kernel (a larger buffer: -B MIB) and 20 k packets by"),
    ):
        lossy = replace(source, lost_kernel=kernel, lost_queue=queue)
        said = trouble(replace(SNAPSHOTS[0], report=replace(SNAPSHOTS[0].report, source=lossy)))
        assert said.startswith(words)
        assert bool(said) == bool(words)
    assert trouble(replace(SNAPSHOTS[0], capturing=None)) == ""
    both = replace(SNAPSHOTS[0], capturing=Capturing(("eth0",), trouble="disk full"))
    assert trouble(both) == "disk full"


async def test_f5_starts_afresh_and_lets_a_paused_view_go_on() -> None:
    async with watching() as user:
        await user.press("p", "f5")
        assert "clear" in user.engine.calls
        assert "paused" not in user.head()
        assert "started afresh" in user.said()


async def test_a_recording_has_neither_pause_nor_clear_of_a_capture() -> None:
    recorded = replace(SNAPSHOTS[0], capturing=None, finished=True)
    async with watching(recorded, live=False) as user:
        await user.press("f5", "p")
        assert "clear" not in user.engine.calls
        assert "paused" not in user.text()
        assert not user.screen._packets.following


async def test_escape_does_not_leave_a_capture_that_was_named() -> None:
    async with watching() as user:
        await user.press("escape", "escape")
        assert user.app.return_code is None
        assert user.said() == ""


async def test_q_leaves_at_once() -> None:
    async with watching() as user:
        await user.press("q")
        await user.until(lambda: user.app.return_code == 0)


async def test_the_newest_tunnel_that_fails_or_waits_is_selected(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(live, "LEAD_S", 0.0)
    async with watching(*LATER) as user:
        for snapshot in LATER[1:]:
            await user.advance()
            telling = [flow for flow in snapshot.report.flows if live.tells(flow)]
            assert user.tunnels().selected == telling[-1]
            assert user.screen._shown == telling[-1]


async def test_a_tunnel_selected_for_the_user_stays_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(live, "LEAD_S", 3600.0)
    async with watching(*LATER) as user:
        first = user.tunnels().selected
        assert first is not None
        assert live.tells(first)
        for _ in LATER[1:]:
            await user.advance()
            selected = user.tunnels().selected
            assert selected is not None
            assert selected.uid == first.uid


@pytest.mark.parametrize("keys", [("down",), ("tab",)])
async def test_a_user_who_moves_is_not_led(
    keys: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "LEAD_S", 0.0)
    async with watching(*LATER) as user:
        await user.press(*keys)
        before = user.tunnels().selected
        assert before is not None
        for _ in LATER[1:]:
            await user.advance()
            after = user.tunnels().selected
            assert after is not None
            assert after.uid == before.uid


async def test_a_filtered_list_leads_to_what_it_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "LEAD_S", 0.0)
    failing = [flow for flow in LATER[-1].report.flows if flow.failing][-1]
    assert live.tells(LATER[-1].report.flows[-1])
    async with watching(*LATER) as user:
        await user.press("o")
        for _ in LATER[1:]:
            await user.advance()
        selected = user.tunnels().selected
        assert selected is not None
        assert selected.uid == failing.uid
