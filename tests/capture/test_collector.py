"""What a capture keeps is no work for the garbage collector."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator

import pytest

from capture import collector


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    threshold = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*threshold)


def test_young_objects_are_walked_less_often() -> None:
    gc.set_threshold(700, 10, 10)
    collector.work_rarely()
    assert gc.get_threshold()[0] > 700
    assert gc.get_threshold()[1] < 10
    collector.work_rarely(collector.STARTING)
    assert gc.get_threshold()[0] == collector.STARTING


def test_what_is_set_aside_is_not_walked_until_it_is_taken_back() -> None:
    kept: list[object] = [[]]
    collector.set_aside()
    assert not any(found is kept for found in gc.get_objects())
    collector.take_back()
    assert any(found is kept for found in gc.get_objects())


def test_collecting_is_put_off_and_taken_up_again_whatever_happens() -> None:
    def fail() -> None:
        with collector.put_off():
            assert not gc.isenabled()
            raise LookupError

    with pytest.raises(LookupError):
        fail()
    assert gc.isenabled()
    gc.disable()
    try:
        with collector.put_off():
            pass
        assert not gc.isenabled()  # who wants it off, has it off
    finally:
        gc.enable()


def test_what_is_due_in_the_end_is_done_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[int] = []
    monkeypatch.setattr(gc, "collect", done.append)
    monkeypatch.setattr(gc, "get_threshold", lambda: (20, 3, 30))
    for count, wanted in (((20, 9, 9), []), ((21, 3, 99), [0]), ((21, 4, 0), [1])):
        monkeypatch.setattr(gc, "get_count", lambda count=count: count)
        done.clear()
        with collector.put_off():
            collector.catch_up()
        assert done == wanted


class Cycle:
    def __init__(self) -> None:
        self.itself = self


def cycles() -> int:
    return sum(type(found) is Cycle for found in gc.get_objects())


def grow_old() -> None:
    """Let something outlive a look at the young, as in a capture that is busy."""
    gc.collect(0)
    assert any(gc.get_count()[1:])


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="its collector works in small steps")
def test_a_capture_that_goes_on_is_set_aside_now_and_then() -> None:
    gc.collect()
    keeper, kept = collector.Keeper(100.0), [[object()]]
    grow_old()
    keeper.tend(100.0 + collector.ASIDE_S - 0.1)
    assert any(found is kept for found in gc.get_objects()), "not yet"
    keeper.tend(100.0 + collector.ASIDE_S)
    assert not any(found is kept for found in gc.get_objects())


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="its collector works in small steps")
def test_cycles_do_not_stay_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collector, "MANY", sys.maxsize)  # however much other tests have left
    gc.collect()
    gc.disable()
    try:
        keeper, now = collector.Keeper(0.0), 0.0
        Cycle()
        old = Cycle()
        grow_old()
        now += collector.ASIDE_S
        keeper.tend(now)  # the first one goes, the second is set aside
        del old
        grow_old()
        now += collector.ASIDE_S
        keeper.tend(now)
        gc.unfreeze()
        assert cycles() == 1
        grow_old()
        keeper.tend(collector.ALL_S)
        gc.unfreeze()
        assert cycles() == 0
    finally:
        gc.enable()


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="its collector works in small steps")
def test_cycles_are_looked_for_when_much_has_been_set_aside(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gc.collect()
    gc.disable()
    try:
        gc.freeze()
        monkeypatch.setattr(collector, "MANY", gc.get_freeze_count() + 1000)
        keeper, now = collector.Keeper(0.0), 0.0
        kept = [Cycle() for _ in range(1000)]
        for left in (1000, 0):
            grow_old()
            now += collector.ASIDE_S
            keeper.tend(now)
            gc.unfreeze()
            assert cycles() == left
            gc.freeze()
            kept.clear()
    finally:
        gc.enable()


def test_an_idle_capture_is_left_alone() -> None:
    gc.collect()
    frozen = gc.get_freeze_count()
    keeper = collector.Keeper(0.0)
    keeper.tend(collector.ALL_S)
    assert gc.get_freeze_count() == frozen
