from __future__ import annotations

import argparse

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.live.settings import CaptureSettings, Ring, StopWhen
from tui.command import arguments
from tui.command.arguments import UsageError, parse


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


CAPTURING = [
    "-f", "tcp port 80", "-w", "out.pcapng", "-c", "100", "-a", "duration:1.5", "-a", "packets:50",
    "-b", "filesize:1000", "-b", "files:3", "-s", "96", "-p", "-B", "64", "-Z", "nobody",
]  # fmt: skip
"""Every option of a capture but -i."""


@pytest.mark.parametrize("command", [[], ["check"]])
def test_capture_options_are_tcpdumps_and_dumpcaps(command: list[str]) -> None:
    settings = parse([*command, "-i", "eth0", "-i", "eth1", "-i", "eth0", *CAPTURING]).settings
    assert settings == CaptureSettings(
        interfaces=("eth0", "eth1"),
        filter="tcp port 80",
        snaplen=96,
        promiscuous=False,
        buffer_mib=64,
        stop=StopWhen(packets=50, duration_s=1.5),
        write="out.pcapng",
        ring=Ring(filesize_kb=1000, files=3),
        user="nobody",
    )


@pytest.mark.parametrize("command", [[], ["check"]])
def test_trailing_words_are_the_filter_of_a_capture(command: list[str]) -> None:
    told = ["-i", "any", "port", "80", "-w", "x", "and", "(host 10.0.0.1)"]
    settings = parse([*command, *told]).settings
    assert (settings.filter, settings.write) == ("port 80 and (host 10.0.0.1)", "x")
    assert parse([*command, "-i", "any", "--", "port", "80"]).settings.filter == "port 80"
    assert parse([*command, "-i", "any", "-s", "0"]).settings == CaptureSettings(("any",))


def test_another_machine() -> None:
    parsed = parse(["--ssh", "root@box", "-i", "eth0", "port", "80"])
    assert parsed.command == "screen"
    assert parsed.settings == CaptureSettings(("eth0",), filter="port 80", ssh="root@box")


def test_without_a_capture_the_start_screen_opens() -> None:
    parsed = parse(["--ascii", "-w", "out.pcapng"])
    assert (parsed.command, parsed.read, parsed.settings.write) == ("start", None, "out.pcapng")


def test_interfaces_are_listed_by_word_or_letter() -> None:
    assert parse(["interfaces"]).command == parse(["-D"]).command == "interfaces"
    assert parse(["--ascii", "interfaces"]).ascii


def test_a_growing_file() -> None:
    parsed = parse(["--follow", "x.pcap"])
    assert (parsed.read, parsed.follow) == ("x.pcap", True)


@pytest.mark.parametrize(
    ("argv", "word"),
    [
        (["a", "b"], "check"),
        (["-r", "a", "b"], "check"),
        (["check"], "check -i IF"),
        (["check", "-", "-"], "standard input"),
        (["check", "--format", "xml", "a"], "--format"),
        (["check", "--fail-on", "bad", "a"], "--fail-on"),
        (["check", "--jobs", "0", "a"], "--jobs"),
        (["check", "--jobs", "x", "a"], "--jobs"),
        (["check", "--nonsense", "a"], "--nonsense"),
        (["demo", "a", "b"], "b"),
        (["demo", "-i", "eth0"], "-i"),
        (["interfaces", "eth0"], "eth0"),
        (["-r"], "-r"),
        (["--form", "json"], "--form"),
        (["x\x1b[2J", "y"], "check"),
        (["--x\x1b[2J"], "x"),
        (["-i"], "-i"),
        (["-i", ""], "-i"),
        (["-i", "-"], "-r -"),
        (["-i", "a\x1b[2J"], "-i"),
        (["-i", "any", "-i", "eth0"], "any"),
        (["-i", "eth0", "-r", "x"], "-r"),
        (["check", "-i", "eth0", "-r", "x"], "-r"),
        (["check", "-i", "eth0", "-j", "2"], "-j"),
        (["-i", "eth0", "-f", "tcp", "port", "80"], "twice"),
        (["-i", "eth0", "--follow"], "--follow"),
        (["-i", "eth0", "-w", "-"], "-w"),
        (["-i", "eth0", "-w", ""], "-w"),
        (["-w", "y", "x"], "-w"),
        (["-p", "x"], "-p"),
        (["check", "x", "-a", "duration:3"], "-a"),
        (["check", "-c", "3", "x"], "-c"),
        (["--ssh", "box"], "--ssh"),
        (["--ssh", "box", "-i", "a", "-i", "b"], "--ssh"),
        (["--ssh=-oProxyCommand=x", "-i", "a"], "--ssh"),
        (["--ssh", "a b", "-i", "a"], "--ssh"),
        (["--follow"], "--follow"),
        (["--follow", "-"], "--follow"),
        (["-i", "a", "-c", "0"], "-c"),
        (["-i", "a", "-c", "1e3"], "-c"),
        (["-i", "a", "-s", "262145"], "-s"),
        (["-i", "a", "-B", "2048"], "-B"),
        (["-i", "a", "-a", "3"], "-a"),
        (["-i", "a", "-a", "duration:inf"], "-a"),
        (["-i", "a", "-a", "duration:nan"], "-a"),
        (["-i", "a", "-a", "filesize:0"], "-a"),
        (["-i", "a", "-a", "files:2"], "-b"),
        (["-i", "a", "-b", "duration:5"], "-w"),
        (["-i", "a", "-w", "x", "-b", "files:5"], "filesize"),
        (["-i", "a", "-w", "x", "-b", "interval:5"], "interval"),
    ],
)
def test_mistakes_are_told_in_one_printable_line(argv: list[str], word: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(argv)
    assert str(caught.value).isprintable()
    assert word in str(caught.value)


@pytest.mark.parametrize("command", ["", "check", "demo"])
def test_help_and_version_promise_only_what_works(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        parse([*command.split(), "-h"])
    assert caught.value.code == 0
    text = capsys.readouterr().out
    assert ("-w FILE" in text) == (command != "demo")
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


def test_a_second_capture_to_compare_with() -> None:
    assert parse(["a.pcap", "--with", "b.pcap"]).other == "b.pcap"
    assert parse(["--with", "b.pcap", "a.pcap"]).read == "a.pcap"
    with pytest.raises(UsageError, match="needs two captures"):
        parse(["--with", "b.pcap"])
    with pytest.raises(UsageError, match="not with -i"):
        parse(["-i", "eth0", "--with", "b.pcap"])


def test_names_are_wanted_only_when_asked_for_and_the_last_word_counts() -> None:
    assert not parse(["check", "a.pcap"]).resolve
    assert not parse(["-n", "a.pcap"]).resolve
    assert parse(["--resolve", "a.pcap"]).resolve
    assert parse(["demo", "-n", "--resolve"]).resolve
    assert not parse(["check", "--resolve", "-n", "a.pcap"]).resolve
