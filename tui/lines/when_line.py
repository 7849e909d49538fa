"""The line that asks where the replay is to go."""

from __future__ import annotations

from tui.lines.find_line import FindLine

__all__ = ["WhenLine"]


class WhenLine(FindLine):
    """Takes a time or a packet, as ``capture.replay.when`` reads it."""

    class Typed(FindLine.Typed):
        """The text has become another one: nothing is looked for until it is whole."""

    class Closed(FindLine.Closed):
        """The line was left; ``query`` is None when it was left without a text."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(placeholder="11:30:18, +5.2, -2m, #123 or 50%", id=id)
