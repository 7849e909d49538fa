"""Words for what an open tunnel waits for, and for how long it has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from capture.facts import CLIENT, PROXY
from capture.report.model import FlowReport, StepState
from capture.report.waiting import waiting as awaited_step

_WORDS: Final = {
    "syn_ack": ("SYN", PROXY, "the proxy's SYN-ACK", "no answer yet"),
    "connect": ("CON", CLIENT, "the client's request", "no request yet"),
    "response": ("200", PROXY, "the proxy's reply", "no reply yet"),
    "client_hello": ("TLS", CLIENT, "the client's ClientHello", "no ClientHello yet"),
    "server_hello": ("TLS", PROXY, "the server's ServerHello", "no ServerHello yet"),
}
"""By step: column of the strip, who owes it, and what it is called."""


@dataclass(frozen=True, slots=True)
class Wait:
    """A step that has not come yet, at one moment."""

    key: str
    """Column of the strip (``widgets.steps.STEP_KEYS``)."""
    sender: int
    """Who has to send it: ``CLIENT`` or ``PROXY``."""
    what: str
    """``the proxy's reply``."""
    missing: str
    """``no reply yet``."""
    age: str
    """``4.2 s``."""
    hopeful: bool
    """It may yet come; False: its absence is a finding already."""


def wait_of(flow: FlowReport | None, clock_ns: int | None) -> Wait | None:
    """What a tunnel waits for; None when that is nothing.

    Args:
        flow: A tunnel.
        clock_ns: The moment that a live capture, or a replay, has got to; None: a recording,
            in which nobody waits.
    """
    if flow is None or clock_ns is None:
        return None
    awaited = awaited_step(flow)
    if awaited is None or awaited.step not in _WORDS:
        return None
    hopeful = any(
        step.name == awaited.step and step.state is StepState.PENDING for step in flow.steps
    )
    return Wait(*_WORDS[awaited.step], age_text(awaited.seconds(clock_ns)), hopeful)


def age_text(seconds: float) -> str:
    """``4.2 s``, ``83 s``, ``2 min 5 s``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes} min {rest} s" if minutes > 1 else f"{int(seconds)} s"
