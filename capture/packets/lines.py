"""One line about any packet, from the columns and the facts of its flow: no bytes needed.

The facts know the telling packets; everything else is described by its TCP columns, in
Wireshark's words, so that a list of a million packets can be drawn and searched.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from capture.decode.columns import ACK, FIN, PSH, RST, SYN, URG
from capture.facts import CLIENT, FlowFacts
from capture.packets.index import (
    ACKED_UNSEEN,
    ANALYSIS_NAMES,
    FAST_RETRANSMISSION,
    LOST_SEGMENT,
    RETRANSMISSION,
    SPURIOUS_RETRANSMISSION,
    WINDOW_FULL,
    ZERO_WINDOW,
    ZERO_WINDOW_PROBE,
    PacketView,
)
from capture.report.model import Severity
from capture.timeline.telling import Telling, tellings

_FLAG_NAMES: Final = ((FIN, "FIN"), (SYN, "SYN"), (RST, "RST"), (PSH, "PSH"), (ACK, "ACK"),
                      (URG, "URG"))  # fmt: skip

_WORTH_A_WARNING: Final = (
    RETRANSMISSION | FAST_RETRANSMISSION | SPURIOUS_RETRANSMISSION | LOST_SEGMENT
    | ACKED_UNSEEN | ZERO_WINDOW | ZERO_WINDOW_PROBE | WINDOW_FULL
)  # fmt: skip

TUNNEL_NAMES: Final = {"tls": "TLS", "ssh": "SSH", "http": "HTTP", "http2": "HTTP/2"}
"""What a line begins with, by the protocol inside the tunnel."""


@dataclass(frozen=True, slots=True)
class PacketText:
    """What a packet list shows of a packet."""

    proto: str
    """``TCP``, ``HTTP``, ``TLS``, …; empty for a frame that is no TCP."""
    info: str
    severity: Severity | None = None


def flag_names(flags: int) -> str:
    """``SYN, ACK``; ``no flags`` for none."""
    return ", ".join(name for bit, name in _FLAG_NAMES if flags & bit) or "no flags"


def analysis_names(analysis: int) -> tuple[str, ...]:
    """Names of the analysis bits that are set."""
    return tuple(name for bit, name in ANALYSIS_NAMES.items() if analysis & bit)


def describe(view: PacketView, row: int, facts: FlowFacts | None = None) -> PacketText:
    """Describe the packet in a row of the index.

    Args:
        view: The packet index.
        row: Row in it.
        facts: Facts of its flow, where they are known.
    """
    number = view.number(row)
    told = [] if facts is None else [t for t in tellings(facts) if t.number == number]
    return _describe(view, row, facts, told)


class Describer:
    """``describe`` for many packets: sorts out the facts of each flow once."""

    def __init__(self, view: PacketView, facts: Mapping[int, FlowFacts]) -> None:
        self._view = view
        self._facts = facts
        self._told: dict[int, tuple[FlowFacts, dict[int, list[Telling]]]] = {}
        self._errors: dict[int, FlowFacts] | None = None

    def update(self, view: PacketView, facts: Mapping[int, FlowFacts]) -> None:
        """Describe by a newer snapshot from now on; what did not change stays sorted out."""
        self._view, self._facts = view, facts
        self._errors = None

    def __call__(self, row: int) -> PacketText:
        """Text of the packet in a row."""
        flow, number = int(self._view.rows["flow"][row]), self._view.number(row)
        facts = self._facts.get(flow) if flow else self._about(number)
        if facts is None:
            return _describe(self._view, row, None, [])
        told = self._index(facts).get(number, [])
        return _describe(self._view, row, facts, told)

    def _about(self, number: int) -> FlowFacts | None:
        """The flow that an ICMP error is about; None for any other packet."""
        if self._errors is None:
            self._errors = {
                error.number: facts for facts in self._facts.values() for error in facts.icmp
            }
        return self._errors.get(number)

    def _index(self, facts: FlowFacts) -> dict[int, list[Telling]]:
        known = self._told.get(facts.id)
        if known is not None and known[0] is facts:
            return known[1]
        index: dict[int, list[Telling]] = {}
        for item in tellings(facts):
            index.setdefault(item.number, []).append(item)
        self._told[facts.id] = (facts, index)
        return index


def _describe(
    view: PacketView, row: int, facts: FlowFacts | None, told: list[Telling]
) -> PacketText:
    packet = view.rows[row]
    if not packet["flow"]:
        if told:
            return PacketText("ICMP", _joined(told), _gravest(told))
        return PacketText("", "not TCP")
    analysis = int(packet["analysis"])
    notes = "".join(f"  [{name}]" for name in analysis_names(analysis))
    severity = _gravest(told)
    if severity is None and analysis & _WORTH_A_WARNING:
        severity = Severity.WARNING
    spoken = [item for item in told if item.proto != "TCP"]
    if spoken:
        return PacketText(spoken[-1].proto, _joined(told) + notes, severity)
    numbers = _numbers(packet)
    if told and packet["flags"] & (SYN | FIN | RST):
        handshake = [item for item in told if "SYN" in item.text]
        text = handshake[0].text if handshake else flag_names(int(packet["flags"]))
        return PacketText("TCP", f"{text}  {numbers}{notes}", severity)
    proto = _proto(int(packet["length"]), view.number(row), facts)
    return PacketText(proto, f"{flag_names(int(packet['flags']))}  {numbers}{notes}", severity)


def _numbers(packet: np.void) -> str:
    """``seq=1 ack=1 len=122 win=64000``, relative as Wireshark shows them."""
    ack = f" ack={packet['ack']}" if packet["flags"] & ACK else ""
    return f"seq={packet['seq']}{ack} len={packet['length']} win={packet['window']}"


def _proto(length: int, number: int, facts: FlowFacts | None) -> str:
    """What data without a telling is part of: the tunnel's protocol, or the head's."""
    if not length or facts is None:
        return "TCP"
    if facts.tunnel is not None and number > facts.tunnel.number:
        return TUNNEL_NAMES.get(facts.tunnel_protocol, "TCP")
    if facts.tunnel is None and facts.tls is not None:
        return "TLS"
    return "HTTP" if facts.first_language[CLIENT] == "http" else "TCP"


def _joined(told: list[Telling]) -> str:
    return ", ".join(item.text for item in told)


def _gravest(told: list[Telling]) -> Severity | None:
    found = [item.severity for item in told if item.severity is not None]
    return max(found, key=lambda severity: severity.rank) if found else None
