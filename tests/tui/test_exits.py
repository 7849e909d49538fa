"""How the command ends when it is told to from outside, and when the world is broken."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DENIED = str(ROOT / "tests" / "data" / "captures" / "02a_squid_acl_deny.pcap")
GIVE_UP_S = 120
"""A guard against hanging, not a measure."""


def start(*argv: str, **options: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # type: ignore[call-overload, no-any-return]
        [sys.executable, "-m", "tui.cli", *argv],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **{"cwd": ROOT, "stdin": subprocess.DEVNULL, **options},
    )


@pytest.fixture
def pipes(tmp_path: Path) -> list[str]:
    """Captures that do not come: two workers wait for them."""
    paths = [str(tmp_path / name) for name in ("one", "two")]
    for path in paths:
        os.mkfifo(path)
    return paths


def opened(paths: list[str], process: subprocess.Popen[bytes]) -> list[int]:
    """Wait until somebody reads from each pipe."""
    return [opened_by(process, path) for path in paths]


def opened_by(process: subprocess.Popen[bytes], path: str) -> int:
    give_up = time.monotonic() + GIVE_UP_S
    while True:
        try:
            # Without O_NONBLOCK it would wait for ever for a process that died.
            end = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:  # ENXIO: nobody reads from it yet
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < give_up
            time.sleep(0.01)
        else:
            os.set_blocking(end, True)
            return end


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGKILL, -9)]
)
def test_no_worker_is_left_behind(pipes: list[str], number: signal.Signals, code: int) -> None:
    process = start("check", "-j", "2", *pipes)
    ends = opened(pipes, process)
    process.send_signal(number)
    # It returns when every process that could write there has ended.
    out, err = process.communicate(timeout=GIVE_UP_S)
    for end in ends:
        os.close(end)
    assert process.returncode == code
    assert out == b""
    if number != signal.SIGKILL:
        assert err == b""


def test_a_hangup_that_is_ignored_stays_ignored(pipes: list[str]) -> None:
    process = start(
        "check", "-j", "2", *pipes, preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)
    )
    ends = opened(pipes, process)
    process.send_signal(signal.SIGHUP)
    for end in ends:
        os.write(end, Path(DENIED).read_bytes())
        os.close(end)
    out, _ = process.communicate(timeout=GIVE_UP_S)
    assert process.returncode == 1
    assert out.count(b"acl_denied") == 2


@pytest.mark.parametrize("argument", ["", "gone.pcap", "x\x1b[2J\n"])
def test_absent_files_are_one_line(argument: str) -> None:
    process = start("check", argument)
    out, err = process.communicate(timeout=GIVE_UP_S)
    assert (process.returncode, out) == (4, b"")
    assert err.count(b"\n") == 1
    assert b"no such file" in err
    assert b"\x1b" not in err


@pytest.mark.parametrize(
    "environment", [{}, {"LANG": "C", "LC_ALL": "C"}, {"PYTHONIOENCODING": "ascii", "TERM": "x"}]
)
def test_bare_environments(environment: dict[str, str]) -> None:
    process = start("check", DENIED, env=environment)
    out, err = process.communicate(timeout=GIVE_UP_S)
    assert (process.returncode, err) == (1, b"")
    assert b"acl_denied" in out


def test_the_working_directory_is_gone(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = start("check", DENIED, cwd=gone, env=environment, preexec_fn=gone.rmdir)
    out, err = process.communicate(timeout=GIVE_UP_S)
    assert (process.returncode, err) == (1, b"")
    assert b"acl_denied" in out


@pytest.mark.parametrize("limit", ["ulimit -n 8", "exec <&-", "exec 2>&-", "umask 777"])
def test_narrow_limits(limit: str) -> None:
    command = f'{limit}; exec "$0" -m tui.cli check "$1"'
    done = subprocess.run(
        ["sh", "-c", command, sys.executable, DENIED], capture_output=True, check=False, cwd=ROOT
    )
    assert done.returncode == 1
    assert b"acl_denied" in done.stdout
