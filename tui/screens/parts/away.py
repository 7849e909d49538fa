"""Taking it away: saving tunnels, exporting reports, copying."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import BindingType

from tui.screens.parts.base import MainPart


class AwayPart(MainPart):
    """Taking it away: saving tunnels, exporting reports, copying."""

    BINDINGS: ClassVar[list[BindingType]] = []
