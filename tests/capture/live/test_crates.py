from __future__ import annotations

import threading

import numpy as np

from capture.frames import Bytes
from capture.live.crates import CRATE_BLOCKS, CRATE_BYTES, Crate, Crates
from capture.live.ring import BLOCK_BYTES, Run


def block(value: int, size: int = BLOCK_BYTES) -> tuple[Bytes, list[Run]]:
    return np.full(size, value, np.uint8), [Run(0, size, 48, value)]


def taken(crates: Crates) -> Crate:
    crate = crates.take()
    assert crate is not None
    return crate


def fill(crates: Crates, times: int = 1) -> None:
    for _ in range(times):
        assert crates.put(np.ones(CRATE_BYTES, np.uint8), [Run(0, CRATE_BYTES, 48, 1)])


def test_blocks_share_a_crate_until_it_is_full() -> None:
    arrived = threading.Event()
    crates = Crates(4 * CRATE_BYTES, arrived)
    assert crates.take() is None
    for value in range(CRATE_BLOCKS + 1):
        assert crates.put(*block(value))
    assert arrived.is_set()
    first, second = taken(crates), taken(crates)
    assert first.runs == [
        Run(at * BLOCK_BYTES, (at + 1) * BLOCK_BYTES, at * BLOCK_BYTES + 48, at)
        for at in range(CRATE_BLOCKS)
    ]
    assert [int(first.data[run.start]) for run in first.runs] == list(range(CRATE_BLOCKS))
    assert second.runs == [Run(0, BLOCK_BYTES, 48, CRATE_BLOCKS)]
    assert crates.take() is None


def test_several_blocks_at_once() -> None:
    crates = Crates(2 * CRATE_BYTES, threading.Event())
    crates.put(*block(9, 100))
    span = np.arange(50, dtype=np.uint8)
    assert crates.put(span, [Run(0, 10, 4, 1), Run(30, 50, 34, 2)])
    crate = taken(crates)
    assert crate.runs == [Run(0, 100, 48, 9), Run(100, 110, 104, 1), Run(130, 150, 134, 2)]
    assert crate.data[100:150].tolist() == span.tolist()


def test_a_full_queue_takes_no_more_until_something_is_given_back() -> None:
    crates = Crates(2 * CRATE_BYTES, threading.Event())
    fill(crates, 2)
    assert not crates.put(*block(1, 10))
    crate = taken(crates)
    assert not crates.put(*block(1, 10))  # it is still being read
    crates.give_back(crate)
    assert crates.put(*block(2, 100))
    taken(crates)
    assert taken(crates).runs == [Run(0, 100, 48, 2)]


def test_crates_are_used_again() -> None:
    crates = Crates(4 * CRATE_BYTES, threading.Event())
    crates.put(*block(1))
    crate = taken(crates)
    data = crate.data
    crates.give_back(crate)
    crates.put(*block(2))
    assert taken(crates).data is data


def test_however_little_memory_there_is_two_crates_are_there() -> None:
    crates = Crates(0, threading.Event())
    fill(crates, 2)
    assert not crates.put(*block(1, 10))


def test_nothing_is_lost_nor_changed_between_two_threads() -> None:
    crates = Crates(2 * CRATE_BYTES, threading.Event())
    total = 400

    def write() -> None:
        for number in range(total):
            while not crates.put(*block(number % 251, 300_000)):
                pass

    writer = threading.Thread(target=write)
    writer.start()
    seen: list[int] = []
    while len(seen) < total:
        crate = crates.take()
        if crate is None:
            continue
        for run in crate.runs:
            values = np.unique(crate.data[run.start : run.end])
            assert values.tolist() == [run.packets]
            seen.append(run.packets)
        crates.give_back(crate)
    writer.join()
    assert seen == [number % 251 for number in range(total)]


def test_it_grows_beyond_the_usual_only_when_it_must() -> None:
    crates = Crates(64 * CRATE_BYTES, threading.Event())
    span = np.ones(CRATE_BYTES, np.uint8)
    run = [Run(0, CRATE_BYTES, 48, 1)]
    held = 0
    while crates.put(span, run, grow=False):
        held += 1
    assert 2 <= held <= 4
    assert crates.put(span, run)
    assert not crates.put(span, run, grow=False)
    for _ in range(2):
        crates.give_back(taken(crates))
    assert crates.put(span, run, grow=False)


def test_blocks_with_little_in_them_are_put_together() -> None:
    crates = Crates(2 * CRATE_BYTES, threading.Event())
    crates.put(*block(9, 100))
    span = np.arange(200, dtype=np.uint8)
    assert crates.put(span, [Run(0, 10, 4, 1), Run(100, 120, 104, 2), Run(190, 200, 194, 3)])
    crate = taken(crates)
    assert crate.runs == [
        Run(0, 100, 48, 9), Run(100, 110, 104, 1), Run(110, 130, 114, 2), Run(130, 140, 134, 3),
    ]  # fmt: skip
    assert crate.data[100:140].tolist() == [*range(10), *range(100, 120), *range(190, 200)]
    assert crate.used == 140
