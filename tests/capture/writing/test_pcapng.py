from __future__ import annotations

from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from capture.frames import FrameBlock, Interface
from capture.writing import pcapng
from tests.capture.sources.building import read
from tests.capture.writing.building import START_NS, block_of, needs_tshark, tshark_fields

FRAMES = [b"", b"a", b"bb" * 15, b"c" * 31, b"d" * 32, b"e" * 33, b"f" * 1514, b"g" * 65535]


def write(path: Path, block: FrameBlock, comments: dict[int, list[str]] | None = None) -> None:
    numbers = np.zeros(len(block), np.int64)
    data, _ = pcapng.packets(block, numbers, comments)
    head = pcapng.section() + pcapng.interface(Interface(1, "eth0", 262_144, "port 80"))
    path.write_bytes(head + data.tobytes())


def test_frames_come_back(tmp_path: Path) -> None:
    write(tmp_path / "a", block_of(FRAMES, gap=7, cut=3))
    frames, info = read(tmp_path / "a")
    assert [frame.data for frame in frames] == FRAMES
    assert [frame.time_ns for frame in frames] == [START_NS + 1000 * i for i in range(len(FRAMES))]
    assert [frame.wirelen for frame in frames] == [len(frame) + 3 for frame in FRAMES]
    assert info.interfaces == [Interface(1, "eth0", 262_144, "port 80")]
    assert not info.warnings


def test_frames_stand_where_it_says() -> None:
    block = block_of(FRAMES)
    data, at = pcapng.packets(block, np.zeros(len(block), np.int64), {1: ["odd"], 7: ["long"]})
    found = [data[i : i + len(frame)].tobytes() for i, frame in zip(at, FRAMES, strict=True)]
    assert found == FRAMES
    assert len(data) % 4 == 0


def test_padding_and_sizes() -> None:
    block = block_of([b"abcde"])
    data, _ = pcapng.packets(block, np.array([3]))
    assert data[28:40].tobytes() == b"abcde\0\0\0" + (40).to_bytes(4, "little")
    assert len(data) == 40 == pcapng.packet_sizes(block.caplen)[0]
    assert data[8] == 3


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(st.binary(max_size=200) | st.integers(0, 3000).map(lambda n: b"z" * n), max_size=40),
    st.integers(0, 40),
    st.dictionaries(st.integers(0, 39), st.lists(st.text(max_size=40), max_size=3), max_size=5),
)
def test_any_frames_come_back(
    tmp_path: Path, frames: list[bytes], gap: int, comments: dict[int, list[str]]
) -> None:
    comments = {index: text for index, text in comments.items() if index < len(frames)}
    write(tmp_path / "any", block_of(frames, gap=gap), comments)
    found, info = read(tmp_path / "any")
    assert [frame.data for frame in found] == frames
    assert len(info.comments) == sum(map(len, comments.values()))
    assert not info.warnings


def test_texts_too_long_for_an_option(tmp_path: Path) -> None:
    text = "é" * 70_000
    block = block_of([b"frame"])
    data, _ = pcapng.packets(block, np.zeros(1, np.int64), {0: [text]})
    head = pcapng.section([text]) + pcapng.interface(Interface(1, text, 0, text))
    (tmp_path / "long").write_bytes(head + data.tobytes())
    frames, info = read(tmp_path / "long")
    assert [frame.data for frame in frames] == [b"frame"]
    assert info.interfaces[0].filter.startswith("ééé")
    assert not info.warnings


def test_losses_are_told(tmp_path: Path) -> None:
    head = pcapng.section() + pcapng.interface(Interface(1))
    told = pcapng.statistics(0, START_NS, start_ns=1, received=9, if_dropped=5, os_dropped=2)
    (tmp_path / "isb").write_bytes(head + told)
    assert read(tmp_path / "isb")[1].lost_kernel == 7


@needs_tshark
def test_tshark_reads_it(tmp_path: Path) -> None:
    block = block_of(FRAMES[1:], gap=3, cut=1)
    path = tmp_path / "tshark"
    write(path, block, {2: ["tunnelscope: why", "and more"]})
    fields = tshark_fields(path, "frame.len", "frame.cap_len", "frame.time_epoch", "frame.comment")
    assert [int(row[0]) for row in fields] == [len(frame) + 1 for frame in FRAMES[1:]]
    assert [int(row[1]) for row in fields] == [len(frame) for frame in FRAMES[1:]]
    assert fields[0][2] == "1700000000.123456789"
    assert [row[3] for row in fields] == ["", "", "tunnelscope: why,and more", "", "", "", ""]
