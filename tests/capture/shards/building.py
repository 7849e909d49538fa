"""Captures that are large enough to be divided, and what several processes say of them."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

from capture import engine
from capture.judging import Catalogue
from capture.options import AnalysisOptions
from capture.report.model import Report
from capture.report.render import render
from capture.shards import tabulate
from capture.shards.divide import divide
from capture.sources import open_source
from tests.capture.tracking.building import captures, frames_in

OPTIONS = AnalysisOptions(keep_steps=False, keep_texts=False)
SHIFT_NS = 600_000_000_000
PCAP = struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262_144, 1)


def everything(turns: int = 3) -> Iterator[tuple[int, bytes, int]]:
    """Time, bytes and length of the frames of all Ethernet captures one after the other, several
    times over with other clients."""
    now = 1_700_000_000_000_000_000
    for turn in range(turns):
        for item in captures():
            frames = [frame for frame in frames_in(item) if frame.linktype == 1]
            if not frames:
                continue
            first = min(frame.time_ns for frame in frames)
            for frame in frames:
                data = other_client(frame.data, turn)
                yield now + frame.time_ns - first, data, frame.wirelen or len(data)
            now += SHIFT_NS


def pcap_record(at: int, data: bytes, wirelen: int) -> bytes:
    return struct.pack("<IIII", at // 10**9, at % 10**9, len(data), wirelen) + data


def everything_as_pcap() -> bytes:
    return PCAP + b"".join(pcap_record(*frame) for frame in everything())


def other_client(data: bytes, turn: int) -> bytes:
    """A frame of the lab's clients as one of other addresses."""
    return data.replace(bytes([10, 40, 40]), bytes([10, 40, 40 + turn]), 4)


def one(path: Path, options: AnalysisOptions = OPTIONS) -> Report:
    return engine.analyse(open_source(str(path)), options)


def several(path: Path, count: int, options: AnalysisOptions = OPTIONS) -> Report | None:
    source = open_source(str(path))
    try:
        if count == 1:
            return tabulate(source, options, Catalogue.load())
        return divide(source, options, Catalogue.load(), count)
    finally:
        source.close()


def table(report: Report) -> str:
    return "".join(render("csv", [report]))


def agree(path: Path, count: int, options: AnalysisOptions = OPTIONS) -> Report:
    alone, together = one(path, options), several(path, count, options)
    assert together is not None
    assert table(together) == table(alone)
    assert together.findings == alone.findings
    assert together.other_flows == alone.other_flows
    assert together.source == alone.source
    assert together.not_understood == alone.not_understood
    assert together.gravest == alone.gravest
    return together
