"""Columns that grow by rows, and from which rows are let go."""

from __future__ import annotations

import numpy as np
import pytest

from capture.tracking.growing import ROOMY, Columns


def test_columns_grow_and_keep_what_they_hold() -> None:
    columns = Columns((("a", "i8", -1), ("b", "?", False)), 2)
    columns.grow(1)
    columns.a[:2], columns.b[1] = (5, 6), True
    columns.grow(5000)
    assert columns.a[:3].tolist() == [5, 6, -1]
    assert len(columns.a) >= 10_000
    columns.swap(0, 1)
    assert [tuple(row) for row in columns.take(np.array([0, 1, 2]))] == [
        (6, True), (5, False), (-1, False),
    ]  # fmt: skip
    with pytest.raises(AttributeError):
        _ = columns.unheard_of


def test_rows_that_stay_move_up_and_new_ones_are_new() -> None:
    columns = Columns((("a", "i8", -1), ("b", "u4", 0), ("c", "u4", 0)), 2)
    columns.grow(4)
    columns.a[:8], columns.b[:8] = np.arange(8), np.arange(10, 18)
    columns.keep(np.array([1, 3]))
    assert columns.a[:4].tolist() == [2, 3, 6, 7]
    assert columns.b[:4].tolist() == [12, 13, 16, 17]
    columns.grow(4)
    assert columns.a[:8].tolist() == [2, 3, 6, 7, -1, -1, -1, -1]
    assert columns.b[:8].tolist() == [12, 13, 16, 17, 0, 0, 0, 0]
    assert not columns.c[:8].any()


def test_room_is_given_back_when_most_rows_are_gone() -> None:
    columns = Columns((("a", "i8", -1), ("b", "u4", 0)), 1)
    columns.grow(100_000)
    columns.a[:] = np.arange(len(columns.a))
    columns.keep(np.arange(50_000))
    assert len(columns.a) >= 100_000
    columns.keep(np.arange(9_999))
    assert len(columns.a) < 100_000 // ROOMY
    columns.grow(10_001)
    assert columns.a[9_998:10_001].tolist() == [9_998, -1, -1]
