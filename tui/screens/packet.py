"""One packet in full: scapy's layers as a tree, the bytes in hex, in step."""

from __future__ import annotations

from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.widget import Widget
from textual.widgets import Static

from capture.packets.lines import Describer
from capture.snapshot import Snapshot
from capture.units import octets, time_of_day
from tui.engine_bridge import EngineBridge
from tui.footline import Footline
from tui.frame.shown_frame import ShownFrame, fetch_shown
from tui.screens.base import PaneScreen
from widgets.glyphs import Glyphs
from widgets.packet_detail import HexView, LayerField, LayerTree

__all__ = ["PacketScreen"]

COPIED_BYTES: Final = 20_000
"""Bytes copied at most: terminals refuse OSC 52 sequences beyond some 75 kB."""


class PacketScreen(PaneScreen):
    """The packet, and its neighbours one key away."""

    # Textual declares it as an instance variable, though it reads it of the class.
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (140, "-wide")]  # noqa: RUF012
    AUTO_FOCUS = "#layers"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right_square_bracket,J", "packet(1)", "Next packet", id="packet.next"),
        Binding("left_square_bracket,K", "packet(-1)", "Previous packet", id="packet.previous"),
        Binding("tab,shift+tab", "other_pane", "Other pane", show=False, id="packet.other-pane"),
        Binding("a", "every", "Of all / of the tunnel", show=False, id="packet.every",
                tooltip="Whose packets the next and the previous one are"),
        Binding("y", "copy", "Copy value", id="packet.copy"),
        Binding("x", "copy_bytes", "Copy bytes", show=False, id="packet.copy-bytes",
                tooltip="The bytes of the field in hex, secrets covered"),
        Binding("Y", "copy_summary", "Copy summary", show=False, id="packet.copy-summary"),
        Binding("escape,q", "back", "Back", id="packet.back"),
    ]  # fmt: skip

    def __init__(
        self,
        bridge: EngineBridge,
        snapshot: Snapshot,
        number: int,
        *,
        rows: NDArray[np.int64] | None,
        describer: Describer,
        glyphs: Glyphs,
    ) -> None:
        """Prepare the screen.

        Args:
            bridge: Fetches frames.
            snapshot: The packet index and the facts.
            number: Packet to begin with.
            rows: Rows of the index to go through, ascending; None for all.
            describer: Describes a packet in a line.
            glyphs: Signs to draw with.
        """
        super().__init__()
        self._bridge = bridge
        self._snapshot = snapshot
        self._number = number
        self._rows = rows
        self._data = b""
        """Bytes shown, secrets covered."""
        self._describer = describer
        self._glyphs = glyphs
        self._title = Static(id="title", markup=False)
        self._layers = LayerTree(glyphs=glyphs, id="layers")
        self._hex = HexView(glyphs=glyphs, id="hex")
        self._footline = Footline(ascii_only=glyphs.done.isascii(), id="footline")

    def compose(self) -> ComposeResult:
        yield self._title
        with Container(id="parts"):
            yield self._layers
            yield self._hex
        yield self._footline

    def on_mount(self) -> None:
        self._layers.border_title = "Layers"
        self._layers.empty_text = "The layers come in a moment."
        self._show()

    def panes(self) -> list[tuple[str, Widget]]:
        return [("Layers", self._layers), ("Bytes", self._hex)]

    # The packet

    def _show(self) -> None:
        view = self._snapshot.packets
        row = view.row_from(self._number)
        text = self._describer(row)
        facts = self._snapshot.facts.get(int(view.rows["flow"][row]))
        sign = self._glyphs.separator
        self._title.update(f"Packet {self._number} {sign} {text.proto} {text.info}")
        try:
            frame = fetch_shown(self._bridge, view, self._number, facts)
        except LookupError as error:
            self._data = b""
            self._hex.show(b"")
            self._hex.border_title = "Bytes"
            self._layers.show(())
            self._layers.empty_text = "The bytes of this packet cannot be had."
            self.tell(str(error.args[0]), error=True, stay=True)
            return
        self._data = frame.data
        self._hex.show(frame.data)
        self._hex.border_title = "Bytes, secrets covered" if frame.masked else "Bytes"
        # Bytes first: scapy takes a moment to load when it is first needed.
        self.call_after_refresh(self._dissect, frame)

    def _dissect(self, frame: ShownFrame) -> None:
        if frame.number != self._number:
            return
        from tui.frame.dissect import dissect

        try:
            layers = dissect(frame.data, frame.linktype)
        except ValueError as error:
            layers = ()
            self.tell(str(error), error=True, stay=True)
        self._layers.show((self._frame_layer(frame), *layers))

    def _frame_layer(self, frame: ShownFrame) -> LayerField:
        """What the capture itself knows of the packet."""
        captured = len(frame.data)
        cut = "" if captured >= frame.wirelen else f", {captured} captured"
        fields = [
            LayerField("number", str(frame.number), -1, -1),
            LayerField("on the wire", f"{frame.wirelen} bytes", -1, -1),
            LayerField("captured", f"{captured} bytes", -1, -1),
        ]
        if frame.time_ns > 0:
            fields.insert(1, LayerField("time", f"{time_of_day(frame.time_ns)} UTC", -1, -1))
        return LayerField("Frame", f"{frame.wirelen} bytes{cut}", 0, captured, tuple(fields))

    # In step

    def on_layer_tree_highlighted(self, message: LayerTree.Highlighted) -> None:
        message.stop()
        start, end = message.field.start, message.field.end
        whole = end - start >= len(self._data)  # all of it marked is nothing marked
        self._hex.highlight(*((-1, -1) if whole else (start, end)))

    def on_hex_view_byte_selected(self, message: HexView.ByteSelected) -> None:
        message.stop()
        self._layers.select_at(message.offset)

    # Actions

    def action_packet(self, step: int) -> None:
        number = self._neighbour(step)
        if number is None:
            self.tell("no further packet" if step > 0 else "this is the first packet")
            return
        self._number = number
        self._footline.clear()
        self._show()

    def _neighbour(self, step: int) -> int | None:
        """The packet after or before this one among those of the list."""
        view, rows = self._snapshot.packets, self._rows
        at = view.row_from(self._number)
        if rows is None:
            return view.number(at + step) if 0 <= at + step < len(view) else None
        place = int(np.searchsorted(rows, at)) + step
        return view.number(int(rows[place])) if 0 <= place < len(rows) else None

    def action_other_pane(self) -> None:
        (self._hex if self._layers.has_focus else self._layers).focus()

    def action_every(self) -> None:
        """Go through all packets from here on, or through those of the packet's tunnel."""
        view = self._snapshot.packets
        flow = int(view.rows["flow"][view.row_from(self._number)])
        if self._rows is not None:
            self._rows = None
            self.tell("next and previous: of all packets")
        elif flow:
            self._rows = self._snapshot.packets.of_flow(flow)
            self.tell("next and previous: of this packet's tunnel")
        else:
            self.tell("this packet belongs to no TCP connection")

    def action_copy(self) -> None:
        field = self._layers.selected
        if field is not None and field.value:
            self._copy(field.value)
        else:
            self.tell("there is no value to copy")

    def action_copy_bytes(self) -> None:
        """Copy the field's bytes; of what has none of its own, the whole packet's."""
        field = self._layers.selected
        part = self._data[field.start : field.end] if field and field.start >= 0 else b""
        data = part or self._data
        if not data:
            self.tell("there is nothing to copy")
            return
        self.app.copy_to_clipboard(data[:COPIED_BYTES].hex(" "))
        cut = "" if len(data) <= COPIED_BYTES else f", the first of {len(data):,}"
        self.tell(f"copied: {octets(min(len(data), COPIED_BYTES))}{cut}")

    def action_copy_summary(self) -> None:
        view = self._snapshot.packets
        at = view.row_from(self._number)
        text = self._describer(at)
        time_ns = int(view.rows["time_ns"][at])
        when = f"{time_of_day(time_ns)} " if time_ns > 0 else ""
        self._copy(f"#{self._number} {when}{text.proto} {text.info}")

    def _copy(self, text: str) -> None:
        if not text:
            self.tell("there is nothing to copy")
            return
        text = self._layers.clean(text)
        self.app.copy_to_clipboard(text)
        self.tell(f"copied: {text}")

    def action_back(self) -> None:
        self.dismiss(None)

    @property
    def number(self) -> int:
        """The packet that is shown."""
        return self._number
