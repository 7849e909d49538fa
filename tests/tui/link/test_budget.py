from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.pilot import Pilot

from tests.rest import at_rest
from tests.tui.fakes import FakeEngine
from tests.tui.live_script import busy_snapshots
from tests.tui.paper import on_paper
from tui.app import BYTES_PER_S, PERIOD_S, SLOW_BYTES_PER_S, SLOW_PERIOD_S
from tui.application import TunnelscopeApp
from tui.engine_bridge import EngineBridge
from tui.link.budget import ASKED_S, BURST, DEBT_S, FIRST_S, LinkBudget
from tui.link.canvas import Canvas
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
    budget = begun(LinkBudget(1000, clock, strict=True), clock)
    assert budget.room() == BURST * 1000
    budget.spend(500)
    assert budget.room() == BURST * 1000 - 500
    clock.now_s += budget.wait_s()
    assert budget.room() > 0
    clock.now_s += 100
    assert budget.room() == BURST * 1000  # no more than the burst was saved up


def begun(budget: LinkBudget, clock: Clock) -> LinkBudget:
    """The time is over in which the first screens are drawn."""
    budget.spend(10**6)
    assert budget.room() == math.inf
    clock.now_s += FIRST_S
    return budget


@given(st.lists(st.tuples(st.floats(0, 0.5), st.integers(1, 400)), min_size=1, max_size=60))
def test_no_second_carries_more(wishes: list[tuple[float, int]]) -> None:
    clock = Clock()
    budget = begun(LinkBudget(1000, clock, strict=True), clock)
    written: list[tuple[float, float]] = []
    for pause_s, wish in wishes:
        clock.now_s += pause_s
        budget.ask()
        octets = min(wish, budget.room())
        if octets > 0:
            budget.spend(int(octets))
            written.append((clock.now_s, octets))
    for end_s, _ in written:
        assert sum(n for at_s, n in written if end_s - 1 < at_s <= end_s) <= 1000


def test_a_debt_is_soon_forgotten() -> None:
    clock = Clock()
    budget = begun(LinkBudget(1000, clock), clock)
    budget.spend(10_000)
    assert budget.room() < 0
    clock.now_s += DEBT_S
    assert budget.room() >= 0  # what comes by itself does not wait for long
    assert budget.spent == 1_010_000


def test_what_is_drawn_was_asked_for_unless_it_came_by_itself() -> None:
    clock = Clock()
    budget = LinkBudget(1000, clock)
    asked = [budget.asked]
    budget.unasked()
    asked.append(budget.asked)
    budget.ask()
    asked.append(budget.asked)
    clock.now_s += ASKED_S + 0.01
    asked.append(budget.asked)  # the answer may take its time
    budget.unasked()
    asked.append(budget.asked)
    assert asked == [True, False, True, True, False]


def test_it_is_known_how_lately_a_key_was_pressed() -> None:
    clock = Clock()
    budget = LinkBudget(None, clock)
    assert not budget.asked_within(1.0)
    budget.ask()
    budget.unasked()
    clock.now_s = 0.5
    assert budget.asked_within(1.0)
    assert not budget.asked_within(0.5)


def test_updates_wait_until_all_is_on_the_screen_but_not_for_ever() -> None:
    clock = Clock()
    budget = LinkBudget(1000, clock, patience_s=3.0)
    assert budget.ready()
    budget.keep_up(behind=True)
    assert not budget.ready()
    clock.now_s += 1
    budget.keep_up(behind=True)
    assert not budget.ready()
    clock.now_s += 2
    assert budget.ready()
    budget.keep_up(behind=False)
    budget.keep_up(behind=True)
    assert not budget.ready()


def test_without_a_limit_there_is_always_room() -> None:
    budget = LinkBudget(None)
    budget.spend(10**9)
    assert budget.room() == math.inf
    assert budget.ready()


async def busy(
    monkeypatch: pytest.MonkeyPatch,
    keys: tuple[str, ...],
    budget: LinkBudget | None = None,
    *,
    slow: bool = False,
) -> list[int]:
    """Bytes that each snapshot of a busy capture sends, in true colour at 120x40.

    On a slow link a snapshot comes once a second.
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
        canvas=Canvas(split=slow, erasing=slow),
    )
    sent = []

    async def work(pilot: Pilot[object]) -> None:
        screen = pilot.app.screen
        assert isinstance(screen, MainScreen)
        await at_rest(app)
        screen._pull()
        await at_rest(app)
        await pilot.press(*keys)
        await at_rest(app)
        for tick in range(TICKS - 1):
            engine.advance()
            before = app.budget.spent
            screen._pull()
            if slow or tick % GROWTH_TICKS == 0:
                for rows in screen.query(LineList):
                    rows._growth_due()
            await at_rest(app)
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
    clock = Clock()
    budget = LinkBudget(100, clock, strict=True)
    begun(budget, clock)
    before = budget.spent
    # No time passes: what flows in is what had been saved up.
    await busy(monkeypatch, ("down",) * 5, budget)
    assert before < budget.spent < before + 500
