"""Packet rows of a live capture: let go, but never mistaken for others."""

from __future__ import annotations

from typing import Final

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from capture.decode import Decoder
from capture.packets.building import PacketIndex
from capture.tracking.tracker import Tracker
from tests.capture.decode.building import Frame, block_of
from tests.capture.tracking.building import HANDSHAKE, story

ALL: Final = np.iinfo(np.int64).max


def fed(bound: int, *sizes: int, first: int = 1) -> PacketIndex:
    """An index that was given blocks of these sizes."""
    index, decoder = PacketIndex(bound), Decoder()
    tracker = Tracker(decoder.addresses.text)
    for size in sizes:
        add(index, decoder, tracker, [Frame(bytes(60), time_ns=first + at) for at in range(size)],
            first)  # fmt: skip
        first += size
    return index


def add(
    index: PacketIndex, decoder: Decoder, tracker: Tracker, frames: list[Frame], first: int
) -> None:
    block = block_of(frames, first_number=first)
    decoded = decoder.decode(block)
    index.append(block, decoded, tracker.add(decoded), tracker)


@given(st.lists(st.integers(1, 30), min_size=1, max_size=8), st.integers(2, 40))
def test_the_newest_rows_stay_and_know_their_numbers(sizes: list[int], bound: int) -> None:
    index = fed(bound, *sizes)
    total = sum(sizes)
    before = index.view()
    index.trim(np.zeros(0, np.int64), np.zeros(0, np.int64))
    view = index.view()
    kept = min(bound, total)
    assert len(view) == kept
    assert index.dropped == total - kept
    numbers = list(range(total - kept + 1, total + 1))
    assert view.numbers_of(np.arange(kept)).tolist() == numbers
    assert view.rows["time_ns"].tolist() == numbers  # each row is still its own frame's
    assert [view.row(number) for number in numbers] == list(range(kept))
    assert view.row(total - kept) is view.row(total + 1) is None
    assert view.last_number == total
    assert before.rows["time_ns"].tolist() == list(range(1, total + 1))


def test_rows_go_on_behind_those_that_stay() -> None:
    index, decoder = PacketIndex(4), Decoder()
    tracker = Tracker(decoder.addresses.text)
    add(index, decoder, tracker, [Frame(bytes(60), time_ns=n) for n in range(1, 11)], 1)
    index.trim(np.zeros(0, np.int64), np.zeros(0, np.int64))
    add(index, decoder, tracker, story(HANDSHAKE).frames, 11)
    view = index.view()
    assert view.numbers_of(np.arange(len(view))).tolist() == [7, 8, 9, 10, 11, 12, 13]
    assert view.rows["flow"].tolist() == [0, 0, 0, 0, 1, 1, 1]
    assert view.rows["flags"].tolist()[4:] == [2, 18, 16]
    assert view.of_flow(1).tolist() == [4, 5, 6]


def test_what_is_worth_keeping_is_kept_as_far_as_half_the_bound_reaches() -> None:
    index, decoder = PacketIndex(6), Decoder()
    tracker = Tracker(decoder.addresses.text)
    for turn, port in enumerate((40001, 40002)):
        add(index, decoder, tracker, story(HANDSHAKE, port=port).frames, 1 + 3 * turn)
    add(index, decoder, tracker, [Frame(bytes(60)) for _ in range(10)], 7)
    index.trim(np.array([1, 2]), np.array([2, ALL]))
    view = index.view()
    assert view.numbers_of(np.arange(len(view))).tolist() == [4, 5, 6, 14, 15, 16]


def test_a_cleared_index_goes_on_with_the_next_number() -> None:
    index = fed(0, 5)
    index.clear()
    assert len(index.view()) == 0
    assert index.view().last_number == 0
    decoder = Decoder()
    add(index, decoder, Tracker(decoder.addresses.text), [Frame(bytes(60))], 6)
    assert index.view().number(0) == 6


def test_an_index_without_a_bound_is_never_full() -> None:
    index = fed(0, 100)
    assert not index.full
    assert index.view().numbers is None
    assert [index.view().row(number) for number in (0, 1, 100, 101)] == [None, 0, 99, None]
