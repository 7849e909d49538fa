"""The step strip: the six steps of a tunnel on one line, as much of it as fits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from rich.cells import cell_len

from capture.report.model import FlowReport, StepState
from capture.units import milliseconds
from widgets.cells import safe
from widgets.glyphs import UNICODE, Glyphs
from widgets.steps import PART_OF_STATE, StripStep, state_glyph, strip_steps
from widgets.waiting import wait_of

Segments = list[tuple[str, str]]

_SHOWN_FROM_MS: Final = 1.0
"""Shorter times say nothing of the network and are left out, except where they may tell a
refusal from a rule (at once) and one from a failed attempt: of the reply and of a failure."""
_REPLY: Final = "200"


def step_strip(
    flow: FlowReport, width: int, glyphs: Glyphs, clock_ns: int | None = None
) -> Segments:
    """The longest form of the strip that fits.

    From ``SYN ✓ 19.7 ms ━━ CONNECT ✓ ━━ 403 ✗ 3.1 ms ┅┅ TLS · …`` down to
    ``SYN✓ CON✓ 403✗ TLS· DAT· FIN✓``; the caller cuts what is narrower still.

    Args:
        flow: Whose steps.
        width: Cells there are.
        glyphs: Signs to draw with.
        clock_ns: The moment a live capture has got to: what is waited for shows its age.

    Returns:
        (text, part) pairs; a part names a component class of ``LineList``.
    """
    steps = strip_steps(flow)
    wait = wait_of(flow, clock_ns)
    ages = {wait.key: wait.age} if wait is not None else {}
    for joint, times in ((2, True), (1, True), (2, False), (1, False), (1, None)):
        segments = _joined(steps, glyphs, joint, times, ages)
        if sum(cell_len(text) for text, _ in segments) <= width:
            return segments
    return _short(steps, glyphs)


def _joined(
    steps: Sequence[StripStep],
    glyphs: Glyphs,
    joint: int,
    all_times: bool | None,
    ages: Mapping[str, str],
) -> Segments:
    """Names, signs and times between joints.

    Args:
        steps: The six steps.
        glyphs: Signs to draw with.
        joint: Length of a joint.
        all_times: Times of all steps; False: only of the failed one; None: of none.
        ages: By a step's key, how long it has been waited for.
    """
    segments: Segments = []
    for place, step in enumerate(steps):
        if place:
            taken = StepState.MISSING not in (steps[place - 1].state, step.state)
            line = glyphs.heavy if taken else glyphs.heavy_dashed
            segments.append((f" {line * joint} ", "dim"))
        segments.extend(_step(step, glyphs, all_times))
        if step.key in ages and all_times is not None:
            segments.append((f" {ages[step.key]}", PART_OF_STATE[step.state]))
    return segments


def _step(step: StripStep, glyphs: Glyphs, all_times: bool | None) -> Iterator[tuple[str, str]]:
    part = PART_OF_STATE[step.state]
    yield f"{step.name} {state_glyph(step.state, glyphs)}", part
    failed = step.state is StepState.FAILED
    elapsed = step.elapsed_ms
    if elapsed is None or all_times is None or not (all_times or failed):
        return
    if elapsed >= _SHOWN_FROM_MS or failed or step.key == _REPLY:
        yield f" {safe(milliseconds(elapsed), glyphs.done != UNICODE.done)}", part


def _short(steps: Sequence[StripStep], glyphs: Glyphs) -> Segments:
    segments: Segments = []
    for place, step in enumerate(steps):
        name = step.code or step.key
        gap = " " if place else ""
        segments.append((gap, ""))
        segments.append((f"{name}{state_glyph(step.state, glyphs)}", PART_OF_STATE[step.state]))
    return segments
