"""An engine that shows prepared snapshots, and the bytes behind their packets."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np

from capture.facts import CLIENT, Mark
from capture.packets.index import PACKET_DTYPE, PacketView
from capture.snapshot import Snapshot
from tests.widgets.build import (
    ACL,
    denied,
    denied_facts,
    denied_packets,
    flow,
    report,
    tunnel_facts,
    tunnel_packets,
)
from tui.application import TunnelscopeApp
from tui.engine_bridge import EngineBridge

SECRET = b"dXNlcjpodW50ZXIy"
CONNECT = (
    b"CONNECT tools.cisco.com:443 HTTP/1.1\r\nHost: tools.cisco.com:443\r\n"
    b"Proxy-Authorization: Basic " + SECRET + b"\r\n\r\n"
)
FORBIDDEN = b"HTTP/1.1 403 Forbidden\r\nServer: squid/5.7\r\nContent-Length: 0\r\n\r\n"
CLIENT_HELLO = bytes.fromhex("160301020001000 1fc0303".replace(" ", "")) + bytes(508)


class FakeStore:
    """Frames by position: the position is the index."""

    def __init__(self, frames: Sequence[bytes]) -> None:
        self.frames = frames

    def frame(self, position: int, caplen: int) -> bytes:
        if position >= len(self.frames):
            raise LookupError("the file was replaced while it was open")
        return self.frames[position][:caplen]


class FakeEngine:
    """Shows one snapshot after another, when told to."""

    def __init__(self, *snapshots: Snapshot, store: FakeStore | None = None) -> None:
        self.snapshots = list(snapshots)
        self.store = store
        self.calls: list[str] = []
        self.alive = False

    def start(self) -> None:
        self.calls.append("start")
        self.alive = True

    def stop(self) -> None:
        self.calls.append("stop")
        self.alive = False

    def latest(self) -> Snapshot | None:
        return self.snapshots[0] if self.snapshots else None

    def advance(self) -> None:
        """Publish the next snapshot."""
        self.snapshots.pop(0)

    def is_alive(self) -> bool:
        return self.alive

    def join(self, timeout: float | None = None) -> None:
        self.calls.append("join")


def frame(row: np.void, payload: bytes) -> bytes:
    """Ethernet, IPv4 and TCP around a payload, as a row of the index describes it."""
    ends = [(bytes([10, 40, 40, 1]), 40000 + int(row["flow"])), (bytes([10, 10, 10, 1]), 80)]
    if row["sender"] != CLIENT:
        ends.reverse()
    (src, sport), (dst, dport) = ends
    tcp = struct.pack(
        "!HHIIBBHHH", sport, dport, int(row["seq"]), int(row["ack"]), 5 << 4, int(row["flags"]),
        int(row["window"]) & 0xFFFF, 0, 0,
    )  # fmt: skip
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 40 + len(payload), 1, 0x4000, 64, 6, 0, src, dst)
    return bytes(6) + bytes([2] * 6) + b"\x08\x00" + ip + tcp + payload


def view_of(*views: PacketView) -> PacketView:
    """Several flows' packets one after the other: flow numbers 1, 2, …"""
    rows = np.concatenate([view.rows for view in views])
    place = 0
    for number, view in enumerate(views, 1):
        rows["flow"][place : place + len(view)] = number
        place += len(view)
    return PacketView(rows)


def stored(view: PacketView, payloads: dict[int, bytes]) -> tuple[PacketView, FakeStore]:
    """The view with lengths as the payloads have them, and a store of the frames."""
    rows = view.rows.copy()
    frames = []
    for index, row in enumerate(rows):
        payload = payloads.get(index + 1, bytes(int(row["length"])))
        row["length"] = len(payload)
        data = frame(row, payload)
        row["caplen"] = row["wirelen"] = len(data)
        row["position"] = index
        row["linktype"] = 1
        frames.append(data)
    return PacketView(rows), FakeStore(frames)


def shifted(facts: Any, by: int) -> Any:
    """The same facts with every packet number raised."""
    if isinstance(facts, Mark):
        return facts._replace(number=facts.number + by)
    if isinstance(facts, tuple):
        items = [shifted(item, by) for item in facts]
        return facts._make(items) if hasattr(facts, "_make") else tuple(items)
    if is_dataclass(facts) and not isinstance(facts, type):
        changed = {item.name: shifted(getattr(facts, item.name), by) for item in fields(facts)}
        return replace(facts, **changed)
    return facts


def capture() -> tuple[Snapshot, FakeStore]:
    """A refused tunnel (#1-#9), a healthy one after it, and one frame that is no TCP."""
    other = np.zeros(1, PACKET_DTYPE)
    other["wirelen"] = other["caplen"] = 60
    view = view_of(denied_packets(), tunnel_packets(), PacketView(other))
    rows = view.rows.copy()
    rows["flow"][-1] = 0
    rows["time_ns"][-1] = rows["time_ns"][-2]
    view, store = stored(PacketView(rows), {4: CONNECT, 5: FORBIDDEN, 16: CLIENT_HELLO})
    refused = denied(1, findings=(replace(ACL, packets=(4, 5)),))
    snapshot = Snapshot(
        rev=1,
        report=report(refused, flow(2)),
        facts={1: denied_facts(1), 2: shifted(tunnel_facts(2), 9)},
        packets=view,
        bytes_done=9_000_000,
        bytes_total=9_000_000,
        finished=True,
    )
    return snapshot, store


def started(engine: FakeEngine) -> EngineBridge:
    """A bridge whose engine runs."""
    bridge = EngineBridge(lambda: engine)
    bridge.start()
    return bridge


def make_app(engine: FakeEngine, **options: object) -> TunnelscopeApp:
    """The application on a fake engine, polling fast."""
    settings: dict[str, object] = {"title": "fmc.pcapng", "period_s": 0.03, **options}
    return TunnelscopeApp(EngineBridge(lambda: engine), **settings)  # type: ignore[arg-type]


def loaded_app(**options: object) -> TunnelscopeApp:
    """The application on ``capture()``."""
    snapshot, store = capture()
    return make_app(FakeEngine(snapshot, store=store), **options)
