"""What the columns of the packet index hold, by Wireshark's names."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from capture.decode.columns import ACK, CWR, ECE, FIN, PSH, RST, SYN, URG
from capture.facts import Endpoint
from capture.filtering.fields import ColumnField, EndField
from capture.filtering.kinds import Kind, Unit, host_number
from capture.packets import index as mark

if TYPE_CHECKING:
    from capture.filtering.selecting import Material

__all__ = ["PACKET_FIELDS"]

Column = Callable[["Material"], NDArray[Any]]

ANALYSIS: Final = {
    "retransmission": (mark.RETRANSMISSION | mark.FAST_RETRANSMISSION
                       | mark.SPURIOUS_RETRANSMISSION),
    "fast_retransmission": mark.FAST_RETRANSMISSION,
    "spurious_retransmission": mark.SPURIOUS_RETRANSMISSION,
    "out_of_order": mark.OUT_OF_ORDER,
    "keep_alive": mark.KEEP_ALIVE,
    "keep_alive_ack": mark.KEEP_ALIVE_ACK,
    "duplicate_ack": mark.DUP_ACK,
    "zero_window": mark.ZERO_WINDOW,
    "zero_window_probe": mark.ZERO_WINDOW_PROBE,
    "zero_window_probe_ack": mark.ZERO_WINDOW_PROBE_ACK,
    "window_full": mark.WINDOW_FULL,
    "window_update": mark.WINDOW_UPDATE,
    "lost_segment": mark.LOST_SEGMENT,
    "ack_lost_segment": mark.ACKED_UNSEEN,
    "reused_ports": mark.PORT_REUSED,
}  # fmt: skip
"""Wireshark's ``tcp.analysis.*``; a fast retransmission is a retransmission there, too."""

_FLAGS: Final = {
    "fin": FIN, "syn": SYN, "reset": RST, "push": PSH, "ack": ACK, "urg": URG, "ece": ECE,
    "cwr": CWR,
}  # fmt: skip
_HELP_OF_FLAG: Final = {"reset": "RST"}


def _column(name: str) -> Callable[[Material], tuple[NDArray[Any], ...]]:
    return lambda material: (material.column(name),)


def _bit(flag: int) -> Callable[[Material], tuple[NDArray[Any], ...]]:
    return lambda material: ((material.column("flags") & flag) != 0,)


def _analysed(bits: int) -> Column:
    return lambda material: (material.column("analysis") & bits) != 0


def _numbers(material: Material) -> tuple[NDArray[Any], ...]:
    return (material.numbers,)


def _relative(material: Material) -> tuple[NDArray[Any], ...]:
    return (material.column("time_ns") - material.first_ns,)


def _delta(material: Material) -> tuple[NDArray[Any], ...]:
    times = material.column("time_ns")
    return (np.diff(times, prepend=times[:1]),)


def _stream(material: Material) -> tuple[NDArray[Any], ...]:
    return (material.column("flow").astype(np.int64) - 1,)


def _every(material: Material) -> NDArray[Any]:
    return np.ones(len(material.packets), np.bool_)


def _there(name: str, help: str, there: Column) -> ColumnField:
    return ColumnField(name=name, kind=Kind.PRESENCE, help=help, there=there,
                       columns=lambda material: ())  # fmt: skip


def _number(name: str, help: str, columns: Callable[[Material], tuple[NDArray[Any], ...]],
            unit: Unit = Unit.NONE, there: Column | None = None) -> ColumnField:  # fmt: skip
    return ColumnField(name=name, kind=Kind.NUMBER, help=help, columns=columns, unit=unit,
                       there=there, always=True)  # fmt: skip


def _address(version: int) -> Callable[[Endpoint], Any]:
    def get(end: Endpoint) -> tuple[int, int] | None:
        found = host_number(end.host)
        return found if found is not None and found[0] == version else None

    return get


def _port(end: Endpoint) -> int:
    return end.port


_ENDS: Final = {"src": ("src",), "dst": ("dst",), "addr": ("src", "dst")}
_PORT_ENDS: Final = {"srcport": ("src",), "dstport": ("dst",), "port": ("src", "dst")}
_HELP_OF_END: Final = {"src": "sender", "dst": "receiver", "addr": "sender or receiver",
                       "srcport": "sender's", "dstport": "receiver's",
                       "port": "sender's or receiver's"}  # fmt: skip

PACKET_FIELDS: Final[tuple[ColumnField | EndField, ...]] = (
    _there("tcp", "TCP", lambda material: material.column("flow") != 0),
    _there("http", "HTTP: heads and bodies outside of tunnels",
           lambda material: material.speaks("http")),
    _there("tls", "TLS, in a tunnel or not", lambda material: material.speaks("tls")),
    _number("frame.number", "number of the packet", _numbers, there=_every),
    _number("frame.len", "bytes on the wire", _column("wirelen"), Unit.BYTES, _every),
    _number("frame.cap_len", "bytes captured", _column("caplen"), Unit.BYTES, _every),
    _number("frame.time_relative", "since the first packet: 1.5, 200ms", _relative,
            Unit.SECONDS, _every),
    _number("frame.time_delta", "since the packet before: 0.2, 200ms", _delta, Unit.SECONDS,
            _every),
    _number("frame.time_epoch", "since 1970, in seconds", _column("time_ns"), Unit.SECONDS,
            _every),
    _number("frame.interface_id", "interface, from 0", _column("interface"), there=_every),
    ColumnField(name="frame.time", kind=Kind.TIME, help='UTC: "2025-03-14 11:30:12"',
                columns=_column("time_ns"), there=_every, always=True),
    _number("tcp.stream", "connection, from 0", _stream),
    _number("tcp.len", "bytes of payload", _column("length"), Unit.BYTES),
    _number("tcp.seq", "relative sequence number", _column("seq")),
    _number("tcp.ack", "relative acknowledgement number", _column("ack")),
    _number("tcp.window_size", "receive window, scaled", _column("window"), Unit.BYTES),
    _number("tcp.flags", "flags as a number: 0x012", _column("flags")),
    *(
        ColumnField(name=f"tcp.flags.{name}", kind=Kind.BOOLEAN, columns=_bit(bit), always=True,
                    help=f"{_HELP_OF_FLAG.get(name, name.upper())} is set: == 1")
        for name, bit in _FLAGS.items()
    ),
    _there("tcp.analysis.flags", "anything remarkable", _analysed(0xFFFF & ~mark.DUPLICATE)),
    *(
        _there(f"tcp.analysis.{name}", name.replace("_", " "), _analysed(bits))
        for name, bits in ANALYSIS.items()
    ),
    _there("frame.duplicate", "a copy of a packet, made by the capture",
           _analysed(mark.DUPLICATE)),
    *(
        EndField(name=f"{protocol}.{name}", kind=Kind.ADDRESS, of=_address(version), ends=ends,
                 help=f"address of the {_HELP_OF_END[name]}, or a network: 10.0.0.0/8",
                 always=False)
        for protocol, version in (("ip", 4), ("ipv6", 6))
        for name, ends in _ENDS.items()
    ),
    *(
        EndField(name=f"tcp.{name}", kind=Kind.NUMBER, of=_port, ends=ends, always=True,
                 help=f"{_HELP_OF_END[name]} port")
        for name, ends in _PORT_ENDS.items()
    ),
)  # fmt: skip
