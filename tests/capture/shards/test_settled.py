"""The short way to the lines and cards of settled flows ends where the long one does."""

from __future__ import annotations

from pathlib import Path

import pytest

from capture.facts import CaptureFacts
from capture.flow_reports import settled_rows
from capture.judging import Judgement
from capture.judging.cards import card
from capture.report.to_csv import line_of
from capture.shards.settled import settled_cards, settled_lines
from capture.tracking import tracker
from tests.capture.tracking.building import captures, frames_in, track

OK = Judgement("ok", (), ())
HEALTHY = ("01a_success_302_tls13", "01h_success_tinyproxy", "ok-tls13")


@pytest.fixture(autouse=True)
def _settle_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracker, "MANY_FLOWS", 0)


@pytest.mark.parametrize("timed", [True, False])
@pytest.mark.parametrize("path", captures(), ids=lambda path: path.stem)
def test_lines(path: Path, timed: bool) -> None:
    tracked = track(frames_in(path)).tracker
    flows = tracked.settled_flows()
    rows = [line_of(row, timed) for row in settled_rows(tracked, flows)]
    assert [*settled_lines(tracked, flows, timed)] == rows
    if path.stem in HEALTHY:
        assert len(rows) == 1


@pytest.mark.parametrize("path", captures(), ids=lambda path: path.stem)
def test_cards(path: Path) -> None:
    tracked = track(frames_in(path)).tracker
    flows = tracked.settled_flows().tolist()
    facts = tracked.facts_of(flows)
    # Of a settled flow no record is kept, so nothing of the capture tells on its card.
    assert [*settled_cards(tracked, flows)] == [card(flow, OK, CaptureFacts()) for flow in facts]


@pytest.mark.parametrize("name", ["proxy.example.com", "=evil", "a,b", "::1"])
def test_hosts_that_are_no_plain_addresses(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = next(path for path in captures() if path.stem == HEALTHY[0])
    tracked = track(frames_in(path)).tracker
    monkeypatch.setattr(tracked, "address_text", lambda number: name)
    flows = tracked.settled_flows()
    rows = [line_of(row, True) for row in settled_rows(tracked, flows)]
    assert [*settled_lines(tracked, flows, True)] == rows
