"""Watching live: pausing the view, losses, a sniffer that died, starting afresh."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import BindingType

from tui.screens.parts.base import MainPart


class LivePart(MainPart):
    """Watching live: pausing the view, losses, a sniffer that died, starting afresh."""

    BINDINGS: ClassVar[list[BindingType]] = []
