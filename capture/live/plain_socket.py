"""Scapy's own listening socket, for systems without a packet ring: packet by packet.

What it reads is laid out like a block of the ring, so that one parser does for both.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import struct
import sys
import time
from typing import Any, Final

import numpy as np

from capture.live.bpf import FilterError
from capture.live.crates import CRATE_BYTES, Crates
from capture.live.filters import compile_filter
from capture.live.interfaces import ANY
from capture.live.memory import suitable_buffer_mib
from capture.live.quiet_scapy import Scapy_Exception, conf
from capture.live.ring import ETHERNET, LOOPBACK, SLL2, Run, linktype_of
from capture.live.settings import CaptureSettings
from capture.protocols.text import printable

_RECORD: Final = struct.Struct("=6I2H20x2HiH10x")
"""``capture.live.ring.HEADER``, its fields up to the type of hardware."""
_AF_PACKET: Final = 17
_NEEDS_RING: Final = "this takes a packet ring, which the system does not have"
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
        if interface == ANY:
            raise OSError(errno.EOPNOTSUPP, _NEEDS_RING)
        self.iface = interface
        self.index = 0
        self.received = 0
        self._dropped = 0
        self._on_linux = sys.platform == "linux"
        # Elsewhere scapy compiles the filter and sets it.
        filtering = {"nofilter": 1} if self._on_linux else {"filter": settings.filter or None}
        self.opened: Any = _opened(interface, promisc=settings.promiscuous, **filtering)
        try:
            if self._on_linux:
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
        if self.linktype == SLL2:
            raise OSError(errno.EOPNOTSUPP, _NEEDS_RING)
        self.index = socket.if_nametoindex(interface)
        # Frames are cut later: scapy does not tell how long they were.
        program = compile_filter(settings.filter, self.linktype)
        attach(sock, program)
        if self.hatype == LOOPBACK:
            ignore_outgoing(sock)
        sock.setblocking(False)
        wanted = (settings.buffer_mib or suitable_buffer_mib()) << 20
        try:
            sock.setsockopt(socket.SOL_SOCKET, _FORCE_BUFFER, wanted)
        except OSError:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, wanted)
        if program:
            # What came before the filter did.
            while self._receive() is not None:
                pass

    def _set_up_bsd(self) -> None:
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
            run = Run(0, len(block), 0, packets)
            if not crates.put(np.frombuffer(block, np.uint8), [run]):
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
        except OSError as error:
            if error.errno in (errno.EAGAIN, errno.ENETDOWN):
                return None
            raise
        if not frame:
            return None
        return frame, time.time_ns() if seconds is None else round(seconds * 1e9)

    def statistics(self) -> tuple[int, int]:
        """Packets received and dropped, as far as the system tells."""
        try:
            if self._on_linux:
                from capture.live.ring_socket import read_statistics

                self._dropped += read_statistics(self.opened.ins)[1]
                return self.received + self._dropped, self._dropped
            received, dropped = self.opened.get_stats()
            return int(received or self.received), int(dropped or 0)
        except OSError:
            return self.received, 0

    def bind(self) -> None:
        """An interface that was made anew needs a new socket here."""
        raise OSError(errno.ENODEV, "cannot be listened to again")

    def close(self) -> None:
        """Release the socket; idempotent."""
        self.opened.close()


def _opened(interface: str, **arguments: Any) -> Any:
    """Scapy's socket, its exceptions turned into what others raise."""
    try:
        return conf.L2listen(iface=interface, **arguments)
    except Scapy_Exception as error:
        words = printable(str(error))
        if "filter" in words:
            raise FilterError(words) from None
        number = errno.EACCES if "/dev/bpf" in words else errno.EIO
        raise OSError(number, words) from None


def _record(frame: bytes, time_ns: int, hatype: int) -> bytes:
    """A frame as it would lie in the ring."""
    padding = -(_RECORD.size + len(frame)) % 8
    seconds, nanoseconds = divmod(time_ns, 10**9)
    step, length, mac = _RECORD.size + len(frame) + padding, len(frame), _RECORD.size
    head = _RECORD.pack(
        step, seconds, nanoseconds, length, length, 0, mac, mac, _AF_PACKET, 0, 0, hatype
    )
    return head + frame + bytes(padding)
