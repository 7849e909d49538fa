from __future__ import annotations

import argparse

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui import arguments
from tui.arguments import UsageError, parse


def test_a_bare_file_is_the_same_as_r() -> None:
    for argv in (["x.pcap"], ["-r", "x.pcap"], ["--read", "x.pcap"], ["--", "x.pcap"]):
        parsed = parse(argv)
        assert (parsed.command, parsed.read) == ("screen", "x.pcap")


def test_dash_is_standard_input() -> None:
    assert parse(["-r", "-"]).read == "-"
    assert parse(["-"]).read == "-"
    assert parse(["check", "-"]).file == ["-"]


def test_options_may_stand_before_the_command() -> None:
    parsed = parse(["--ascii", "--proxy", "check", "check", "a", "b"])
    assert (parsed.command, parsed.file, parsed.proxy) == ("check", ["a", "b"], ["check"])
    assert parse(["--theme", "dark", "demo", "mtu"]).name == "mtu"


def test_check_has_its_options() -> None:
    parsed = parse([
        "check", "--format", "json", "--fail-on", "warning", "-j", "3", "--all", "-o", "out",
        "-n", "--rules", "d", "--iprep-proxy-conf", "c", "--ascii", "-r", "one", "two",
    ])  # fmt: skip
    assert (parsed.format, parsed.fail_on, parsed.jobs, parsed.all) == ("json", "warning", 3, True)
    assert (parsed.output, parsed.rules, parsed.iprep_proxy_conf) == ("out", ["d"], "c")
    assert (parsed.read, parsed.file) == (["one"], ["two"])


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["a", "b"],
        ["-r", "a", "b"],
        ["check", "--format", "xml", "a"],
        ["check", "--fail-on", "bad", "a"],
        ["check", "--jobs", "0", "a"],
        ["check", "--jobs", "x", "a"],
        ["check", "--nonsense", "a"],
        ["demo", "a", "b"],
        ["-r"],
        ["--form", "json"],
        ["x\x1b[2J", "y"],
        ["--x\x1b[2J"],
    ],
)
def test_mistakes_are_told_in_one_printable_line(argv: list[str]) -> None:
    with pytest.raises(UsageError) as caught:
        parse(argv)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "argv",
    [
        ["-i", "eth0"],
        ["-i"],
        ["check", "-i", "eth0", "port", "80"],
        ["--ssh", "root@box", "-i", "eth0"],
        ["interfaces"],
        ["-D"],
        ["-r", "x", "-Y", "tcp"],
        ["-r", "x", "-w", "y"],
        ["x", "--resolve"],
        ["check", "x", "--tls-keylog", "keys"],
    ],
)
def test_what_comes_later_is_answered_and_not_half_done(argv: list[str]) -> None:
    with pytest.raises(UsageError, match="this version reads captures"):
        parse(argv)


@pytest.mark.parametrize("command", ["", "check", "demo"])
def test_help_and_version_promise_only_what_works(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        parse([*command.split(), "-h"])
    assert caught.value.code == 0
    text = capsys.readouterr().out
    for word in ("-i ", "--ssh", "-w ", "-Y", "interfaces", "--tls-keylog", "--no-redact"):
        assert word not in text
    assert "--proxy" in text
    assert all(len(line) <= 100 for line in text.splitlines())


def test_the_options_that_take_a_value_are_known() -> None:
    parsers = (
        arguments._screen_parser(), arguments._check_parser(), arguments._demo_parser(),
    )  # fmt: skip
    valued = {
        name
        for parser in parsers
        for action in parser._actions
        if action.nargs is None and action.help != argparse.SUPPRESS
        for name in action.option_strings
    }
    assert valued == arguments._VALUED


@given(st.lists(st.text(max_size=12), max_size=5))
def test_any_words_are_understood_or_refused(argv: list[str]) -> None:
    outcome: str | int | None = "understood"
    try:
        parse(argv)
    except UsageError as error:
        outcome = str(error)
    except SystemExit as done:
        outcome = done.code
    assert outcome == 0 or (isinstance(outcome, str) and outcome.isprintable())
