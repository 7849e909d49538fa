from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.widgets.screen import staged
from widgets.glyphs import ASCII, UNICODE, Glyphs
from widgets.plot import AXIS, Layer, Plot, PlotView
from widgets.plot_canvas import Canvas, ticks


def text(canvas: Canvas) -> list[str]:
    return ["".join(sign for sign, _ in line) for line in canvas.cells()]


def array(*values: float) -> np.ndarray:
    return np.array(values, np.float64)


def test_points_are_dots_of_braille() -> None:
    canvas = Canvas(2, 1, (0, 4), (0, 4))
    canvas.points(array(0, 1, 2, 3), array(0, 1, 2, 3), "done")
    assert text(canvas) == ["⡠⠊"]
    assert canvas.cells()[0][0][1] == "done"


def test_points_are_signs_in_ascii_and_later_layers_lie_on_top() -> None:
    canvas = Canvas(4, 2, (0, 4), (0, 2), ascii_only=True)
    canvas.points(array(0, 1), array(0, 0), "done", "*")
    canvas.points(array(1, 2), array(0, 1), "failed", "x")
    assert text(canvas) == ["  x ", "*x  "]


def test_signed_points_are_told_apart_without_colour() -> None:
    canvas = Canvas(2, 1, (0, 2), (0, 1))
    canvas.points(array(0.5), array(0.5), "failed", "x", signed=True)
    assert text(canvas) == ["x "]


def test_a_line_holds_its_value_until_the_next() -> None:
    canvas = Canvas(4, 3, (0, 4), (0, 3), ascii_only=True)
    canvas.line(array(0, 3), array(0.5, 2.5), "done", ".")
    assert text(canvas) == ["   .", "   .", "...."]


def test_a_line_may_join_its_values() -> None:
    canvas = Canvas(4, 4, (0, 4), (0, 4), ascii_only=True)
    canvas.line(array(0, 4), array(0, 4), "done", ".", held=False)
    assert [line.index(".") for line in text(canvas)] == [2, 1, 0, 0]
    assert [line.rindex(".") for line in text(canvas)] == [3, 2, 1, 0]


def test_a_line_between_dots_of_a_column_covers_all_of_them() -> None:
    canvas = Canvas(1, 5, (0, 1), (0, 5), ascii_only=True)
    canvas.line(array(0.1, 0.2, 0.3), array(0.5, 4.5, 2.5), "done", "#")
    assert text(canvas) == ["#"] * 5


@given(
    st.integers(1, 12),
    st.integers(1, 6),
    st.lists(st.tuples(st.floats(-1e9, 1e9), st.floats(-1e12, 1e12)), max_size=30),
    st.booleans(),
)
def test_whatever_is_drawn_stays_on_the_canvas(
    columns: int, lines: int, values: list[tuple[float, float]], ascii_only: bool
) -> None:
    values.sort()
    x = array(*(value for value, _ in values))
    y = array(*(value for _, value in values))
    canvas = Canvas(columns, lines, (-5.0, 10.0), (0.0, 7.0), ascii_only=ascii_only)
    canvas.points(x, y, "done")
    canvas.line(x, y, "dim")
    canvas.line(x, y, "dim", held=False)
    drawn = text(canvas)
    assert [len(line) for line in drawn] == [columns] * lines


@pytest.mark.parametrize(
    ("low", "high", "count", "expected"),
    [
        (0, 10, 5, [0, 2, 4, 6, 8, 10]),
        (0, 1, 3, [0, 0.5, 1]),
        (3, 4.4, 3, [3, 3.5, 4]),
        (0, 0, 3, []),
        (0, float("inf"), 3, []),
    ],
)
def test_ticks_are_round(low: float, high: float, count: int, expected: list[float]) -> None:
    assert ticks(low, high, count) == pytest.approx(expected)


def plot(**changes: object) -> Plot:
    layers = (
        Layer("acked", array(0, 0.5, 1), array(0, 400, 1000), "dim", ".", line=True),
        Layer("sent", array(0.25, 0.75), array(500, 1000), "done", "*"),
    )
    settings = {"layers": layers, "span": 1.0, "unit": lambda value: f"{value:.0f} B", **changes}
    return Plot(**settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("glyphs", [UNICODE, ASCII])
@pytest.mark.parametrize("size", [(80, 20), (30, 8), (200, 40)])
async def test_axes_and_readout(size: tuple[int, int], glyphs: Glyphs) -> None:
    async with staged(PlotView(glyphs=glyphs), *size) as stage:
        stage.widget.show(plot())
        await stage.settle()
        lines = stage.lines()
        assert lines[0].startswith(f"{glyphs.cursor} 0.000000 s")
        assert any(line.startswith(f"{'0 B':>{AXIS}}") for line in lines)
        assert "0.0 s" in lines[-1]
        assert stage.fits()
        if glyphs is ASCII:
            assert "".join(lines).isascii()


async def test_the_cursor_reads_values() -> None:
    async with staged(PlotView(glyphs=ASCII), 110, 20) as stage:
        stage.widget.show(plot())
        await stage.press("end")
        assert stage.lines()[0] == "> 1.000000 s  . acked 1000 B  * sent -"
        await stage.press("home", *["shift+right"] * 2, *["right"] * 4)
        assert abs(stage.widget.seconds - 0.25) < 0.01
        assert stage.lines()[0].endswith(". acked 0 B  * sent 500 B")
        await stage.press("enter")
        (opened,) = [item for item in stage.heard if isinstance(item, PlotView.Opened)]
        assert opened.seconds == stage.widget.seconds


async def test_zoom_keeps_the_cursor_in_the_middle() -> None:
    async with staged(PlotView(glyphs=ASCII), 110, 20) as stage:
        stage.widget.show(plot(from_zero=False))
        await stage.press("end", "plus", "plus")
        low, high = stage.widget._range or (0, 0)
        assert (low, high) == (0.75, 1.0)
        await stage.press(*["shift+left"] * 10)
        low, high = stage.widget._range or (0, 0)
        assert low <= stage.widget.seconds <= high
        assert high - low == pytest.approx(0.25)
        await stage.press("0")
        assert stage.widget._range is None


async def test_nothing_to_plot_says_so() -> None:
    async with staged(PlotView(), 60, 10) as stage:
        stage.widget.empty_text = "No packet to plot"
        none = np.zeros(0)
        stage.widget.show(plot(layers=(Layer("sent", none, none, "done", "*"),)))
        await stage.press("left", "right", "plus", "enter", "home")
        assert "No packet to plot" in stage.lines()[0]
        assert not stage.heard


async def test_a_single_value_and_no_time_are_drawn() -> None:
    async with staged(PlotView(), 60, 10) as stage:
        stage.widget.show(plot(layers=(Layer("a", array(0), array(0), "done", "*"),), span=0.0))
        await stage.press("right", "plus", "end")
        assert stage.widget.row_count() == 10
