"""A tunnel's TLS handshake in full."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widget import Widget
from textual.widgets import Static

from capture.protocols.text import printable
from capture.report.model import FlowReport
from capture.stream.tls_detail import TlsDetail
from capture.stream.tls_words import tls_facts
from tui.footline import Footline
from tui.screens.base import PaneScreen
from widgets.fact_list import FactList
from widgets.glyphs import Glyphs

__all__ = ["TlsScreen"]


class TlsScreen(PaneScreen):
    """Offers, choices, certificates and alerts."""

    AUTO_FOCUS = "#facts"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "copy", "Copy value", id="tls.copy"),
        Binding("escape,q,i", "back", "Back", id="tls.back"),
    ]

    def __init__(
        self,
        flow: FlowReport,
        detail: TlsDetail,
        *,
        glyphs: Glyphs,
        open_row: Callable[[int], None],
    ) -> None:
        """Prepare the screen.

        Args:
            flow: The tunnel.
            detail: Its handshake.
            glyphs: Signs to draw with.
            open_row: Shows the packet in a row of the index in full.
        """
        super().__init__()
        self._flow = flow
        self._detail = detail
        self._glyphs = glyphs
        self._open_row = open_row
        self._title = Static(id="title", markup=False)
        self._facts = FactList(glyphs=glyphs, id="facts", classes="closer")
        self._footline = Footline(ascii_only=glyphs.done.isascii(), id="footline")

    def compose(self) -> ComposeResult:
        yield self._title
        yield self._facts
        yield self._footline

    def on_mount(self) -> None:
        flow, sign = self._flow, self._glyphs.separator
        parts = [f"TLS of {flow.id}", flow.target or flow.proxy]
        self._title.update(f" {sign} ".join(printable(part, 300) for part in parts))
        self._facts.border_title = "Handshake"
        self._facts.show(tls_facts(self._detail, flow.start_ns))

    def panes(self) -> list[tuple[str, Widget]]:
        return [("Handshake", self._facts)]

    def on_fact_list_opened(self, message: FactList.Opened) -> None:
        message.stop()
        self._open_row(message.row)

    def action_copy(self) -> None:
        fact = self._facts.selected
        if fact is None or not fact.value:
            self.tell("nothing to copy here")
            return
        text = printable(fact.value, 4000)
        self.app.copy_to_clipboard(text)
        self.tell(f"copied: {text}")

    def action_back(self) -> None:
        self.dismiss(None)
