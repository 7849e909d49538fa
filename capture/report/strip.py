"""The six words of a tunnel, SYN CONNECT 200 TLS data FIN, from its nine steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from capture.report.model import FlowReport, Step, StepState
from capture.units import milliseconds


class StripStep(NamedTuple):
    """One word of the step line."""

    label: str
    state: StepState
    elapsed_ms: float | None
    packet: int | None


_STATE_WORDS: Final = {
    StepState.DONE: "ok",
    StepState.FAILED: "FAILED",
    StepState.MISSING: "-",
    StepState.PENDING: "...",
}

_NO_STEP: Final = Step("", StepState.MISSING)


def strip(flow: FlowReport) -> tuple[StripStep, ...]:
    """Fold the nine steps into the six that an engineer counts on his fingers.

    SYN carries the time to the SYN-ACK, the reply the time since its request, TLS the time
    from ClientHello to ServerHello.
    """
    steps = {step.name: step for step in flow.steps}
    connect = steps.get("connect", _NO_STEP)
    response = steps.get("response", _NO_STEP)
    close = steps.get("close", _NO_STEP)
    return (
        _merged("SYN", steps, ("syn", "syn_ack", "ack"), timed_by="syn_ack"),
        StripStep(_request_word(flow), connect.state, None, connect.packet),
        StripStep(
            _reply_word(flow, response), response.state, response.elapsed_ms, response.packet
        ),
        _merged("TLS", steps, ("client_hello", "server_hello"), timed_by="server_hello"),
        _merged("data", steps, ("data",), timed_by=""),
        StripStep("RST" if flow.ended.endswith("_rst") else "FIN", close.state, None, close.packet),
    )


def step_words(flow: FlowReport) -> tuple[str, ...]:
    """``("SYN ok 19.7 ms", "CONNECT ok", "403 FAILED 3.1 ms", "TLS -", …)``."""
    words = []
    for item in strip(flow):
        # A reset is never "ok", even where it only ends what had failed before.
        seen = item.label == "RST" and item.state is StepState.DONE
        word = f"{item.label} {'seen' if seen else _STATE_WORDS[item.state]}"
        if item.elapsed_ms is not None and item.state in (StepState.DONE, StepState.FAILED):
            word += f" {milliseconds(item.elapsed_ms)}"
        words.append(word)
    return tuple(words)


def _merged(
    label: str, steps: Mapping[str, Step], names: tuple[str, ...], timed_by: str
) -> StripStep:
    """One word for several steps: as bad as the worst, as done as the last."""
    parts = [steps.get(name, _NO_STEP) for name in names]
    states = [part.state for part in parts]
    if StepState.FAILED in states:
        state = StepState.FAILED
    elif StepState.PENDING in states:
        state = StepState.PENDING
    else:
        # A SYN without its final ACK in the capture still opened the connection.
        state = parts[min(1, len(parts) - 1)].state
    packet = next((part.packet for part in parts if part.packet is not None), None)
    elapsed = steps[timed_by].elapsed_ms if timed_by in steps else None
    return StripStep(label, state, elapsed, packet)


def _request_word(flow: FlowReport) -> str:
    if flow.kind == "plain" and flow.attempts:
        return flow.attempts[-1].method
    return "CONNECT" if flow.kind != "plain" else "request"


def _reply_word(flow: FlowReport, response: Step) -> str:
    word = response.detail[:3]
    if word.isdigit() and word.isascii() and len(word) == 3:
        return word
    return str(flow.status) if flow.status is not None else "reply"
