from __future__ import annotations

from tests.widgets.screen import staged
from widgets.column_list import ColumnList
from widgets.glyphs import ASCII


async def test_columns_are_chosen_one_by_one() -> None:
    async with staged(ColumnList([], "steps", False), 66, 22) as stage:
        columns = stage.widget
        assert stage.lines()[0].startswith("▸✓ #")
        await stage.press("space")
        assert columns.chosen == [], "the number is always there"
        await stage.press("j", "space", "j", "enter")
        assert columns.chosen == ["client", "proxy"]
        assert stage.lines()[1].startswith(" ✓ client")
        await stage.press("k", "space")
        assert columns.chosen == ["proxy"]
        await stage.press("d")
        assert columns.chosen == []
        assert stage.fits()
        assert [type(message) for message in stage.heard] == [ColumnList.Changed] * 4


async def test_the_order_is_chosen_too_the_largest_first_where_that_is_wanted() -> None:
    async with staged(ColumnList([], "steps", False), 66, 22) as stage:
        columns = stage.widget
        await stage.press("j", "s")
        assert (columns.sort, columns.reverse) == ("client", False)
        await stage.press("s")
        assert (columns.sort, columns.reverse) == ("client", True)
        while "bytes" not in stage.lines()[columns.cursor]:
            await stage.press("j")
        await stage.press("s")
        assert (columns.sort, columns.reverse) == ("bytes", True)
        assert "▾" in stage.lines()[columns.cursor]


async def test_ascii() -> None:
    async with staged(ColumnList(["bytes"], "rtt", True, glyphs=ASCII), 66, 22) as stage:
        assert all(line.isascii() for line in stage.full_lines())
