"""What holds for every test: an environment of its own; in hypothesis neither clock nor dice."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

# Nothing may depend on how fast the machine is today, nor on luck: the same examples each time.
settings.register_profile(
    "tests",
    derandomize=True,
    deadline=None,
    print_blob=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
# Looks for new ones, and for more where a test does not say how many are enough.
settings.register_profile(
    "search", settings.get_profile("tests"), derandomize=False, max_examples=2000
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "tests"))

_FOREIGN = (
    "http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "no_proxy",
    "SSLKEYLOGFILE", "NO_COLOR", "FORCE_COLOR", "COLORTERM", "COLUMNS", "LINES",
    "SSH_CONNECTION", "SSH_TTY", "XDG_CONFIG_HOME", "TEXTUAL", "TEXTUAL_THEME",
)  # fmt: skip


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The user's proxies, colours and configuration are not those of a test."""
    for name in _FOREIGN:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    monkeypatch.setenv("TERM", "xterm-256color")
