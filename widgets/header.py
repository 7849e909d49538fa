"""The first line of the screen: which capture, how far it is, how its tunnels fare."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Final, NamedTuple

from rich.cells import cell_len
from rich.style import Style
from textual.reactive import var
from textual.strip import Strip
from textual.widget import Widget

from capture.report.model import Report
from capture.snapshot import Capturing, Snapshot
from capture.units import count, plural, size
from widgets.cells import cut, joined, safe
from widgets.glyphs import UNICODE, Glyphs

_BAR_CELLS: Final = 12


class Part(NamedTuple):
    """A few words of the line."""

    text: str
    style: str
    """Component class without its prefix; empty for the line's own."""
    weight: int
    """The lightest part gives way first where the line is narrow."""


class CaptureHeader(Widget):
    """One line; what matters least is left out first where it gets narrow."""

    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "capture-header--name",
        "capture-header--source",
        "capture-header--dim",
        "capture-header--good",
        "capture-header--bad",
        "capture-header--alarm",
        "capture-header--bar",
    }
    DEFAULT_CSS = """
    CaptureHeader {
        height: 1;
        background: $panel;
        color: $foreground;
        & > .capture-header--name { text-style: bold; color: $text-primary; }
        & > .capture-header--source { text-style: bold; }
        & > .capture-header--dim { color: $text-muted; }
        & > .capture-header--good { color: $text-success; }
        & > .capture-header--bad { color: $text-error; text-style: bold; }
        & > .capture-header--alarm { color: $text-error; text-style: bold reverse; }
        & > .capture-header--bar { color: $text-accent; }
    }
    """

    title: var[str] = var("")
    """Name of the source, as the user called it; else the path's last part is shown."""

    def __init__(
        self,
        name: str = "tunnelscope",
        *,
        title: str = "",
        glyphs: Glyphs = UNICODE,
        id: str | None = None,
    ) -> None:
        super().__init__(id=id)
        self.program = name
        self.glyphs = glyphs
        self.set_reactive(CaptureHeader.title, title)
        self._snapshot: Snapshot | None = None
        self._paused: int | None = None
        self._report: Report | None = None
        self._failing = 0
        self._drawn: tuple[Part, ...] = ()

    def show(self, snapshot: Snapshot | None, *, paused: int | None = None) -> None:
        """Take a snapshot; repaints only if the line reads differently.

        Args:
            snapshot: The newest one, also while the panes are paused.
            paused: Packets that came since the panes were paused; None: they are not.
        """
        self._snapshot, self._paused = snapshot, paused
        report = snapshot.report if snapshot is not None else None
        if report is not self._report:
            self._report = report
            self._failing = report.failing if report is not None else 0
        parts = (*self._left(), *self._right())
        if parts != self._drawn:
            self._drawn = parts
            self.refresh()

    def watch_title(self) -> None:
        self.refresh()

    # The parts

    def _left(self) -> list[Part]:
        snapshot = self._snapshot
        parts = [Part(self.program, "name", 3)]
        path = snapshot.report.source.path if snapshot is not None else ""
        name = self.title or path.replace("\\", "/").rstrip("/").rpartition("/")[2] or path
        if name:
            parts.append(Part(self._clean("standard input" if name == "-" else name), "source", 9))
        return parts

    def _right(self) -> list[Part]:
        snapshot = self._snapshot
        if snapshot is None:
            return []
        if snapshot.error is not None:
            return [Part(self._clean(snapshot.error), "bad", 9)]
        source, flows = snapshot.report.source, len(snapshot.report.flows)
        parts: list[Part] = []
        if self._paused is not None:
            parts.append(Part(f"paused, +{plural(self._paused, 'packet')}", "alarm", 9))
        if snapshot.capturing is not None:
            measured = source.format == "live"
            state = self._live(snapshot.capturing, finished=snapshot.finished, measured=measured)
            parts.extend(state)
        elif not snapshot.finished:
            parts.append(Part(self._progress(snapshot), "bar", 6))
        if source.warnings:
            words = plural(len(source.warnings), "warning")
            parts.append(Part(f"{self.glyphs.warning} {words}", "bad", 4))
        parts.append(Part(plural(flows, "tunnel"), "", 5))
        parts.append(Part(f"{count(flows - self._failing)} ok", "good", 2))
        style = "bad" if self._failing else "dim"
        parts.append(Part(f"{count(self._failing)} failing", style, 8))
        parts.append(Part(plural(source.packets, "packet"), "dim", 1))
        known = [number for number in (source.lost_kernel, source.lost_queue) if number is not None]
        if known:
            lost = sum(known)
            parts.append(Part(f"{count(lost)} lost", *(("alarm", 7) if lost else ("dim", 0))))
        return parts

    def _live(self, capturing: Capturing, *, finished: bool, measured: bool) -> Iterator[Part]:
        """How the capture goes; of a pipe no rate is measured."""
        if finished:
            yield Part("capture ended", "bar", 6)
        elif measured:
            yield Part(f"{count(round(capturing.packets_per_s))}/s", "bar", 5)
        if capturing.file:
            name = capturing.file.rpartition("/")[2]
            yield Part(f"{self._clean(name)} {size(capturing.file_bytes)}", "dim", 3)
        if capturing.evicted_flows:
            yield Part(f"oldest {plural(capturing.evicted_flows, 'tunnel')} dropped", "bad", 4)
        elif capturing.evicted_packets:
            yield Part(f"oldest {plural(capturing.evicted_packets, 'packet')} dropped", "bad", 4)

    def _progress(self, snapshot: Snapshot) -> str:
        done, total = snapshot.bytes_done, snapshot.bytes_total
        if not total:
            return f"reading {size(done)}"
        if done >= total:
            return f"judging {self.glyphs.ellipsis}"  # of many tunnels, that takes a while, too
        share = min(1.0, done / total)
        cells = round(share * _BAR_CELLS)
        full, empty = self.glyphs.bar_full, self.glyphs.bar_empty
        return f"{full * cells}{empty * (_BAR_CELLS - cells)} {share:4.0%}"

    def _clean(self, text: str) -> str:
        return safe(text, self.glyphs.done != UNICODE.done)

    # Drawing

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        if y:
            return Strip.blank(width, self.rich_style)
        left, right = self._left(), self._right()
        room = width - 2
        while _cells(left) + _cells(right) + 2 > room and len(left) + len(right) > 2:
            lightest = min([*left, *right], key=lambda part: part.weight)
            left = [part for part in left if part is not lightest]
            right = [part for part in right if part is not lightest]
        left = self._cut(left, room - _cells(right) - 2 if right else room)
        right = self._cut(right, room - _cells(left) - (2 if left else 0))
        gap = " " * max(0, room - _cells(left) - _cells(right))
        plain = self.rich_style
        pieces = [(" ", plain), *self._pieces(left), (gap, plain), *self._pieces(right)]
        return Strip(joined(pieces)).adjust_cell_length(width, plain)

    def _cut(self, parts: list[Part], room: int) -> list[Part]:
        """The parts in at most ``room`` cells, the last one cut if need be."""
        kept: list[Part] = []
        for part in parts:
            free = room - _cells(kept) - (2 if kept else 0)
            text = cut(part.text, free, self.glyphs.ellipsis)
            if text:
                kept.append(part._replace(text=text))
        return kept

    def _pieces(self, parts: list[Part]) -> Iterator[tuple[str, Style]]:
        for place, part in enumerate(parts):
            if place:
                yield "  ", self.rich_style
            yield part.text, self._part_style(part.style)

    def _part_style(self, part: str) -> Style:
        if not part:
            return self.rich_style
        return self.get_component_rich_style(f"capture-header--{part}")


def _cells(parts: list[Part]) -> int:
    return sum(cell_len(part.text) for part in parts) + 2 * max(0, len(parts) - 1)
