"""What a capture keeps is no work for the garbage collector."""

from __future__ import annotations

import gc
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
    before = gc.get_threshold()
    collector.work_rarely()
    assert gc.get_threshold()[0] > before[0]
    assert gc.get_threshold()[1:] == before[1:]


def test_what_is_set_aside_is_not_walked_until_it_is_taken_back() -> None:
    kept: list[object] = [[]]
    collector.set_aside()
    assert not any(found is kept for found in gc.get_objects())
    collector.take_back()
    assert any(found is kept for found in gc.get_objects())
