"""Looking closer: the stream, TLS, plots, two tunnels side by side, the capture itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType

from capture.packets.index import EMPTY
from capture.units import plural
from tui.keys.bindings import CLOSER, key_for
from tui.screens.parts.base import MainPart

if TYPE_CHECKING:
    from capture.report.model import FlowReport
    from capture.snapshot import Snapshot


class CloserPart(MainPart):
    """Looking closer: the stream, TLS, plots, two tunnels side by side, the capture itself."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("r", "stream", "Follow stream", show=False, id="main.stream", group=CLOSER,
                tooltip="What both ends said, as text, bytes and sizes"),
        Binding("i", "tls", "TLS", show=False, id="main.tls", group=CLOSER,
                tooltip="The handshake in full: offers, choices, certificates"),
        Binding("v", "plots", "Plots", show=False, id="main.plots", group=CLOSER,
                tooltip="Sequence, throughput, round trips and window over time"),
        Binding("d", "compare", "Compare", id="main.compare", group=CLOSER,
                tooltip="Beside a marked tunnel, or the one that fits best"),
        Binding("I", "about", "About the capture", show=False, id="main.about", group=CLOSER,
                tooltip="Its warnings in full, its span, what fails and how often"),
    ]  # fmt: skip

    _warned: int = 0
    """Warnings about the capture that were told."""

    def took(self, snapshot: Snapshot) -> None:
        super().took(snapshot)
        self._tell_warnings(snapshot)
        # A second capture was named on the command line: compare once this one is read.
        other: str = getattr(self.app, "other", "")
        if other and snapshot.finished and snapshot.report.flows:
            self.app.other = ""  # type: ignore[attr-defined]
            self.call_after_refresh(self.compare_with, other)

    def _tell_warnings(self, snapshot: Snapshot) -> None:
        """Once, when there are new ones: the header has room for no more than their number."""
        warnings = snapshot.report.source.warnings
        known, self._warned = self._warned, max(self._warned, len(warnings))
        if len(warnings) > known:
            key = key_for("main.about", self, self.app)
            where = f" ({key} shows all)" if key else ""
            self.tell(f"{plural(len(warnings), 'warning')}{where}: {warnings[known].message}")

    def action_about(self) -> None:
        from capture.report.about import about
        from tui.screens.about import AboutScreen

        snapshot = self._snapshot
        if snapshot is None:
            self.tell("nothing was read yet")
            return
        title = getattr(self.app, "capture_title", "") or snapshot.report.source.path
        facts = about(snapshot, self._bridge.interfaces())
        self.app.push_screen(AboutScreen(title, facts, glyphs=self._glyphs))

    def _chosen(self) -> FlowReport | None:
        """The selected tunnel; says so when there is none."""
        flow = self._tunnels.selected
        if flow is None or self._snapshot is None:
            self.tell("no tunnel is selected")
            return None
        return flow

    def action_stream(self) -> None:
        from tui.screens.stream import StreamScreen

        flow = self._chosen()
        if flow is None or self._snapshot is None:
            return
        screen = StreamScreen(
            self._bridge,
            self._snapshot.packets,
            flow,
            glyphs=self._glyphs,
            open_packet=self.open_packet,
            newest=lambda: self._snapshot.packets if self._snapshot is not None else EMPTY,
        )
        self.app.push_screen(screen)

    def action_tls(self) -> None:
        from capture.stream.tls_detail import read_tls
        from tui.screens.tls import TlsScreen

        flow, snapshot = self._chosen(), self._snapshot
        if flow is None or snapshot is None:
            return
        view = snapshot.packets
        detail = read_tls(view, view.of_flow(flow.uid), self._fetch, self._bridge.keys())

        def open_row(row: int) -> None:
            self.open_packet(view.number(row))

        self.app.push_screen(TlsScreen(flow, detail, glyphs=self._glyphs, open_row=open_row))

    def action_plots(self) -> None:
        from tui.screens.plots import PlotScreen

        flow, snapshot = self._chosen(), self._snapshot
        if flow is None or snapshot is None:
            return
        screen = PlotScreen(
            snapshot.packets, flow, glyphs=self._glyphs, open_packet=self.open_packet
        )
        self.app.push_screen(screen)

    def action_compare(self) -> None:
        self.compare_with("")

    def compare_with(self, path: str) -> None:
        """Compare the selected tunnel: with one of another capture file, or (no path) with
        the marked one of this capture, else with the one that fits best. Where two others are
        marked, these are compared."""
        from tui.screens.compare import Capture, CompareScreen

        flow, snapshot = self._chosen(), self._snapshot
        if flow is None or snapshot is None:
            return
        marked = self._marked_flows()
        if len(marked) > 1 and flow not in marked and not path:
            flow, *marked = marked
        partner = next((other for other in marked if other.uid != flow.uid), None)
        app = self.app
        screen = CompareScreen(
            Capture(self._bridge, snapshot, getattr(app, "capture_title", "")),
            flow,
            partner,
            glyphs=self._glyphs,
            opener=getattr(app, "opener", None),
            other=path,
        )
        app.push_screen(screen)

    def _marked_flows(self) -> list[FlowReport]:
        """The marked tunnels, in their order."""
        marked = self._tunnels.marked
        flows = self._snapshot.report.flows if self._snapshot is not None else ()
        return [flow for flow in flows if flow.uid in marked] if marked else []

    def _fetch(self, number: int) -> bytes:
        """A frame's bytes by its 1-based number; raises ``LookupError``."""
        if self._snapshot is None:
            raise LookupError("nothing was read yet")
        return self._bridge.frame(self._snapshot.packets, number)

    def open_packet(self, number: int) -> None:
        """Show a packet in full, among those of its tunnel."""
        from tui.screens.packet import PacketScreen

        snapshot = self._snapshot
        row = snapshot.packets.row(number) if snapshot is not None else None
        if snapshot is None or row is None:
            return
        uid = int(snapshot.packets.rows["flow"][row])
        screen = PacketScreen(
            self._bridge,
            snapshot,
            number,
            rows=snapshot.packets.of_flow(uid) if uid else None,
            describer=self._describer,
            glyphs=self._glyphs,
        )
        self.app.push_screen(screen)
