from __future__ import annotations

from dataclasses import replace

import pytest

from capture.facts import CLIENT, PROXY
from capture.report.model import STEP_NAMES, FlowReport, Step, StepState
from capture.timeline.ladder import LadderLine, LineKind
from tests.widgets import build
from tests.widgets.screen import staged
from widgets.glyphs import ASCII
from widgets.issue_panel import IssuePanel
from widgets.timeline import Timeline
from widgets.waiting import age_text, wait_of

S = 10**9


def pending(step: str, state: StepState = StepState.PENDING) -> FlowReport:
    """An open tunnel whose steps before ``step`` are done, each 0.1 s after the other."""
    at = STEP_NAMES.index(step)
    steps = tuple(
        Step(name, StepState.DONE, n + 1, n / 10, 100.0)
        if n < at
        else Step(name, state if n == at else StepState.PENDING)
        for n, name in enumerate(STEP_NAMES)
    )
    return replace(build.flow(1), steps=steps, closes=(), findings=(), status=None)


@pytest.mark.parametrize(
    ("step", "key", "sender", "what"),
    [
        ("syn_ack", "SYN", PROXY, "the proxy's SYN-ACK"),
        ("connect", "CON", CLIENT, "the client's request"),
        ("response", "200", PROXY, "the proxy's reply"),
        ("client_hello", "TLS", CLIENT, "the client's ClientHello"),
        ("server_hello", "TLS", PROXY, "the server's ServerHello"),
    ],
)
def test_who_is_waited_for_and_how_long(step: str, key: str, sender: int, what: str) -> None:
    flow = pending(step)
    since_ns = flow.start_ns + round((STEP_NAMES.index(step) - 1) / 10 * S)
    wait = wait_of(flow, since_ns + 4_230_000_000)
    assert wait is not None
    assert (wait.key, wait.sender, wait.what, wait.age) == (key, sender, what, "4.2 s")
    assert wait.hopeful
    earlier = wait_of(flow, since_ns - S)  # a machine's clock may be set back
    assert earlier is not None
    assert earlier.age == "0.0 s"


@pytest.mark.parametrize("step", ["data", "close"])
def test_an_open_tunnel_that_carries_data_waits_for_nothing(step: str) -> None:
    assert wait_of(pending(step), 10**18 * 2) is None


def test_a_recording_waits_for_nothing() -> None:
    assert wait_of(pending("response"), None) is None
    assert wait_of(None, 1) is None
    assert wait_of(build.flow(1), 10**18 * 2) is None


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0.0 s"), (9.94, "9.9 s"), (10, "10 s"), (119, "119 s"), (125.9, "2 min 5 s")],
)
def test_ages(seconds: float, text: str) -> None:
    assert age_text(seconds) == text


def ladder(flow: FlowReport) -> tuple[LadderLine, ...]:
    start = flow.start_ns
    return (
        LadderLine(LineKind.MESSAGE, CLIENT, "CONNECT", start + S // 10, 4, 4),
        LadderLine(LineKind.SILENCE, 2, "nothing more in 3 s of capture", start, 4, 4),
    )


async def test_strip_and_ladder_show_the_age_and_draw_no_more_than_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    flow = pending("response")
    lines = ladder(flow)
    async with staged(Timeline(glyphs=ASCII), 100, 12) as stage:
        stage.widget.show(flow, lines)
        stage.widget.age(flow.start_ns + 5 * S)
        await stage.settle()
        assert "reply ? 4.7 s" in stage.lines()[0]
        assert "no reply yet, 4.7 s" in stage.lines()[3]
        assert "nothing more" not in "".join(stage.lines())
        drawn: list[int] = []
        monkeypatch.setattr(stage.widget, "refresh_row", drawn.append)
        stage.widget.age(flow.start_ns + 6 * S)
        assert drawn == [1]
        assert "no reply yet, 5.7 s" in stage.lines()[3]
        drawn.clear()
        stage.widget.show(build.flow(2), lines)
        stage.widget.age(flow.start_ns + 7 * S)
        assert drawn == []
        assert "yet" not in "".join(stage.lines())


async def test_the_absence_that_is_a_finding_is_not_told_twice() -> None:
    flow = pending("response", StepState.FAILED)
    async with staged(Timeline(glyphs=ASCII), 100, 12) as stage:
        stage.widget.show(flow, ladder(flow))
        stage.widget.age(flow.start_ns + 30 * S)
        assert "29 s" in stage.lines()[0]
        assert "yet" not in "".join(stage.lines())


@pytest.mark.parametrize("compact", [False, True])
async def test_the_panel_says_what_is_waited_for(
    compact: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    flow = pending("response")
    async with staged(IssuePanel(glyphs=ASCII), 60, 20) as stage:
        stage.widget.compact = compact
        stage.widget.show(flow)
        assert "No problem found" in stage.lines()[0]
        stage.widget.age(flow.start_ns + 5 * S)
        assert "? Waiting for the proxy's reply, 4.7 s" in stage.lines()[0]
        drawn: list[int] = []
        monkeypatch.setattr(stage.widget, "refresh_row", drawn.append)
        stage.widget.age(flow.start_ns + 6 * S)
        assert drawn == [0]
        stage.widget.show(build.flow(1))
        assert "No problem found" in stage.lines()[0]
