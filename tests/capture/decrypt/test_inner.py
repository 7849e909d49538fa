from __future__ import annotations

import numpy as np
import pytest

from capture.decrypt.keylog import KeyLogFile
from capture.facts import CLIENT, PROXY
from capture.report.model import Severity
from capture.stream.inner import inner_tellings
from tests.capture.decrypt.build import READABLE, capture, keys


def told(name: str, log: KeyLogFile | None = None) -> list[tuple[int, str]]:
    view, fetch, uids = capture()
    found = inner_tellings(view, view.of_flow(uids[name]), fetch, keys() if log is None else log)
    assert [item.number for item in found] == sorted(item.number for item in found)
    return [(item.sender, item.text) for item in found]


@pytest.mark.parametrize("name", READABLE)
def test_request_reply_and_alerts(name: str) -> None:
    found = told(name)
    assert (CLIENT, "GET /answer HTTP/1.1  (decrypted)") in found
    assert (PROXY, "302 Found  (decrypted)") in found
    assert (PROXY, "Alert close_notify (warning)  (decrypted)") in found
    certificate = (PROXY, "Certificate CN=tools.example.com  (decrypted)")
    assert found.count(certificate) == (1 if name.startswith("13") or "renego" in name else 0)
    assert not [text for _, text in found if "dXNl" in text or "hunter" in text]


def test_each_on_the_packet_that_holds_it() -> None:
    view, fetch, uids = capture()
    rows = view.of_flow(uids["13-chacha"])
    for item in inner_tellings(view, rows, fetch, keys()):
        row = view.row(item.number)
        assert row in rows
        assert view.rows["sender"][row] == item.sender
        assert view.rows["time_ns"][row] == item.time_ns


def test_without_the_keys_nothing_is_told() -> None:
    assert told("13-chacha", KeyLogFile("")) == []
    view, fetch, _ = capture()
    assert inner_tellings(view, np.zeros(0, np.int64), fetch, keys()) == ()


def test_the_ladder_shows_it_and_says_nothing_twice() -> None:
    from capture.analysis import Analysis
    from capture.judging import Catalogue
    from capture.options import AnalysisOptions
    from capture.sources import open_source
    from capture.timeline.ladder import build_ladder
    from tests.capture.decrypt.build import CAPTURE, NAMES

    source = open_source(str(CAPTURE))
    analysis = Analysis(source.info, AnalysisOptions(keep_packets=True), Catalogue.load())
    for block in source.blocks():
        analysis.take(block)
    report, facts = analysis.report(final=True), analysis.facts()
    view, fetch, uids = capture()
    flow = report.flows[NAMES.index("12-chacha")]
    rows = view.of_flow(uids["12-chacha"])
    inner = inner_tellings(view, rows, fetch, keys())
    before = [line.text for line in build_ladder(flow, facts[flow.uid], view, rows)]
    after = [line.text for line in build_ladder(flow, facts[flow.uid], view, rows, (), inner)]
    assert any("encrypted" in text for text in before if text.startswith("Alert"))
    assert "302 Found  (decrypted)" in " ".join(after)
    assert not any("Alert, encrypted" in text for text in after)


@pytest.mark.parametrize("limit", [0, 1, 40, 200, 600])
def test_however_little_is_read(limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("capture.stream.inner.LIMIT", limit)
    assert set(told("13-chacha")) <= {
        (PROXY, "Certificate CN=tools.example.com  (decrypted)"),
        (CLIENT, "GET /answer HTTP/1.1  (decrypted)"),
        (CLIENT, "Alert close_notify (warning)  (decrypted)"),
    }


def test_severities() -> None:
    view, fetch, uids = capture()
    found = inner_tellings(view, view.of_flow(uids["12-ccm"]), fetch, keys())
    assert all(item.severity in (None, Severity.WARNING) for item in found)
