"""The replay clock: play, pause, step, seek, speed."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import BindingType

from tui.screens.parts.base import MainPart


class ReplayPart(MainPart):
    """The replay clock: play, pause, step, seek, speed."""

    BINDINGS: ClassVar[list[BindingType]] = []
