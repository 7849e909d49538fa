"""What holds for every test: an environment of its own, and no clock in hypothesis."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

# Nothing may depend on how fast the machine is today; failures are reprinted as @example.
settings.register_profile(
    "tests",
    deadline=None,
    print_blob=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("tests")

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
