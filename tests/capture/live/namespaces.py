"""Network namespaces for tests that capture: made and removed by the test itself."""

from __future__ import annotations

import contextlib
import ctypes
import secrets
import shutil
import socket
import struct
import subprocess
from collections.abc import Iterator

import pytest

from tests.patience import GIVE_UP_S
from tests.rights import NET_ADMIN, NET_RAW, SYS_ADMIN, is_root, lacking

_NEW_NET = 0x40000000
"""CLONE_NEWNET."""


def _why_not() -> str:
    if not hasattr(socket, "AF_PACKET"):
        return "needs Linux"
    if not is_root():
        return "needs root"
    if missing := lacking(NET_ADMIN, NET_RAW, SYS_ADMIN):
        return f"needs {', '.join(missing)}"
    return "" if shutil.which("ip") else "needs iproute2"


WHY_NOT = _why_not()
needs_root = pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT or "-")


@contextlib.contextmanager
def inside(name: str) -> Iterator[None]:
    """Let this thread, and threads that it starts, be in a namespace."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open("/proc/thread-self/ns/net", "rb") as before:
        with open(f"/run/netns/{name}", "rb") as wanted:
            if libc.setns(wanted.fileno(), _NEW_NET):
                raise OSError(ctypes.get_errno(), f"cannot enter {name}")
        try:
            yield
        finally:
            libc.setns(before.fileno(), _NEW_NET)


def ip(*words: str) -> None:
    """Run ip(8)."""
    subprocess.run(["ip", *words], check=True, capture_output=True, timeout=GIVE_UP_S)


class Wire:
    """Two namespaces joined by a veth pair: ``here`` captures, ``there`` sends."""

    def __init__(self) -> None:
        # Not the process' number: what a killed run has left has it, too, in a container.
        own = secrets.token_hex(3)
        self.here, self.there = f"ts-here-{own}", f"ts-there-{own}"

    def make(self) -> None:
        """Make both ends.

        Raises:
            pytest.skip.Exception: Even root may not do so here (a container); says why.
        """
        try:
            for name in (self.here, self.there):
                ip("netns", "add", name)
            self.join()
            ip("-n", self.here, "link", "set", "lo", "up")
        except subprocess.CalledProcessError as error:
            said = error.stderr.decode("utf-8", "replace").strip()
            pytest.skip(f"network namespaces cannot be made here: {said}")

    def join(self) -> None:
        """Make the pair, anew when it was removed."""
        peer = ["type", "veth", "peer", "name", "out", "netns", self.there]
        ip("-n", self.here, "link", "add", "in", *peer)
        for name, link in ((self.here, "in"), (self.there, "out")):
            # No neighbour discovery: there must be no packets but those a test sends. The
            # settings may be read-only (a container); without an address nothing is sent, too.
            set_to_1(name, f"/proc/sys/net/ipv6/conf/{link}/disable_ipv6")
            with contextlib.suppress(subprocess.CalledProcessError):  # a kernel without IPv6
                ip("-n", name, "link", "set", link, "addrgenmode", "none")
            ip("-n", name, "link", "set", link, "up")

    def remove(self) -> None:
        for name in (self.here, self.there):
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)

    def send(self, frames: list[bytes], link: str = "out") -> None:
        """Send frames towards ``here``."""
        with inside(self.there), socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sender:
            sender.bind((link, 0))
            for frame in frames:
                sender.send(frame)


def set_to_1(name: str, path: str) -> None:
    """Write 1 to a setting of a namespace."""
    with inside(name), contextlib.suppress(OSError), open(path, "w", encoding="ascii") as setting:
        setting.write("1")


def tcp_frame(number: int, port: int = 3128, payload: int = 100) -> bytes:
    """An Ethernet frame with a TCP segment from 10.9.0.1 to 10.9.0.2, told by its number."""
    ethernet = b"\x02\x00\x00\x00\x00\x02\x02\x00\x00\x00\x00\x01\x08\x00"
    addresses = bytes([10, 9, 0, 1, 10, 9, 0, 2])
    ipv4 = struct.pack(">BBHHHBBH", 0x45, 0, 40 + payload, number & 0xFFFF, 0, 64, 6, 0)
    tcp = struct.pack(">HHIIBBHHH", 40000, port, number, 0, 0x50, 0x10, 512, 0, 0)
    return ethernet + ipv4 + addresses + tcp + bytes(payload)
