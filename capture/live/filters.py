"""Capture filters in pcap's language, compiled for a packet socket.

libpcap compiles the whole language (pcap-filter(7)). Where it is missing, the common forms are
compiled here (``filter_language``); anything else is refused in one line.
"""

from __future__ import annotations

import re
from typing import Final

from capture.live import libpcap
from capture.live.bpf import (
    ABS,
    AD,
    AD_HATYPE,
    AD_IFINDEX,
    AD_PKTTYPE,
    AD_PROTOCOL,
    IND,
    LD,
    LDX,
    MAX_SNAPLEN,
    MSH,
    RET,
    FilterError,
    Instruction,
    Program,
)
from capture.live.ring import ETHERNET, SLL2
from capture.protocols.text import printable

_SLL2_LENGTH: Final = 20
_SLL2_FIELDS: Final = {0: AD_PROTOCOL, 4: AD_IFINDEX, 8: AD_HATYPE, 10: AD_PKTTYPE}
_BESIDE: Final = re.compile(r"\b(vlan|inbound|outbound|ifindex)\b")
"""Words about what the kernel keeps beside a frame."""
_MOST: Final = 4096
"""BPF_MAXINSNS."""


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
