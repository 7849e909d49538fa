"""A flow to a proxy with all that is known of it, as an analysis keeps it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from capture.facts import FlowFacts
from capture.judging import Judgement
from capture.report.model import FlowReport

if TYPE_CHECKING:
    from capture.second_leg.pairing import SecondLeg


@dataclass(slots=True)
class JudgedFlow:
    """A flow to a proxy, as it was last looked at."""

    facts: FlowFacts
    judgement: Judgement
    related: Judgement | None = None
    """The judgement in the light of the other flows, once they were all looked at."""
    report: FlowReport | None = None
    """The report made last, of this judgement or of the one before."""
    reported: Judgement | None = None
    """What ``report`` was made of."""
    number: int = 0
    """Number in the reports, where it must not change; else 0."""
    legs: tuple[SecondLeg, ...] = ()
    """The proxy's connections to the server, as far as the capture has them."""

    @property
    def shown(self) -> Judgement:
        return self.related or self.judgement
