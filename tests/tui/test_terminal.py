from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tui.terminal import prepare_environment

SETTINGS = ("TEXTUAL_FPS", "TEXTUAL_ANIMATIONS", "TEXTUAL_SMOOTH_SCROLL")


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*SETTINGS, "SSH_CONNECTION", "SSH_TTY"):
        monkeypatch.setenv(name, "")  # so that the fixture puts back what a test sets
        monkeypatch.delenv(name)


def settings() -> list[str | None]:
    return [os.environ.get(name) for name in SETTINGS]


def test_local_terminal_is_animated() -> None:
    prepare_environment()
    assert settings() == ["30", None, None]


def test_over_ssh_nothing_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSH_CONNECTION", "10.0.0.1 50000 10.0.0.2 22")
    prepare_environment()
    assert settings() == ["10", "none", "0"]


def test_slow_link_draws_rarely() -> None:
    prepare_environment(slow_link=True)
    assert settings() == ["4", "none", "0"]


def test_slow_link_has_fewer_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TEXTUAL_COLOR_SYSTEM", raising=False)
    monkeypatch.setenv("COLORTERM", "truecolor")
    prepare_environment()
    assert "TEXTUAL_COLOR_SYSTEM" not in os.environ
    prepare_environment(slow_link=True)
    assert os.environ.pop("TEXTUAL_COLOR_SYSTEM") == "256"
    monkeypatch.setenv("COLORTERM", "")  # 16 colours, maybe: not more than it has
    prepare_environment(slow_link=True)
    assert "TEXTUAL_COLOR_SYSTEM" not in os.environ


def test_what_the_user_set_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEXTUAL_FPS", "60")
    prepare_environment(slow_link=True)
    assert settings()[0] == "60"


def test_neither_textual_nor_rich_is_imported() -> None:
    """Textual reads its settings at import: they must be made before."""
    code = (
        "import sys, tui.app, tui.terminal; "
        "print(sorted({'textual', 'rich', 'scapy', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(("encoding", "expected"), [("utf-8", "True"), ("latin-1", "False")])
def test_encoding_of_the_terminal_is_looked_at(encoding: str, expected: str) -> None:
    code = "from tui.terminal import speaks_utf8; print(speaks_utf8())"
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    assert done.stdout.strip() == expected
