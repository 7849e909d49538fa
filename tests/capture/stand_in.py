"""Stands in for ``capture.check.check_file`` in worker processes (they import it by name)."""

from __future__ import annotations

import os

from capture.check import Outcome, Unreadable
from capture.options import AnalysisOptions


def check_file(path: str, options: AnalysisOptions) -> Outcome:
    if path == "deadly":
        os._exit(1)
    return Unreadable(path, f"{len(options.proxies)} proxies")
