"""Capture filters as programs for the kernel's packet filter (classic BPF).

libpcap compiles pcap's whole language (pcap-filter(7)). Where it is missing, the common forms
are compiled here (``capture.live.filter_language``); anything else is refused in one line.

Source: McCanne and Jacobson, "The BSD Packet Filter" (1993); filter.rst of the Linux kernel's
documentation; ``linux/filter.h``.
"""

from __future__ import annotations

import re
from struct import Struct
from typing import Final, NamedTuple

from capture.live.ring import ETHERNET, SLL2
from capture.protocols.text import printable

MAX_SNAPLEN: Final = 262_144

# Classes, sizes, modes and operations of an instruction's code.
LD, LDX, ALU, JMP, RET = 0x00, 0x01, 0x04, 0x05, 0x06
W, H, B = 0x00, 0x08, 0x10
IMM, ABS, IND, MEM, LEN, MSH = 0x00, 0x20, 0x40, 0x60, 0x80, 0xA0
JA, JEQ, JGT, JGE, JSET = 0x00, 0x10, 0x20, 0x30, 0x40

AD: Final = 0xFFFFF000
"""SKF_AD_OFF: loads from here on read what the kernel keeps beside the frame."""
AD_PROTOCOL, AD_PKTTYPE, AD_IFINDEX, AD_HATYPE = AD, AD + 4, AD + 8, AD + 28

_SLL2_LENGTH: Final = 20
_SLL2_FIELDS: Final = {0: AD_PROTOCOL, 4: AD_IFINDEX, 8: AD_HATYPE, 10: AD_PKTTYPE}
_BESIDE: Final = re.compile(r"\b(vlan|inbound|outbound|ifindex)\b")
"""Words about what the kernel keeps beside a frame."""
_PACKED: Final = Struct("=HBBI")
_MOST: Final = 4096
"""BPF_MAXINSNS."""


class FilterError(ValueError):
    """A capture filter cannot be used. ``str()`` is one line without the filter itself."""


class Instruction(NamedTuple):
    """One instruction: what to do, where to jump when true and when false, the operand."""

    code: int
    jt: int
    jf: int
    k: int


Program = tuple[Instruction, ...]


def compile_filter(
    text: str, linktype: int, *, snaplen: int = MAX_SNAPLEN, interface: str | None = None
) -> Program:
    """Compile a filter for a packet socket.

    Args:
        text: The filter; empty: everything passes.
        linktype: What the socket's frames are kept as. With SLL2 the kernel's filter sees
            them without any link layer, and the program is made to fit.
        snaplen: Bytes kept of a frame that passes.
        interface: Where the capture will be, for the few words that need to know.

    Returns:
        The program; empty where nothing has to be filtered or cut.

    Raises:
        FilterError: The filter is wrong, or too much for the compiler at hand.
    """
    if not text.strip():
        return () if snaplen >= MAX_SNAPLEN else (Instruction(RET, 0, 0, snaplen),)
    program = tuple(_cut(one, snaplen) for one in _compile(text, linktype, interface))
    if len(program) > _MOST:
        raise FilterError(f"makes {len(program)} instructions, the kernel takes {_MOST}")
    return program


def _compile(text: str, linktype: int, interface: str | None) -> Program:
    from capture.live import libpcap

    if not libpcap.available():
        from capture.live.filter_language import compile_common

        return compile_common(text, linktype)
    beside = linktype in (ETHERNET, SLL2) and _BESIDE.search(text)
    try:
        program = libpcap.compile_text(text, linktype, interface if beside else None)
    except OSError as error:
        raise FilterError(f"libpcap cannot compile it ({printable(str(error))})") from None
    return _uncooked(program) if linktype == SLL2 else program


def _cut(one: Instruction, snaplen: int) -> Instruction:
    """What a program returns is how much is kept."""
    return one._replace(k=snaplen) if one.code == RET and one.k else one


def _uncooked(program: Program) -> Program:
    """Fit a program for SLL2 frames to a socket that shows them without that header.

    Its fields are beside the frame then (libpcap does the same, pcap-linux.c).
    """
    return tuple(one._replace(k=_without_header(one.k)) if _loads(one) else one for one in program)


def _loads(one: Instruction) -> bool:
    return one.code & 0x07 in (LD, LDX) and one.code & 0xE0 in (ABS, IND, MSH)


def _without_header(k: int) -> int:
    if _SLL2_LENGTH <= k < AD:
        return k - _SLL2_LENGTH
    if k < AD and k not in _SLL2_FIELDS:
        raise FilterError("asks for link-layer fields that there are none of on this interface")
    return _SLL2_FIELDS.get(k, k)


def pack(program: Program) -> bytes:
    """The program as an array of ``struct sock_filter``."""
    return b"".join(_PACKED.pack(*one) for one in program)
