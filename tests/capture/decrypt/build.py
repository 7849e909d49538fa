"""A capture with known secrets, and its tunnels ready to be read."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np

from capture.analysis import Analysis
from capture.decrypt.keylog import KeyLogFile
from capture.judging import Catalogue
from capture.options import AnalysisOptions
from capture.packets.index import PacketView
from capture.sources import open_source
from capture.stream.assembly import assemble
from capture.stream.reading import FetchFrame, StreamReader
from capture.stream.text import StreamText

FOLDER = Path(__file__).parents[2] / "data" / "decrypt"
CAPTURE, KEYS = FOLDER / "tls_keylog.pcap", FOLDER / "tls_keylog.keys"
NAMES = (
    "13-aes128-gcm", "13-aes256-gcm", "13-chacha", "13-ccm8", "13-retry", "13-key-update",
    "13-padding", "13-rejected", "12-aes128-gcm", "12-aes256-gcm", "12-chacha", "12-ccm",
    "12-cbc-sha", "12-cbc-sha384", "12-cbc-mac-first", "12-renegotiated",
)  # fmt: skip
"""What each of its tunnels shows (``tools.make_keylog_capture``)."""
READABLE = tuple(name for name in NAMES if name != "13-rejected")


def keys(path: Path = KEYS) -> KeyLogFile:
    log = KeyLogFile(str(path))
    log.refresh()
    return log


@cache
def capture(path: Path = CAPTURE) -> tuple[PacketView, FetchFrame, dict[str, int]]:
    """Packet index, frames and the uid of each tunnel."""
    source = open_source(str(path), spool=True)
    analysis = Analysis(source.info, AnalysisOptions(keep_packets=True), Catalogue.load())
    for block in source.blocks():
        analysis.take(block)
    report = analysis.report(final=True)
    assert analysis.index is not None
    view, store = analysis.index.view(), source.store
    assert store is not None

    def fetch(number: int) -> bytes:
        row = view.rows[number - 1]
        return store.frame(int(row["position"]), int(row["caplen"]))

    found = dict(zip(NAMES, (flow.uid for flow in report.flows), strict=False))
    return view, fetch, found


def reader_of(
    name: str, *, masked: bool = True, without: Callable[[int], bool] = lambda _: False
) -> StreamReader:
    """Streams of a tunnel; packets ``without`` are not captured (index within the tunnel)."""
    view, fetch, uids = capture()
    rows = view.of_flow(uids[name])
    kept = np.array([row for at, row in enumerate(rows.tolist()) if not without(at)], np.int64)
    return StreamReader(fetch, view, assemble(view, kept), masked=masked)


def lines_of(reader: StreamReader, log: KeyLogFile | None) -> list[str]:
    text = StreamText(reader, capture()[0], log)
    while not text.done:
        text.more()
    return [line.text for line in text.lines]
