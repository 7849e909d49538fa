"""What a rule returns: a judgement without its texts, which the catalogue adds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from capture.facts import Mark
from capture.report.model import Confidence, Severity

_NO_VALUES: Final[Mapping[str, str]] = {}


class Hit(NamedTuple):
    """A rule that fired on a flow.

    Title, cause, next steps and symptom come from the catalogue entry named ``rule``; the
    observation is put together by the rule, since only it knows what was seen.
    """

    rule: str
    severity: Severity
    confidence: Confidence
    """Of the cause; selects its wording in the catalogue."""
    observation: str
    packets: tuple[int, ...] = ()
    verdict: str | None = None
    code: int | None = None
    values: Mapping[str, str] = _NO_VALUES
    """Placeholders beyond those that every flow has."""


PROBLEM, WARNING, INFO = Severity.PROBLEM, Severity.WARNING, Severity.INFO
CERTAIN, LIKELY, POSSIBLE = Confidence.CERTAIN, Confidence.LIKELY, Confidence.POSSIBLE


def packets(*marks: Mark | None) -> tuple[int, ...]:
    """Packet numbers of the marks that exist, each once, in order."""
    return tuple(sorted({mark.number for mark in marks if mark is not None}))


def sentence(*clauses: str) -> str:
    """Join the clauses that are not empty into one sentence, ``A; b; c.``."""
    text = "; ".join([clause for clause in clauses if clause])
    return text[:1].upper() + text[1:] + "." if text else ""
