"""What a tunnel waits for, and since when: the age that a live screen shows.

A report does not change while nothing happens, so it holds no age; it follows from the steps
and the capture's clock (``Capturing.clock_ns``).
"""

from __future__ import annotations

from typing import Final, NamedTuple

from capture.report.model import FlowReport, StepState

_AWAITED: Final = ("syn_ack", "connect", "response", "client_hello", "server_hello")
"""Steps that follow the one before them soon, unless somebody keeps silent. That data or an
end are still to come says nothing: a tunnel may be kept for hours."""


class Waiting(NamedTuple):
    """A step that did not come yet."""

    step: str
    """Its name."""
    since_ns: int
    """When the step before it was done, ns since the epoch."""

    def seconds(self, clock_ns: int) -> float:
        """For how long it has been waited for at that moment."""
        return max(0, clock_ns - self.since_ns) / 1e9


def waiting(flow: FlowReport) -> Waiting | None:
    """What an open tunnel waits for; None when it waits for nothing in particular.

    A step that was given up as failed for its absence is still waited for.
    """
    if flow.closes:
        return None
    since_ns = None
    for step in flow.steps:
        if step.state is StepState.DONE:
            if step.time_s is not None:
                since_ns = flow.start_ns + round(step.time_s * 1e9)
            continue
        if step.state is StepState.MISSING or step.name not in _AWAITED:
            continue
        absent = step.state is StepState.PENDING or step.packet is None
        return Waiting(step.name, since_ns) if absent and since_ns is not None else None
    return None
