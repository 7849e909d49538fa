from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from capture.frames import FrameBlock, rows_of
from capture.live.merge import Merger


def block(interface: int, times: list[int]) -> FrameBlock:
    """Frames whose bytes tell their interface and time."""
    bodies = [f"{interface}:{time};".encode() for time in times]
    data = np.frombuffer(bytearray(b"__" + b"".join(bodies) + b"__"), np.uint8)
    lengths = np.array([len(body) for body in bodies], np.int64)
    return FrameBlock(
        data=data,
        offset=2 + np.cumsum(lengths) - lengths,
        time_ns=np.array(times, np.int64),
        caplen=lengths,
        wirelen=lengths + 5,
        linktype=np.ones(len(times), np.uint16),
        interface=np.full(len(times), interface, np.int32),
        position=np.zeros(len(times), np.int64),
        first_number=0,
    )


def texts(merged: FrameBlock | None) -> list[str]:
    if merged is None:
        return []
    return [
        bytes(merged.data[start : start + length]).decode()
        for start, length in zip(merged.offset.tolist(), merged.caplen.tolist(), strict=True)
    ]


def test_frames_wait_for_earlier_ones() -> None:
    merger = Merger()
    merger.add(block(0, [10, 30, 50]))
    assert texts(merger.take(20)) == ["0:10;"]
    merger.add(block(1, [20, 40]))
    assert texts(merger.take(40)) == ["1:20;", "0:30;", "1:40;"]
    assert merger.take(45) is None
    assert merger
    assert texts(merger.take(None)) == ["0:50;"]
    assert merger.take(None) is None
    assert not merger


def test_late_frames_are_not_lost() -> None:
    merger = Merger()
    merger.add(block(0, [50]))
    assert texts(merger.take(60)) == ["0:50;"]
    merger.add(block(1, [10]))
    assert texts(merger.take(60)) == ["1:10;"]


def test_bytes_are_kept_when_the_source_uses_its_buffer_again() -> None:
    merger, given_block = Merger(), block(0, [10])
    merger.add(given_block)
    given_block.data[:] = 0
    assert texts(merger.take(None)) == ["0:10;"]


def test_rows_keep_all_columns() -> None:
    part = rows_of(block(3, [10, 20, 30]), np.array([False, True, True]))
    assert texts(part) == ["3:20;", "3:30;"]
    assert part.interface.tolist() == [3, 3]
    assert (part.wirelen - part.caplen).tolist() == [5, 5]


@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.lists(st.integers(0, 99), min_size=1, max_size=9)),
        max_size=9,
    ),
    st.lists(st.integers(0, 99), max_size=5),
)
def test_every_frame_comes_once(added: list[tuple[int, list[int]]], marks: list[int]) -> None:
    merger, out = Merger(), []
    for at, (interface, times) in enumerate(added):
        merger.add(block(interface, times))
        if at < len(marks):
            got = merger.take(marks[at])
            assert got is None or got.time_ns.tolist() == sorted(got.time_ns.tolist())
            out += texts(got)
    out += texts(merger.take(None))
    expected = [f"{interface}:{time};" for interface, times in added for time in times]
    assert sorted(out) == sorted(expected)
