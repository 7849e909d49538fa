"""Scapy's own listening socket, for systems without a packet ring: packet by packet.

What it reads is laid out like a block of the ring, so that one parser does for both.
"""

from __future__ import annotations

import contextlib
import socket
import sys
import time
from typing import Any, Final

import numpy as np
from scapy.config import conf

from capture.live.bpf import compile_filter
from capture.live.crates import CRATE_BYTES, Crates
from capture.live.ring import ETHERNET, HEADER, LOOPBACK, linktype_of
from capture.live.settings import CaptureSettings

_AT_ONCE: Final = 512
"""Packets read before the queue gets them."""
_LARGEST: Final = 1 << 16
_FORCE_BUFFER: Final = 33
"""SO_RCVBUFFORCE of Linux, which goes beyond the system's limit."""
_GET_LINKTYPE: Final = 0x4004426A
"""BIOCGDLT of the BSDs and macOS."""


class PlainSocket:
    """A socket that hands over one packet at a time.

    Args:
        interface: Name; there is no ``any``.
        settings: Filter, snaplen, size of the receive buffer, promiscuous or not.

    Raises:
        FilterError: The filter cannot be used here.
        OSError: No right to capture, no such interface.
    """

    def __init__(self, interface: str, settings: CaptureSettings) -> None:
        self.iface = interface
        self.index = 0
        self.received = 0
        on_linux = sys.platform == "linux"
        arguments: dict[str, Any] = {"nofilter": 1} if on_linux else {}
        if not on_linux and settings.filter:
            arguments = {"filter": settings.filter}
        self.opened: Any = conf.L2listen(iface=interface, promisc=settings.promiscuous, **arguments)
        try:
            if on_linux:
                self._set_up_linux(interface, settings)
            else:
                self._set_up_bsd()
        except BaseException:
            self.opened.close()
            raise

    def _set_up_linux(self, interface: str, settings: CaptureSettings) -> None:
        from capture.live.ring_socket import attach, hardware_type, ignore_outgoing

        sock = self.opened.ins
        self.hatype = hardware_type(interface)
        self.linktype = linktype_of(self.hatype)
        self.index = socket.if_nametoindex(interface)
        program = compile_filter(settings.filter, self.linktype, snaplen=settings.snaplen)
        attach(sock, program)
        if self.hatype == LOOPBACK:
            ignore_outgoing(sock)
        sock.setblocking(False)
        wanted = settings.buffer_mib << 20
        try:
            sock.setsockopt(socket.SOL_SOCKET, _FORCE_BUFFER, wanted)
        except OSError:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, wanted)
        if program:
            # What came before the filter did.
            while self._receive() is not None:
                pass

    def _set_up_bsd(self) -> None:
        import struct
        from fcntl import ioctl

        self.opened.set_nonblock(True)
        self.hatype = 0
        self.linktype = ETHERNET
        with contextlib.suppress(OSError):
            answer = ioctl(self.opened.fileno(), _GET_LINKTYPE, bytes(4))
            self.linktype = struct.unpack("I", answer)[0]

    def drain(self, crates: Crates) -> bool:
        """Move what has come to the queue; see ``RingSocket.drain``."""
        while True:
            block, packets = self._read()
            if not packets:
                return True
            self.received += packets
            if not crates.put(np.frombuffer(block, np.uint8), 0, packets):
                crates.lost += packets
                return False

    def _read(self) -> tuple[bytearray, int]:
        block, packets = bytearray(), 0
        while packets < _AT_ONCE and len(block) < CRATE_BYTES - 2 * _LARGEST:
            if (one := self._receive()) is None:
                break
            frame, time_ns = one
            block += _record(frame, time_ns, self.hatype)
            packets += 1
        return block, packets

    def _receive(self) -> tuple[bytes, int] | None:
        """The next frame and its time, or None."""
        try:
            _, frame, seconds = self.opened.recv_raw(_LARGEST)
        except BlockingIOError:
            return None
        if not frame:
            return None
        return frame, time.time_ns() if seconds is None else round(seconds * 1e9)

    def statistics(self) -> tuple[int, int]:
        """Packets received and dropped, as far as the system tells."""
        try:
            if sys.platform == "linux":
                from capture.live.ring_socket import read_statistics

                self._dropped = getattr(self, "_dropped", 0) + read_statistics(self.opened.ins)[1]
                return self.received + self._dropped, self._dropped
            received, dropped = self.opened.get_stats()
            return int(received or self.received), int(dropped or 0)
        except OSError:
            return self.received, 0

    def bind(self) -> None:
        """An interface that was made anew needs a new socket here."""
        raise OSError("cannot be listened to again: start the capture anew")

    def close(self) -> None:
        """Release the socket; idempotent."""
        self.opened.close()


def _record(frame: bytes, time_ns: int, hatype: int) -> bytes:
    """A frame as it would lie in the ring."""
    width = HEADER.itemsize
    head = np.zeros(1, HEADER)
    padding = -(width + len(frame)) % 8
    head["next"] = width + len(frame) + padding
    head["sec"], head["nsec"] = divmod(time_ns, 10**9)
    head["caplen"] = head["wirelen"] = len(frame)
    head["mac"] = head["net"] = width
    head["hatype"] = hatype
    return head.tobytes() + frame + bytes(padding)
