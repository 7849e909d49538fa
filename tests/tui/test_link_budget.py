from __future__ import annotations

import pytest
from textual.pilot import Pilot

from tests.tui.fakes import FakeEngine
from tests.tui.live_script import busy_snapshots
from tests.tui.paper import on_paper
from tui.app import BYTES_PER_S, PERIOD_S, SLOW_BYTES_PER_S, SLOW_PERIOD_S
from tui.application import TunnelscopeApp
from tui.engine_bridge import EngineBridge
from tui.link_budget import BURST_S, DEBT_S, LinkBudget
from tui.screens.main import MainScreen
from widgets import line_list
from widgets.line_list import LineList

NEVER_S = 3600.0
TICKS = 12
GROWTH_TICKS = round(line_list.GROWTH_PERIOD_S / PERIOD_S)


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_a_budget_is_spent_and_flows_in_again() -> None:
    clock = Clock()
    budget = LinkBudget(1000, clock)
    assert budget.ready()
    budget.spend(1500)
    assert not budget.ready()
    clock.now_s += 0.4
    assert not budget.ready()
    clock.now_s += 0.2
    assert budget.ready()
    clock.now_s += 100
    budget.spend(int(1000 * BURST_S))
    assert budget.ready()  # no more than the burst was saved up
    budget.spend(1)
    assert not budget.ready()


def test_a_large_repaint_does_not_silence_for_long() -> None:
    clock = Clock()
    budget = LinkBudget(1000, clock)
    budget.spend(1_000_000)
    clock.now_s += DEBT_S
    assert budget.ready()
    assert budget.spent == 1_000_000


def test_without_a_limit_there_is_always_room() -> None:
    budget = LinkBudget(None)
    budget.spend(10**9)
    assert budget.ready()


async def busy(
    monkeypatch: pytest.MonkeyPatch,
    keys: tuple[str, ...],
    budget: LinkBudget | None = None,
    *,
    slow: bool = False,
) -> list[int]:
    """Bytes that each snapshot of a busy capture sends, in true colour at 120x40.

    On a slow link a snapshot comes once a second, and only what differs is sent.
    """
    monkeypatch.setenv("COLORTERM", "truecolor")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr(line_list, "GROWTH_PERIOD_S", NEVER_S)
    snapshots = tuple(busy_snapshots(TICKS * 4))
    engine = FakeEngine(*(snapshots[::4] if slow else snapshots[:TICKS]))
    app = TunnelscopeApp(
        EngineBridge(lambda: engine, live=True),
        title="eth0  port 3128",
        period_s=NEVER_S,
        budget=budget,
        far=slow,
    )
    sent = []

    async def work(pilot: Pilot[object]) -> None:
        screen = pilot.app.screen
        assert isinstance(screen, MainScreen)
        await pilot.pause(0.2)
        screen._pull()
        await pilot.pause(0.1)
        await pilot.press(*keys)
        await pilot.pause(0.1)
        for tick in range(TICKS - 1):
            engine.advance()
            before = app.budget.spent
            screen._pull()
            if slow or tick % GROWTH_TICKS == 0:
                for rows in screen.query(LineList):
                    rows._growth_due()
            await pilot.pause(0.05)
            sent.append(app.budget.spent - before)

    await on_paper(app, (120, 40), work)
    return sent


@pytest.mark.parametrize(
    "keys", [(), ("down",) * 5, ("tab", "tab", "end")], ids=["failing", "download", "tail"]
)
async def test_a_busy_capture_stays_within_what_a_link_carries(
    monkeypatch: pytest.MonkeyPatch, keys: tuple[str, ...]
) -> None:
    sent = await busy(monkeypatch, keys)
    assert min(sent) > 0
    assert sum(sent) / len(sent) < BYTES_PER_S * PERIOD_S


@pytest.mark.parametrize("keys", [(), ("down",) * 5], ids=["failing", "download"])
async def test_a_slow_link_gets_what_it_carries(
    monkeypatch: pytest.MonkeyPatch, keys: tuple[str, ...]
) -> None:
    sent = await busy(monkeypatch, keys, slow=True)
    assert min(sent) > 0
    assert sum(sent) / len(sent) < SLOW_BYTES_PER_S * SLOW_PERIOD_S


async def test_beyond_its_budget_the_screen_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    sent = await busy(monkeypatch, ("down",) * 5, LinkBudget(1, Clock()))
    # The first screen has spent it, and no time passes; what the keys asked for is drawn.
    assert sent.count(0) >= TICKS - 3
