"""A live capture on another machine: ssh, and tcpdump at its other end."""

from __future__ import annotations

import contextlib
import math
import os
import re
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Final

from capture.frames import FileSource, FrameBlock, SourceInfo, UnreadableInput, no_frames
from capture.live import remote
from capture.live.kept import KeptCapture
from capture.live.packet_file import PacketFile
from capture.live.settings import CaptureSettings
from capture.protocols.text import printable
from capture.sources.opening import open_from
from capture.sources.recorded import RecordedSource
from capture.sources.streams import FileStream
from capture.writing.files import UnwritableFile

_OPTIONS: Final = (
    *("-T", "-x", "-a", "-e", "none"),
    *("-o", "ServerAliveInterval=10", "-o", "ServerAliveCountMax=3"),
    # What the user's configuration may hold for interactive sessions.
    *("-o", "RemoteCommand=none", "-o", "ClearAllForwardings=yes"),
    # An existing shared connection is used, but none is left behind.
    *("-o", "ControlMaster=no", "-o", "PermitLocalCommand=no"),
)
"""BatchMode stays off: ssh asks for passwords and unknown hosts on the terminal by itself."""

_GREETING: Final = 64 << 10
"""Bytes that a login shell may print before the script begins."""
_POLL_S: Final = 0.1
_ASK_S: Final = 5.0
"""How often the other machine is asked for its counters."""
_PART_S: Final = 2.0
"""How long the other end may take to say its last counters and go."""
_LEAVE_S: Final = 1.0
_SHOW_AFTER_S: Final = 0.3
_SAID_LINES: Final = 50
_MAY_BE_LAST: Final = re.compile(
    r"(?:ssh|tcpdump|sudo|\S*sh): |kex_|Connection |Host key |Received disconnect|Disconnected"
    r"|.*Permission denied \("
)
"""How the last words of ssh and of the other machine begin."""
_LINE: Final = 4096
_LONGEST: Final = 300


class Connection:
    """The ssh process: its output is the packets, its errors are listened to by a thread.

    Args:
        command: ssh and its arguments.
        script: What the other machine's shell is to do.

    Raises:
        UnreadableInput: There is no ssh.
    """

    def __init__(self, command: Sequence[str], script: bytes) -> None:
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
            )
        except OSError as error:
            why = printable(error.strerror or str(error)).lower()
            raise UnreadableInput(f"{printable(command[0])} cannot be run: {why}") from None
        self.said: deque[str] = deque(maxlen=_SAID_LINES)
        """What ssh and tcpdump said on stderr, safe to print; the newest last."""
        self.dropped: dict[str, int] = {}
        """Packets lost on the other machine, by who lost them; empty: not known."""
        self._connecting = True
        self._unshown: deque[tuple[float, str]] = deque(maxlen=_SAID_LINES)
        self._listener = threading.Thread(target=self._listen, name="ssh-stderr", daemon=True)
        self._listener.start()
        self._write(script)

    @property
    def packets(self) -> int:
        """Descriptor of the other end's output."""
        assert self._process.stdout is not None
        return self._process.stdout.fileno()

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def _listen(self) -> None:
        """Thread body: read stderr to its end."""
        stderr = self._process.stderr
        assert stderr is not None
        rest = b""
        with contextlib.suppress(OSError, ValueError):
            while piece := stderr.read(_LINE):
                *lines, rest = (rest + piece).replace(b"\r", b"\n").split(b"\n")
                for line in lines:
                    self._hear(line)
                if len(rest) > _LINE:
                    self._hear(rest)
                    rest = b""
        self._hear(rest)

    def _hear(self, line: bytes) -> None:
        text = printable(line.decode("utf-8", "replace"), _LONGEST).strip()
        if not text:
            return
        self.dropped.update(remote.dropped(text))
        self.said.append(text)
        if text.startswith("tunnelscope: "):
            return
        if self._connecting and not _MAY_BE_LAST.match(text):
            # At once: a banner belongs before the question for a password.
            print(text, file=sys.stderr, flush=True)
        else:
            self._unshown.append((time.monotonic(), text))

    def connected(self) -> None:
        """From now on, what is said is not shown: a screen may be there."""
        self._connecting = False

    def show_news(self) -> None:
        """Print what was said a moment ago on stderr.

        What may be the reason why ssh ends is held back a little: if it is, it is told in
        another way.
        """
        while self._unshown and time.monotonic() - self._unshown[0][0] > _SHOW_AFTER_S:
            print(self._unshown.popleft()[1], file=sys.stderr)

    def ask(self) -> None:
        """Ask for the counters of dropped packets; the answer comes by ``dropped``."""
        self._write(b"\n")

    def _write(self, data: bytes) -> None:
        stdin = self._process.stdin
        assert stdin is not None
        with contextlib.suppress(OSError, ValueError):
            stdin.write(data)

    def part(self) -> None:
        """Tell the other end to stop; what it has sent can still be read."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()

    def wait(self, timeout_s: float) -> None:
        """Wait for ssh to end, and for its last words."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout_s)
            self._listener.join(timeout_s)

    def close(self) -> None:
        """End ssh, which ends everything on the other machine; idempotent."""
        self.part()
        self.wait(_LEAVE_S)
        if self.alive:
            self._process.terminate()
            self.wait(_LEAVE_S)
        if self.alive:
            self._process.kill()
            self._process.wait()
        self._listener.join(_LEAVE_S)
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None and not self._listener.is_alive():
                pipe.close()

    def last_words(self) -> str:
        """Why it ended, as far as somebody said so."""
        own = [line for line in self.said if not remote.dropped(line) and _is_reason(line)]
        if own:
            return own[-1]
        code = self._process.poll()
        return "the connection was closed" if code in (None, 0) else f"ssh ended with code {code}"


class SshSource(KeptCapture):
    """Frames that tcpdump captures on another machine, as they come.

    Opening waits for ssh, which may ask for a password on the terminal, and for tcpdump's
    first bytes. Packets of the SSH connection itself are left out of the capture.

    Args:
        settings: ``ssh`` is the destination, as ssh takes it.
        program: ssh, with options before ours.

    Raises:
        UnreadableInput: No connection, no tcpdump there, no permission, a filter or an
            interface that does not work, a packet file that cannot be written.
    """

    def __init__(self, settings: CaptureSettings, program: Sequence[str] = ("ssh",)) -> None:
        if settings.ssh is None or settings.ssh.startswith("-"):
            raise UnreadableInput("no destination for ssh")
        info = SourceInfo(printable(f"{settings.ssh} {settings.interfaces[0]}"), "live")
        super().__init__(settings, info)
        self._host = printable(settings.ssh.rpartition("@")[2])
        command = (*program, *_OPTIONS, "--", settings.ssh, "exec /bin/sh")
        self._connection = Connection(command, remote.script(settings))
        try:
            self._inner = self._open()
            self._file = PacketFile(self.info, settings)
        except UnwritableFile as error:
            self._connection.close()
            raise UnreadableInput(str(error)) from None
        except BaseException:
            self._connection.close()
            raise
        self._over_at = math.inf
        self._begin()
        self._ask_at = time.monotonic() + _ASK_S

    def _open(self) -> FileSource:
        stream = FileStream(os.dup(self._connection.packets))
        self._await_packets(stream)
        try:
            inner = open_from(stream, self.info, spool=False)
        except UnreadableInput:
            # tcpdump writes nothing at all when it cannot begin.
            self._connection.wait(_PART_S)
            raise UnreadableInput(self._why_not()) from None
        if isinstance(inner, RecordedSource):
            inner.live = True
        self.info.format = "live"
        for item in self.info.interfaces:
            item.name, item.filter = self.settings.interfaces[0], self.settings.filter
        if any(line.startswith(remote.NOT_EXCLUDED) for line in self._connection.said):
            self.info.warn(
                "ssh-port-left-out",
                "the packets of the SSH connection itself could not be told from others: all of"
                " port 22 are left out",
            )
        return inner

    def _await_packets(self, stream: FileStream) -> None:
        """Read up to where the packets begin, or to the end."""
        seen = bytearray()
        byte = bytearray(1)
        while not seen.endswith(remote.BEGIN) and len(seen) < _GREETING:
            while not stream.ready(_POLL_S):
                self._connection.show_news()
            if not stream.readinto(memoryview(byte)):
                break
            seen += byte
        self._connection.connected()
        while not stream.ready(_POLL_S):
            self._connection.show_news()

    def _why_not(self) -> str:
        for line in self._connection.said:
            if line.startswith(remote.NO_TCPDUMP):
                return f"there is no tcpdump on {self._host}: install it there"
            if line.startswith(remote.NOT_PERMITTED):
                path = line.rpartition(" ")[2]
                return (
                    f"no permission to capture on {self._host}: log in as root, let sudo run"
                    " tcpdump there without a password, or run there once: sudo setcap"
                    f" cap_net_raw,cap_net_admin=eip {path}"
                )
        return f"{self._host}: {self._connection.last_words()}"

    # -- reading ----------------------------------------------------------------------

    def blocks(self) -> Iterator[FrameBlock]:
        """See ``capture.frames.Source``."""
        for block in self._inner.blocks():
            if len(block):
                kept = self._keep(block)
                if kept is not None:
                    yield kept
            else:
                self._file.flush()
                block.first_number = self._packets + 1
                yield block
            self._look()
            if time.monotonic() >= self._over_at or self._full():
                break
        else:
            # Ctrl+C reaches ssh, too: whoever was asked to stop gets to say so first.
            yield no_frames(self._packets + 1)
            self._ended()
        self._connection.part()
        self._connection.wait(_PART_S)
        self._count_losses()

    def _look(self) -> None:
        """Now and then: losses, rates, and whether it is time to go."""
        now = time.monotonic()
        self._rates.tick(now)
        self._count_losses()
        if now >= self._end_at:
            self.stop()
        if self._stop_asked.is_set() and self._over_at == math.inf:
            # What is under way, and tcpdump's last counters, still come.
            self._over_at = now + _PART_S
            self._connection.part()
        elif now >= self._ask_at:
            self._ask_at = now + _ASK_S
            self._connection.ask()

    def _count_losses(self) -> None:
        dropped = self._connection.dropped
        if dropped:
            self.info.lost_kernel = sum(dropped.values())
            self._file.set_losses(0, self._packets, self.info.lost_kernel)

    def _ended(self) -> None:
        """The other end has gone: as asked, or the connection is lost."""
        self._connection.wait(_PART_S)
        if not self._stop_asked.is_set():
            why = self._connection.last_words()
            self._trouble = f"the capture on {self._host} has ended: {why}"
            self.info.warn("capture-ended", self._trouble)

    def close(self) -> None:
        """Leave no process on either side, and complete the packet file; idempotent."""
        self._stop_asked.set()
        self._connection.close()
        self._inner.close()
        self._file.close()


def _is_reason(line: str) -> bool:
    """Whether a line says why something failed, rather than what goes on."""
    return not (
        line.startswith(("tunnelscope: ", "tcpdump: listening on", "tcpdump: verbose output", "("))
        or line.endswith(("packets captured", "packet captured", "received by filter"))
    )
