"""A tunnel over time: sequence, throughput, round trips and window as plots."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Final

import numpy as np
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widget import Widget
from textual.widgets import Static

from capture.facts import CLIENT, PROXY, SENDERS
from capture.packets.index import PacketView
from capture.protocols.text import printable
from capture.report.model import FlowReport
from capture.timeline.series import Points, round_trips, sequence, throughput, window
from capture.units import duration, size
from tui.footline import Footline
from tui.screens.base import PaneScreen
from widgets.glyphs import Glyphs
from widgets.plot import Layer, Plot, PlotView

__all__ = ["PlotScreen"]

BINS: Final = 120
"""Stretches of time that throughput is averaged over."""

_KINDS: Final = ("sequence", "throughput", "round trip", "window")


class PlotScreen(PaneScreen):
    """One plot at a time, of one direction."""

    AUTO_FOCUS = "#plot"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("v", "next(1)", "Next plot", id="plots.next"),
        Binding("V", "next(-1)", "Previous plot", show=False, id="plots.previous"),
        Binding("1", "plot(0)", "Sequence", show=False, id="plots.sequence"),
        Binding("2", "plot(1)", "Throughput", show=False, id="plots.throughput"),
        Binding("3", "plot(2)", "Round trip", show=False, id="plots.round-trip"),
        Binding("4", "plot(3)", "Window", show=False, id="plots.window"),
        Binding("c", "side", "Other direction", id="plots.side"),
        Binding("escape,q", "back", "Back", id="plots.back"),
    ]

    def __init__(
        self,
        view: PacketView,
        flow: FlowReport,
        *,
        glyphs: Glyphs,
        open_packet: Callable[[int], None],
    ) -> None:
        """Prepare the screen.

        Args:
            view: The packet index.
            flow: The tunnel.
            glyphs: Signs to draw with.
            open_packet: Shows a packet (1-based number) in full.
        """
        super().__init__()
        self._view = view
        self._flow = flow
        self._glyphs = glyphs
        self._open_packet = open_packet
        self._rows = view.of_flow(flow.uid)
        self._side = PROXY if flow.bytes_to_client >= flow.bytes_to_proxy else CLIENT
        self._kind = 0
        self._title = Static(id="title", markup=False)
        self._plot = PlotView(glyphs=glyphs, id="plot", classes="closer")
        self._footline = Footline(ascii_only=glyphs.done.isascii(), id="footline")

    def compose(self) -> ComposeResult:
        yield self._title
        yield self._plot
        yield self._footline

    def on_mount(self) -> None:
        self._show()

    def panes(self) -> list[tuple[str, Widget]]:
        return [("Plot", self._plot)]

    def _show(self) -> None:
        who, other = SENDERS[self._side], SENDERS[1 - self._side]
        sign = self._glyphs.separator
        words = {
            "sequence": f"bytes sent by the {who} over time",
            "throughput": f"payload sent by the {who}",
            "round trip": f"from a segment of the {who} to its ACK",
            "window": f"receive window of the {other}",
        }
        kind = _KINDS[self._kind]
        parts = (f"Plots of {self._flow.id}", self._flow.target or self._flow.proxy, words[kind])
        self._title.update(f" {sign} ".join(printable(part, 300) for part in parts))
        self._plot.border_title = f"{kind.capitalize()}  {self._kind + 1}/{len(_KINDS)}"
        self._plot.empty_text = f"No packet to plot: {words[kind]}"
        self._plot.show(self._make(kind))

    def _make(self, kind: str) -> Plot:
        view, rows, side = self._view, self._rows, self._side
        span = self._span()
        if kind == "sequence":
            lines = sequence(view, rows, side)
            layers = (
                _layer("acknowledged", lines.acked, "dim", ".", line=True),
                _layer("sent", lines.sent, "done", "*"),
                _layer("out of order", lines.late, "warning", "o", signed=True),
                _layer("sent again", lines.resent, "failed", "x", signed=True),
            )
            return Plot(layers, span, _bytes, from_zero=False)
        if kind == "throughput":
            rates = throughput(view, rows, side, BINS)
            return Plot((_layer("payload", rates, "done", "*", line=True),), span, _rate)
        if kind == "round trip":
            return Plot(
                (_layer("round trip", round_trips(view, rows, side), "done", "*"),), span, duration
            )
        values = window(view, rows, side)
        return Plot((_layer("window", values, "done", "*", line=True),), span, _bytes)

    def _span(self) -> float:
        if not len(self._rows):
            return 1e-6
        times = self._view.rows["time_ns"][self._rows]
        return max(float(times.max() - times[0]) / 1e9, 1e-6)

    def action_next(self, step: int) -> None:
        self.action_plot((self._kind + step) % len(_KINDS))

    def action_plot(self, kind: int) -> None:
        self._kind = kind
        self._show()

    def action_side(self) -> None:
        self._side = 1 - self._side
        self._show()

    def on_plot_view_opened(self, message: PlotView.Opened) -> None:
        """Show the packet of the flow that is nearest to the cursor."""
        message.stop()
        if not len(self._rows):
            return
        times = self._view.rows["time_ns"][self._rows]
        wanted = int(times[0]) + round(message.seconds * 1e9)
        row = int(self._rows[int(np.argmin(np.abs(times - wanted)))])
        self._open_packet(self._view.number(row))

    def action_back(self) -> None:
        self.dismiss(None)


def _layer(
    name: str, points: Points, part: str, sign: str, *, line: bool = False, signed: bool = False
) -> Layer:
    return Layer(name, points.x, points.y, part, sign, line=line, signed=signed)


def _bytes(value: float) -> str:
    return size(round(value))


def _rate(value: float) -> str:
    return size(round(value)).removesuffix("B") + "bit/s"
