from __future__ import annotations

import pytest
from textual.geometry import Size
from textual.screen import Screen

from tests.tui.fakes import loaded_app
from tests.tui.user import using
from tui.keys.bindings import SUBJECTS
from tui.screens.help import WIDE, HelpScreen, Section


async def test_what_a_screen_can_do_comes_subject_by_subject() -> None:
    async with using(loaded_app(), (120, 36)) as user:
        await user.press("question_mark")
        screen = user.app.screen
        assert isinstance(screen, HelpScreen)
        sections = dict(screen.sections())
        subjects = [subject.description for subject in SUBJECTS]
        assert list(sections) == [*subjects, "Anywhere", "Tunnels", "Timeline", "Packets", *[
            title for title in sections if title == "Known issue"
        ]]  # fmt: skip
        for title, one in (
            ("Find", "main.filter"),
            ("Look closer", "main.compare"),
            ("Take it away", "main.save"),
            ("Replay", "main.play-tunnel"),
            ("Live", "main.clear"),
            ("Panes", "main.columns"),
            ("Anywhere", "app.help"),
        ):
            assert one in {action.id for action in sections[title]}


@pytest.mark.parametrize("width", [80, WIDE - 1, WIDE, 200])
async def test_side_by_side_where_there_is_room(width: int) -> None:
    """Nothing is cut, listed twice or lost; explanations stand where a whole one fits."""
    async with using(loaded_app(), (width, 120)) as user:
        await user.press("question_mark")
        screen = user.app.screen
        assert isinstance(screen, HelpScreen)
        lines = user.text().splitlines()
        assert sum("Follow stream" in line for line in lines) == 1
        assert any("Find" in line and "Panes" in line for line in lines) == (width >= WIDE)
        for _, actions in screen.sections():
            for action in actions:
                assert any(action.description in line for line in lines)
        whole = any("What both ends said, as text, bytes and sizes" in line for line in lines)
        assert whole == (width < WIDE)
        assert any("Write a report to a file" in line for line in lines)


async def test_it_is_written_once_and_laid_out_as_it_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[Size] = []
    written: list[int] = []
    sections = HelpScreen.sections

    def note(screen: HelpScreen) -> list[Section]:
        written.append(1)
        return sections(screen)

    monkeypatch.setattr(HelpScreen, "sections", note)
    async with using(loaded_app(), (WIDE, 36)) as user:
        refresh = Screen._compositor_refresh

        def look(screen: Screen[object]) -> None:
            if isinstance(screen, HelpScreen):
                sizes.append(screen.query_one("#help").size)
            refresh(screen)

        monkeypatch.setattr(Screen, "_compositor_refresh", look)
        await user.press("question_mark")
        assert isinstance(user.app.screen, HelpScreen)
    assert len(written) == 1
    assert sizes
    assert len(set(sizes)) == 1


async def test_it_follows_a_terminal_that_grows() -> None:
    async with using(loaded_app(), (80, 40)) as user:
        await user.press("question_mark")
        narrow = user.text()
        await user.pilot.resize_terminal(160, 40)
        await user.until(lambda: any(
            "Find" in line and "Panes" in line for line in user.text().splitlines()
        ))  # fmt: skip
        assert not any("Find" in line and "Panes" in line for line in narrow.splitlines())


@pytest.mark.parametrize(
    ("opens", "id", "said"),
    [
        ("question_mark", "help.close", "F9 closes"),
        ("Y", "copy.close", "F9 closes"),
        ("s", "write.cancel", "F9 cancels"),
        ("C", "columns.close", "F9 close"),
    ],
)
async def test_dialogs_name_the_key_that_closes_them(opens: str, id: str, said: str) -> None:
    app = loaded_app()
    app.set_keymap({id: "f9"})
    async with using(app, (120, 36)) as user:
        below = user.app.screen
        await user.press(opens)
        await user.until(lambda: said in user.text())
        await user.press("f9")
        assert user.app.screen is below


@pytest.mark.parametrize(
    ("words", "found"), [("curl", "Copy command"), ("offers", "TLS"), ("closer", "Plots")]
)
async def test_palette_finds_by_what_an_action_is_about(words: str, found: str) -> None:
    async with using(loaded_app(), (120, 36)) as user:
        await user.press("ctrl+p", *words)
        await user.until(lambda: found in user.text())
        await user.until(lambda: "Sort by next column" not in user.text())


async def test_keys_scroll_it() -> None:
    async with using(loaded_app(), (80, 24)) as user:
        await user.press("question_mark")
        first = user.text()
        assert "Find" in first.splitlines()[1]
        for there, back in (("j", "k"), ("down", "up"), ("pagedown", "pageup"), ("G", "g")):
            await user.press(there)
            assert user.text() != first
            await user.press(back)
            assert user.text() == first
        await user.press("end")
        assert "Known issue" in user.text()
