"""The display filter, for tunnels and packets alike; columns and marks."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import BindingType

from tui.screens.parts.base import MainPart


class FilterPart(MainPart):
    """The display filter, for tunnels and packets alike; columns and marks."""

    BINDINGS: ClassVar[list[BindingType]] = []
