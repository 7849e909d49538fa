from __future__ import annotations

import threading

from capture.live.crates import CRATE_BYTES, Crate, Crates
from capture.live.ring import BLOCK_BYTES, Run


def block(value: int, size: int = BLOCK_BYTES) -> memoryview:
    return memoryview(bytes([value]) * size)


def taken(crates: Crates) -> Crate:
    crate = crates.take()
    assert crate is not None
    return crate


def test_blocks_share_a_crate_until_it_is_full() -> None:
    arrived = threading.Event()
    crates = Crates(4 * CRATE_BYTES, arrived)
    assert crates.take() is None
    for value in range(5):
        assert crates.put(block(value), 48, value + 1)
    assert arrived.is_set()
    first, second = taken(crates), taken(crates)
    assert first.runs == [
        Run(at * BLOCK_BYTES, (at + 1) * BLOCK_BYTES, at * BLOCK_BYTES + 48, at + 1)
        for at in range(4)
    ]
    assert [int(first.data[run.start]) for run in first.runs] == [0, 1, 2, 3]
    assert second.runs == [Run(0, BLOCK_BYTES, 48, 5)]
    assert crates.take() is None


def test_a_full_queue_takes_no_more_until_something_is_given_back() -> None:
    crates = Crates(2 * CRATE_BYTES, threading.Event())
    assert all(crates.put(block(1), 48, 1) for _ in range(8))
    assert not crates.put(block(1), 48, 1)
    crate = taken(crates)
    assert not crates.put(block(1), 48, 1)  # it is still being read
    crates.give_back(crate)
    assert crates.put(block(2, 100), 48, 1)
    taken(crates)
    assert taken(crates).runs == [Run(0, 100, 48, 1)]


def test_crates_are_used_again() -> None:
    crates = Crates(4 * CRATE_BYTES, threading.Event())
    crates.put(block(1), 48, 1)
    crate = taken(crates)
    data = crate.data
    crates.give_back(crate)
    crates.put(block(2), 48, 1)
    assert taken(crates).data is data


def test_however_little_memory_there_is_two_crates_are_there() -> None:
    crates = Crates(0, threading.Event())
    assert all(crates.put(block(1), 48, 1) for _ in range(8))
    assert not crates.put(block(1), 48, 1)
