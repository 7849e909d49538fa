from __future__ import annotations

import csv
import io
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.report.model import FlowReport, Report
from capture.report.render import render
from capture.report.to_csv import COLUMNS, cell
from tests.capture.report.data import SECRET, denied, healthy, hostile, mixed, report, stalled


def read(*reports: Report, **options: bool) -> list[dict[str, str]]:
    text = "".join(render("csv", reports, **options))
    return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))


def test_columns_are_the_contract() -> None:
    header = "".join(render("csv", [mixed()])).splitlines()[0]
    assert header == (
        "id,client,proxy,target,kind,status,reason,sni,tls_version,verdict,rules,ended,start_time,"
        "duration_s,packets,bytes_to_proxy,bytes_to_client,retransmissions,rtt_ms,connect_delay_ms"
    )
    assert header == ",".join(COLUMNS)


def test_a_row_holds_what_the_flow_holds() -> None:
    row = read(mixed())[2]
    assert row == {
        "id": "3",
        "client": "[fd40:40::1]:40240",
        "proxy": "[fd10:10::1]:3128",
        "target": "tools.cisco.com:443",
        "kind": "tunnel",
        "status": "200",
        "reason": "Connection established",
        "sni": "tools.cisco.com",
        "tls_version": "TLSv1.3",
        "verdict": "transfer_stalled",
        "rules": "xfer-stall-app tls-mismatch",
        "ended": "none",
        "start_time": "2025-03-14T11:30:13.517129000Z",
        "duration_s": "61.2",
        "packets": "28",
        "bytes_to_proxy": "1240",
        "bytes_to_client": "5301",
        "retransmissions": "0",
        "rtt_ms": "19.784",
        "connect_delay_ms": "176.633",
    }


def test_what_is_not_known_is_empty() -> None:
    bare = replace(
        healthy(), target=None, status=None, reason=None, tls=None, rtt_ms=None, attempts=()
    )
    row = read(report(bare))[0]
    empty = ("target", "status", "reason", "sni", "tls_version", "rules", "rtt_ms")
    assert [row[name] for name in (*empty, "connect_delay_ms")] == [""] * 8


def test_the_delay_is_of_the_last_attempt() -> None:
    first = replace(healthy().attempts[0], status=407, delay_ms=1.5)
    flow = replace(healthy(), attempts=(first, healthy().attempts[0]))
    assert read(report(flow))[0]["connect_delay_ms"] == "176.633"


def test_several_files_are_told_apart_by_a_last_column() -> None:
    one = report(healthy())
    two = replace(one, source=replace(one.source, path="dir, with/=comma.pcap"))
    rows = read(one, two, many=True)
    assert [row["file"] for row in rows] == ["fmc.pcapng", "dir, with/=comma.pcap"]
    assert list(rows[0])[-1] == "file"


def test_other_flows_come_after_the_proxied_ones() -> None:
    with_others = replace(mixed(), others=(replace(healthy(9), kind="other"),))
    assert [row["id"] for row in read(with_others, others=True)] == ["1", "2", "3", "4", "9"]
    assert len(read(with_others)) == 4


@pytest.mark.parametrize(
    "text",
    ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", " =1", '"=1"', "'=1", "＝1+1", "  @x", "-"],
)
def test_no_cell_is_a_formula(text: str) -> None:
    written = next(csv.reader([cell(text)]))[0]
    assert written.startswith("'")


@pytest.mark.parametrize("text", ["tools.cisco.com:443", "a=b", "10.10.10.1:80", "x-y", "[::1]:80"])
def test_ordinary_cells_stay_as_they_are(text: str) -> None:
    assert cell(text) == text


@given(st.text(max_size=80))
def test_every_cell_reads_back_as_one_printable_cell(text: str) -> None:
    row = next(csv.reader([f"1,{cell(text)},2"], strict=True))
    assert len(row) == 3
    assert row[1].isprintable()
    assert row[1].lstrip(" \"'")[:1] not in set("=+-@") or row[1].startswith("'")


@given(st.lists(st.sampled_from([healthy(), denied(), stalled(), hostile()]), max_size=6))
def test_rows_match_flows(flows: list[FlowReport]) -> None:
    rows = read(report(*flows))
    assert [(row["id"], row["verdict"]) for row in rows] == [
        (str(flow.id), flow.verdict) for flow in flows
    ]


def test_no_credential_in_any_cell() -> None:
    assert SECRET not in "".join(render("csv", [report(hostile())]))
