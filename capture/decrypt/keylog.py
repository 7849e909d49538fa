"""TLS secrets by session: the key log format of NSS (draft-ietf-tls-keylogfile).

A line is a label, the ClientHello's random and a secret, both in hex. Whoever holds these
secrets can read the connection, so they stay in here: nothing prints or stores them.
"""

from __future__ import annotations

import os
import stat
from typing import Final

__all__ = ["KeyLog", "KeyLogError", "KeyLogFile"]

LABELS: Final = frozenset({
    "CLIENT_RANDOM",
    "CLIENT_EARLY_TRAFFIC_SECRET",
    "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
    "SERVER_HANDSHAKE_TRAFFIC_SECRET",
    "CLIENT_TRAFFIC_SECRET_0",
    "SERVER_TRAFFIC_SECRET_0",
})  # fmt: skip
"""Those that open records; exporter secrets and the like do not."""
RANDOM_BYTES: Final = 32
SECRET_BYTES: Final = (32, 64)
"""Lengths of secrets, from SHA-256's to SHA-512's; a master secret has 48."""
MAX_LINE: Final = 1 << 10
MAX_SECRETS: Final = 1 << 20
"""A browser that logs for months writes more; then the oldest are forgotten."""
CHUNK: Final = 1 << 20


class KeyLogError(Exception):
    """A key log cannot be read. ``str()`` is one line."""


class KeyLog:
    """Secrets of any number of sessions. Feed it the log's bytes as they come."""

    def __init__(self) -> None:
        self._secrets: dict[tuple[str, bytes], bytes] = {}
        self._rest = b""
        self._skipping = False

    def __len__(self) -> int:
        """How many secrets are known."""
        return len(self._secrets)

    def feed(self, data: bytes) -> None:
        """Take the next bytes of a log; a line that is not whole yet waits for its end.

        Comments, labels of other uses and lines that make no sense are passed over.
        """
        lines = (self._rest + data).split(b"\n")
        self._rest = lines.pop()
        for line in lines:
            if self._skipping:
                self._skipping = False  # that was the end of a line too long to be one
            else:
                self._line(line)
        if len(self._rest) > MAX_LINE:
            self._rest, self._skipping = b"", True

    def add(self, data: bytes) -> None:
        """Take a whole log, such as a capture may hold."""
        for line in data.split(b"\n"):
            self._line(line)

    def secret(self, label: str, client_random: bytes) -> bytes | None:
        """A session's secret, by the random of its (first) ClientHello; None: not known."""
        return self._secrets.get((label, client_random))

    def refresh(self) -> None:
        """Take what was added where the log comes from."""

    def _line(self, line: bytes) -> None:
        words = line[: MAX_LINE + 1].split()
        if len(words) != 3 or len(line) > MAX_LINE:
            return
        label = words[0].decode("ascii", "replace")
        if label not in LABELS:
            return
        try:
            random, secret = (bytes.fromhex(word.decode("ascii")) for word in words[1:])
        except ValueError:
            return
        least, most = SECRET_BYTES
        if len(random) != RANDOM_BYTES or not least <= len(secret) <= most:
            return
        self._secrets[label, random] = secret
        if len(self._secrets) > MAX_SECRETS:
            del self._secrets[next(iter(self._secrets))]


class KeyLogFile(KeyLog):
    """A key log that may still grow, or may be yet to come."""

    def __init__(self, path: str) -> None:
        """Prepare; ``refresh`` reads."""
        super().__init__()
        self.path = path
        self._read = 0
        self._file: tuple[int, int] | None = None

    def check(self) -> None:
        """Find out whether it can be read.

        Raises:
            KeyLogError: It cannot.
        """
        try:
            if not stat.S_ISREG(os.stat(self.path).st_mode):
                raise KeyLogError("is no regular file")
            with open(self.path, "rb"):
                pass
        except (OSError, ValueError) as error:
            raise KeyLogError(_why(error)) from None

    def refresh(self) -> None:
        """Read what was added since the last time; from its start where it is another file.

        Raises:
            KeyLogError: It cannot be read.
        """
        try:
            found = os.stat(self.path)
            if not stat.S_ISREG(found.st_mode):
                raise KeyLogError("is no regular file")
            file = (found.st_dev, found.st_ino)
            if file != self._file or found.st_size < self._read:
                self._file, self._read = file, 0
                self._rest, self._skipping = b"", False
            if found.st_size > self._read:
                self._read_on(found.st_size)
        except (OSError, ValueError) as error:
            raise KeyLogError(_why(error)) from None

    def _read_on(self, size: int) -> None:
        with open(self.path, "rb") as file:
            file.seek(self._read)
            while self._read < size and (data := file.read(min(CHUNK, size - self._read))):
                self._read += len(data)
                self.feed(data)
        # The writer may be in the middle of a line, and a log may lack its last line's end:
        # a line that makes sense counts, and what follows completes it if it was cut.
        if self._rest and not self._skipping:
            self._line(self._rest)


def _why(error: Exception) -> str:
    return getattr(error, "strerror", None) or "is no file name"
