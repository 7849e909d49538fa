from __future__ import annotations

from pathlib import Path

import pytest

from capture.check import check_file
from capture.options import AnalysisOptions
from capture.report.model import Report
from tui.cli import main

TOUR = Path(__file__).parents[3] / "capture" / "demos" / "tour.pcapng"


def ids(text: str) -> list[int]:
    options = AnalysisOptions(keep_packets=True, display_filter=text)
    report = check_file(str(TOUR), options)
    assert isinstance(report, Report)
    return [flow.id for flow in report.flows]


@pytest.mark.parametrize(
    ("text", "chosen"),
    [
        ("verdict == acl_denied", [3]), ("tcp.analysis.retransmission", [4]),
        ("not tls", [3, 6, 7]), ("status == 999", []), ("tls.alert_message.desc == 48", [5]),
        ("http.proxy_connect_host contains updates", [2]),
    ],
)  # fmt: skip
def test_only_matching_flows_are_reported_and_keep_their_numbers(
    text: str, chosen: list[int]
) -> None:
    assert ids(text) == chosen


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("verdict == ok", 0, ""),
        ("verdict == acl_denied", 1, ""),
        ("verdit == ok", 2, "did you mean verdict"),
        ("status == ", 2, "a value is missing here (at the end)"),
        ("tcp.port == 80", 1, ""),
        ("verdict == okay", 0, "no verdict is called 'okay'"),
    ],
)
def test_the_exit_code_is_that_of_what_is_reported(
    text: str, code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", "--format", "csv", "-Y", text, str(TOUR)]) == code
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") <= 1
    assert not said or err.startswith("tunnelscope: -Y: ")
