from __future__ import annotations

import random
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capture.frames import UnreadableInput
from capture.sources import open_source, windows
from capture.sources.pcap import is_pcap, parse_header
from tests.capture.sources.building import frames_in, pcap_header, pcap_record, read

FRAMES = [b"", b"a", bytes(range(60)), b"x" * 1514]


def written(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "file"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("magic", "tick"), [(0xA1B2C3D4, 1000), (0xA1B23C4D, 1), (0xA12B3C4D, 1)])
def test_byte_orders_and_ticks(tmp_path: Path, order: str, magic: int, tick: int) -> None:
    body = b"".join(
        pcap_record(data, 1_700_000_000 + index, 123_456, len(data) + 7, order)
        for index, data in enumerate(FRAMES)
    )
    got, info = read(written(tmp_path, pcap_header(order, magic, 113) + body))
    assert [frame.data for frame in got] == FRAMES
    assert [frame.wirelen for frame in got] == [len(data) + 7 for data in FRAMES]
    assert [frame.time_ns for frame in got] == [
        (1_700_000_000 + index) * 10**9 + 123_456 * tick for index in range(len(FRAMES))
    ]
    assert {frame.linktype for frame in got} == {113}
    assert (info.format, info.compression, info.warnings) == ("pcap", "", [])
    assert info.interfaces[0].linktype == 113
    assert info.interfaces[0].snaplen == 262_144
    assert info.lost_kernel is None


def test_positions_are_those_in_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, pcap_header() + b"".join(map(pcap_record, FRAMES)))
    content = path.read_bytes()
    for frame in read(path)[0]:
        assert content[frame.position : frame.position + len(frame.data)] == frame.data


def test_link_type_without_the_bits_above_it(tmp_path: Path) -> None:
    # Frame check sequence of 4 bytes (draft-ietf-opsawg-pcap 4).
    got, _ = read(written(tmp_path, pcap_header(linktype=0x44000001) + pcap_record(b"abc")))
    assert got[0].linktype == 1


@pytest.mark.parametrize("order", ["<", ">"])
def test_modified_format_with_longer_records(tmp_path: Path, order: str) -> None:
    records = b""
    for index, data in enumerate(FRAMES):
        head = pcap_record(data, 1_700_000_000 + index, order=order)[:16]
        records += head + b"\0\0\0\2\x08\0\0\0" + data
    got, _ = read(written(tmp_path, pcap_header(order, 0xA1B2CD34) + records))
    assert [frame.data for frame in got] == FRAMES


@pytest.mark.parametrize("extra", [4, 8, 12])
def test_longer_records_behind_the_usual_magic(tmp_path: Path, extra: int) -> None:
    records = b"".join(
        pcap_record(data, 1_700_000_000)[:16] + bytes(extra) + data for data in FRAMES[2:] * 3
    )
    got, _ = read(written(tmp_path, pcap_header() + records))
    assert [frame.data for frame in got] == FRAMES[2:] * 3


@pytest.mark.parametrize("minor", [2, 3])
def test_old_files_with_lengths_the_other_way_round(tmp_path: Path, minor: int) -> None:
    frames = FRAMES[1:]
    records = b"".join(
        struct.pack("<IIII", 800_000_000, 1, len(data) + 9, len(data)) + data for data in frames
    )
    got, _ = read(written(tmp_path, pcap_header(minor=minor) + records))
    assert [(frame.data, frame.wirelen) for frame in got] == [
        (data, len(data) + 9) for data in frames
    ]


def test_ixia_header_has_four_more_bytes(tmp_path: Path) -> None:
    data = pcap_header(magic=0x1C0001AC) + bytes(4) + pcap_record(b"abc", fraction=999_999_999)
    got, _ = read(written(tmp_path, data))
    assert got[0].data == b"abc"
    assert got[0].time_ns % 10**9 == 999_999_999


def test_no_packets_is_no_error(tmp_path: Path) -> None:
    assert read(written(tmp_path, pcap_header())) == ([], read(tmp_path / "file")[1])
    assert read(tmp_path / "file")[1].warnings == []


def test_wire_length_is_never_below_the_captured_one(tmp_path: Path) -> None:
    got, _ = read(written(tmp_path, pcap_header() + pcap_record(b"abcdef", wirelen=2)))
    assert got[0].wirelen == 6


@pytest.mark.parametrize("keep", [1, 15, 16, 17, 25])
def test_cut_in_a_record(tmp_path: Path, keep: int) -> None:
    last = pcap_record(b"z" * 10)
    data = pcap_header() + pcap_record(b"first") + last[:keep]
    got, info = read(written(tmp_path, data))
    assert [frame.data for frame in got] == [b"first"]
    assert [warning.code for warning in info.warnings] == ["truncated-file"]
    assert "packet 2" in info.warnings[0].message
    assert f"offset {24 + 16 + 5}" in info.warnings[0].message


@pytest.mark.parametrize("length", [65 << 20, 0xFFFFFFFF, 1 << 20])
def test_absurd_length_ends_the_capture(tmp_path: Path, length: int) -> None:
    bad = struct.pack("<IIII", 1, 1, length, length) + bytes(100)
    got, info = read(written(tmp_path, pcap_header() + pcap_record(b"first") + bad))
    assert [frame.data for frame in got] == [b"first"]
    assert [warning.code for warning in info.warnings] == ["corrupt-record"]
    assert "after packet 1" in info.warnings[0].message
    assert "offset 45" in info.warnings[0].message


def test_cut_in_the_file_header(tmp_path: Path) -> None:
    with pytest.raises(UnreadableInput, match="cut inside the file header"):
        open_source(str(written(tmp_path, pcap_header()[:20])))


def test_large_file_in_small_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many blocks, read ahead, records across their borders and one larger than a block."""
    rng = random.Random(7)
    frames = [rng.randbytes(rng.choice((0, 60, 1514, 9000))) for _ in range(900)]
    frames[400] = rng.randbytes(1_000_000)
    path = written(
        tmp_path,
        pcap_header()
        + b"".join(pcap_record(data, 1_700_000_000 + i) for i, data in enumerate(frames)),
    )
    monkeypatch.setattr(windows, "BLOCK", 65_536)
    monkeypatch.setattr(windows, "_HEADROOM", 2048)
    got, info = read(path)
    assert [frame.data for frame in got] == frames
    assert info.warnings == []
    content = path.read_bytes()
    assert all(content[f.position : f.position + len(f.data)] == f.data for f in got)


@settings(max_examples=40, deadline=None)
@given(
    sizes=st.lists(st.integers(0, 300), min_size=200, max_size=700),
    seed=st.integers(0, 1 << 30),
    seconds=st.sampled_from([0, 0xFFFF, 1_700_000_000, 1_699_741_695, 0xFFFFFFFF]),
)
def test_payloads_full_of_records(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], seed: int, seconds: int
) -> None:
    """A capture that carries captures: every guess can be wrong, no frame may be."""
    rng = random.Random(seed)
    frames = []
    for size in sizes:
        inner = b"".join(pcap_record(rng.randbytes(rng.randrange(30)), seconds) for _ in range(9))
        frames.append(inner[rng.randrange(16) :][:size])
    path = tmp_path_factory.getbasetemp() / f"nested-{seed}-{len(sizes)}"
    path.write_bytes(pcap_header() + b"".join(pcap_record(data, seconds) for data in frames))
    try:
        assert [frame.data for frame in read(path)[0]] == frames
    finally:
        path.unlink()


def test_reading_can_be_given_up(tmp_path: Path) -> None:
    path = written(tmp_path, pcap_header() + pcap_record(bytes(1000)) * 60_000)
    source = open_source(str(path))
    first = next(iter(source.blocks()))
    assert frames_in(first)[0].data == bytes(1000)
    source.close()
    source.close()
    done, total = source.progress()
    assert total == path.stat().st_size
    assert 0 < done <= total


@given(head=st.binary(min_size=24, max_size=200), magic=st.sampled_from([b"\xd4\xc3\xb2\xa1"]))
def test_any_header_is_read(head: bytes, magic: bytes) -> None:
    header = parse_header(magic + head)
    assert header.record in (16, 20, 24, 28)
    assert is_pcap(magic + head)
    assert not is_pcap(magic[:3])
