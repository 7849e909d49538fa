"""An SSH server on loopback with keys of its own, for as long as a test runs."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.patience import GIVE_UP_S, until
from tests.rights import NET_RAW, SYS_CHROOT, lacking, may_become_nobody

SSHD = shutil.which("sshd") or next(
    (path for path in ("/usr/sbin/sshd", "/usr/local/sbin/sshd") if os.access(path, os.X_OK)), None
)
_MISSING = [
    name
    for name, there in (
        ("root that may become others", may_become_nobody()),
        ("sshd", SSHD),
        ("ssh", shutil.which("ssh")),
        ("ssh-keygen", shutil.which("ssh-keygen")),
        ("tcpdump", shutil.which("tcpdump")),
    )
    if not there
] + lacking(NET_RAW, SYS_CHROOT)
needs_sshd = pytest.mark.skipif(bool(_MISSING), reason=f"needs {', '.join(_MISSING)}")


_SEPARATION = Path("/run/sshd")
"""sshd wants an empty directory for its part without rights; Debian has it while a server runs."""


@dataclass
class Server:
    """A running server."""

    port: int
    client: tuple[str, ...]
    """ssh and the options that lead to it."""
    process: subprocess.Popen[bytes]
    destination: str = "root@127.0.0.1"

    def sessions(self) -> list[int]:
        """Processes that the server has started."""
        return _descendants(self.process.pid)

    def drop(self) -> None:
        """Break all connections, as a machine that goes down does."""
        for process in self.sessions():
            with contextlib.suppress(OSError):
                os.kill(process, 9)


@contextlib.contextmanager
def running(directory: Path) -> Iterator[Server]:
    """A server that lets the key in ``directory`` in."""
    for name in ("host", "user"):
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(directory / name)],
            check=True,
            timeout=GIVE_UP_S,
        )
    port = _free_port()
    keys = directory / "authorized"
    keys.write_bytes((directory / "user.pub").read_bytes())
    keys.chmod(0o600)
    server = directory / "sshd_config"
    server.write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {directory}/host\n"
        f"AuthorizedKeysFile {keys}\nPidFile none\nUsePAM no\nStrictModes no\n"
        "PermitRootLogin yes\nPasswordAuthentication no\nLogLevel ERROR\n"
    )
    kind, key = (directory / "host.pub").read_text().split()[:2]
    (directory / "known").write_text(f"[127.0.0.1]:{port} {kind} {key}\n")
    client = directory / "ssh_config"
    client.write_text(
        f"Host *\n  Port {port}\n  IdentityFile {directory}/user\n  IdentitiesOnly yes\n"
        f"  UserKnownHostsFile {directory}/known\n  StrictHostKeyChecking yes\n"
    )
    made = not _SEPARATION.exists()
    _SEPARATION.mkdir(exist_ok=True)
    process = subprocess.Popen([str(SSHD), "-D", "-e", "-f", str(server)], stderr=subprocess.PIPE)
    try:
        _await(port, process)
        yield Server(port, ("ssh", "-F", str(client)), process)
    finally:
        for child in _descendants(process.pid):
            with contextlib.suppress(OSError):
                os.kill(child, 9)
        process.kill()
        process.communicate()
        if made:
            with contextlib.suppress(OSError):
                _SEPARATION.rmdir()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def _await(port: int, process: subprocess.Popen[bytes]) -> None:
    def answers() -> bool:
        assert process.poll() is None, process.communicate()[1]
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 5):
            return True
        return False

    until(answers, "sshd does not answer")


def _descendants(process: int) -> list[int]:
    parents: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        with contextlib.suppress(OSError, ValueError):
            stat = Path(f"/proc/{int(entry)}/stat").read_text()
            if stat.rpartition(")")[2].split()[0] != "Z":
                parents.setdefault(int(stat.rpartition(")")[2].split()[1]), []).append(int(entry))
    found = [process]
    for item in found:
        found += parents.get(item, [])
    return found[1:]
