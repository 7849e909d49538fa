"""Two tunnels and a stranger, with their packets, for filters to be asked about."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from capture.engine import Engine
from capture.filtering import Material, compile_filter
from capture.options import AnalysisOptions
from capture.packets.index import PACKET_DTYPE, RETRANSMISSION, PacketView
from capture.snapshot import Snapshot
from capture.sources import open_source
from tests.tui.fakes import shifted, view_of
from tests.widgets import build


def material(*, before: Material | None = None) -> Material:
    """A refused tunnel (packets 1-9), a healthy one (10-80), a flow that is no tunnel (81-89),
    and a frame that is no TCP (90)."""
    other = np.zeros(1, PACKET_DTYPE)
    view = view_of(build.denied_packets(), build.tunnel_packets(), build.denied_packets())
    rows = np.concatenate([view.rows, other])
    rows["flow"][-1] = 0
    rows["time_ns"][-1] = rows["time_ns"][-2]
    rows["analysis"][20] = RETRANSMISSION
    return Material(
        (build.denied(1), build.flow(2)),
        {1: build.denied_facts(1), 2: shifted(build.tunnel_facts(2), 9)},
        PacketView(rows),
        before=before,
    )


def found(text: str, asked: Material | None = None) -> tuple[list[int], list[int]]:
    """Uids of the tunnels and numbers of the packets that a filter lets through."""
    asked = asked or material()
    selection = compile_filter(text).select(asked)
    tunnels = [flow.uid for flow, yes in zip(asked.flows, selection.tunnels, strict=True) if yes]
    return tunnels, [int(row) + 1 for row in np.flatnonzero(selection.packets)]


def tunnels(text: str, asked: Material | None = None) -> list[int]:
    return found(text, asked)[0]


def packets(text: str, asked: Material | None = None) -> list[int]:
    return found(text, asked)[1]


def read(path: Path) -> Snapshot:
    """What the screen would show of a capture."""
    engine = Engine(open_source(str(path)), AnalysisOptions(keep_packets=True))
    engine.run()
    snapshot = engine.latest()
    assert snapshot is not None
    assert snapshot.error is None
    return snapshot


def material_of(snapshot: Snapshot) -> Material:
    flows = tuple(snapshot.report.flows)
    return Material(flows, snapshot.facts, snapshot.packets, ends=snapshot.ends)
