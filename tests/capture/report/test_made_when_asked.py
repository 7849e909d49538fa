"""Reports whose healthy flows are made when asked for: of those not shown, none is asked for."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import overload

import pytest

from capture.report import to_html, to_markdown, to_text
from capture.report.model import FlowReport, Report
from capture.report.render import render
from tests.capture.report.data import denied, healthy, report

HEALTHY = 50
SHOWN = 3


class Costly(Sequence[FlowReport]):
    """A failing flow and many healthy ones; counts those that were made."""

    def __init__(self) -> None:
        self.made = 0

    def __len__(self) -> int:
        return 1 + HEALTHY

    @overload
    def __getitem__(self, index: int) -> FlowReport: ...

    @overload
    def __getitem__(self, index: slice) -> list[FlowReport]: ...

    def __getitem__(self, index: int | slice) -> FlowReport | list[FlowReport]:
        places = range(len(self))[index]
        return self._make(places) if isinstance(places, int) else [*map(self._make, places)]

    def __iter__(self) -> Iterator[FlowReport]:
        return map(self._make, range(len(self)))

    def _make(self, place: int) -> FlowReport:
        self.made += place > 0
        return healthy(place + 1) if place else denied(1)


def costly() -> tuple[Report, Costly]:
    flows = Costly()
    return replace(report(), flows=flows, made=[denied(1)]), flows


@pytest.mark.parametrize(
    ("format", "module"), [("text", to_text), ("markdown", to_markdown), ("html", to_html)]
)
def test_only_what_is_shown_is_made(
    format: str, module: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ROWS", SHOWN)
    made_when_asked, flows = costly()
    output = "".join(render(format, [made_when_asked]))
    assert flows.made == SHOWN
    assert f"Flows without a problem ({HEALTHY})" in output
    assert f"and {HEALTHY - SHOWN} more flows" in output
    every = replace(made_when_asked, flows=tuple(Costly()), made=None)
    assert output == "".join(render(format, [every]))


def test_json_makes_each_flow_once() -> None:
    made_when_asked, flows = costly()
    output = "".join(render("json", [made_when_asked]))
    assert flows.made == HEALTHY
    assert json.loads(output)["summary"]["verdicts"] == {"ok": HEALTHY, "acl_denied": 1}
