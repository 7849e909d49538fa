"""Looking closer: the stream, TLS, plots, and two tunnels side by side."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import BindingType

from tui.screens.parts.base import MainPart


class CloserPart(MainPart):
    """Looking closer: the stream, TLS, plots, and two tunnels side by side."""

    BINDINGS: ClassVar[list[BindingType]] = []
