from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from capture.facts import CLIENT
from capture.report.export import (
    SUFFIXES,
    capture_filter,
    display_filter,
    export_chunks,
    finding_text,
    format_of,
    of_flows,
    repeat_command,
)
from capture.report.rungs import Rung
from tests.capture.report.data import SECRET, denied, healthy, hostile, mixed


@pytest.mark.parametrize(
    ("path", "format"),
    [("a.md", "markdown"), ("a.b/c.HTML", "html"), ("x.json", "json"), ("a.b/c", None), ("", None),
     (".md", "markdown"), ("a.exe", None), ("t.mmd", "mermaid")],
)  # fmt: skip
def test_the_name_tells_the_format(path: str, format: str | None) -> None:
    assert format_of(path) == format


def test_only_the_chosen_flows_are_reported() -> None:
    report = mixed()
    chosen = of_flows(report, {denied().uid})
    assert [flow.id for flow in chosen.flows] == [denied().id]
    assert chosen.telling == chosen.flows
    assert chosen.findings == report.findings
    document = json.loads("".join(export_chunks("json", chosen)))
    assert [flow["id"] for flow in document["flows"]] == [denied().id]


@pytest.mark.parametrize("format", sorted(set(SUFFIXES.values())))
def test_every_format_is_written(format: str) -> None:
    ladders = {denied().uid: [Rung("drawn of packets", CLIENT)]}
    text = "".join(export_chunks(format, of_flows(mixed(), {denied().uid}), ladders))
    assert "10.40.40.1" in text
    assert ("drawn of packets" in text) == (format in ("html", "mermaid"))


def test_filters_that_find_the_flow_again() -> None:
    flow = replace(denied(), client="10.0.0.1:4000", proxy="10.0.0.2:80")
    assert capture_filter(flow) == (
        "host 10.0.0.1 and host 10.0.0.2 and tcp port 4000 and tcp port 80"
    )
    assert display_filter(flow) == (
        "ip.addr == 10.0.0.1 and tcp.port == 4000 and ip.addr == 10.0.0.2 and tcp.port == 80"
    )
    six = replace(flow, client="[fd00::1]:4000")
    assert display_filter(six).startswith("ipv6.addr == fd00::1 and tcp.port == 4000 and ip.addr")


def test_the_command_that_asks_once_more() -> None:
    assert repeat_command(denied()) == (
        f"curl -v -x http://{denied().proxy} -I https://{denied().target}/"
    )
    plain = replace(denied(), kind="plain", target="[fd00::1]:8080", proxy="[fd00::2]:3128")
    assert repeat_command(plain) == ("curl -v -x http://[fd00::2]:3128 -I http://[fd00::1]:8080/")


@pytest.mark.parametrize(
    "changes",
    [
        {"target": None},
        {"kind": "unknown"},
        *({"target": f"a{sign}b:443"} for sign in "';$` \n|&@"),
    ],
)
def test_what_a_shell_could_act_on_is_in_no_command(changes: dict[str, Any]) -> None:
    assert repeat_command(replace(denied(), **changes)) is None


def test_a_finding_as_text_is_safe_and_complete() -> None:
    text = finding_text(denied())
    assert text.startswith("PROBLEM: ")
    assert "Next" in text
    assert max(map(len, text.splitlines())) <= 80
    assert finding_text(healthy()).startswith("OK: ")
    assert SECRET not in finding_text(hostile())
    assert "\x1b" not in finding_text(hostile())
