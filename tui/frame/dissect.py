"""One frame taken apart by scapy, as plain data for the detail screen.

Scapy is imported on the first call and nowhere else: it takes as long to load as the rest
of the program. Its layers end at the TCP payload; what is said inside is read by
``tui.frame.payload``, because HTTP and TLS run on any port here.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import Any, Final

from capture.protocols.text import printable
from tui.frame.payload import payload_layers
from widgets.packet_detail import LayerField

__all__ = ["dissect"]

MAX_LAYERS: Final = 32
"""Tunnels in tunnels beyond this are an attack on the reader, not a network."""
MAX_ITEMS: Final = 64
"""Options and records shown of one list."""
VALUE_LIMIT: Final = 300
"""Characters of a value."""

_LINK_LAYERS: Final = {
    0: ("scapy.layers.l2", "Loopback"),
    1: ("scapy.layers.l2", "Ether"),
    9: ("scapy.layers.ppp", "PPP"),
    50: ("scapy.layers.ppp", "HDLC"),
    108: ("scapy.layers.l2", "Loopback"),
    113: ("scapy.layers.l2", "CookedLinux"),
    276: ("scapy.layers.l2", "CookedLinuxV2"),
}
_RAW_IP: Final = (12, 14, 101, 228, 229)
"""LINKTYPE_RAW and its kin: the first nibble tells the version."""
_MORE: Final = ("scapy.layers.inet6", "scapy.layers.vxlan", "scapy.layers.dns")
"""Modules that bind their layers to those above when they are loaded."""


def dissect(frame: bytes, linktype: int) -> tuple[LayerField, ...]:
    """Take a frame apart.

    Args:
        frame: Its captured bytes, secrets already covered.
        linktype: LINKTYPE number, as in pcap files.

    Returns:
        One item a layer, its fields inside; byte ranges are offsets into ``frame``.

    Raises:
        ValueError: Scapy could not make anything of it; the message is one line.
    """
    try:
        packet = _link_layer(frame, linktype)(frame)
        return tuple(_layers(packet, frame))
    except Exception as error:
        # Scapy is run on hostile bytes: whatever it raises (RecursionError, struct.error,
        # AttributeError …) means the same to the reader.
        reason = printable(str(error) or type(error).__name__, 120)
        raise ValueError(f"scapy cannot dissect this frame: {reason}") from error


def _link_layer(frame: bytes, linktype: int) -> Any:
    """The scapy class that a frame begins with."""
    from importlib import import_module

    _quiet()
    inet = import_module("scapy.layers.inet")
    for name in _MORE:
        import_module(name)
    # Ports as numbers, as everywhere here: 80 may well be the proxy's, not "http".
    ports = [getattr(layer, name) for layer in (inet.TCP, inet.UDP) for name in ("sport", "dport")]
    import_module("scapy.config").conf.noenum.add(*ports)
    if linktype in _LINK_LAYERS:
        module, name = _LINK_LAYERS[linktype]
        return getattr(import_module(module), name)
    if linktype in _RAW_IP and frame:
        version = frame[0] >> 4
        if version == 6:
            return import_module("scapy.layers.inet6").IPv6
        return inet.IP
    raise ValueError(f"link type {linktype} is not known to it")


def _quiet() -> None:
    """Keep scapy's warnings off the screen: its handler writes where Textual draws."""
    logger = logging.getLogger("scapy")
    logger.setLevel(logging.CRITICAL + 1)
    logger.propagate = False


def _layers(packet: Any, frame: bytes) -> Iterator[LayerField]:
    """Walk from layer to layer, keeping count of where each begins."""
    start = 0
    layer = packet
    for _ in range(MAX_LAYERS):
        name = layer.__class__.__name__
        if name == "NoPayload":
            return
        if name == "Raw":
            yield from payload_layers(bytes(layer.load), start)
            return
        if name == "Padding":
            end = min(len(frame), start + len(layer.load))
            yield LayerField("Padding", f"{len(layer.load)} bytes", start, end)
            return
        header = layer.raw_packet_cache
        length = len(header) if header is not None else 0
        children = tuple(_fields(layer, start, start + length))
        summary = _summary(layer).removeprefix(f"{name} ")
        yield LayerField(printable(layer.name), summary, start, start + length, children)
        start += length
        layer = layer.payload


def _summary(layer: Any) -> str:
    """Scapy's own one-liner of a layer, where it has one."""
    try:
        summary = layer.mysummary()
    except Exception:
        return ""
    if isinstance(summary, tuple):
        summary = summary[0]
    return printable(str(summary or ""), VALUE_LIMIT)


def _fields(layer: Any, start: int, end: int) -> Iterator[LayerField]:
    """The fields of a layer with the bytes each was read from.

    Scapy does not keep offsets, so every field reads its bytes once more, as in
    ``Packet.do_dissect``. A field of a few bits gives back a pair: the rest, and how many
    bits of its first byte are used up.
    """
    rest: Any = layer.original
    total = len(rest)
    at = 0.0
    for field in layer.fields_desc:
        if start + at >= end and at:
            return
        before = at
        rest, value = field.getfield(layer, rest)
        left, bits = rest if isinstance(rest, tuple) else (rest, 0)
        at = total - len(left) + bits / 8
        if value is None and at == before:
            continue  # a conditional field that is not there
        value = layer.fields.get(field.name, value)
        first, last = start + int(before), start + -int(-at // 1)
        yield LayerField(
            printable(field.name),
            _value(field, layer, value),
            first,
            min(max(last, first), max(end, first)),
            tuple(_items(value, first, last)),
        )


def _value(field: Any, layer: Any, value: Any) -> str:
    if isinstance(value, list):
        return f"{len(value)} items" if len(value) != 1 else "1 item"
    try:
        text = field.i2repr(layer, value)
    except Exception:
        text = repr(value)
    return printable(str(text), VALUE_LIMIT)


def _items(value: Any, start: int, end: int) -> Iterator[LayerField]:
    """What a list field holds: TCP options as pairs, IP options and DNS records as packets."""
    if not isinstance(value, Sequence) or isinstance(value, str | bytes):
        return
    for item in list(value)[:MAX_ITEMS]:
        if isinstance(item, tuple) and item:
            label, content = str(item[0]), " ".join(map(str, item[1:]))
        elif hasattr(item, "summary"):
            label, content = item.__class__.__name__, item.summary()
        else:
            label, content = "", str(item)
        yield LayerField(printable(label), printable(content, VALUE_LIMIT), start, end)
