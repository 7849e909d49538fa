"""How long a full-screen program takes until its first screen stands."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import termios
import time
from pathlib import Path

_SIGN = b"Tunnels"
"""Text of the first screen, in one piece."""


def first_screen(command: list[str], directory: Path, limit_s: float = 20.0) -> float:
    """Seconds from the start of ``command`` on a terminal of 120x36 to its first screen.

    Raises:
        RuntimeError: It ended, or ``limit_s`` passed, before that.
    """
    begin = time.perf_counter()
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(directory)
        os.environ["TERM"] = "xterm-256color"
        os.execvp(command[0], command)
    try:
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 36, 120, 0, 0))
        drawn = b""
        while _SIGN not in drawn:
            left = limit_s - (time.perf_counter() - begin)
            if left <= 0 or not select.select([terminal], [], [], left)[0]:
                raise RuntimeError(f"no screen after {limit_s:.0f} s")
            try:
                data = os.read(terminal, 65536)
            except OSError:  # Linux says EIO when the other end is closed
                data = b""
            if not data:
                raise RuntimeError(f"ended without a screen: {drawn[-300:]!r}")
            drawn += data
        return time.perf_counter() - begin
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(terminal)
