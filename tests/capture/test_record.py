"""Cheap values: what a frozen dataclass is, save for the price."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from capture.record import record


@record
class Point:
    x: int
    y: int = 0


def test_values_compare_hash_and_copy() -> None:
    assert Point(1) == Point(1, 0) != Point(2)
    assert len({Point(1), Point(1, 0), Point(2)}) == 2
    assert replace(Point(1), y=5) == Point(1, 5)
    assert [field.name for field in fields(Point)] == ["x", "y"]


def test_slots_only() -> None:
    with pytest.raises(AttributeError):
        Point(1).z = 3  # type: ignore[attr-defined]
