"""tshark's lines against the capture they were printed from: the same flows, the same verdict.

The files in tests/data/text/wireshark were printed by tshark 4.0.17 (``-n -r``).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from capture.engine import analyse
from capture.judging import Catalogue
from capture.options import AnalysisOptions
from capture.report.model import FlowReport, Report
from capture.sources import open_source
from tests.capture.sources.building import CAPTURES
from tests.capture.sources.text.test_captures import Decoded, Facts, decode

LISTS = sorted((CAPTURES.parent / "text" / "wireshark").glob("*.txt"))
SYN = 2


def original(path: Path) -> Path:
    return CAPTURES / f"{path.stem}.pcap"


def report(path: Path) -> Report:
    source = open_source(str(path))
    try:
        return analyse(source, AnalysisOptions(), catalogue=Catalogue.load())
    finally:
        source.close()


def relative(decoded: Decoded) -> Iterator[tuple[object, ...]]:
    """What both show of each segment, with numbers that begin at a SYN's as 0."""
    first: dict[tuple[str, int, int], int] = {}
    for fact, payload in zip(decoded.facts, decoded.payloads, strict=True):
        here, there = (fact.src, *fact.ports), (fact.dst, *fact.ports[::-1])
        if fact.flags & SYN:
            first[here] = fact.seq
        seq = (fact.seq - first.get(here, fact.seq)) & 0xFFFFFFFF
        ack = (fact.ack - first.get(there, fact.ack)) & 0xFFFFFFFF if fact.flags & 16 else 0
        head = payload.partition(b"\r\n")[0] if payload.startswith((b"CONNECT", b"HTTP/")) else b""
        # A line of what TCP carries does not print PSH and URG.
        yield (*here, seq, ack, fact.flags & 7, fact.length, fact.ip_length, fact.mss), head
        assert fact.window >= 0


def told(flow: FlowReport) -> tuple[object, ...]:
    return (
        flow.client, flow.proxy, flow.kind, flow.target, flow.status, flow.verdict, flow.ended,
        flow.closes, flow.packets, flow.bytes_to_proxy, flow.bytes_to_client,
        flow.retransmissions_to_proxy, flow.retransmissions_to_client,
        [(step.name, step.state) for step in flow.steps],
    )  # fmt: skip


@pytest.mark.parametrize("path", LISTS, ids=lambda path: path.stem)
def test_segments_are_those_of_the_capture(path: Path) -> None:
    text = decode(path)
    assert list(relative(text)) == list(relative(decode(original(path))))
    assert text.info.format == "wireshark-text"
    assert text.info.warnings == []
    assert text.info.names == {}


@pytest.mark.parametrize("path", LISTS, ids=lambda path: path.stem)
def test_flows_are_judged_as_in_the_capture(path: Path) -> None:
    text, binary = report(path), report(original(path))
    assert [told(flow) for flow in text.flows] == [told(flow) for flow in binary.flows]
    assert text.source.packets == binary.source.packets
    for flow in text.flows:
        if flow.tls is not None:
            assert flow.tls.cipher is None
            assert flow.tls.sni is None
            assert not flow.tls.sni_seen


def test_windows_are_those_on_the_wire() -> None:
    path = LISTS[0]

    def windows(facts: list[Facts]) -> list[int]:
        return [fact.window for fact in facts]

    binary, text = decode(original(path)), decode(path)
    printed = [i for i, fact in enumerate(text.facts) if fact.options & 8]
    assert len(printed) > 5
    assert [windows(text.facts)[i] for i in printed] == [windows(binary.facts)[i] for i in printed]


def test_bytes_under_the_rows() -> None:
    """``-P -x``: nothing is left to assume but the numbers that sequences begin with."""
    text = decode(CAPTURES.parent / "text" / "wireshark_x.txt")
    binary = decode(CAPTURES / "12b_untrusted_ca_tls13.pcap")
    assert text.payloads == binary.payloads
    assert [fact.ports for fact in text.facts] == [fact.ports for fact in binary.facts]
    assert [fact.flags for fact in text.facts] == [fact.flags for fact in binary.facts]
    assert text.info.contents_known
    assert not any("packet list" in line for line in text.info.assumed)


def test_bytes_under_some_rows(tmp_path: Path) -> None:
    lines = (CAPTURES.parent / "text" / "wireshark_x.txt").read_text().splitlines(True)
    hello = next(i for i, line in enumerate(lines) if "Client Hello" in line)
    path = tmp_path / "some.txt"
    path.write_text("".join(lines[: hello + 3]))
    text = decode(path)
    assert not text.info.contents_known
    assert text.payloads[3].startswith(b"CONNECT tools.cisco.com:443 HTTP/1.1\r\nHost: ")
    assert text.payloads[-1][:6] == b"\x16\x03\x01\x02\x00\x01"
    assert len(text.payloads[-1]) < 20
