from __future__ import annotations

import pytest

from capture.comparing.compare import CompareRow, Comparison, Gravity
from tests.widgets.screen import HOSTILE, staged, steers
from widgets.compare_view import CompareView
from widgets.glyphs import ASCII, UNICODE, Glyphs

ROWS = (
    CompareRow("SYN", "SYN", "ok", "ok"),
    CompareRow("SYN", "MSS", "1460", "1300", Gravity.NOTABLE),
    CompareRow("reply", "reply", "ok after 3 ms", "failed", Gravity.GRAVE),
    CompareRow("reply", "server", "-", "squid/5.7 " * 8, Gravity.MINOR),
    CompareRow("end", "lasted", "1 s", "2 s"),
)
TITLES = ("4  bad", "7  good")


@pytest.mark.parametrize("glyphs", [UNICODE, ASCII])
async def test_rows_under_their_steps_with_the_first_difference_marked(glyphs: Glyphs) -> None:
    async with staged(CompareView(glyphs=glyphs), 80, 20) as stage:
        stage.widget.show(Comparison(ROWS), TITLES)
        await stage.settle()
        lines = [line.split() for line in stage.lines()]
        assert lines[0] == ["4", "bad", "7", "good"]
        assert lines[1] == ["SYN"]
        assert lines[2] == ["SYN", "ok", "ok"]
        assert lines[3] == [f"{glyphs.cursor}{glyphs.warning}", "MSS", "1460", "1300"]
        assert lines[5][0] == glyphs.failed
        assert stage.widget.selected is ROWS[1]
        assert stage.fits()


@pytest.mark.parametrize("width", [40, 80, 200])
async def test_long_values_are_broken(width: int) -> None:
    rows = [CompareRow("x", name, name, name, Gravity.MINOR) for name in HOSTILE]
    async with staged(CompareView(), width, 60) as stage:
        stage.widget.show(Comparison(tuple(rows)), ("a", HOSTILE[0]))
        await stage.settle()
        assert stage.fits()
        assert not steers(stage.lines())


async def test_names_are_whole() -> None:
    """Two that differ in their last word must not look the same; one sign for all their lines."""
    names = ("largest segment of the client", "largest segment of the proxy")
    rows = tuple(CompareRow("data", name, "1", "2", Gravity.NOTABLE) for name in names)
    async with staged(CompareView(glyphs=ASCII), 80, 20) as stage:
        stage.widget.show(Comparison(rows), TITLES)
        await stage.settle()
        lines = [line[3:22].strip() for line in stage.lines()]
        words = " ".join(lines)
        assert all(name in words for name in names)
        assert sum(line[:3].strip(">! ") != line[:3].strip() for line in stage.lines()) == 2


async def test_differences_only_and_from_one_to_the_next() -> None:
    async with staged(CompareView(), 80, 20) as stage:
        view = stage.widget
        view.show(Comparison(ROWS), TITLES)
        await stage.settle()
        assert view.next_difference(1)
        assert view.selected is ROWS[2]
        assert view.next_difference(1)
        assert view.selected is ROWS[3]
        assert not view.next_difference(1)
        view.only_differences = True
        assert view.selected is ROWS[3]
        text = "\n".join(stage.lines())
        assert "lasted" not in text
        assert "MSS" in text
        assert view.next_difference(-1)
        view.only_differences = False
        assert view.selected is ROWS[2]


async def test_nothing_to_compare() -> None:
    async with staged(CompareView(), 80, 10) as stage:
        stage.widget.empty_text = "There is no other tunnel"
        stage.widget.show(Comparison(()), ("", ""))
        await stage.press("down", "enter")
        assert "There is no other tunnel" in "\n".join(stage.lines())
        assert not stage.widget.next_difference(1)
        stage.widget.only_differences = True
        assert stage.widget.selected is None
