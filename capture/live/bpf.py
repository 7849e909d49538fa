"""Programs for the kernel's packet filter (classic BPF), as which it takes capture filters.

Source: McCanne and Jacobson, "The BSD Packet Filter" (1993); filter.rst of the Linux kernel's
documentation; ``linux/filter.h``.
"""

from __future__ import annotations

from struct import Struct
from typing import Final, NamedTuple

MAX_SNAPLEN: Final = 262_144

# Classes, sizes, modes and operations of an instruction's code.
LD, LDX, ALU, JMP, RET = 0x00, 0x01, 0x04, 0x05, 0x06
W, H, B = 0x00, 0x08, 0x10
IMM, ABS, IND, MEM, LEN, MSH = 0x00, 0x20, 0x40, 0x60, 0x80, 0xA0
JA, JEQ, JGT, JGE, JSET = 0x00, 0x10, 0x20, 0x30, 0x40

AD: Final = 0xFFFFF000
"""SKF_AD_OFF: loads from here on read what the kernel keeps beside the frame."""
AD_PROTOCOL, AD_PKTTYPE, AD_IFINDEX, AD_HATYPE = AD, AD + 4, AD + 8, AD + 28

_PACKED: Final = Struct("=HBBI")


class FilterError(ValueError):
    """A capture filter cannot be used. ``str()`` is one line without the filter itself."""


class Instruction(NamedTuple):
    """One instruction: what to do, where to jump when true and when false, the operand."""

    code: int
    jt: int
    jf: int
    k: int


Program = tuple[Instruction, ...]


def pack(program: Program) -> bytes:
    """The program as an array of ``struct sock_filter``."""
    return b"".join(_PACKED.pack(*one) for one in program)
