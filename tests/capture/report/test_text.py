from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.report import to_text
from capture.report.model import Report, Step, StepState
from capture.report.render import render
from capture.report.strip import step_words
from capture.report.wrap import cells, fit_middle, wrap
from tests.capture.report.data import (
    EVIL,
    SECRET,
    denied,
    empty,
    healthy,
    hostile,
    mixed,
    report,
    stalled,
)


def text(*reports: Report, **options: bool) -> str:
    return "".join(render("text", reports, **options))


def test_the_step_line() -> None:
    assert " > ".join(step_words(denied())) == (
        "SYN ok 19.7 ms > CONNECT ok > 403 FAILED 3.1 ms > TLS - > data - > FIN ok"
    )
    assert " > ".join(step_words(healthy())) == (
        "SYN ok 19.7 ms > CONNECT ok > 200 ok 177 ms > TLS ok 167 ms > data ok > FIN ok"
    )


def test_the_step_line_names_method_reset_and_open_steps() -> None:
    plain = replace(
        denied(),
        kind="plain",
        attempts=(replace(denied().attempts[0], method="GET"),),
        ended="client_rst",
        steps=(
            *denied().steps[:4],
            Step("response", StepState.PENDING),
            *denied().steps[5:8],
            Step("close", StepState.PENDING),
        ),
        status=None,
    )
    assert step_words(plain) == (
        "SYN ok 19.7 ms", "GET ok", "reply ...", "TLS -", "data -", "RST ...",
    )  # fmt: skip


def test_a_reset_is_never_ok() -> None:
    assert step_words(replace(denied(), ended="client_rst"))[-1] == "RST seen"


def test_problems_come_before_warnings_before_the_rest() -> None:
    output = text(report(healthy(1), stalled(2), denied(3)))
    places = [output.index(word) for word in ("PROBLEM:", "WARNING:", "Flows without a problem")]
    assert places == sorted(places)


def test_a_block_says_who_where_what_why_and_what_next() -> None:
    output = text(report(denied()))
    for part in (
        "Proxy ACL restriction (acl_denied)",
        "10.40.40.1:40718",
        "10.10.10.1:80",
        "blocked.example.com:443",
        "403 FAILED 3.1 ms",
        "#35 403 Forbidden after 3.1 ms",
        "(certain) An access rule",
        "To be surer: the proxy's own access log",
        "1. Ask the proxy's owner",
    ):
        assert part in output, part


def test_several_attempts_are_told() -> None:
    first = replace(healthy().attempts[0], status=407, request_packet=2, response_packet=4)
    flow = replace(denied(), attempts=(first, denied().attempts[0]))
    assert "Tried   CONNECT 407 (#2, #4), CONNECT 403 (#33, #35)" in text(report(flow))


@pytest.mark.parametrize(
    ("capture", "expected"),
    [
        (empty(), "412 packets, none TCP: outer GRE 0x88be (300), ARP (112)."),
        (
            replace(empty(), source=replace(empty().source, packets=0)),
            "No packets: the capture is empty.",
        ),
        (
            replace(empty(), other_flows=7),
            "No flow through a proxy was found: 7 TCP flows carried",
        ),
        (
            replace(empty(), not_understood=()),
            "412 packets, none TCP: nothing in them that belongs to a TCP connection.",
        ),
    ],
)
def test_an_empty_report_says_why(capture: Report, expected: str) -> None:
    assert expected in text(capture)


def test_several_files_are_told_apart() -> None:
    output = text(mixed(), empty(), many=True)
    assert output.count("tunnelscope: fmc.pcapng") == 2
    assert "=" * 80 in output


def test_many_failing_flows_are_all_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(to_text, "BLOCKS", 2)
    flows = [replace(denied(number), client=f"10.0.0.{number}:1") for number in range(1, 8)]
    output = text(report(*flows))
    assert output.count("PROBLEM:") == 2
    assert all(f"10.0.0.{number}:1" in output for number in range(1, 8))


def test_many_healthy_flows_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(to_text, "ROWS", 3)
    output = text(report(*[healthy(number) for number in range(1, 21)]))
    assert "and 17 more flows; --format csv lists them all" in output
    assert "Flows without a problem (20)" in output


LONG = "a-very-long-label." * 8 + "example.com:443"


@pytest.mark.parametrize(
    "capture",
    [
        mixed(),
        empty(),
        report(hostile()),
        report(replace(denied(), target=LONG, client="[2001:db8:1111:2222:3333:4444:5555:6666]:1")),
        report(
            replace(healthy(), target=LONG, client="[2001:db8:1111:2222:3333:4444:5555:6666]:1")
        ),
        report(replace(denied(), target="例え" * 60)),
        report(replace(healthy(), target="例え" * 60, id=123456)),
    ],
)
def test_no_line_is_wider_than_80_cells(capture: Report) -> None:
    for line in text(capture).splitlines():
        assert cells(line) <= 80, line


@given(st.text(max_size=200))
def test_any_text_stays_in_its_line_and_in_80_columns(words: str) -> None:
    finding = replace(denied().findings[0], title=words, observation=words, cause=words)
    output = text(report(replace(denied(), target=words, findings=(finding,)), healthy()))
    for line in output.split("\n"):
        assert line.isprintable()
        assert cells(line) <= 80


def test_network_text_cannot_steer_the_terminal() -> None:
    output = text(report(hostile()))
    assert all(line.isprintable() for line in output.split("\n"))
    assert SECRET not in output
    assert "dXNlcjp" not in output
    assert "\x1b" in EVIL  # the test has teeth


@given(
    st.text(alphabet=st.characters(codec="utf-8", exclude_characters="`"), max_size=300),
    st.integers(1, 40),
)
def test_wrapping_loses_nothing_but_blanks(words: str, width: int) -> None:
    lines = wrap(words, width)
    assert "".join("".join(lines).split()) == "".join(words.split())
    assert all(cells(line) <= max(width, 2) for line in lines)


def test_a_broken_command_can_be_pasted() -> None:
    text = "Repeat it: `curl -v -x http://10.10.10.1:80 -I https://tools.cisco.com` and compare"
    lines = wrap(text, 40)
    assert lines == [
        "Repeat it: `curl -v -x \\",
        "http://10.10.10.1:80 -I \\",
        "https://tools.cisco.com` and compare",
    ]
    assert "\\" not in "".join(wrap("an unpaired ` is no command at all, it is not", 12))


@pytest.mark.parametrize(
    ("format", "line"),
    [
        ("text", "\n  Issue   Proxy & ACL\n"),
        ("markdown", "\n- Known issue: Proxy \\& ACL\n"),
        ("html", "<p><b>Known issue:</b> Proxy &amp; ACL</p>"),
    ],
)
def test_the_known_issue_is_named(format: str, line: str) -> None:
    flow = denied()
    named = replace(flow.findings[0], title="403", issue_name="Proxy & ACL")
    assert line in "".join(render(format, [report(replace(flow, findings=(named,)))]))


@given(st.text(alphabet="a` ", max_size=120), st.integers(4, 30))
def test_commands_stay_in_the_width(words: str, width: int) -> None:
    assert all(cells(line) <= width for line in wrap(words, width))


@given(st.text(alphabet="ab例.:", max_size=60), st.integers(8, 40))
def test_fitting_fills_the_width(word: str, width: int) -> None:
    assert cells(fit_middle(word, width)) == width


def test_fitting_keeps_the_port() -> None:
    assert fit_middle("updates.vrt.sourcefire.com:443", 20) == "updates.vr...com:443"


def test_names_stand_before_addresses_and_in_tables_for_them() -> None:
    hosts = {"10.10.10.1": "proxy.lab", "10.40.40.1": "client.lab"}
    named = text(replace(report(healthy(), denied()), names=hosts))
    bare = text(report(healthy(), denied()))
    assert "client.lab (10.40.40.1:" in named
    assert "proxy.lab (10.10.10.1:80)" in named
    assert " client.lab:" in named.partition("Flows without a problem")[2]
    assert "client.lab" not in bare
    assert all(cells(line) <= 80 for line in named.splitlines())


@pytest.mark.parametrize("format", ["markdown", "html", "mermaid"])
def test_other_formats_have_names_too(format: str) -> None:
    hosts = {"10.10.10.1": "proxy.lab"}
    named = "".join(render(format, [replace(report(healthy(), denied()), names=hosts)]))
    assert "proxy.lab (10.10.10.1:80)" in named
