"""Runs packet filter programs as the kernel does, so that two can be compared."""

from __future__ import annotations

from capture.live import bpf
from capture.live.bpf import Program


def run(program: Program, frame: bytes, beside: dict[int, int] | None = None) -> int:
    """Bytes of a frame that a program keeps; 0: it does not pass.

    ``beside`` holds what SKF_AD loads give, by offset.
    """
    a = x = at = 0
    memory = [0] * 16
    while True:
        code, jt, jf, k = program[at]
        at += 1
        kind = code & 0x07
        if kind == bpf.RET:
            return a if code & 0x18 == 0x10 else k
        if kind in (bpf.LD, bpf.LDX):
            value = _load(code, k, x, memory, frame, beside or {})
            if value is None:
                return 0
            if kind == bpf.LD:
                a = value
            else:
                x = value
        elif kind in (0x02, 0x03):
            memory[k] = a if kind == 0x02 else x
        elif kind == bpf.ALU:
            a = _alu(code & 0xF0, a, x if code & 0x08 else k)
        elif kind == bpf.JMP:
            how, other = code & 0xF0, x if code & 0x08 else k
            if how == bpf.JA:
                at += k
            else:
                true = {
                    bpf.JEQ: a == other,
                    bpf.JGT: a > other,
                    bpf.JGE: a >= other,
                    bpf.JSET: bool(a & other),
                }[how]
                at += jt if true else jf
        elif code & 0xF8 == 0x80:
            a = x
        else:
            x = a


def _load(
    code: int, k: int, x: int, memory: list[int], frame: bytes, beside: dict[int, int]
) -> int | None:
    mode, width = code & 0xE0, {bpf.W: 4, bpf.H: 2, bpf.B: 1}[code & 0x18]
    if mode == bpf.IMM:
        return k
    if mode == bpf.MEM:
        return memory[k]
    if mode == bpf.LEN:
        return len(frame)
    if mode == bpf.MSH:
        return 4 * (frame[k] & 0x0F) if k < len(frame) else None
    if k >= bpf.AD:
        return beside.get(k, 0)
    start = k + (x if mode == bpf.IND else 0)
    if start + width > len(frame):
        return None
    return int.from_bytes(frame[start : start + width], "big")


def _alu(how: int, a: int, other: int) -> int:
    results = {
        0x00: a + other,
        0x10: a - other,
        0x20: a * other,
        0x40: a | other,
        0x50: a & other,
        0x60: a << (other & 31),
        0x70: a >> (other & 31),
        0xA0: a ^ other,
    }
    return results[how] & 0xFFFFFFFF
