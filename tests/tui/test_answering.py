"""The answer to a key is drawn at once, and nothing but it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest
from textual.app import ComposeResult
from textual.geometry import Region
from textual.screen import Screen
from textual.timer import Timer
from textual.widgets import Button, Static

from tests.rest import GIVE_UP_S, LOOK_S, at_rest
from tests.tui.fakes import FakeEngine
from tui.application import TunnelscopeApp
from tui.engine_bridge import EngineBridge
from tui.link.budget import LinkBudget
from tui.screens.answering import AnsweringScreen


class TwoButtons(AnsweringScreen):
    """Something to change, and somewhere to go."""

    def compose(self) -> ComposeResult:
        yield Static("before", id="words")
        yield Button("one", id="one")
        yield Button("two", id="two")


def make_app() -> TunnelscopeApp:
    """One for which no time passes after a key."""
    budget = LinkBudget(None, lambda: 0.0)
    return TunnelscopeApp(EngineBridge(FakeEngine), title="x", period_s=9.0, budget=budget)


async def until(holds: Callable[[], object]) -> None:
    give_up = time.monotonic() + GIVE_UP_S
    while not holds():
        assert time.monotonic() < give_up
        await asyncio.sleep(LOOK_S)


@pytest.mark.parametrize("asked", [True, False])
async def test_only_the_answer_to_a_key_is_drawn_off_the_beat(
    asked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app()
    async with app.run_test():
        screen = TwoButtons()
        await app.push_screen(screen)
        await at_rest(app)
        beats: list[str] = []
        with monkeypatch.context() as patch:
            patch.setattr(Timer, "resume", lambda timer: beats.append(timer.name))
            if asked:
                app.budget.ask()
            screen.query_one("#words", Static).update("after", layout=False)
            await until(lambda: "screen_update" in beats)  # what changed is known, no beat comes
            if asked:
                await until(lambda: not screen._dirty_widgets)
            else:
                assert screen._drawing is None
                assert screen._dirty_widgets
        screen.refresh()
        await at_rest(app)


async def test_another_focus_does_not_draw_the_whole_screen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app = make_app()
    regions: list[Region] = []
    async with app.run_test() as pilot:
        await app.push_screen(TwoButtons())
        app.screen.query_one("#one").focus()
        await at_rest(app)
        refresh = Screen._compositor_refresh

        def note(screen: Screen[Any]) -> None:
            regions.extend(screen._compositor._dirty_regions)
            refresh(screen)

        monkeypatch.setattr(Screen, "_compositor_refresh", note)
        await pilot.press("tab")
        await at_rest(app)
        assert app.screen.focused is app.screen.query_one("#two")
        assert regions
        assert app.screen.size.region not in regions


async def test_a_screen_that_is_gone_draws_nothing() -> None:
    app = make_app()
    async with app.run_test():
        screen = TwoButtons()
        await app.push_screen(screen)
        await at_rest(app)
        app.budget.ask()
        screen.query_one("#words", Static).update("after")
        screen.on_idle()
        app.pop_screen()
        await at_rest(app)
        screen._draw_now()
        assert app.is_running
