"""Judging: from facts to verdicts, findings and advice. Pure functions and one catalogue."""

from __future__ import annotations

from capture.judging.catalogue import Catalogue, CatalogueError
from capture.judging.judge import Judgement, judge
from capture.judging.relate import relate
from capture.judging.whole import judge_capture

__all__ = ["Catalogue", "CatalogueError", "Judgement", "judge", "judge_capture", "relate"]
