"""Conversations as packet rows with the frames behind them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from capture.facts import CLIENT, PROXY
from capture.packets.index import PacketView
from capture.stream.assembly import assemble
from capture.stream.reading import StreamReader
from tests.conversations import segment
from tests.widgets.build import ACK, FIN, PSH, SYN, packets

OPENING: tuple[tuple[Any, ...], ...] = (
    (0, CLIENT, SYN, 0),
    (1, PROXY, SYN | ACK, 0),
    (2, CLIENT, ACK, 0),
)


def view_of(*said: tuple[Any, ...], opened: bool = True) -> tuple[PacketView, list[bytes]]:
    """Packets from (sender, payload[, columns]) behind a handshake, and their frames."""
    rows: list[tuple[Any, ...]] = list(OPENING) if opened else []
    payloads = [b""] * len(rows)
    for sender, payload, *rest in said:
        rows.append((10 + len(rows), sender, PSH | ACK, len(payload), *rest))
        payloads.append(payload)
    view = packets(*rows)
    frames = []
    for row, payload in zip(view.rows, payloads, strict=True):
        sender, flags = int(row["sender"]), int(row["flags"])
        data = segment(payload, sender, seq=int(row["seq"]), ack=int(row["ack"]), flags=flags)
        row["linktype"] = 1
        row["wirelen"] = len(data)
        cut = int(row["caplen"]) if int(row["caplen"]) < len(payload) + 54 else len(data)
        row["caplen"] = cut
        frames.append(data[:cut])
    return view, frames


def fetcher(frames: list[bytes]) -> Callable[[int], bytes]:
    def fetch(number: int) -> bytes:
        if not frames[number - 1]:
            raise LookupError("the packet was not kept")
        return frames[number - 1]

    return fetch


def reader_of(*said: tuple[Any, ...], masked: bool = True, opened: bool = True) -> StreamReader:
    view, frames = view_of(*said, opened=opened)
    rows = np.arange(len(view))
    return StreamReader(fetcher(frames), view, assemble(view, rows), masked=masked)


__all__ = ["ACK", "CLIENT", "FIN", "PROXY", "PSH", "SYN", "fetcher", "reader_of", "view_of"]
