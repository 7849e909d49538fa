"""The six steps of a tunnel as the screen shows them, from the report's nine."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from capture.report.model import FlowReport, Step, StepState
from widgets.glyphs import Glyphs


@dataclass(frozen=True, slots=True)
class StripStep:
    """One step of the strip."""

    key: str
    """Heading of its column: ``SYN CON 200 TLS DAT FIN``."""
    name: str
    """Name in the strip: ``CONNECT``, the status code once there is one, …"""
    state: StepState
    elapsed_ms: float | None
    detail: str
    code: str = ""
    """Status code, for the step that has one."""


_GROUPS: Final = (
    ("SYN", "SYN", ("syn", "syn_ack", "ack"), "syn_ack"),
    ("CON", "CONNECT", ("connect",), "connect"),
    ("200", "200", ("response",), "response"),
    ("TLS", "TLS", ("client_hello", "server_hello"), "server_hello"),
    ("DAT", "data", ("data",), "data"),
    ("FIN", "FIN", ("close",), "close"),
)
"""Column, name in the strip, the report's steps in it, and the one that proves it."""

STEP_KEYS: Final = tuple(key for key, *_ in _GROUPS)

PART_OF_STATE: Final = {
    StepState.DONE: "done",
    StepState.FAILED: "failed",
    StepState.MISSING: "dim",
    StepState.PENDING: "warning",
}
"""Component class of each state (``LineList``)."""


def strip_steps(flow: FlowReport) -> tuple[StripStep, ...]:
    """The six steps of a flow, in order."""
    return _strip_steps(flow.steps, flow.kind, flow.status)


@lru_cache(2048)
def _strip_steps(steps: tuple[Step, ...], kind: str, status: int | None) -> tuple[StripStep, ...]:
    by_name = {step.name: step for step in steps}
    strip = []
    for key, name, members, proof in _GROUPS:
        found = [by_name[member] for member in members if member in by_name]
        state = _state(found, by_name.get(proof))
        elapsed = [step.elapsed_ms for step in found if step.elapsed_ms is not None]
        detail = next((step.detail for step in reversed(found) if step.detail), "")
        code = ""
        if key == "200" and status is not None and state is not StepState.MISSING:
            code = name = str(status)
        elif key == "200":
            name = "reply"
        if key == "CON" and kind == "plain":
            name = "request"
        shown = max(elapsed) if elapsed else None
        strip.append(StripStep(key, name, state, shown, detail, code))
    return tuple(strip)


def _state(found: Iterable[Step], proof: Step | None) -> StepState:
    """State of a group: a failure decides, then what still waits, then the proving step."""
    states = {step.state for step in found}
    if StepState.FAILED in states:
        return StepState.FAILED
    if proof is not None and proof.state is StepState.DONE:
        return StepState.DONE
    if StepState.PENDING in states:
        return StepState.PENDING
    return StepState.MISSING


def state_glyph(state: StepState, glyphs: Glyphs) -> str:
    """The sign of a state; colour only repeats it."""
    if state is StepState.DONE:
        return glyphs.done
    if state is StepState.FAILED:
        return glyphs.failed
    return glyphs.pending if state is StepState.PENDING else glyphs.missing
