"""What had been counted when the user cleared a capture: it is not told again."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace

from capture.decode.decoder import Decoder
from capture.facts import CaptureFacts
from capture.frames import SourceInfo
from capture.report.model import SourceReport

__all__ = ["Cleared"]


@dataclass(frozen=True, slots=True)
class Cleared:
    """Counts of the source and of the decoder, which go on."""

    kernel: int = 0
    queue: int = 0
    fragments: int = 0
    reasons: Counter[str] = field(default_factory=Counter)

    @classmethod
    def now(cls, info: SourceInfo, decoder: Decoder) -> Cleared:
        """What is counted at this moment."""
        return cls(
            info.lost_kernel or 0,
            info.lost_queue or 0,
            decoder.fragments_dropped,
            decoder.not_understood,
        )

    def of_source(self, source: SourceReport) -> SourceReport:
        """With what was lost since."""
        return replace(
            source,
            lost_kernel=_since(source.lost_kernel, self.kernel),
            lost_queue=_since(source.lost_queue, self.queue),
        )

    def of_capture(self, capture: CaptureFacts) -> CaptureFacts:
        """With what was lost since.

        For findings about the capture only: of a flow that was open, packets may be among
        those that were lost before.
        """
        return replace(
            capture,
            lost_kernel=_since(capture.lost_kernel, self.kernel),
            lost_queue=_since(capture.lost_queue, self.queue),
            fragments_dropped=max(0, capture.fragments_dropped - self.fragments),
        )

    def of_reasons(self, counted: tuple[tuple[str, int], ...]) -> tuple[tuple[str, int], ...]:
        """Frames that were not decoded since, by reason, most first."""
        if not self.reasons:
            return counted
        return tuple((Counter(dict(counted)) - self.reasons).most_common())


def _since(counted: int | None, before: int) -> int | None:
    return None if counted is None else max(0, counted - before)
