"""A cable between two network namespaces that can be slow, narrow, deaf or hostile.

The kernel's own tool for this (netem) is a module that containers often lack; a pair of TAP
devices and a thread between them need nothing but ``/dev/net/tun``. The devices offer no
segmentation offload, so a capture on them shows segments as they would be on a wire.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import heapq
import os
import random
import selectors
import struct
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

_TUNSETIFF = 0x400454CA
_IFF_TAP = 0x0002
_IFF_NO_PI = 0x1000
_CLONE_NEWNET = 0x40000000

Fault = Callable[[bytes, bool], "list[tuple[bytes, bool]] | None"]
"""Called with a frame and whether it travels from the near end. Returns None to let it
pass, else the frames that travel instead, each with its direction (empty: dropped)."""


def _open_tap(namespace: str, device: str) -> int:
    """Create ``device`` in ``namespace`` and return its descriptor.

    A thread of its own enters the namespace, so that the caller stays where it is.
    """
    result: list[int | OSError] = []

    def enter() -> None:
        try:
            with open(f"/var/run/netns/{namespace}") as handle:
                # os.setns() came with Python 3.12 only.
                if ctypes.CDLL(None, use_errno=True).setns(handle.fileno(), _CLONE_NEWNET):
                    raise OSError(ctypes.get_errno(), f"cannot enter {namespace}")
            tap = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
            fcntl.ioctl(
                tap, _TUNSETIFF, struct.pack("16sH", device.encode(), _IFF_TAP | _IFF_NO_PI)
            )
            result.append(tap)
        except OSError as error:
            result.append(error)

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    if isinstance(result[0], OSError):
        raise result[0]
    return result[0]


@dataclass
class Wire:
    """Two TAP devices and what happens between them; start it, use it, stop it."""

    near: tuple[str, str]
    """Namespace and device of one end."""
    far: tuple[str, str]
    delay_s: float = 0.009
    """One-way delay, seconds; each frame takes up to a tenth more, order kept."""
    fault: Fault | None = None
    """May be replaced at any time."""
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Create both devices, bring them up and begin to carry frames."""
        ends = (_open_tap(*self.near), _open_tap(*self.far))
        for namespace, device in (self.near, self.far):
            subprocess.run(
                ["ip", "-n", namespace, "link", "set", device, "up", "txqueuelen", "5000"],
                check=True,
            )
        self._thread = threading.Thread(target=self._carry, args=(ends,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Cut the cable; the devices vanish with it."""
        self._stop.set()
        if self._thread:
            self._thread.join()

    def _carry(self, ends: tuple[int, int]) -> None:
        dice = random.Random(1)
        under_way: list[tuple[float, int, bytes, int]] = []
        latest = [0.0, 0.0]
        count = 0
        with selectors.DefaultSelector() as selector:
            for end in ends:
                selector.register(end, selectors.EVENT_READ)
            while not self._stop.is_set():
                wait = under_way[0][0] - time.monotonic() if under_way else 0.2
                for key, _ in selector.select(max(0.0, min(wait, 0.2))):
                    with contextlib.suppress(BlockingIOError):
                        frame = os.read(key.fd, 65536)
                        from_near = key.fd == ends[0]
                        travels = self.fault(frame, from_near) if self.fault else None
                        for data, onward in [(frame, from_near)] if travels is None else travels:
                            due = time.monotonic() + self.delay_s * dice.uniform(1.0, 1.1)
                            due = latest[onward] = max(due, latest[onward])
                            count += 1
                            heapq.heappush(under_way, (due, count, data, ends[1 if onward else 0]))
                while under_way and under_way[0][0] <= time.monotonic():
                    _, _, data, end = heapq.heappop(under_way)
                    with contextlib.suppress(OSError):
                        os.write(end, data)
        for end in ends:
            os.close(end)


def drop_all(_frame: bytes, _from_near: bool) -> list[tuple[bytes, bool]]:
    """Fault: the path is dead both ways."""
    return []


def dying_host(address: str, after: int) -> Fault:
    """Fault: a host at the far end falls silent once it has sent ``after`` bytes."""
    host = bytes(int(part) for part in address.split("."))
    left = after

    def fault(frame: bytes, from_near: bool) -> list[tuple[bytes, bool]] | None:
        nonlocal left
        if frame[12:14] != b"\x08\x00" or host not in (frame[26:30], frame[30:34]):
            return None
        if left <= 0:
            return []
        left -= 0 if from_near else _ip_length(frame)
        return None

    return fault


def drop_larger(size: int, *, from_near: bool) -> Fault:
    """Fault: IPv4 packets above ``size`` bytes vanish in one direction, no ICMP tells."""

    def fault(frame: bytes, near: bool) -> list[tuple[bytes, bool]] | None:
        return [] if near == from_near and _ip_length(frame) > size else None

    return fault


def _ip_length(frame: bytes) -> int:
    return int.from_bytes(frame[16:18], "big") if frame[12:14] == b"\x08\x00" else 0


def reset_larger(size: int) -> Fault:
    """Fault: a box between answers a packet above ``size`` bytes from the near end by an RST."""

    def fault(frame: bytes, from_near: bool) -> list[tuple[bytes, bool]] | None:
        if not from_near or _ip_length(frame) <= size:
            return None
        return [(_reset_for(frame), False)]

    return fault


def _reset_for(frame: bytes) -> bytes:
    """An RST to the sender of an Ethernet/IPv4/TCP frame, in the name of its receiver."""
    ihl = (frame[14] & 15) * 4
    tcp = frame[14 + ihl :]
    segment = tcp[2:4] + tcp[0:2] + tcp[8:12] + bytes(4) + b"\x50\x04\0\0" + bytes(4)
    addresses = frame[30:34] + frame[26:30]
    segment = _with_checksum(segment, 16, addresses + struct.pack(">HH", 6, len(segment)))
    header = (
        b"\x45\0" + struct.pack(">H", 20 + len(segment)) + b"\0\0\x40\0\x40\x06\0\0" + addresses
    )
    return frame[6:12] + frame[0:6] + b"\x08\x00" + _with_checksum(header, 10, b"") + segment


def _with_checksum(data: bytes, at: int, pseudo: bytes) -> bytes:
    """RFC 1071, over ``pseudo`` and ``data`` (an even number of bytes), written at ``at``."""
    total = sum(struct.unpack(f">{(len(pseudo) + len(data)) // 2}H", pseudo + data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return data[:at] + struct.pack(">H", ~total & 0xFFFF) + data[at + 2 :]
