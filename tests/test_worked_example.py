"""The appliance's case that the product was born from, to the digit.

A capture made after the published numbers: client 10.40.40.1:40716, proxy 10.10.10.1:80,
SYN in frame 5, CONNECT in frame 8, its 200 in frame 11.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tui.cli import main

CAPTURE = Path(__file__).parent / "data" / "worked_example.pcap"


def test_every_step_has_its_packet_and_time(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--format", "json", str(CAPTURE)]) == 0
    (flow,) = json.loads(capsys.readouterr().out)["flows"]
    (attempt,) = flow["attempts"]
    assert (attempt["request_packet"], attempt["response_packet"]) == (8, 11)
    assert attempt["delay_ms"] == 176.633
    assert flow["rtt_ms"] == 19.784
    steps = {step["name"]: step for step in flow["steps"]}
    assert [(steps[name]["packet"], steps[name]["time_s"]) for name in list(steps)[:6]] == [
        (5, 0.0),
        (6, 0.019717),
        (7, 0.019784),
        (8, 0.01986),
        (11, 0.196493),
        (13, 0.235037),
    ]
    assert steps["syn"]["detail"] == "MSS 1460"
    assert steps["syn_ack"]["detail"] == "MSS 1300"
    assert flow["tls"]["sni"] == flow["target"].removesuffix(":443") == "tools.cisco.com"
