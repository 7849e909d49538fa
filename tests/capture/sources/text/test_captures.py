"""tcpdump's text against the capture it was printed from: the same TCP facts.

The files in tests/data/text were printed by tcpdump 4.99.3 with the options they are named
after.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from capture.decode import Decoder
from capture.decode.columns import Segments
from capture.frames import SourceInfo
from capture.sources import open_source
from tests.capture.sources.building import CAPTURES, read

TEXTS = CAPTURES.parent / "text"
DAY = 86_400 * 10**9

PRINTED = {
    TEXTS / f"{name}.txt": CAPTURES / f"{capture}.pcap"
    for capture, names in {
        "02a_squid_acl_deny": "v vv_ttt A e_tttt S_tt t ttttt names nano",
        "08a_tls_stall_server_silent": "X XX_ttt xq",
        "06d_proxy_admin_prohibited_icmp": "icmp icmp_v",
        "01l_success_any_sll2": "any_e_v any_XX",
    }.items()
    for name in names.split()
} | {
    path: path.with_suffix(".pcap")
    for path in CAPTURES.glob("*.txt")
    if path.with_suffix(".pcap").exists()
}


@dataclass(frozen=True)
class Facts:
    """What is the same in a text and its capture."""

    src: str
    dst: str
    ports: tuple[int, int]
    seq: int
    ack: int
    flags: int
    window: int
    length: int
    ip_length: int
    mss: int
    wscale: int
    options: int
    sack: tuple[int, int]


@dataclass(frozen=True)
class Decoded:
    facts: list[Facts]
    numbers: list[int]
    times: list[int]
    payloads: list[bytes]
    icmp: list[tuple[int, int, int, int, int, int]]
    frames: int
    info: SourceInfo


def decode(path: Path) -> Decoded:
    decoder = Decoder()
    source = open_source(str(path))
    facts: list[Facts] = []
    numbers: list[int] = []
    times: list[int] = []
    payloads: list[bytes] = []
    icmp = []
    frames = 0
    for block in source.blocks():
        frames += len(block)
        decoded = decoder.decode(block)
        segments = decoded.segments
        facts += facts_of(decoder, segments)
        numbers += segments.number.tolist()
        times += segments.time_ns.tolist()
        for at, size in zip(
            segments.payload_at.tolist(), segments.payload_captured.tolist(), strict=True
        ):
            payloads.append(bytes(segments.data[at : at + size]))
        icmp += [
            (error.number, error.type, error.code, error.mtu, error.sport, error.seq)
            for error in decoded.icmp
        ]
    source.close()
    return Decoded(facts, numbers, times, payloads, icmp, frames, source.info)


def facts_of(decoder: Decoder, segments: Segments) -> list[Facts]:
    return [
        Facts(
            decoder.addresses.text(int(segments.src[i])),
            decoder.addresses.text(int(segments.dst[i])),
            (int(segments.sport[i]), int(segments.dport[i])),
            int(segments.seq[i]),
            int(segments.ack[i]),
            int(segments.flags[i]),
            int(segments.window[i]),
            int(segments.length[i]),
            int(segments.ip_length[i]),
            int(segments.mss[i]),
            int(segments.wscale[i]),
            int(segments.options[i]),
            (int(segments.sack_left[i]), int(segments.sack_right[i])),
        )
        for i in range(len(segments))
    ]


@pytest.mark.parametrize("path", PRINTED, ids=lambda path: path.stem)
def test_text_says_what_its_capture_says(path: Path) -> None:
    text = decode(path)
    original = decode(PRINTED[path])
    count = len(text.facts)  # some texts are only the beginning
    assert count >= min(2, len(original.facts))
    assert text.facts == original.facts[:count]
    if path.parent == CAPTURES:
        assert text.frames == original.frames
    if text.numbers[0] == original.numbers[0]:
        assert text.numbers == original.numbers[:count]
    assert len(text.payloads) == len(text.facts)
    for known, real in zip(text.payloads, original.payloads, strict=False):
        assert real.startswith(known)
    assert text.info.format == "tcpdump-text"
    assert text.info.warnings == []


@pytest.mark.parametrize("path", PRINTED, ids=lambda path: path.stem)
def test_times(path: Path) -> None:
    text = decode(path)
    original = decode(PRINTED[path])
    wanted = [time // 1000 * 1000 for time in original.times]
    if path.stem == "t":
        assert not text.info.times_known
        assert set(text.times) == {0}
    elif path.stem in ("e_tttt", "S_tt"):
        assert text.times == wanted
        assert text.info.assumed == []
    elif "ttt" in path.stem:
        gaps = [time - text.times[0] for time in text.times]
        expected = [time - original.times[0] for time in original.times]
        # Differences were rounded one by one.
        assert all(
            abs(one - other) < 1000 * len(gaps) for one, other in zip(gaps, expected, strict=False)
        )
        assert gaps[-1] > 0
    else:
        assert text.times == [time % DAY for time in wanted[: len(text.times)]]
        assert any("1970-01-01" in line for line in text.info.assumed)


@pytest.mark.parametrize(
    ("name", "whole"), [("v", True), ("vv_ttt", True), ("A", True), ("t", False), ("names", False)]
)
def test_how_much_of_the_heads_is_known(name: str, whole: bool) -> None:
    original = decode(CAPTURES / "02a_squid_acl_deny.pcap")
    text = decode(TEXTS / f"{name}.txt")
    request = next(data for data in original.payloads if data.startswith(b"CONNECT"))
    reply = next(data for data in original.payloads if data.startswith(b"HTTP/1.1 403"))
    head, _, _ = reply.partition(b"\r\n\r\n")
    if not whole:
        assert request.partition(b"\r\n")[0] + b"\r\n" in text.payloads
        assert b"HTTP/1.1 403 Forbidden\r\n" in text.payloads
        return
    assert request in text.payloads
    known = next(data for data in text.payloads if data.startswith(b"HTTP/1.1 403"))
    assert known.startswith(head + b"\r\n\r\n<!DOCTYPE html")
    assert len(known) > len(reply) - 40


def test_a_head_whose_length_shows_that_it_is_whole() -> None:
    text = decode(CAPTURES / "01a_success_302_tls13.txt")
    assert b"HTTP/1.1 200 Connection established\r\n\r\n" in text.payloads


@pytest.mark.parametrize("name", ["X", "XX_ttt", "xq"])
def test_hex_dumps_give_every_byte(name: str) -> None:
    assert decode(TEXTS / f"{name}.txt").payloads == (
        decode(CAPTURES / "08a_tls_stall_server_silent.pcap").payloads
    )


@pytest.mark.parametrize("name", ["icmp", "icmp_v"])
def test_icmp_errors_point_to_their_connection(name: str) -> None:
    text = decode(TEXTS / f"{name}.txt")
    assert text.icmp == decode(CAPTURES / "06d_proxy_admin_prohibited_icmp.pcap").icmp
    assert any("quote" in line for line in text.info.assumed) == (name == "icmp")


def test_icmp_errors_of_large_segments_take_one_each() -> None:
    text = decode(CAPTURES / "11d_mtu_icmp_delivered_upload.txt")
    assert len(text.icmp) > 3
    assert {error[1:5] for error in text.icmp} == {(3, 4, 1300, 43_720)}
    assert len({error[5] for error in text.icmp}) == len(text.icmp)


def test_quick_output_counts_bytes() -> None:
    """``-q`` prints neither flags nor numbers: lengths and order are all there is."""
    text = decode(TEXTS / "q.txt")
    original = decode(CAPTURES / "02a_squid_acl_deny.pcap")
    assert [fact.length for fact in text.facts] == [fact.length for fact in original.facts]
    # From the CONNECT on the numbers are as they were, less the unknown beginnings.
    shift = text.facts[3].seq - original.facts[3].seq
    assert text.facts[11].seq - original.facts[11].seq == shift
    assert any("-q" in line for line in text.info.assumed)


def test_interfaces_of_any() -> None:
    frames, info = read(CAPTURES / "01l_success_any_sll2.txt")
    assert [item.name for item in info.interfaces] == ["ifb0", "lo"]
    assert {frame.interface for frame in frames} == {0, 1}


def test_service_names_are_ports() -> None:
    text = decode(TEXTS / "names.txt")
    assert {port for fact in text.facts for port in fact.ports} == {80, 40_960}
    assert text.info.names == {}


@pytest.mark.parametrize(("name", "known"), [("X", True), ("XX_ttt", True), ("v", False)])
def test_a_text_with_every_byte_is_a_capture(name: str, known: bool) -> None:
    """Rules about what is missing hold for it, too."""
    assert decode(TEXTS / f"{name}.txt").info.contents_known is known


def test_one_line_without_its_bytes_is_enough(tmp_path: Path) -> None:
    path = tmp_path / "mixed.txt"
    more = "07:47:34.5 IP 10.40.40.1.1 > 10.10.10.1.80: Flags [P.], seq 1:9, ack 1, length 8\n"
    path.write_text((TEXTS / "X.txt").read_text() + more)
    assert not decode(path).info.contents_known
