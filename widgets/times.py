"""How the lists show a packet's time: absolute, relative, delta or epoch."""

from __future__ import annotations

from enum import StrEnum

from capture.units import epoch_seconds, relative_seconds, time_of_day


class TimeFormat(StrEnum):
    """The choices of the ``t`` key, in its order."""

    ABSOLUTE = "absolute"
    """Time of day, UTC."""
    RELATIVE = "relative"
    """Since the first packet shown."""
    DELTA = "delta"
    """Since the packet shown before."""
    EPOCH = "epoch"

    @property
    def following(self) -> TimeFormat:
        """The next choice, around the end."""
        choices = list(TimeFormat)
        return choices[(choices.index(self) + 1) % len(choices)]

    @property
    def width(self) -> int:
        """Cells that a usual time takes; longer ones are cut at the left, never wrapped."""
        return {"absolute": 15, "relative": 11, "delta": 11, "epoch": 20}[self.value]

    @property
    def words(self) -> str:
        """What the times mean."""
        return {
            "absolute": "time of day, UTC",
            "relative": "since the first packet",
            "delta": "since the packet before",
            "epoch": "since 1970, UTC",
        }[self.value]

    def text(self, time_ns: int, first_ns: int, before_ns: int | None) -> str:
        """A time as text; empty where the source has none.

        Args:
            time_ns: Capture time of the packet, 0 where it is not known.
            first_ns: Of the first packet shown.
            before_ns: Of the packet shown before; None for the first.
        """
        if time_ns <= 0:
            return ""
        if self is TimeFormat.ABSOLUTE:
            return time_of_day(time_ns)
        if self is TimeFormat.EPOCH:
            return epoch_seconds(time_ns)
        since = first_ns if self is TimeFormat.RELATIVE else before_ns
        return relative_seconds(0 if since is None else time_ns - since)
