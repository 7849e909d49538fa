"""The socket of a live capture on Linux: scapy's listening socket with a kernel ring.

Scapy's class brings ``select`` and the life cycle that its ``AsyncSniffer`` expects. Its way
of opening the socket is not used, because it takes a moment during which frames of all
interfaces slip past the filter.

Source: packet(7), packet_mmap.rst of the Linux kernel's documentation.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import mmap
import os
import socket
import struct
from struct import pack_into
from typing import Final

import numpy as np

from capture.frames import Bytes
from capture.live.bpf import Program, pack
from capture.live.crates import CRATE_BLOCKS, Crates
from capture.live.filters import compile_filter
from capture.live.interfaces import ANY
from capture.live.memory import suitable_buffer_mib
from capture.live.quiet_scapy import L2ListenSocket
from capture.live.ring import (
    BLOCK_BYTES,
    BLOCK_HEADER,
    LOOPBACK,
    RETIRE_MS,
    SLL2,
    STATUS_OFFSET,
    TO_USER,
    Run,
    linktype_of,
)
from capture.live.settings import CaptureSettings

SOL_PACKET: Final = 263
_ADD_MEMBERSHIP, _RX_RING, _STATISTICS, _VERSION, _IGNORE_OUTGOING = 1, 5, 6, 10, 23
_TPACKET_V3: Final = 2
_MR_PROMISC: Final = 1
_ALL_PROTOCOLS: Final = 3
"""ETH_P_ALL."""
_ATTACH_FILTER: Final = 26
_GET_HARDWARE: Final = 0x8927
"""SIOCGIFHWADDR, whose answer begins with the ARPHRD number."""
_FRAME_BYTES: Final = 2048
"""Only checked for consistency by the kernel: a block of V3 is not divided into frames."""
_SPARE: Final = 128
"""Blocks of the ring that are left when the queue begins to grow: half a second at 2 Gbit/s. It
takes memory that a busy machine, or a guest of one, does not give at once."""
_LONGEST_NAME: Final = 15
_UNKNOWN_HARDWARE: Final = 0xFFFF


def hardware_type(interface: str) -> int:
    """ARPHRD number of an interface; of none at all for ``any``.

    Raises:
        OSError: There is no such interface (ENODEV).
    """
    if interface == ANY:
        return _UNKNOWN_HARDWARE
    from fcntl import ioctl

    name = os.fsencode(interface)
    if len(name) > _LONGEST_NAME:
        raise OSError(errno.ENODEV, "no such device")
    request = struct.pack("16s24x", name)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        return int(struct.unpack_from("H", ioctl(asked, _GET_HARDWARE, request), 16)[0])


def attach(sock: socket.socket, program: Program) -> None:
    """Let the kernel filter what a socket receives.

    Raises:
        OSError: The kernel refuses the program (ENOMEM: too long for its limits).
    """
    if program:
        code = ctypes.create_string_buffer(pack(program))
        request = struct.pack("HL", len(program), ctypes.addressof(code))
        sock.setsockopt(socket.SOL_SOCKET, _ATTACH_FILTER, request)


def ignore_outgoing(sock: socket.socket) -> None:
    """Leave out what is sent: a loopback shows it again as received.

    Kernels older than 4.20 cannot; ``capture.live.ring.frames`` leaves it out as well.
    """
    with contextlib.suppress(OSError):
        sock.setsockopt(SOL_PACKET, _IGNORE_OUTGOING, 1)


def read_statistics(sock: socket.socket) -> tuple[int, int]:
    """Packets that passed the filter and that were dropped, since they were last read."""
    received, dropped = struct.unpack_from("II", sock.getsockopt(SOL_PACKET, _STATISTICS, 12))
    return received, dropped


class RingSocket(L2ListenSocket):  # type: ignore[misc]
    """A packet socket with a memory-mapped ring (TPACKET_V3).

    The ring keeps what comes while Python is busy, and hands it over block by block: there
    is no system call, and nothing to do in Python, for a single packet. The filter is in
    place before the first frame can arrive.

    Args:
        interface: Name, or ``any``.
        settings: Filter, snaplen, size of the ring, promiscuous or not.

    Raises:
        FilterError: The filter cannot be used here.
        OSError: No right to capture (EPERM), no such interface (ENODEV), no ring.
    """

    desc = "read frames from a TPACKET_V3 ring"

    @property
    def opened(self) -> RingSocket:
        """What ``AsyncSniffer`` gets."""
        return self

    def __init__(self, interface: str, settings: CaptureSettings) -> None:
        self.closed = True  # nothing to release yet: scapy closes what is forgotten
        self.iface = interface
        self.promisc = settings.promiscuous and interface != ANY
        self.outs = None
        self.hatype = hardware_type(interface)
        self.linktype = linktype_of(self.hatype)
        program = compile_filter(
            settings.filter, self.linktype, snaplen=settings.snaplen, interface=interface
        )
        kind = socket.SOCK_DGRAM if self.linktype == SLL2 else socket.SOCK_RAW
        # Protocol 0 keeps quiet until it is bound. All interfaces cannot be bound to by name:
        # there the ring, once set up, has let go of what came before the filter.
        protocol = socket.htons(_ALL_PROTOCOLS) if interface == ANY else 0
        self.ins = socket.socket(socket.AF_PACKET, kind, protocol)
        self.index = 0
        try:
            attach(self.ins, program)
            if self.hatype == LOOPBACK:
                ignore_outgoing(self.ins)
            self.ins.setsockopt(SOL_PACKET, _VERSION, _TPACKET_V3)
            wanted = settings.buffer_mib or suitable_buffer_mib()
            self._blocks = self._make_ring(max(2, (wanted << 20) // BLOCK_BYTES))
            self._map = mmap.mmap(
                self.ins.fileno(),
                self._blocks * BLOCK_BYTES,
                mmap.MAP_SHARED,
                mmap.PROT_READ | mmap.PROT_WRITE,
            )
            self._ring: Bytes | None = np.frombuffer(self._map, np.uint8)
            self._next = 0
            self.received = self.dropped = 0
            self._count()
            self.received = self.dropped = 0
            if interface != ANY:
                self.bind()
        except BaseException:
            self.ins.close()
            raise
        self.closed = False

    def _make_ring(self, blocks: int) -> int:
        """Ask for a ring, smaller ones where memory is short; returns its blocks."""
        while True:
            frames = BLOCK_BYTES // _FRAME_BYTES * blocks
            request = (BLOCK_BYTES, blocks, _FRAME_BYTES, frames, RETIRE_MS, 0, 0)
            try:
                self.ins.setsockopt(SOL_PACKET, _RX_RING, struct.pack("7I", *request))
            except OSError as error:
                if error.errno != errno.ENOMEM or blocks <= 2:
                    raise
                blocks //= 2
                continue
            return blocks

    def bind(self) -> None:
        """Listen to the interface of that name, again after it was made anew.

        Raises:
            OSError: There is none, or it is of another kind than it was.
        """
        if hardware_type(self.iface) != self.hatype:
            raise OSError(errno.ENODEV, "is another kind of interface now")
        self.ins.bind((self.iface, _ALL_PROTOCOLS))
        self.index = socket.if_nametoindex(self.iface)
        if self.promisc:
            # Not every device can; it captures what it gets then.
            request = struct.pack("IHH8s", self.index, _MR_PROMISC, 0, b"")
            with contextlib.suppress(OSError):
                self.ins.setsockopt(SOL_PACKET, _ADD_MEMBERSHIP, request)

    def drain(self, crates: Crates) -> bool:
        """Copy the blocks that are ready to the queue, and give them back to the kernel.

        A queue that has as much as usual leaves them in the ring. When there is not much room
        left in that, the queue has to grow; when it cannot, and the ring gets full as well,
        packets are thrown away, and counted.

        Returns:
            False when the queue was full.
        """
        ring = self._ring
        if ring is None:
            raise OSError(errno.EBADF, "the socket is closed")
        while runs := self._ready():
            base, done = self._next * BLOCK_BYTES, len(runs)
            span = ring[base : base + runs[-1].end]
            if not crates.put(span, runs, grow=self._waits(self._blocks - _SPARE)):
                if not self._waits(self._blocks * 3 // 4):
                    return False
                crates.lost += runs[0].packets
                done = 1
            for block in range(self._next, self._next + done):
                pack_into("=I", self._map, block * BLOCK_BYTES + STATUS_OFFSET, 0)
            self._next = (self._next + done) % self._blocks
        # An interface that went down left an error, which would wake us for ever.
        self.ins.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        return True

    def _ready(self) -> list[Run]:
        """The blocks that are ours and lie one behind the other, by their places from there."""
        runs = []
        end = min(self._next + CRATE_BLOCKS, self._blocks)
        for place, block in enumerate(range(self._next, end)):
            status, packets, first, length = self._header(block)
            if not status & TO_USER:
                break
            start = place * BLOCK_BYTES
            runs.append(Run(start, start + length, start + first, packets))
        return runs

    def _header(self, block: int) -> tuple[int, int, int, int]:
        """Status, number of packets, offset of the first one, and length of a block."""
        header: tuple[int, int, int, int]
        header = BLOCK_HEADER.unpack_from(self._map, block * BLOCK_BYTES)
        return header

    def _waits(self, count: int) -> bool:
        """Whether more than so many blocks of the ring wait for us."""
        ahead = (self._next + max(count, 0)) % self._blocks
        return bool(self._header(ahead)[0] & TO_USER)

    def statistics(self) -> tuple[int, int]:
        """Packets that passed the filter, and how many of them the ring had no room for."""
        self._count()
        return self.received, self.dropped

    def _count(self) -> None:
        """Add the kernel's counters up: they start again at 0 whenever they are read."""
        if self._ring is None:
            return
        received, dropped = read_statistics(self.ins)
        self.received += received
        self.dropped += dropped

    def close(self) -> None:
        """Release the ring and the socket; idempotent."""
        if self.closed:
            return
        self.closed = True
        with contextlib.suppress(OSError):
            self._count()
        self._ring = None
        # A thread that hangs in the middle of a copy keeps the mapping a moment longer.
        with contextlib.suppress(BufferError):
            self._map.close()
        self.ins.close()
