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


def test_values_of_another_type_differ() -> None:
    @record
    class Size:
        x: int
        y: int = 0

    assert Point(1) != Size(1)  # type: ignore[comparison-overlap]
    assert Point(1) != (1, 0)  # type: ignore[comparison-overlap]
    assert len({Point(1), Size(1)}) == 2


def test_a_field_alone_is_enough() -> None:
    @record
    class One:
        names: tuple[str, ...]

    assert One(("a",)) == One(("a",)) != One(("b",))
    assert hash(One(("a",))) == hash(One(("a",)))


def test_values_say_what_they_are() -> None:
    assert repr(Point(1, y=2)) == "Point(x=1, y=2)"
