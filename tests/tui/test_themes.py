from __future__ import annotations

import pytest
from textual.color import Color
from textual.theme import Theme

from tests.tui.fakes import loaded_app
from tests.tui.user import using
from tui.themes import OWN_THEMES, UnknownTheme, choose_theme


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TEXTUAL_THEME", "COLORFGBG", "NO_COLOR", "COLORTERM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")


@pytest.mark.parametrize(
    ("asked", "got"),
    [("dark", "dark"), ("light", "light"), ("textual-dark", "textual-dark"), ("ansi", "ansi-dark"),
     ("contrast", "high-contrast"), ("colour-blind", "colour-blind-dark"), ("nord", "nord")],
)  # fmt: skip
def test_names(asked: str, got: str) -> None:
    assert choose_theme(asked) == got


def test_unknown_name_is_told_with_near_ones() -> None:
    with pytest.raises(UnknownTheme, match="solarized-dark"):
        choose_theme("solarised-dark")
    with pytest.raises(UnknownTheme, match="try dark, light"):
        choose_theme("zzzzzz")


@pytest.mark.parametrize(
    ("environment", "got"),
    [
        ({}, "dark"),
        ({"COLORFGBG": "0;15"}, "light"),
        ({"COLORFGBG": "15;0"}, "dark"),
        ({"NO_COLOR": "1"}, "ansi-dark"),
        ({"TERM": "xterm"}, "ansi-dark"),
        ({"TERM": "linux", "COLORFGBG": "0;7"}, "ansi-light"),
        ({"TERM": "xterm", "COLORTERM": "truecolor"}, "dark"),
        ({"TEXTUAL_THEME": "dracula"}, "dracula"),
        ({"TEXTUAL_THEME": "no such"}, "dark"),
    ],
)
def test_the_terminal_decides_when_nobody_asked(
    environment: dict[str, str], got: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert choose_theme(None) == got


@pytest.mark.parametrize("theme", OWN_THEMES, ids=lambda theme: theme.name)
def test_own_themes_are_legible(theme: Theme) -> None:
    """WCAG 2.2, 1.4.3: a contrast of at least 4.5 on every background that text stands on."""
    for ground in (theme.background, theme.surface):
        for colour in (theme.foreground, theme.success, theme.warning, theme.error, theme.accent):
            assert ground is not None
            assert colour is not None
            assert contrast(colour, ground) >= 4.5


@pytest.mark.parametrize("keys", [(), ("4",), ("r",), ("question_mark",), ("f", "x", "space")])
@pytest.mark.parametrize("theme", OWN_THEMES, ids=lambda theme: theme.name)
async def test_what_is_drawn_is_legible(theme: Theme, keys: tuple[str, ...]) -> None:
    """On the cursor, in the hints and in lines to be filled in, too; what lies behind a dialog
    is meant to stand back."""
    async with using(loaded_app(theme=theme.name), (120, 36)) as user:
        await user.press(*keys)
        screen = user.app.screen
        front = screen.query_one("#help").region if keys == ("question_mark",) else screen.region
        for y, strip in enumerate(screen._compositor.render_strips(user.app.size)):
            if not front.y <= y < front.bottom:
                continue
            for segment in strip.crop(front.x, front.right):
                style = segment.style
                if style is None or not any(map(str.isalnum, segment.text)):
                    continue
                ends = [end for end in (style.color, style.bgcolor) if end is not None]
                colours = [Color.from_rich_color(end).hex for end in ends]
                assert len(colours) == 2
                assert contrast(*colours) >= 4.5, (segment.text, *colours)


def contrast(one: str, other: str) -> float:
    """Of two colours, 1 to 21 (WCAG 2.2, "contrast ratio")."""
    low, high = sorted((luminance(Color.parse(one)), luminance(Color.parse(other))))
    return (high + 0.05) / (low + 0.05)


def luminance(colour: Color) -> float:
    parts = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in colour.normalized
    ]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


@pytest.mark.parametrize("name", ["colour-blind-dark", "colour-blind-light"])
def test_good_and_bad_differ_without_red_and_green(name: str) -> None:
    """In the blue-yellow direction, which red-green blindness leaves intact."""
    theme = next(theme for theme in OWN_THEMES if theme.name == name)
    assert theme.success is not None
    assert theme.error is not None
    good, bad = Color.parse(theme.success), Color.parse(theme.error)
    assert good.b - max(good.r, 0) > 60
    assert bad.r - bad.b > 60


async def test_the_palette_is_drawn_with_ascii_where_nothing_else_can_be() -> None:
    app = loaded_app(ascii_only=True)
    async with using(app, (80, 24)) as user:
        await user.press("ctrl+p", "s", "a", "v")
        await user.until(lambda: "Save" in user.text())
        assert all(ord(letter) < 128 for letter in user.text()), user.text()
        await user.press("ctrl+u", "l", "e", "f", "t")
        await user.until(lambda: "Columns left  (Left, h)" in user.text())  # not "<", another key
        # A sign of two cells, which not every terminal without UTF-8 gets.
        assert not app.screen.query_one("SearchIcon").display
