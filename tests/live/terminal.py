"""The screen in a terminal of its own: tmux, in the client's namespace."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.patience import GIVE_UP_S, until
from tools.lab import CLIENT, ROOT, run

TOOL = ("ip", "netns", "exec", CLIENT, sys.executable, "-m", "tui")
_OURS = ("PATH", "LD_", "PYTHON", "VIRTUAL_ENV")
"""What is needed to find Python; a width in COLUMNS, say, is nobody's business here."""


def environment(home: Path) -> dict[str, str]:
    """For programs that are started here: nobody's configuration, a shell that is one."""
    return {
        **{name: value for name, value in os.environ.items() if name.startswith(_OURS)},
        "TERM": "xterm-256color", "LC_ALL": "C.UTF-8", "SHELL": "/bin/sh", "HOME": str(home),
    }  # fmt: skip


class Terminal:
    """A running screen.

    Args:
        directory: Holds tmux's socket, whose path must be short, and what is said on stderr.
        arguments: Of the tool.
    """

    def __init__(self, directory: Path, arguments: tuple[str, ...]) -> None:
        self._directory = directory
        self._errors = directory / "errors"
        command = f"exec {shlex.join([*TOOL, *arguments])} 2>{shlex.quote(str(self._errors))}"
        self._tmux("new-session", "-d", "-x", "120", "-y", "36", "-c", str(ROOT), command)
        self.pid = int(self._tmux("display-message", "-p", "#{pane_pid}"))
        """Of the tool itself: shell and ip(8) replace themselves by what they run."""

    def _tmux(self, *arguments: str) -> str:
        done = subprocess.run(
            ["tmux", "-u", "-S", str(self._directory / "tmux"), "-f", "/dev/null", *arguments],
            capture_output=True, text=True, encoding="utf-8", errors="replace",
            env=environment(self._directory), timeout=GIVE_UP_S,
        )  # fmt: skip
        return done.stdout

    def text(self) -> str:
        """What is on the screen, and what was said on stderr."""
        said = self._errors.read_text() if self._errors.exists() else ""
        return self._tmux("capture-pane", "-p") + said

    def keys(self, *names: str) -> None:
        self._tmux("send-keys", *names)

    def shows(self, *words: str) -> str:
        """Wait for some words; all that is on the screen with them."""
        seen = ""

        def there() -> bool:
            nonlocal seen
            seen = self.text()
            return all(word in seen for word in words)

        until(there, lambda: f"{words} not in:\n{seen}")
        return seen

    def shows_only(self, port: int) -> None:
        """Let the filter leave one client port."""
        self.keys("f", "C-u", f"tcp.port == {port}", "Enter")

    def gone(self) -> bool:
        return not self._tmux("list-sessions")

    def close(self) -> None:
        """End the server this terminal started, and so whatever runs in it."""
        self._tmux("kill-server")


@contextmanager
def opened(*arguments: str) -> Iterator[Terminal]:
    """A screen that listens on eth0."""
    # pytest's own directories have long names, and so may have the user's.
    with tempfile.TemporaryDirectory(prefix="ts-", dir="/tmp") as directory:
        terminal = Terminal(Path(directory), ("-i", "eth0", *arguments))
        try:
            terminal.shows("eth0", "0 tunnels")
            until(_listening, terminal.text)
            yield terminal
        finally:
            terminal.close()


def _listening() -> int:
    """Packet sockets open in the client's namespace (packet(7))."""
    text = run("ip", "netns", "exec", CLIENT, "cat", "/proc/net/packet")
    return len(text.splitlines()) - 1
