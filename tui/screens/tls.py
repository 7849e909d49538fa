"""A tunnel's TLS handshake in full."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual.binding import Binding, BindingType

from capture.report.model import FlowReport
from capture.stream.tls_detail import TlsDetail
from capture.stream.tls_words import tls_facts
from tui.screens.facts import FactScreen
from widgets.fact_list import FactList
from widgets.glyphs import Glyphs

__all__ = ["TlsScreen"]


class TlsScreen(FactScreen):
    """Offers, choices, certificates and alerts."""

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
        title = [f"TLS of {flow.id}", flow.target or flow.proxy]
        super().__init__(title, "Handshake", tls_facts(detail, flow.start_ns), glyphs=glyphs)
        self._open_row = open_row

    def on_fact_list_opened(self, message: FactList.Opened) -> None:
        message.stop()
        self._open_row(message.row)
