"""Looks for words in a million packet lines without making a million lines.

Most packets are described by their columns alone: few combinations of flags and analysis
stand for all of them, and each is looked at once. What single packets say (heads, hellos,
alerts) is looked for flow by flow. Numbers are found with their name (``len=1448``): a bare
number would turn up in the sequence numbers of half the packets.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from capture.decode.columns import ACK
from capture.facts import CLIENT, FlowFacts
from capture.names import by_name
from capture.packets.index import PacketView
from capture.packets.lines import TUNNEL_NAMES, analysis_names, flag_names
from capture.report.model import FlowReport
from capture.timeline.telling import tellings

__all__ = ["TextIndex", "Told", "plain_hits", "told_hits", "tunnel_text"]

Bools = NDArray[np.bool_]

_NUMBER: Final = "\0"
"""Stands for a number in the line that a combination of flags has."""
_NAMED: Final = re.compile(r"\b(seq|ack|len|win)=([0-9]{1,10})")
_COLUMN: Final = {"seq": "seq", "ack": "ack", "len": "length", "win": "window"}
_PROTOS: Final = ("TCP", "HTTP", *dict.fromkeys(TUNNEL_NAMES.values()))
_CODE: Final = {name: code for code, name in enumerate(dict.fromkeys(_PROTOS))}
_NO_TUNNEL: Final = np.iinfo(np.int64).max


def tunnel_text(flow: FlowReport, facts: FlowFacts | None) -> str:
    """All that is said of a tunnel, case-folded, one thing a line: ends, target, SNI,
    requests and replies with their header fields, verdict and findings."""
    parts: list[str] = [flow.client, flow.proxy, flow.target or "", flow.verdict]
    if flow.tls is not None:
        tls = flow.tls
        parts += [tls.sni or "", tls.alert_name or "", tls.version or "", *tls.alpn]
        parts += [tls.certificate_subject or "", tls.certificate_issuer or ""]
    for attempt in flow.attempts:
        parts.append(f"{attempt.method} {attempt.target}")
        parts.append(f"{attempt.status or ''} {attempt.reason or ''}")
    parts += [f"{finding.rule} {finding.title}" for finding in flow.findings]
    if facts is not None:
        parts += [text for _, text in _header_lines(facts)]
    return "\n".join(parts).casefold()


def _header_lines(facts: FlowFacts) -> Iterator[tuple[int, str]]:
    """Number of the packet and text of each header field."""
    for exchange in facts.exchanges:
        for head, mark in (
            (exchange.request, exchange.request_mark),
            (exchange.response, exchange.response_mark),
        ):
            if head is not None and mark is not None:
                for name, value in head.headers:
                    yield mark.number, f"{name}: {value}"


class Told(NamedTuple):
    """What single packets of a flow say."""

    facts: FlowFacts
    text: str
    """Everything, case-folded, one thing a line."""
    lines: array[int]
    """Packet number of each of these lines."""
    numbers: array[int]
    """Packets whose line in a list is that, instead of their flags."""


class TextIndex:
    """Texts of the flows, each made once for as long as the flow stays the same."""

    def __init__(self) -> None:
        self.names: Mapping[str, str] = {}
        """Names of hosts by address: a tunnel is found by them, too."""
        self._tunnels: dict[int, tuple[FlowReport, str]] = {}
        self._told: dict[int, Told] = {}

    def tunnel(self, flow: FlowReport, facts: FlowFacts | None) -> str:
        """See ``tunnel_text``; with the names of its ends."""
        known = self._tunnels.get(flow.uid)
        if known is None or known[0] is not flow:
            known = self._tunnels[flow.uid] = (flow, tunnel_text(flow, facts))
        if not self.names:
            return known[1]
        ends = (by_name(end, self.names).casefold() for end in (flow.client, flow.proxy))
        return "\n".join((known[1], *ends))

    def told(self, facts: FlowFacts) -> Told:
        """What the flow's packets say."""
        known = self._told.get(facts.id)
        if known is None or known.facts is not facts:
            lines = list(_told_lines(facts))
            text = "\n".join(text for _, _, text in lines)
            known = self._told[facts.id] = Told(
                facts,
                text,
                array("Q", [number for number, _, _ in lines]),
                array("Q", sorted({number for number, instead, _ in lines if instead})),
            )
        return known

    def keep(self, uids: Iterable[int]) -> None:
        """Forget the flows that are gone."""
        kept = frozenset(uids)
        for known in (self._tunnels, self._told):
            for uid in [uid for uid in known if uid not in kept]:
                del known[uid]


def _told_lines(facts: FlowFacts) -> Iterator[tuple[int, bool, str]]:
    """(packet number, whether it is the line instead of the flags, case-folded text)."""
    for item in tellings(facts):
        instead = item.proto != "TCP"
        lead = f"{item.proto} " if instead else ""
        yield item.number, instead, f"{lead}{item.text}".casefold()
    for number, text in _header_lines(facts):
        yield number, True, text.casefold()


def told_hits(told: Told, needle: str) -> list[int]:
    """Numbers of the packets that say it.

    Args:
        told: Of one flow.
        needle: Case-folded.
    """
    text, found = told.text, []
    at = text.find(needle)
    while at >= 0:
        found.append(told.lines[text.count("\n", 0, at)])
        end = text.find("\n", at)
        at = text.find(needle, end) if end >= 0 else -1
    return sorted(set(found))


def plain_hits(
    view: PacketView,
    rows: NDArray[np.int64] | None,
    needle: str,
    facts: Mapping[int, FlowFacts],
) -> Bools:
    """Packets whose line would have the words if they had nothing to tell.

    Args:
        view: The packet index.
        rows: Rows that are asked about; None: all.
        needle: Case-folded.
        facts: By flow.

    Returns:
        One entry for each of the rows.
    """
    part = view.rows if rows is None else view.rows[rows]
    found = np.ones(len(part), np.bool_)
    if not len(part):
        return found
    for named in _NAMED.finditer(needle):
        found &= _has_number(part, named[1], named[2], whole=named.end() < len(needle))
    needle = _NAMED.sub(rf"\1={_NUMBER}", needle)
    kind = part["flags"].astype(np.uint32) | part["analysis"].astype(np.uint32) << np.uint32(8)
    kind |= (part["flow"] != 0).astype(np.uint32) << np.uint32(24)
    kinds, which = np.unique(kind, return_inverse=True)
    by_proto = np.array(
        [[needle in _line(int(kind), proto) for kind in kinds] for proto in _CODE], np.bool_
    )
    if (by_proto == by_proto[0]).all():
        found &= by_proto[0][which]
        return found
    numbers = view.numbers_of(np.arange(len(view)) if rows is None else rows)
    found &= by_proto[_protos(part, numbers, facts), which]
    return found


def _line(kind: int, proto: str) -> str:
    """The line of a combination of flags, with a sign in place of each number."""
    flags, analysis, tcp = kind & 0xFF, kind >> 8 & 0xFFFF, kind >> 24
    if not tcp:
        return "not tcp"
    notes = "".join(f"  [{name}]" for name in analysis_names(analysis))
    ack = f" ack={_NUMBER}" if flags & ACK else ""
    numbers = f"seq={_NUMBER}{ack} len={_NUMBER} win={_NUMBER}"
    return f"{proto} {flag_names(flags)}  {numbers}{notes}".casefold()


def _has_number(part: NDArray[np.void], name: str, digits: str, *, whole: bool) -> Bools:
    """Packets with a number that is (or, not ``whole``, begins with) these digits."""
    values = part[_COLUMN[name]].astype(np.int64)
    wanted = int(digits)
    if digits[0] == "0" and len(digits) > 1:
        return np.zeros(len(part), np.bool_)
    found: Bools = values == wanted
    if not whole and wanted:
        for more in range(1, 11 - len(digits)):
            found |= values // 10**more == wanted
    return found


def _protos(
    part: NDArray[np.void], numbers: NDArray[np.int64], facts: Mapping[int, FlowFacts]
) -> NDArray[np.int64]:
    """Code of the protocol that each packet's line begins with (see ``capture.packets.lines``)."""
    flow = part["flow"].astype(np.int64)
    inside, outside, opened = (np.zeros(int(flow.max(initial=0)) + 1, np.int64) for _ in range(3))
    opened[:] = _NO_TUNNEL
    for uid in np.unique(flow).tolist():
        told = facts.get(uid)
        if told is None:
            continue
        if told.tunnel is not None:
            opened[uid] = told.tunnel.number
            inside[uid] = _CODE[TUNNEL_NAMES.get(told.tunnel_protocol, "TCP")]
        if told.tunnel is None and told.tls is not None:
            outside[uid] = _CODE["TLS"]
        elif told.first_language[CLIENT] == "http":
            outside[uid] = _CODE["HTTP"]
    codes = np.where(numbers > opened[flow], inside[flow], outside[flow])
    codes[part["length"] == 0] = _CODE["TCP"]
    return codes
