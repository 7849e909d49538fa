"""What a comparison needs of a tunnel beyond its facts, read from its packets."""

from __future__ import annotations

from contextlib import suppress

import numpy as np

from capture.comparing.compare import Subject
from capture.decode.columns import ACK, OPT_SACK_PERMITTED, SYN
from capture.facts import CLIENT, PROXY
from capture.packets.index import PacketView
from capture.report.model import FlowReport
from capture.snapshot import Snapshot
from capture.stream.payloads import segments_of
from capture.stream.reading import FetchFrame

__all__ = ["subject_of"]


def subject_of(
    snapshot: Snapshot, flow: FlowReport, fetch: FetchFrame, source: str = ""
) -> Subject | None:
    """One of two tunnels to compare; None where its facts are not kept any more.

    Args:
        snapshot: Of its capture.
        flow: The tunnel.
        fetch: Fetches frames of that capture.
        source: The capture's name, where two captures are compared.
    """
    facts = snapshot.facts.get(flow.uid)
    if facts is None:
        return None
    view = snapshot.packets
    rows = view.of_flow(flow.uid)
    sack = _sack(view, rows, CLIENT, fetch), _sack(view, rows, PROXY, fetch)
    return Subject(flow, facts, sack=sack, ja4=_ja4(view, rows, fetch), source=source)


def _sack(view: PacketView, rows: np.ndarray, sender: int, fetch: FetchFrame) -> bool | None:
    """Whether a side's SYN permits SACK (RFC 2018 section 2)."""
    flags = view.rows["flags"][rows]
    wanted = SYN if sender == CLIENT else SYN | ACK
    own = rows[(view.rows["sender"][rows] == sender) & (flags & (SYN | ACK) == wanted)]
    if not len(own):
        return None
    with suppress(LookupError):
        frame = fetch(view.number(int(own[0])))
        segments = segments_of([frame], [int(view.rows["linktype"][own[0]])])
        if len(segments):
            return bool(int(segments.options[0]) & OPT_SACK_PERMITTED)
    return None


def _ja4(view: PacketView, rows: np.ndarray, fetch: FetchFrame) -> str:
    from capture.stream.tls_detail import read_tls

    detail = read_tls(view, rows, fetch)
    return detail.client.ja4 if detail.client else ""
