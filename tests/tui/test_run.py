"""The program on a real (pseudo-)terminal: start, leave, signals, pipes."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tui.terminal_screen import Screen

CAPTURES = Path(__file__).parent.parent / "data" / "captures"
DENIED = CAPTURES / "02a_squid_acl_deny.pcap"
COLOUR = re.compile(rb"\x1b\[[\d;]*\b(?:3[0-7]|38|4[0-7]|48|9[0-7]|10[0-7])\b[\d;]*m")
GIVE_UP_S = 120
"""A guard against hanging, not a measure."""


class Terminal:
    """A child process on a pseudo-terminal of 100 x 30."""

    def __init__(
        self, *call: str, stdin: bytes | None = None, owned: bool = True, **environment: str
    ) -> None:
        """Start it; ``owned`` makes the terminal its controlling one, which tells of hang-ups."""
        self.master, slave = os.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
        self.before = termios.tcgetattr(slave)
        self.slave = slave
        more = "".join(f"{option}, " for option in call[1:])
        code = (
            "import sys; from tui.app import run; from tui.feeds import FileFeed; "
            "from capture.options import AnalysisOptions; "
            f"sys.exit(run(FileFeed({call[0]}), {more}options=AnalysisOptions()))"
        )
        self.process = subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=slave if stdin is None else subprocess.PIPE,
            stdout=slave,
            stderr=slave,
            env={**os.environ, **environment},
            preexec_fn=self._take_terminal if owned else os.setsid,
        )
        if stdin is not None and self.process.stdin is not None:
            self.process.stdin.write(stdin)
            self.process.stdin.close()
        self.output = b""

    def _take_terminal(self) -> None:
        os.setsid()
        fcntl.ioctl(self.slave, termios.TIOCSCTTY, 0)

    def until(self, wanted: bytes) -> None:
        """Read until the text stands on the terminal."""
        until = time.monotonic() + GIVE_UP_S
        while wanted not in self.text():
            assert time.monotonic() < until, self.text()
            if not self._read(0.2) and self.process.poll() is not None:
                break
        assert wanted in self.text()

    def _read(self, seconds: float) -> bytes:
        if not select.select([self.master], [], [], seconds)[0]:
            return b""
        try:
            data = os.read(self.master, 65536)
        except OSError:
            return b""
        self.output += data
        return data

    def text(self) -> bytes:
        """What is on the terminal."""
        screen = Screen()
        screen.write(self.output.decode("utf-8", "replace"))
        return screen.text().encode()

    def type(self, keys: bytes) -> None:
        os.write(self.master, keys)

    def wait(self) -> int:
        """Read to the end and give the exit code."""
        until = time.monotonic() + GIVE_UP_S
        while self.process.poll() is None:
            assert time.monotonic() < until
            self._read(0.1)
        while self._read(0.1):
            pass
        return self.process.returncode

    def is_restored(self) -> bool:
        left = self.output.rindex(b"\x1b[?1049l") > self.output.rindex(b"\x1b[?1049h")
        return left and termios.tcgetattr(self.slave) == self.before

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for descriptor in (self.master, self.slave):
            with contextlib.suppress(OSError):
                os.close(descriptor)


@contextlib.contextmanager
def terminal(
    *call: str, stdin: bytes | None = None, owned: bool = True, **environment: str
) -> Iterator[Terminal]:
    child = Terminal(*call, stdin=stdin, owned=owned, **environment)
    try:
        yield child
    finally:
        child.close()


def test_shows_a_capture_and_leaves_the_terminal_as_it_was() -> None:
    with terminal(repr(str(DENIED))) as child:
        child.until(b"403")
        child.until(b"1 failing")
        child.type(b"q")
        assert child.wait() == 0
        assert child.is_restored()


def test_packets_from_a_pipe_keys_from_the_terminal() -> None:
    with terminal("'-'", stdin=DENIED.read_bytes()) as child:
        child.until(b"1 failing")
        child.type(b"q")
        assert child.wait() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_signals_end_it_with_the_terminal_restored(number: signal.Signals) -> None:
    with terminal(repr(str(DENIED))) as child:
        child.until(b"1 failing")
        child.process.send_signal(number)
        assert child.wait() == 128 + number
        assert child.is_restored()


def test_lost_terminal_ends_it() -> None:
    """The link is cut: nobody reads what is drawn any more."""
    with terminal(repr(str(DENIED))) as child:
        child.until(b"1 failing")
        os.close(child.slave)
        os.close(child.master)
        assert child.process.wait(GIVE_UP_S) != 0


def test_lost_terminal_of_somebody_else_ends_it() -> None:
    """Started by ``su`` or ``sudo``, which were told of the hang-up and are gone."""
    with terminal(repr(str(DENIED)), owned=False) as child:
        child.until(b"1 failing")
        os.close(child.slave)
        os.close(child.master)
        assert child.process.wait(GIVE_UP_S) == 128 + signal.SIGHUP


def test_a_byte_that_is_no_utf8_ends_nothing() -> None:
    with terminal(repr(str(DENIED))) as child:
        child.until(b"1 failing")
        child.type(b"\xe9?")
        child.until(b"closes")  # help
        child.process.send_signal(signal.SIGTERM)
        assert child.wait() == 128 + signal.SIGTERM


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("image.pcap", b"\x89PNG\r\n\x1a\n" + bytes(40), b"png image"),
        ("empty.pcap", b"", b"empty"),
        ("none.pcap", None, b"no such file"),
    ],
    ids=["foreign", "empty", "missing"],
)
def test_unreadable_input_is_one_line_and_no_screen(
    name: str, data: bytes | None, said: bytes, tmp_path: Path
) -> None:
    path = tmp_path / name
    if data is not None:
        path.write_bytes(data)
    with terminal(repr(str(path))) as child:
        assert child.wait() == 4
        lines = child.output.strip().lower().split(b"\n")
        assert len(lines) == 1
        assert lines[0].startswith(f"tunnelscope: {path}: ".lower().encode())
        assert said in lines[0]
        assert b"\x1b" not in child.output


def test_unknown_theme_is_one_line() -> None:
    with terminal(repr(str(DENIED)), "theme='darkk'") as child:
        assert child.wait() == 2
        assert b"dark" in child.output
        assert b"\x1b" not in child.output


def test_no_color_means_none() -> None:
    with terminal(repr(str(DENIED)), NO_COLOR="1") as child:
        child.until(b"1 failing")
        child.type(b"q")
        assert child.wait() == 0
        assert COLOUR.search(child.output) is None
    with terminal(repr(str(DENIED))) as child:
        child.until(b"1 failing")
        child.type(b"q")
        child.wait()
        assert COLOUR.search(child.output) is not None


def test_ascii_and_no_mouse() -> None:
    with terminal(repr(str(DENIED)), "ascii=True", "mouse=False", "slow_link=True") as child:
        child.until(b"1 failing")
        child.type(b"q")
        assert child.wait() == 0
        assert child.output.isascii()
        assert b"\x1b[?1000h" not in child.output


def test_terminal_without_utf8_gets_ascii() -> None:
    with terminal(repr(str(DENIED)), PYTHONIOENCODING="latin-1") as child:
        child.until(b"1 failing")
        child.type(b"q")
        assert child.wait() == 0
        assert child.output.isascii()


def test_on_a_slow_link_all_of_the_screen_comes_in_the_end() -> None:
    with terminal(repr(str(DENIED)), "slow_link=True") as child:
        child.until(b"1 failing")
        child.until(b"? help")
        child.type(b"?")
        child.until(b"Esc closes")
        child.type(b"\x11")
        assert child.wait() == 0
        assert child.is_restored()
