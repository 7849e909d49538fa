from __future__ import annotations

import pytest

from tui.themes import UnknownTheme, choose_theme


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TEXTUAL_THEME", "COLORFGBG", "NO_COLOR", "COLORTERM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")


@pytest.mark.parametrize(
    ("asked", "got"),
    [("dark", "textual-dark"), ("light", "textual-light"), ("ansi", "ansi-dark"),
     ("contrast", "high-contrast"), ("nord", "nord")],
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
        ({}, "textual-dark"),
        ({"COLORFGBG": "0;15"}, "textual-light"),
        ({"COLORFGBG": "15;0"}, "textual-dark"),
        ({"NO_COLOR": "1"}, "ansi-dark"),
        ({"TERM": "xterm"}, "ansi-dark"),
        ({"TERM": "linux", "COLORFGBG": "0;7"}, "ansi-light"),
        ({"TERM": "xterm", "COLORTERM": "truecolor"}, "textual-dark"),
        ({"TEXTUAL_THEME": "dracula"}, "dracula"),
        ({"TEXTUAL_THEME": "no such"}, "textual-dark"),
    ],
)
def test_the_terminal_decides_when_nobody_asked(
    environment: dict[str, str], got: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert choose_theme(None) == got
