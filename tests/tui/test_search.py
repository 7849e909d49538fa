from __future__ import annotations

import pytest

from tui.search import PacketSearch, next_in


def rows_with(*rows: int) -> PacketSearch:
    return PacketSearch("403", lambda row: "HTTP 403 Forbidden" if row in rows else "TCP ACK")


def test_finds_every_hit_in_order_wherever_it_starts() -> None:
    for near in (0, 3, 500, 999, 5000):
        search = rows_with(2, 64, 500, 999)
        search.extend(1000, near=near)
        while not search.finished:
            search.run(0)
        assert search.hits == [2, 64, 500, 999]
        assert search.progress == 1


def test_begins_near_the_cursor() -> None:
    search = rows_with(2, 700)
    search.extend(1000, near=690)
    assert search.run(0)
    assert search.hits == [700]
    assert not search.finished


def test_later_rows_are_searched_too_and_none_twice() -> None:
    looked: list[int] = []

    def text_of(row: int) -> str:
        looked.append(row)
        return "x"

    search = PacketSearch("x", text_of)
    search.extend(10, near=5)
    search.run(1)
    search.extend(10)
    assert search.finished
    search.extend(25, near=3)
    search.run(1)
    assert sorted(looked) == list(range(25))
    assert search.hits == list(range(25))


def test_a_slice_of_no_time_still_gets_on() -> None:
    search = rows_with()
    search.extend(10_000)
    search.run(0)
    assert 0 < search.progress < 0.5


def test_nothing_to_search_is_finished() -> None:
    search = rows_with()
    assert search.finished
    assert not search.run(1)


@pytest.mark.parametrize(
    ("place", "step", "expected"),
    [(0, 1, 3), (3, 1, 7), (7, 1, 3), (8, 1, 3), (8, -1, 7), (7, -1, 3), (3, -1, 7), (0, -1, 7)],
)
def test_next_hit_goes_round(place: int, step: int, expected: int) -> None:
    assert next_in([3, 7], place, step) == expected
    assert next_in([], place, step) is None
