from __future__ import annotations

from collections import defaultdict

import pytest
from textual.binding import Binding
from textual.events import Key

from tests.tui.fakes import FakeEngine, loaded_app, make_app
from tests.tui.test_packet_screen import open_packet
from tests.tui.user import User, using
from tui.keys.bindings import active_actions
from tui.screens.base import PaneScreen
from tui.screens.help import HelpScreen


def bindings(user: User) -> list[tuple[str, Binding]]:
    """Every binding of the app, of the current screen and of its panes, with its class."""
    screen = user.app.screen
    assert isinstance(screen, PaneScreen)
    nodes = [user.app, screen, *(pane for _, pane in screen.panes())]
    return [(type(node).__name__, binding) for node in nodes for _, binding in node._bindings]


@pytest.mark.parametrize("where", ["main", "packet"])
async def test_every_binding_has_an_id_that_means_one_action(where: str) -> None:
    async with using(loaded_app()) as user:
        if where == "packet":
            await open_packet(user, 4)
        actions: defaultdict[str, set[tuple[str, str]]] = defaultdict(set)
        for _, binding in bindings(user):
            assert binding.id, binding
            actions[binding.id].add((binding.action, binding.description))
        assert {id for id, found in actions.items() if len(found) > 1} == set()


@pytest.mark.parametrize("where", ["main", "packet"])
async def test_help_lists_every_binding_with_its_key(where: str) -> None:
    async with using(loaded_app(), (120, 100)) as user:
        if where == "packet":
            await open_packet(user, 4)
        expected = {binding.id for _, binding in bindings(user)}
        descriptions = {binding.description for _, binding in bindings(user)}
        await user.press("question_mark")
        screen = user.app.screen
        assert isinstance(screen, HelpScreen)
        listed = {action.id for _, actions in screen.sections() for action in actions}
        assert listed == expected
        text = user.text()
        for description in descriptions:
            assert description in text
        await user.press("escape")
        assert user.app.screen is not screen


async def test_help_and_hints_follow_the_key_map() -> None:
    app = loaded_app()
    app.set_keymap({"main.find": "ctrl+g", "app.help": "f5"})
    async with using(app, (120, 80)) as user:
        assert "^g find" in user.text()
        assert "F5 help" in user.text()
        await user.press("f5")
        assert isinstance(user.app.screen, HelpScreen)
        assert "^g" in user.text()


@pytest.mark.parametrize("width", [20, 40, 60, 80, 120])
async def test_hints_are_whole_or_absent_and_help_stays(width: int) -> None:
    async with using(loaded_app(), (width, 24)) as user:
        line = user.text().split("\n")[-1]
        hints = [hint for hint in line.strip().split("  ") if hint]
        known = {
            f"{action.keys[0]} {user.screen.hint(action)}"
            for action in active_actions(user.app.screen)
        }
        assert set(hints) <= known
        assert "? help" in hints


async def test_hints_can_be_clicked() -> None:
    async with using(loaded_app()) as user:
        line = user.text().split("\n")[-1]
        await user.click("#footline", line.index("help"))
        assert isinstance(user.app.screen, HelpScreen)


async def test_palette_offers_every_action_and_runs_it() -> None:
    async with using(loaded_app()) as user:
        await user.press("ctrl+p")
        for char in "problems":
            await user.pilot.press(char)
        await user.until(lambda: "Problems only" in user.text())
        await user.press("enter")
        await user.until(lambda: user.tunnels().row_count() == 1)


async def test_palette_on_an_empty_screen() -> None:
    async with using(make_app(FakeEngine()), loaded=False) as user:
        await user.press("ctrl+p", "escape")
        assert user.app.is_running


async def test_ascii_screen_is_ascii() -> None:
    async with using(loaded_app(ascii_only=True)) as user:
        for keys in ((), ("question_mark",), ("escape", "3", "enter"), ("escape", "ctrl+p")):
            await user.press(*keys)
            assert user.text().isascii(), keys


@pytest.mark.parametrize("size", [(80, 24), (120, 36)])
async def test_a_remapped_key_keeps_its_place_among_the_hints(size: tuple[int, int]) -> None:
    async with using(loaded_app(), size) as user:
        before = [(action.id, action.show) for action in active_actions(user.app.screen)]
        hints = user.text().split("\n")[-1]
    app = loaded_app()
    app.set_keymap({"main.save": "W", "main.compare": "D"})
    async with using(app, size) as user:
        assert [(action.id, action.show) for action in active_actions(app.screen)] == before
        changed = hints.replace("s save", "W save").replace("d compare", "D compare")
        assert changed != hints
        assert user.text().split("\n")[-1] == changed


@pytest.mark.parametrize("opens", ["ctrl+p", "ctrl+t", "Y"])
@pytest.mark.parametrize("size", [(80, 24), (30, 4)])
async def test_lists_are_paged_through_before_they_have_a_line(
    opens: str, size: tuple[int, int]
) -> None:
    """Typed ahead, or where the terminal is too small to show one."""
    async with using(loaded_app(), size, loaded=False) as user:
        for key in (opens, *["pageup", "pagedown", "down"] * 5):
            user.app.post_message(Key(key, None))
        await user.rest()
        assert len(user.app.screen_stack) > 1
        await user.press("pageup", "pagedown", "escape")
        assert user.app.is_running
