from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tools.make_docs import MANUAL, documents
from tui.shared import COMPLETIONS, DIRECTORY, completion

ROOT = Path(__file__).resolve().parents[2]


def test_completion_and_manual_say_what_the_program_understands() -> None:
    """In a process of its own: what else was imported must not matter."""
    done = subprocess.run(
        [sys.executable, "-m", "tools.make_docs", "--check"],
        capture_output=True, text=True, timeout=60, cwd=ROOT,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("shell", COMPLETIONS)
def test_the_shell_can_read_its_completion(shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    flags = ["--no-execute"] if shell == "fish" else ["-n"]
    done = subprocess.run(
        [shell, *flags, str(DIRECTORY / COMPLETIONS[shell])], capture_output=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, b"")


def test_every_option_is_completed_and_in_the_manual() -> None:
    from tui.command.arguments import parsers

    manual = documents()[MANUAL]
    for parser in parsers().values():
        for action in parser._actions:
            for name in action.option_strings:
                hidden = action.help == "==SUPPRESS=="
                assert (name.replace("-", "\\-") in manual) or hidden
                if name.startswith("--") and not hidden:
                    assert name in completion("bash")


def test_the_manual_is_groff_without_a_warning() -> None:
    if shutil.which("groff") is None:
        pytest.skip("groff is not installed")
    done = subprocess.run(
        ["groff", "-man", "-Tutf8", "-ww", str(DIRECTORY / MANUAL)],
        capture_output=True, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b"")
    assert "Why does" in done.stdout.decode() or "why does" in done.stdout.decode()
