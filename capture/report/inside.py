"""Reports of tunnels whose TLS was opened: what was said inside, and what is hidden no more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from capture.decrypt.keylog import KeyLog
from capture.facts import PROXY
from capture.judging.baseline import HIDDEN, SEALED
from capture.packets.index import PacketView
from capture.report.model import FlowReport, Report, StepState
from capture.stream.inner import DECRYPTED, inner_tellings
from capture.stream.reading import FetchFrame
from capture.timeline.telling import Telling

__all__ = ["opened_report", "with_inside"]

_MAX_DETAIL: Final = 120


def opened_report(report: Report, view: PacketView, fetch: FetchFrame, keys: KeyLog) -> Report:
    """A report with what keys open of its tunnels.

    Args:
        report: As judged without them.
        view: The packet index.
        fetch: Fetches frames.
        keys: Opens sealed records.
    """

    def opened(flow: FlowReport) -> FlowReport:
        if flow.tls is None:
            return flow
        rows: NDArray[np.int64] = view.of_flow(flow.uid)
        return with_inside(flow, inner_tellings(view, rows, fetch, keys))

    return replace(report, flows=tuple(map(opened, report.flows)), made=None)


def with_inside(flow: FlowReport, inner: Sequence[Telling]) -> FlowReport:
    """A tunnel's report with what was said inside; the verdict is that of the outside."""
    if not inner:
        return flow
    certificate = any(item.text.startswith("Certificate") for item in inner)
    opened = {HIDDEN, SEALED} if certificate else {HIDDEN}
    notes = tuple(note for note in flow.notes if note not in opened)
    reply = next((item for item in inner if item.proto == "HTTP" and item.sender == PROXY), None)
    steps = flow.steps
    if reply is not None:
        said = f"{reply.text.removesuffix(DECRYPTED)} inside"
        steps = tuple(
            replace(step, detail=f"{step.detail}, {said}".removeprefix(", ")[:_MAX_DETAIL])
            if step.name == "data" and step.state is StepState.DONE
            else step
            for step in steps
        )
    return replace(flow, notes=notes, steps=steps)
