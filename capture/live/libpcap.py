"""Compiles capture filters with the system's libpcap, called through ctypes.

Scapy's own binding looks the library up with ``ldconfig`` and a compiler; here it is loaded
by its name, so that no process is started.
"""

from __future__ import annotations

import ctypes
import sys
from ctypes import POINTER, byref, c_char_p, c_int, c_uint, c_ushort, c_void_p, create_string_buffer
from functools import lru_cache
from typing import Final

from capture.live.bpf import FilterError, Instruction, Program
from capture.protocols.text import printable

_NAMES: Final = {
    "linux": ("libpcap.so.1", "libpcap.so.0.8", "libpcap.so.0.9", "libpcap.so"),
    "darwin": ("libpcap.A.dylib", "libpcap.dylib"),
}
_OTHER_NAMES: Final = ("libpcap.so", "libpcap.so.1", "libpcap.so.8")
_DLT: Final = {101: 12}
"""LINKTYPE numbers that are other numbers (DLT) inside a system: raw IP is."""
_SNAPLEN: Final = 262_144
_NETMASK_UNKNOWN: Final = 0xFFFFFFFF
_ERRBUF: Final = 256


class _Insn(ctypes.Structure):
    _fields_ = (("code", c_ushort), ("jt", ctypes.c_ubyte), ("jf", ctypes.c_ubyte), ("k", c_uint))


class _Program(ctypes.Structure):
    _fields_ = (("length", c_uint), ("instructions", POINTER(_Insn)))


@lru_cache(maxsize=1)
def _library() -> ctypes.CDLL | None:
    for name in _NAMES.get(sys.platform, _OTHER_NAMES):
        try:
            library = ctypes.CDLL(name)
            library.pcap_open_dead.argtypes = (c_int, c_int)
            library.pcap_open_dead.restype = c_void_p
            library.pcap_open_live.argtypes = (c_char_p, c_int, c_int, c_int, c_char_p)
            library.pcap_open_live.restype = c_void_p
            library.pcap_set_datalink.argtypes = (c_void_p, c_int)
            library.pcap_compile.argtypes = (c_void_p, POINTER(_Program), c_char_p, c_int, c_uint)
            library.pcap_geterr.argtypes = (c_void_p,)
            library.pcap_geterr.restype = c_char_p
            library.pcap_freecode.argtypes = (POINTER(_Program),)
            library.pcap_close.argtypes = (c_void_p,)
        except (OSError, AttributeError):
            continue
        return library
    return None


def available() -> bool:
    """Whether there is a libpcap that can be used."""
    return _library() is not None


def compile_text(text: str, linktype: int, interface: str | None = None) -> Program:
    """Compile a filter for frames of a link type.

    Args:
        text: In pcap's language (pcap-filter(7)).
        linktype: LINKTYPE number.
        interface: Open it for compiling, which takes the right to capture: only so libpcap
            makes programs for what the kernel keeps beside a frame (VLAN tag, direction).

    Raises:
        FilterError: It is no filter, or none for this link type.
        OSError: The interface cannot be opened, or there is no libpcap.
    """
    library = _library()
    if library is None:
        raise OSError("there is no libpcap")
    linktype = _DLT.get(linktype, linktype)
    if "\0" in text:
        raise FilterError("a filter has no NUL character")
    if interface is None:
        handle = library.pcap_open_dead(linktype, _SNAPLEN)
    else:
        error = create_string_buffer(_ERRBUF)
        handle = library.pcap_open_live(interface.encode(), _SNAPLEN, 0, 100, error)
        if not handle:
            raise OSError(printable(error.value))
        library.pcap_set_datalink(handle, linktype)
    if not handle:
        raise OSError("libpcap has no memory left")
    try:
        program = _Program()
        source = text.encode("utf-8", "surrogateescape")
        if library.pcap_compile(handle, byref(program), source, 1, _NETMASK_UNKNOWN) < 0:
            raise FilterError(printable(library.pcap_geterr(handle) or b"not understood"))
        try:
            return tuple(
                Instruction(one.code, one.jt, one.jf, one.k)
                for one in program.instructions[: program.length]
            )
        finally:
            library.pcap_freecode(byref(program))
    finally:
        library.pcap_close(handle)
