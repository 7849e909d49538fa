"""A plot in a terminal: values over time, their axes, and a cursor that reads them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray
from rich.cells import cell_len
from textual.binding import Binding, BindingType
from textual.message import Message

from capture.units import duration
from widgets.cells import fit
from widgets.glyphs import UNICODE, Glyphs
from widgets.line_list import LineList
from widgets.plot_canvas import Canvas, ticks

__all__ = ["Layer", "Plot", "PlotView"]

Floats = NDArray[np.float64]

AXIS: Final = 11
"""Cells of the values at the left."""
ROOM: Final = 1.04
"""How much higher than the highest value the plot goes."""
_ZOOM: Final = 2.0


@dataclass(frozen=True, slots=True)
class Layer:
    """One kind of values."""

    name: str
    x: Floats
    y: Floats
    part: str
    """Part of a ``LineList`` that it is drawn as."""
    sign: str
    """What stands for it in ASCII and in the legend."""
    line: bool = False
    held: bool = True
    """Of a line: a value holds until the next."""
    signed: bool = False
    """Of points: drawn as the sign itself."""


@dataclass(frozen=True, slots=True)
class Plot:
    """What is plotted."""

    layers: tuple[Layer, ...]
    """The last ones are drawn on top."""
    span: float
    """Seconds that the x axis covers."""
    unit: Callable[[float], str]
    """A value of the y axis in words, with its unit."""
    from_zero: bool = True
    """The y axis begins at 0 even where a part is shown large."""


class PlotView(LineList):
    """Draws a plot; left and right move the cursor, plus and minus zoom around it."""

    DEFAULT_CSS = """
    PlotView { height: 1fr; overflow-y: hidden; scrollbar-gutter: auto; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "across(-1)", "Cursor left", show=False, id="plot.left"),
        Binding("right,l", "across(1)", "Cursor right", show=False, id="plot.right"),
        Binding("shift+left,H", "across(-10)", "Far left", show=False, id="plot.far-left"),
        Binding("shift+right,L", "across(10)", "Far right", show=False, id="plot.far-right"),
        Binding("home,g", "edge(-1)", "To the start", show=False, id="plot.start"),
        Binding("end,G", "edge(1)", "To the end", show=False, id="plot.end"),
        Binding("plus,equals_sign", "zoom(1)", "Zoom", id="plot.zoom-in"),
        Binding("minus", "zoom(-1)", "Zoom out", show=False, id="plot.zoom-out"),
        Binding("0", "zoom(0)", "All of it", show=False, id="plot.zoom-off"),
        Binding("enter", "open", "Packet", id="plot.open"),
    ]

    class Opened(Message):
        """Enter: the packet at the cursor."""

        def __init__(self, view: PlotView, seconds: float) -> None:
            super().__init__()
            self.view = view
            self.seconds = seconds

        @property
        def control(self) -> PlotView:
            return self.view

    def __init__(
        self, *, glyphs: Glyphs = UNICODE, id: str | None = None, classes: str | None = None
    ) -> None:
        super().__init__(glyphs=glyphs, id=id, classes=classes)
        self._plot: Plot | None = None
        self._range: tuple[float, float] | None = None
        self._at = 0.0
        """Seconds at the cursor."""
        self._drawn: list[list[tuple[str, str]]] = []
        self._canvas: Canvas | None = None
        self._up = (0.0, 1.0)
        """Values at the bottom and the top."""
        self._version = 0

    def show(self, plot: Plot) -> None:
        """Take a plot; cursor and zoom stay where they are."""
        self._plot = plot
        if self._range is not None and self._range[0] >= plot.span:
            self._range = None
        self._at = min(self._at, plot.span)
        self._draw()

    @property
    def seconds(self) -> float:
        """Time under the cursor, since the flow's first packet."""
        return self._at

    # -- drawing ----------------------------------------------------------------------

    @property
    def _across(self) -> tuple[float, float]:
        """Seconds at both edges."""
        plot = self._plot
        full = (0.0, max(plot.span, 1e-6)) if plot is not None else (0.0, 1.0)
        return self._range or full

    def _draw(self) -> None:
        self._version += 1
        plot = self._plot
        columns = self.line_width - AXIS - 1
        lines = self.scrollable_content_region.height - 3
        values = self._visible()
        self._canvas = None
        if plot is not None and values.size and columns > 4 and lines > 1:
            self._up = self._up_range(plot, values)
            ascii_only = self.glyphs.done.isascii()
            canvas = Canvas(columns, lines, self._across, self._up, ascii_only=ascii_only)
            for layer in plot.layers:
                if layer.line:
                    canvas.line(layer.x, layer.y, layer.part, layer.sign, held=layer.held)
                else:
                    canvas.points(layer.x, layer.y, layer.part, layer.sign, signed=layer.signed)
            self._canvas, self._drawn = canvas, canvas.cells()
        self.rows_changed(at_once=True)
        self.clear_strips()

    def _up_range(self, plot: Plot, values: Floats) -> tuple[float, float]:
        low = 0.0 if plot.from_zero or self._range is None else float(values.min())
        span = max(float(values.max()) - low, 1e-9)
        return low, low + span * ROOM

    def _visible(self) -> Floats:
        """Every value between the edges."""
        if self._plot is None:
            return np.zeros(0)
        low, high = self._across
        parts = []
        for layer in self._plot.layers:
            inside = layer.y[(layer.x >= low) & (layer.x <= high)]
            if not len(inside) and layer.line and layer.held and len(layer.y):
                before = max(0, int(np.searchsorted(layer.x, low, side="right")) - 1)
                inside = layer.y[before : before + 1]
            parts.append(inside)
        return np.concatenate(parts) if parts else np.zeros(0)

    def resized(self) -> None:
        self._draw()

    def row_count(self) -> int:
        return len(self._drawn) + 3 if self._canvas is not None else 0

    def cursor_shown(self, row: int) -> bool:
        return False

    def row_key(self, row: int) -> tuple[object, ...]:
        return (self._version, row, self._at)

    def row_segments(self, row: int, width: int, selected: bool) -> list[tuple[str, str]]:
        canvas = self._canvas
        if canvas is None or self._plot is None:
            return []
        if row == 0:
            return self._readout(width)
        lines = len(self._drawn)
        if row <= lines:
            return self._line(canvas, row - 1)
        return self._axis(canvas) if row == lines + 1 else self._times(canvas)

    def _line(self, canvas: Canvas, line: int) -> list[tuple[str, str]]:
        label = self._labels(canvas).get(line, "")
        found = [(f"{label:>{AXIS}}", "dim"), (self.glyphs.lane, "dim")]
        here = canvas.column_of(self._at)
        for column, (sign, part) in enumerate(self._drawn[line]):
            if column == here and sign == " ":
                found.append((self.glyphs.gap, "accent"))
            else:
                found.append((sign, "overlay" if column == here else part))
        return found

    def _labels(self, canvas: Canvas) -> dict[int, str]:
        """Which line has which value beside it."""
        assert self._plot is not None
        labels = {}
        low, high = self._up
        for value in ticks(low, high, max(2, canvas.lines // 4)):
            line = canvas.lines - 1 - int((value - low) / (high - low) * canvas.lines)
            if 0 <= line < canvas.lines:
                labels[line] = self.clean(self._plot.unit(value))[:AXIS]
        return labels

    def _marks(self, canvas: Canvas) -> list[tuple[int, str]]:
        """Columns of the times written under the plot."""
        low, high = self._across
        found: list[tuple[int, str]] = []
        values = ticks(low, high, max(2, canvas.columns // 14))
        step = values[1] - values[0] if len(values) > 1 else high - low
        for value in values:
            column, text = canvas.column_of(value), self.clean(_time(value, step, high))
            if column + len(text) <= canvas.columns:
                found.append((column, text))
        return found

    def _axis(self, canvas: Canvas) -> list[tuple[str, str]]:
        marks = {column for column, _ in self._marks(canvas)}
        signs = ("+" if column in marks else self.glyphs.solid for column in range(canvas.columns))
        return [(" " * AXIS + "+" + "".join(signs), "dim")]

    def _times(self, canvas: Canvas) -> list[tuple[str, str]]:
        line = ""
        for column, text in self._marks(canvas):
            if column >= cell_len(line) + (1 if line else 0):
                line += " " * (column - cell_len(line)) + text
        return [(" " * (AXIS + 1) + line, "dim")]

    def _readout(self, width: int) -> list[tuple[str, str]]:
        """What the cursor reads: the time, and each layer's value there."""
        assert self._plot is not None
        found = [(f"{self.glyphs.cursor} {self.clean(_exact(self._at))}", "strong")]
        for layer in self._plot.layers:
            value = self._value(layer)
            found.append((f"  {self.clean(layer.sign)} ", layer.part or "dim"))
            text = "-" if value is None else self.clean(self._plot.unit(value))
            found.append((f"{self.clean(layer.name)} {text}", layer.part))
        room, shown = width, []
        for text, part in found:
            if cell_len(text) > room:
                shown.append((fit(text, room, self.glyphs.ellipsis), part))
                break
            shown.append((text, part))
            room -= cell_len(text)
        return shown

    def _value(self, layer: Layer) -> float | None:
        """A layer's value at the cursor: the one that holds there, or of the nearest point
        within the cell."""
        if not len(layer.x) or self._canvas is None:
            return None
        if layer.line:
            if self._at < layer.x[0] and layer.held:
                return None
            if not layer.held:
                return float(np.interp(self._at, layer.x, layer.y))
            return float(layer.y[int(np.searchsorted(layer.x, self._at, side="right")) - 1])
        low, high = self._across
        half = (high - low) / self._canvas.columns / 2
        first = int(np.searchsorted(layer.x, self._at - half))
        last = int(np.searchsorted(layer.x, self._at + half, side="right"))
        return float(layer.y[last - 1]) if last > first else None

    # -- keys -------------------------------------------------------------------------

    def action_across(self, cells: int) -> None:
        """Move the cursor; beyond an edge the plot moves along."""
        if self._canvas is None:
            return
        low, high = self._across
        step = (high - low) / self._canvas.columns
        column = self._canvas.column_of(self._at) + cells
        self._at = max(0.0, min(self._span, low + (column + 0.5) * step))
        if not low <= self._at <= high:
            self._shift(self._at)
        self.clear_strips()

    @property
    def _span(self) -> float:
        return self._plot.span if self._plot is not None else 0.0

    def action_edge(self, side: int) -> None:
        self._at = 0.0 if side < 0 else self._span
        self._shift(self._at)

    def action_zoom(self, direction: int) -> None:
        low, high = self._across
        width = (high - low) / _ZOOM if direction > 0 else (high - low) * _ZOOM
        if not direction or width >= self._span:
            self._range = None
        elif width > 1e-6:
            self._range = (0.0, width)
            self._shift(self._at)
        self._draw()

    def _shift(self, middle: float) -> None:
        """Bring a time to the middle of what is shown, at this zoom."""
        if self._range is not None:
            width = self._range[1] - self._range[0]
            low = max(0.0, min(middle - width / 2, self._span - width))
            self._range = (low, low + width)
        self._draw()

    def action_open(self) -> None:
        if self._canvas is not None:
            self.post_message(self.Opened(self, self._at))

    def row_clicked(self, row: int, x: int, *, double: bool) -> None:
        if self._canvas is not None and x > AXIS:
            self._at = min(self._span, self._canvas.value_at(x - AXIS - 1))
            self.clear_strips()
            if double:
                self.action_open()


def _time(seconds: float, step: float, high: float) -> str:
    """A tick of the time axis: ``0.25 s``, ``40 ms``; as fine as the step needs."""
    scale, unit = (1e3, "ms") if high < 1 else (1.0, "s")
    digits = max(0, -int(np.floor(np.log10(step * scale) + 1e-9)))
    return f"{seconds * scale:.{digits}f} {unit}"


def _exact(seconds: float) -> str:
    return f"{seconds:.6f} s" if seconds < 10 else f"{seconds:.3f} s ({duration(seconds)})"
