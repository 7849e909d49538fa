from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from capture.facts import CLIENT, PROXY
from capture.stream.finding import BytesFinder, needle_of
from capture.stream.layout import BYTES, HOLE, TURN, Blocks, blocks_of
from capture.stream.reading import StreamReader
from tests.capture.stream.build import reader_of

TALK = (
    (CLIENT, b"abc"),
    (CLIENT, b"def"),
    (PROXY, b"x" * 40),
    (PROXY, b"y" * 5, {"seq": 1 + 52}),
    (CLIENT, b"ghi"),
)


def listed(blocks: Blocks) -> list[tuple[int, int, int, int]]:
    columns = (blocks.kind, blocks.side, blocks.start, blocks.end)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def test_turns_runs_and_holes() -> None:
    blocks = blocks_of(reader_of(*TALK).assembly)
    assert listed(blocks) == [
        (TURN, CLIENT, 0, 6), (BYTES, CLIENT, 0, 6),
        (TURN, PROXY, 0, 57), (BYTES, PROXY, 0, 40), (HOLE, PROXY, 40, 52), (BYTES, PROXY, 52, 57),
        (TURN, CLIENT, 6, 9), (BYTES, CLIENT, 6, 9),
    ]  # fmt: skip
    assert blocks.row.tolist() == [3, 3, 5, 5, 6, 6, 7, 7]
    assert blocks.rows_at(16).tolist() == [0, 1, 2, 3, 6, 7, 8, 9, 10]
    assert blocks.holding(PROXY, 39) == 3
    assert blocks.holding(PROXY, 40) == 4
    assert blocks.holding(PROXY, 57) is None


def test_packet_by_packet() -> None:
    blocks = blocks_of(reader_of(*TALK).assembly, CLIENT, merged=False)
    assert listed(blocks) == [
        (TURN, CLIENT, 0, 6), (BYTES, CLIENT, 0, 3), (BYTES, CLIENT, 3, 6),
        (TURN, CLIENT, 6, 9), (BYTES, CLIENT, 6, 9),
    ]  # fmt: skip
    assert blocks.rows_at(0).tolist() == [0, 1, 2, 3, 4, 5]


def test_what_was_acknowledged_only_is_a_hole_at_the_end() -> None:
    reader = reader_of((CLIENT, b"abc"), (PROXY, b"x", {"ack": 11}))
    assert listed(blocks_of(reader.assembly, CLIENT)) == [
        (TURN, CLIENT, 0, 10), (BYTES, CLIENT, 0, 3), (HOLE, CLIENT, 3, 10),
    ]  # fmt: skip


def test_nothing_was_said() -> None:
    blocks = blocks_of(reader_of().assembly)
    assert (len(blocks), blocks.rows_at(16).tolist()) == (0, [0])


@given(st.lists(st.tuples(st.sampled_from((CLIENT, PROXY)), st.integers(0, 40)), max_size=12),
       st.booleans())  # fmt: skip
def test_blocks_hold_every_byte_once(said: list[tuple[int, int]], merged: bool) -> None:
    assembly = reader_of(*((side, bytes(length)) for side, length in said)).assembly
    blocks = blocks_of(assembly, merged=merged)
    for side in (CLIENT, PROXY):
        own = (blocks.side == side) & (blocks.kind != TURN)
        assert np.concatenate(([0], blocks.end[own]))[:-1].tolist() == blocks.start[own].tolist()
        assert int((blocks.end - blocks.start)[own].sum()) == assembly.sides[side].total


def hits(reader: StreamReader, query: str, start: tuple[int, int] | None = None) -> list[object]:
    finder = BytesFinder(reader, blocks_of(reader.assembly), needle_of(query), start)
    found: list[object] = []
    while not finder.done:
        hit = finder.step()
        if hit is not None:
            found.append(hit)
    return found


def test_bytes_are_found_across_packets_in_either_case() -> None:
    reader = reader_of((CLIENT, b"say He"), (CLIENT, b"llo hello"), (PROXY, b"HELLO"))
    assert hits(reader, "hello") == [(CLIENT, 4), (CLIENT, 10), (PROXY, 0)]
    assert hits(reader, "hello", (CLIENT, 4)) == [(CLIENT, 10), (PROXY, 0)]
    assert hits(reader, "hello", (PROXY, 0)) == []
    assert hits(reader, "no such") == []


def test_bytes_are_found_across_windows(monkeypatch: object) -> None:
    from capture.stream import finding

    window, finding.WINDOW = finding.WINDOW, 7  # type: ignore[misc]
    try:
        reader = reader_of((CLIENT, b"0123456789needle0123needle"))
        assert hits(reader, "needle") == [(CLIENT, 10), (CLIENT, 20)]
    finally:
        finding.WINDOW = window  # type: ignore[misc]


def test_hex_queries() -> None:
    assert (
        needle_of("16 03 01") == needle_of("0x160301") == needle_of("16:03:01") == b"\x16\x03\x01"
    )
    assert needle_of("403") == b"403"
    assert needle_of("cafe") == b"cafe"
    assert hits(reader_of((PROXY, b"\0\x16\x03\x01")), "16 03") == [(PROXY, 1)]
