"""Real failures of real proxies, watched live on the screen and by ``check -i``."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.live.scenarios import SCENARIOS, Scenario
from tools.lab import CLIENT, ROOT, Lab, run

TOOL = ("ip", "netns", "exec", CLIENT, sys.executable, "-m", "tui")
PORTS = {scenario.name: 41_000 + at for at, scenario in enumerate(SCENARIOS)}


def listening() -> int:
    """Packet sockets open in the client's namespace (packet(7))."""
    text = run("ip", "netns", "exec", CLIENT, "cat", "/proc/net/packet")
    return len(text.splitlines()) - 1


def until(holds: Callable[[], object], seconds: float, what: Callable[[], str]) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if holds():
            return
        time.sleep(0.1)
    assert holds(), what()


# check -i


@contextmanager
def checking(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """``check -i eth0`` in the client's namespace, ready to see packets."""
    process = subprocess.Popen(
        [*TOOL, "check", "-i", "eth0", *arguments],
        cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    assert process.stderr is not None
    try:
        assert "listening on eth0" in process.stderr.readline()
        yield process
    finally:
        process.kill()
        process.communicate()


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Ask it to stop as Ctrl+C does."""
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    return process.returncode, out, err


def test_check_stops_by_itself_and_counts_what_it_saw(lab: Lab) -> None:
    with checking("--format", "json", "-c", "5", "tcp port 80") as process:
        lab.curl(41_500, "-I", "https://tools.cisco.com/")
        out, err = process.communicate(timeout=20)
    report = json.loads(out)
    assert report["source"]["packets"] == 5, err
    assert report["source"]["lost"] == {"kernel": 0, "queue": 0}


# The screen


class Terminal:
    """A screen in tmux, in the client's namespace."""

    def __init__(self, directory: Path, *arguments: str, size: tuple[int, int] = (120, 36)) -> None:
        self._socket = str(directory / "tmux")
        self._errors = directory / "errors"
        command = " ".join([*TOOL, *arguments])
        self._tmux(
            "new-session", "-d", "-x", str(size[0]), "-y", str(size[1]), "-c", str(ROOT),
            f"{command} 2>{self._errors}",
        )  # fmt: skip
        self.pid = int(self._tmux("display-message", "-p", "#{pane_pid}"))

    def _tmux(self, *arguments: str) -> str:
        environment = {**os.environ, "TERM": "xterm-256color"}
        done = subprocess.run(
            ["tmux", "-S", self._socket, "-f", "/dev/null", *arguments],
            capture_output=True, text=True, env=environment, timeout=20,
        )  # fmt: skip
        return done.stdout

    def text(self) -> str:
        """What is on the screen, and what was said on stderr."""
        said = self._errors.read_text() if self._errors.exists() else ""
        return self._tmux("capture-pane", "-p") + said

    def keys(self, *names: str) -> None:
        self._tmux("send-keys", *names)

    def shows(self, *words: str, within_s: float = 15) -> None:
        until(lambda: all(word in self.text() for word in words), within_s,
              lambda: f"{words} not in:\n{self.text()}")  # fmt: skip

    def gone(self) -> bool:
        return not self._tmux("list-sessions")

    def close(self) -> None:
        """End the server this terminal started, and so whatever runs in it."""
        self._tmux("kill-server")


@pytest.fixture
def terminal(lab: Lab, tmp_path: Path) -> Iterator[Terminal]:
    opened = Terminal(tmp_path, "-i", "eth0", "-w", str(tmp_path / "kept.pcapng"))
    try:
        opened.shows("eth0", "0 tunnels")
        until(listening, 10, opened.text)
        yield opened
    finally:
        opened.close()


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_what_happens_is_named_on_the_screen_and_by_check(
    lab: Lab, terminal: Terminal, tmp_path: Path, scenario: Scenario
) -> None:
    port = PORTS[scenario.name]
    with checking("--format", "json") as process:
        scenario.happen(lab, port)
        grave = [] if scenario.verdicts == ("ok",) else ["1 failing"]
        terminal.shows(str(port), scenario.title, *grave, within_s=2 * scenario.within_s)
        time.sleep(1.5)  # its clock may be behind the screen's
        code, out, err = ended(process)
    flows = [flow for flow in json.loads(out)["flows"] if flow["client"].endswith(f":{port}")]
    assert [flow["verdict"] in scenario.verdicts for flow in flows] == [True], (flows, err)
    assert code == (0 if scenario.verdicts == ("ok",) else 1)
    terminal.keys("q")
    until(terminal.gone, 10, terminal.text)
    fields = ["-T", "fields", "-e", "tcp.port"]
    assert str(port) in run("tshark", "-n", "-r", str(tmp_path / "kept.pcapng"), *fields)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_what_was_captured_survives(
    lab: Lab, terminal: Terminal, tmp_path: Path, number: signal.Signals
) -> None:
    """Whatever ends the program: every packet up to the last second is in the file."""
    lab.curl(41_600 + number, "-I", "https://tools.cisco.com/")
    terminal.shows("1 tunnel")
    time.sleep(1.2)
    (child,) = _children(terminal.pid)
    os.kill(child, number)
    until(terminal.gone, 10, terminal.text)
    rows = run(
        "tshark", "-n", "-r", str(tmp_path / "kept.pcapng"), "-Y", "tcp.flags.fin == 1",
        "-T", "fields", "-e", "tcp.port",
    )  # fmt: skip
    assert str(41_600 + number) in rows


def _children(pid: int) -> list[int]:
    """Python below the shell that tmux started: ip(8) replaces itself by what it runs."""
    found = run("ps", "-o", "pid=,args=", "--ppid", str(pid)).splitlines()
    return [int(line.split()[0]) for line in found if " -m tui" in line] or [pid]
