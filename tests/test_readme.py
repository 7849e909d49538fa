"""Every command that the README shows on this checkout's files runs and does what it says."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from capture.demo import list_demos

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = [
    line.removeprefix("$ ")
    for block in re.findall(r"^```console\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    for line in block.splitlines()
    if line.startswith("$ ")
]
SUCCEED = ("--fail-on never", "--list", "--help")


def test_there_are_commands_to_try() -> None:
    assert len(COMMANDS) >= 6


@pytest.mark.parametrize("command", COMMANDS)
def test_command_runs(command: str, tmp_path: Path) -> None:
    words = shlex.split(command)
    assert words[0] == "tunnelscope"
    output = None
    if "-o" in words:
        output = tmp_path / words[words.index("-o") + 1]
        words[words.index("-o") + 1] = str(output)
    done = subprocess.run(
        [sys.executable, "-m", "tui", *words[1:]],
        capture_output=True, text=True, encoding="utf-8", cwd=ROOT, check=False,
        stdin=subprocess.DEVNULL, timeout=60,
    )  # fmt: skip
    # All captures shown there hold a problem, so `check` ends with 1 unless told else.
    assert done.returncode == (0 if any(flag in command for flag in SUCCEED) else 1), done.stderr
    assert done.stderr == ""
    assert (output.read_text(encoding="utf-8") if output else done.stdout).strip()


def test_every_verdict_is_in_the_table() -> None:
    table = set(re.findall(r"`([a-z_0-9]+)`", README))
    assert {demo.verdict for demo in list_demos()} - {"mixed"} <= table


@pytest.mark.parametrize("link", re.findall(r"\]\(([^)#:]+)\)", README))
def test_links_lead_somewhere(link: str) -> None:
    assert (ROOT / link).exists()
