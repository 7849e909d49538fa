from __future__ import annotations

import numpy as np

from capture.comparing.subjects import subject_of
from capture.facts import CLIENT, PROXY
from capture.packets.index import PACKET_DTYPE, PacketView
from capture.snapshot import Snapshot
from tests.conversations import (
    ACK,
    CONNECT,
    ESTABLISHED,
    PSH,
    SYN,
    client_hello,
    ethernet,
    ipv4,
    tcp,
)
from tests.widgets.build import flow, report, tunnel_facts

SACK = b"\4\2\1\1"


def snapshot_of(*frames: tuple[int, int, bytes]) -> tuple[Snapshot, list[bytes]]:
    """Frames of (sender, flags, frame)."""
    rows = np.zeros(len(frames), PACKET_DTYPE)
    following = [0, 0]
    for row, (sender, flags, frame) in zip(rows, frames, strict=True):
        length = len(frame) - 54 if flags & PSH else 0
        row["flow"], row["sender"], row["flags"], row["linktype"] = 1, sender, flags, 1
        row["caplen"] = row["wirelen"] = len(frame)
        row["seq"], row["length"] = following[sender], length
        following[sender] += length + bool(flags & SYN)
    facts = {1: tunnel_facts()}
    return Snapshot(1, report(flow()), facts, PacketView(rows)), [frame for *_, frame in frames]


def sent(
    sender: int, flags: int, payload: bytes = b"", options: bytes = b""
) -> tuple[int, int, bytes]:
    return sender, flags, ethernet(ipv4(tcp(payload, sender, flags=flags, options=options), sender))


def test_sack_and_fingerprint_are_read_from_the_packets() -> None:
    snapshot, frames = snapshot_of(
        sent(CLIENT, SYN, options=SACK), sent(PROXY, SYN | ACK), sent(CLIENT, ACK),
        sent(CLIENT, PSH | ACK, CONNECT), sent(PROXY, PSH | ACK, ESTABLISHED),
        sent(CLIENT, PSH | ACK, client_hello()),
    )  # fmt: skip
    made = subject_of(snapshot, flow(), lambda number: frames[number - 1], "a.pcap")
    assert made is not None
    assert made.sack == (True, False)
    assert made.ja4.startswith("t12d0101")
    assert made.source == "a.pcap"


def test_what_was_not_captured_is_not_known() -> None:
    snapshot, _ = snapshot_of(sent(CLIENT, SYN, options=SACK))

    def gone(number: int) -> bytes:
        raise LookupError("gone")

    made = subject_of(snapshot, flow(), gone)
    assert made is not None
    assert (made.sack, made.ja4) == ((None, None), "")


def test_without_facts_there_is_nothing_to_compare() -> None:
    snapshot, frames = snapshot_of(sent(CLIENT, SYN))
    assert subject_of(snapshot, flow(9), lambda number: frames[number - 1]) is None
