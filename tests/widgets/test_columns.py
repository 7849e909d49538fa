from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from widgets.columns import GAP, Column, place
from widgets.tunnel_columns import COLUMNS

SAMPLE = (
    Column("id", "#", 2, 3, 0, pinned=True),
    Column("extra", "extra", 5, 10, 2),
    Column("name", "name", 6, 20, 1, pinned=True),
)


@given(st.integers(0, 300), st.dictionaries(st.sampled_from([c.key for c in COLUMNS]),
                                            st.integers(0, 200)))  # fmt: skip
def test_never_wider_than_the_line_and_never_overlapping(
    width: int, content: dict[str, int]
) -> None:
    placed = place(COLUMNS, width, content)
    end = -GAP
    for item in placed:
        assert item.start == end + GAP
        assert item.width > 0
        end = item.start + item.width
    assert end <= width


def test_the_essence_comes_first() -> None:
    assert [(p.column.key, p.width) for p in place(SAMPLE, 10)] == [("id", 3), ("name", 6)]
    assert [(p.column.key, p.width) for p in place(SAMPLE, 24)] == [("id", 3), ("name", 20)]
    assert [p.column.key for p in place(SAMPLE, 30)] == ["id", "extra", "name"]


def test_known_content_takes_no_more_than_it_needs() -> None:
    placed = place(SAMPLE, 30, {"name": 8})
    assert {p.column.key: p.width for p in placed} == {"id": 3, "name": 8, "extra": 10}
