from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.facts import CLIENT, PROXY
from capture.report.ladder_svg import ladder_svg
from capture.report.render import render
from capture.report.rungs import MOST, Rung, fitting, rungs_of_ladder, rungs_of_steps
from capture.report.to_mermaid import diagram
from capture.timeline.ladder import LadderLine, LineKind
from tests.capture.report.data import (
    SECRET,
    denied,
    empty,
    healthy,
    hostile,
    mixed,
    report,
    stalled,
)

MESSAGE = re.compile(r"    (C|P)(->>|-x|--x)(C|P): \S.*|    Note over C,P: \S.*")


def lines_of(text: str) -> list[str]:
    lines = text.splitlines()
    assert lines[0].startswith("%% ")
    assert lines[1] == "sequenceDiagram"
    assert lines[2].startswith("    participant C as ")
    assert lines[3].startswith("    participant P as ")
    return lines[4:]


def test_steps_become_arrows_with_their_packets() -> None:
    rungs = rungs_of_steps(denied())
    assert [rung.sender for rung in rungs][:5] == [CLIENT, PROXY, CLIENT, CLIENT, PROXY]
    assert [rung.text for rung in rungs if rung.failing] == ["403 Forbidden"]
    assert all(rung.seen for rung in rungs)
    assert not any(rung.failing for rung in rungs_of_steps(healthy()))


def test_a_step_that_never_came_is_drawn_only_where_the_tunnel_broke() -> None:
    flow = denied()
    gone = tuple(
        replace(step, packet=None, detail="", time_s=None) if step.name == "response" else step
        for step in flow.steps
    )
    missing = [rung for rung in rungs_of_steps(replace(flow, steps=gone)) if not rung.seen]
    assert [(rung.text, rung.failing) for rung in missing] == [("no reply", True)]


def test_ladder_lines_become_rungs() -> None:
    lines = [
        LadderLine(LineKind.MESSAGE, CLIENT, "SYN", 1_000, 5, 5),
        LadderLine(LineKind.SILENCE, CLIENT, "3 s of silence", 2_000),
        LadderLine(LineKind.MISSING, PROXY, "no answer", failing=True),
    ]
    first, silence, missing = rungs_of_ladder(lines, 1_000)
    assert (first.sender, first.time_s, first.packet) == (CLIENT, 0.0, 5)
    assert silence.sender is None
    assert (missing.seen, missing.failing, missing.time_s) == (False, True, None)


def test_of_a_long_ladder_the_ends_and_the_failures_stay() -> None:
    many = [Rung(str(at), CLIENT, failing=at == 1000) for at in range(5000)]
    kept = fitting(many)
    assert len(kept) <= MOST + MOST // 4 + 1
    assert [rung.text for rung in kept if rung.failing] == ["1000"]
    assert (kept[0].text, kept[-1].text) == ("0", "4999")
    assert fitting(many[:MOST]) == tuple(many[:MOST])


def test_a_mermaid_diagram_a_failing_flow() -> None:
    text = "".join(render("mermaid", [mixed()]))
    assert text.count("sequenceDiagram") == 2
    assert "P-xC:" in text
    assert "".join(render("mermaid", [empty()])) == ""
    whole = "".join(render("mermaid", [report(healthy())]))
    assert whole.count("sequenceDiagram") == 1


@pytest.mark.parametrize("flow", [denied(), stalled(), healthy(), hostile()])
def test_every_line_is_mermaid(flow: object) -> None:
    text = diagram(flow, rungs_of_steps(flow))  # type: ignore[arg-type]
    assert SECRET not in text
    assert all(MESSAGE.fullmatch(line) for line in lines_of(text))


@given(st.text())
def test_no_text_escapes_a_mermaid_line(text: str) -> None:
    body = lines_of(diagram(denied(), [Rung(text, CLIENT), Rung(text, None, failing=True)]))
    assert len(body) == 3
    for line in body:
        assert MESSAGE.fullmatch(line)
        content = re.sub(r"#\d+;", "", line.split(": ", 1)[1])
        assert not re.search(r"[;#<>{}%]|\\bend\\b", content)


@given(st.lists(st.text(), max_size=4))
def test_no_text_escapes_the_drawing(texts: list[str]) -> None:
    from xml.etree import ElementTree

    from capture.report.redact import safe

    drawn = ladder_svg([Rung(safe(text), CLIENT) for text in texts], safe("<c>"), "p&")
    assert bool(drawn) == bool(texts)
    if drawn:
        root = ElementTree.fromstring(drawn)
        assert len(root.findall("svg/g")) == len(texts)


@pytest.mark.parametrize(
    ("texts", "width", "scrolled"),
    [(["SYN", "403"], 290, False), (["x" * 32], 349, False), (["x" * 80, "y"], 460, True)],
)
def test_a_drawing_is_as_wide_as_its_texts(texts: list[str], width: int, scrolled: bool) -> None:
    drawn = ladder_svg([Rung(text, CLIENT) for text in texts], "10.0.0.1:40000", "p:80")
    assert f'viewBox="0 0 {width} ' in drawn
    assert ('class="wide"' in drawn) == scrolled
