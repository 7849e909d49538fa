"""Real failures of real proxies, watched live on the screen and by ``check -i``."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.live.scenarios import CISCO, SCENARIOS, Network, Scenario
from tests.live.terminal import TOOL, Terminal, environment, opened
from tests.patience import GIVE_UP_S, or_else, until
from tools.lab import ROOT, run

PORTS = {scenario.name: 41_000 + at for at, scenario in enumerate(SCENARIOS)}
HEALTHY = sum(scenario.verdicts == ("ok",) for scenario in SCENARIOS)


@contextmanager
def checking(home: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """``check -i eth0`` in the client's namespace, ready to see packets."""
    process = subprocess.Popen(
        [*TOOL, "check", "-i", "eth0", *arguments],
        cwd=ROOT, env=environment(home), text=True, encoding="utf-8",
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stderr is not None
    try:
        with or_else(process.kill):
            assert "listening on eth0" in process.stderr.readline()
        yield process
    finally:
        process.kill()
        process.communicate()


@dataclass(frozen=True)
class Watched:
    """What was seen of all scenarios, which happened at the same time."""

    screens: dict[str, str]
    """Of each scenario: the screen when it had the words that were waited for, or at last."""
    waiting: set[str]
    """Scenarios whose client still waited then."""
    header: str
    """The last screen."""
    code: int
    flows: list[dict[str, Any]]
    """The report of ``check``."""
    ports: str
    """TCP ports in the file that the screen wrote, as tshark reads it."""


@pytest.fixture(scope="module")
def watched(whole_network: Network, tmp_path_factory: pytest.TempPathFactory) -> Watched:
    home = tmp_path_factory.mktemp("watched")
    kept = home / "kept.pcapng"
    screens, waiting = {}, set()
    try:
        with opened("-w", str(kept)) as terminal, checking(home, "--format", "json") as check:
            clients = {one.name: one.happen(whole_network, PORTS[one.name]) for one in SCENARIOS}
            for one in SCENARIOS:
                screens[one.name] = _seen(terminal, one)
                waiting |= {one.name} if clients[one.name].poll() is None else set()
            header = terminal.text()
            time.sleep(1)  # the other one's clock may be behind the screen's
            check.send_signal(signal.SIGINT)
            out, _ = check.communicate(timeout=GIVE_UP_S)
            terminal.keys("q")
            until(terminal.gone, terminal.text)
    finally:
        whole_network.heal()
    ports = run("tshark", "-n", "-r", str(kept), "-T", "fields", "-e", "tcp.port")
    return Watched(screens, waiting, header, check.returncode, json.loads(out)["flows"], ports)


def _seen(terminal: Terminal, scenario: Scenario) -> str:
    """Look at a scenario alone, until it is named."""
    terminal.shows_only(PORTS[scenario.name])
    try:
        return terminal.shows("1 of ", f":{PORTS[scenario.name]}", scenario.title)
    except AssertionError as error:
        return str(error)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_what_happens_is_named_on_the_screen_and_by_check(
    watched: Watched, scenario: Scenario
) -> None:
    port = PORTS[scenario.name]
    assert f":{port}" in watched.screens[scenario.name]
    assert scenario.title in watched.screens[scenario.name]
    assert (scenario.name in watched.waiting) is scenario.waits
    flows = [flow for flow in watched.flows if flow["client"].endswith(f":{port}")]
    assert [flow["verdict"] in scenario.verdicts for flow in flows] == [True], flows
    assert str(port) in watched.ports


def test_all_of_them_are_counted(watched: Watched) -> None:
    assert f"{len(SCENARIOS)} tunnels" in watched.header
    assert f"{HEALTHY} ok" in watched.header
    assert f"{len(SCENARIOS) - HEALTHY} failing" in watched.header
    assert len(watched.flows) == len(SCENARIOS)
    assert watched.code == 1


def test_check_stops_by_itself_and_counts_what_it_saw(network: Network, tmp_path: Path) -> None:
    with checking(tmp_path, "--format", "json", "-c", "5", "tcp port 41500") as process:
        network.lab.curl(41_500, "-I", CISCO)
        out, err = process.communicate(timeout=GIVE_UP_S)
    report = json.loads(out)
    assert report["source"]["packets"] == 5, err
    assert report["source"]["lost"] == {"kernel": 0, "queue": 0}
    assert process.returncode == 0


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_what_was_captured_survives(
    network: Network, tmp_path: Path, number: signal.Signals
) -> None:
    """Whatever ends the program: every packet that it has shown is in the file."""
    kept = tmp_path / "kept.pcapng"
    port = 41_600 + number
    # Of connections that were cut before, the kernel still sends what is left.
    with opened("-w", str(kept), f"tcp port {port}") as terminal:
        network.lab.curl(port, "-I", CISCO)
        terminal.shows("1 tunnel", "FIN ✓")
        os.kill(terminal.pid, number)
        until(terminal.gone, terminal.text)
    fields = ["-Y", "tcp.flags.fin == 1", "-T", "fields", "-e", "tcp.port"]
    assert str(port) in run("tshark", "-n", "-r", str(kept), *fields)
