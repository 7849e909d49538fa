from __future__ import annotations

import struct

import pytest

from capture.live import bpf, filters, libpcap
from capture.live.bpf import (
    AD_IFINDEX,
    AD_PKTTYPE,
    MAX_SNAPLEN,
    RET,
    FilterError,
    Instruction,
    pack,
)
from capture.live.filters import compile_filter
from capture.live.ring import ETHERNET, RAW_IP, SLL2
from tests.capture.live.bpf_machine import run

with_libpcap = pytest.mark.skipif(not libpcap.available(), reason="libpcap is not installed")

FRAME = bytes(12) + b"\x08\x00\x45" + bytes(8) + b"\x06" + bytes(60)


def test_no_filter_is_no_program() -> None:
    assert compile_filter("", ETHERNET) == ()
    assert compile_filter(" \t", SLL2) == ()
    assert compile_filter("", ETHERNET, snaplen=96) == (Instruction(RET, 0, 0, 96),)


def test_what_passes_is_cut_in_the_kernel() -> None:
    assert run(compile_filter("tcp", ETHERNET, snaplen=96), FRAME) == 96
    assert run(compile_filter("tcp", ETHERNET), FRAME) == MAX_SNAPLEN
    assert run(compile_filter("udp", ETHERNET, snaplen=96), FRAME) == 0


def test_programs_are_packed_as_the_kernel_has_them() -> None:
    assert pack((Instruction(0x28, 1, 2, 12), Instruction(RET, 0, 0, 7))) == struct.pack(
        "=HBBIHBBI", 0x28, 1, 2, 12, RET, 0, 0, 7
    )


@with_libpcap
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("port 80x", "unknown port"),
        ("host", "syntax error"),
        ("tcp and", "syntax error"),
        ("port 80\0", "NUL"),
        ("net 10.0.0.1/8", "bits"),
        ("tcp and udp", "rejects all packets"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(text: str, words: str) -> None:
    with pytest.raises(FilterError, match=words) as refused:
        compile_filter(text, ETHERNET)
    assert str(refused.value).isprintable()


def test_programs_that_are_too_long_for_the_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filters, "_MOST", 5)
    with pytest.raises(FilterError, match="instructions, the kernel takes 5"):
        compile_filter("tcp port 80", ETHERNET)


@with_libpcap
def test_raw_ip_is_another_number_for_libpcap() -> None:
    program = compile_filter("tcp", RAW_IP)
    assert run(program, FRAME[14:])


@with_libpcap
def test_cooked_frames_have_no_link_layer_for_the_kernel() -> None:
    with pytest.raises(FilterError, match="link-layer"):
        compile_filter("link[12] = 1", SLL2)


def test_fields_beside_a_cooked_frame() -> None:
    for k, beside in ((4, AD_IFINDEX), (10, AD_PKTTYPE), (20, 0), (33, 13)):
        program = filters._uncooked((Instruction(bpf.LD | bpf.B | bpf.ABS, 0, 0, k),))
        assert program[0].k == beside
    # A constant is none of them, and what is beside the frame already stays.
    constant = (Instruction(bpf.LD | bpf.IMM, 0, 0, 4),)
    assert filters._uncooked(constant) == constant
    known = (Instruction(bpf.LD | bpf.H | bpf.ABS, 0, 0, AD_PKTTYPE),)
    assert filters._uncooked(known) == known


@with_libpcap
def test_words_about_what_the_kernel_keeps_need_the_interface(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str | None] = []

    def compile_text(text: str, linktype: int, interface: str | None = None) -> bpf.Program:
        asked.append(interface)
        raise OSError("You don't have permission\nto capture")

    monkeypatch.setattr(libpcap, "compile_text", compile_text)
    for text in ("vlan 5", "tcp and inbound", "port 80"):
        with pytest.raises(FilterError, match=r"cannot compile it .You don't have permission.to"):
            compile_filter(text, ETHERNET, interface="eth0")
    assert asked == ["eth0", "eth0", None]
