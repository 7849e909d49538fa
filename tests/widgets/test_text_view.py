from __future__ import annotations

from tests.widgets.screen import staged
from widgets.text_view import Line, TextView

LINES: list[Line] = [
    [("Find", "strong")],
    *[
        [("  ", ""), (f"{number:>3}", "key"), ("  does it", ""), ("  well", "dim")]
        for number in range(40)
    ],
]  # fmt: skip


async def test_only_what_shows_is_drawn() -> None:
    drawn: set[int] = set()

    class Noting(TextView):
        def row_segments(self, row: int, width: int, selected: bool) -> Line:
            drawn.add(row)
            assert not selected
            return LINES[row]

    async with staged(Noting(), 40, 10) as stage:
        stage.widget.show(LINES)
        lines = stage.lines()
        assert lines[:2] == ["Find", "    0  does it  well"]
        assert max(drawn) < 10


async def test_keys_scroll_and_stop_at_the_ends() -> None:
    async with staged(TextView(), 40, 10) as stage:
        stage.widget.show(LINES)
        stage.widget.focus()
        for keys, top in (
            (["k"], "Find"),
            (["j", "down"], "    1"),
            (["up", "pageup"], "Find"),
            (["pagedown"], "    9"),
            (["G", "j"], "   30"),
            (["home"], "Find"),
            (["enter"], "Find"),
        ):
            await stage.pilot.press(*keys)
            assert stage.lines()[0].startswith(top)


async def test_fewer_lines_take_the_place_of_many() -> None:
    async with staged(TextView(), 40, 10) as stage:
        stage.widget.show(LINES)
        stage.widget.action_last()
        await stage.settle()
        stage.widget.show(LINES[:3])
        await stage.settle()
        assert [line for line in stage.lines() if line] == [
            "Find", "    0  does it  well", "    1  does it  well",
        ]  # fmt: skip
