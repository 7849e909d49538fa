"""The public contract: keys, their order, types, one object or an array."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.report.model import STEP_NAMES, VERDICTS
from capture.report.render import render
from capture.report.times import readable, rfc3339
from capture.report.to_json import flow_dict, report_dict
from tests.capture.report.data import EVIL, SECRET, denied, healthy, hostile, mixed, report

NUMBER = (int, float)
OPTIONAL_TEXT = (str, type(None))
FLOW: dict[str, Any] = {
    "id": int,
    "client": str,
    "proxy": str,
    "kind": str,
    "target": OPTIONAL_TEXT,
    "status": (int, type(None)),
    "reason": OPTIONAL_TEXT,
    "attempts": list,
    "tls": (dict, type(None)),
    "steps": list,
    "packets": int,
    "bytes_to_proxy": int,
    "bytes_to_client": int,
    "retransmissions": dict,
    "rtt_ms": (float, int, type(None)),
    "start_time": OPTIONAL_TEXT,
    "duration_s": NUMBER,
    "ended": str,
    "closes": list,
    "verdict": str,
    "findings": list,
}


def parsed(format: str, *reports: Any, **options: Any) -> Any:
    return json.loads("".join(render(format, reports, **options)))


def test_top_level_keys_come_in_the_order_of_the_contract() -> None:
    document = parsed("json", mixed())
    assert list(document) == ["schema", "tool", "source", "summary", "flows", "findings"]
    assert document["schema"] == 1
    assert list(document["source"]) == [
        "path", "format", "link_types", "packets", "bytes", "first_time", "last_time",
        "duration_s", "lost", "warnings",
    ]  # fmt: skip
    assert document["source"]["lost"] == {"kernel": 3, "queue": None}
    assert document["source"]["warnings"] == [
        {"code": "truncated-file", "message": "cut inside packet 413, at byte 102400"}
    ]


def test_summary_counts_flows_verdicts_and_findings_of_flows_and_capture() -> None:
    assert parsed("json", mixed())["summary"] == {
        "flows": 4,
        "other_flows": 2,
        "verdicts": {"ok": 2, "acl_denied": 1, "transfer_stalled": 1},
        "findings": {"problem": 1, "warning": 1, "info": 2},
    }


@pytest.mark.parametrize("index", range(4))
def test_every_flow_follows_the_schema(index: int) -> None:
    flow = parsed("json", mixed())["flows"][index]
    assert list(flow) == list(FLOW)
    for key, kind in FLOW.items():
        assert isinstance(flow[key], kind), key
    assert flow["verdict"] in VERDICTS
    assert [step["name"] for step in flow["steps"]] == list(STEP_NAMES)
    for step in flow["steps"]:
        assert list(step) == ["name", "state", "packet", "time_s", "elapsed_ms", "detail"]
    for attempt in flow["attempts"]:
        assert list(attempt) == [
            "method", "target", "status", "reason", "request_packet", "response_packet", "delay_ms",
        ]  # fmt: skip
    for finding in flow["findings"]:
        assert list(finding) == [
            "rule", "severity", "title", "observation", "cause", "confidence", "packets", "code",
            "next_steps", "issue",
        ]  # fmt: skip


def test_times_and_delays_are_exact() -> None:
    text = "".join(render("json", [mixed()]))
    assert '"delay_ms": 176.633}' in text
    assert '"start_time": "2025-03-14T11:30:12.517129000Z"' in text


@pytest.mark.parametrize(
    ("time_ns", "expected"),
    [
        (0, "1970-01-01T00:00:00.000000000Z"),
        (-1, "1969-12-31T23:59:59.999999999Z"),
        (2**63 - 1, "2262-04-11T23:47:16.854775807Z"),
        (-(2**63), "1677-09-21T00:12:43.145224192Z"),
    ],
)
def test_any_time_can_be_written(time_ns: int, expected: str) -> None:
    assert rfc3339(time_ns) == expected


def test_a_day_that_is_not_known_is_not_shown() -> None:
    assert readable(1_741_951_812_517_129_000) == "2025-03-14 11:30:12 UTC"
    assert readable(37_258 * 10**9) == "10:20:58"


def test_what_is_streamed_equals_what_is_built() -> None:
    assert parsed("json", mixed()) == report_dict(mixed())
    assert parsed("json", report()) == report_dict(report())


def test_several_files_are_an_array_even_when_few_can_be_read() -> None:
    assert [item["schema"] for item in parsed("json", mixed(), report(), many=True)] == [1, 1]
    assert len(parsed("json", mixed(), many=True)) == 1
    assert parsed("json", many=True) == []


def test_ndjson_is_one_flow_a_line_with_its_source() -> None:
    lines = "".join(render("ndjson", [mixed(), report(denied())], many=True)).splitlines()
    flows = [json.loads(line) for line in lines]
    assert [flow["id"] for flow in flows] == [1, 2, 3, 4, 2]
    assert {flow.pop("source") for flow in flows} == {"fmc.pcapng"}
    assert list(flows[0]) == list(FLOW)


def test_other_flows_are_listed_only_when_asked_for() -> None:
    with_others = replace(mixed(), others=(replace(healthy(9), kind="other"),))
    assert "others" not in parsed("json", with_others)
    assert [flow["id"] for flow in parsed("json", with_others, others=True)["others"]] == [9]
    assert parsed("json", mixed(), others=True)["others"] == []


def test_a_capture_without_times_has_none() -> None:
    flow = flow_dict(healthy(), timed=False)
    assert flow["start_time"] is None
    untimed = mixed()
    untimed = replace(untimed, source=replace(untimed.source, first_ns=None, last_ns=None))
    document = parsed("json", untimed)
    assert document["source"]["first_time"] is None
    assert document["source"]["duration_s"] == 0
    assert document["flows"][0]["start_time"] is None


@pytest.mark.parametrize("format", ["json", "ndjson"])
def test_hostile_text_is_ascii_and_holds_no_secret(format: str) -> None:
    text = "".join(render(format, [report(hostile())]))
    assert text.isascii()
    assert all(char.isprintable() or char == "\n" for char in text)
    assert SECRET not in text
    assert "dXNlcjp" not in text
    assert "\\u001b" not in text
    assert "\\u202e" not in text


@given(st.text(max_size=60))
def test_any_text_survives_the_encoder(text: str) -> None:
    flow = replace(denied(), target=text, reason=text or EVIL)
    assert parsed("json", report(flow))["flows"][0]["id"] == 2


def test_names_are_added_where_there_are_any() -> None:
    hosts = {"10.10.10.1": "proxy.lab"}
    named = report_dict(replace(report(denied()), names=hosts))["flows"][0]
    assert (named.pop("client_name"), named.pop("proxy_name")) == (None, "proxy.lab")
    assert named == report_dict(report(denied()))["flows"][0]
    assert list(named) == list(FLOW)
