"""What holds for every test of the screen."""

from __future__ import annotations

import pytest

from tui import footline


@pytest.fixture(autouse=True)
def _what_is_said_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Until the next key, however long a slow machine takes to read it."""
    monkeypatch.setattr(footline, "MESSAGE_S", 3600.0)
