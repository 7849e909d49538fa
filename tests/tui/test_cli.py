"""The command line as a user meets it: output, errors, exit codes, pipes and terminals."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from capture import __version__, check
from capture.check import Unreadable
from capture.options import AnalysisOptions
from tests.capture.report.data import denied, healthy, hostile, mixed, report, stalled
from tui import cli
from tui.feeds import FileFeed
from tui.names import naming, resolver
from tui.names.resolver import Resolver

ROOT = Path(__file__).parents[2]
CAPTURES = ROOT / "tests" / "data" / "captures"
HEALTHY = str(CAPTURES / "01a_success_302_tls13.pcap")
DENIED = str(CAPTURES / "02a_squid_acl_deny.pcap")


def run(*argv: str, **options: Any) -> subprocess.CompletedProcess[str]:
    defaults: dict[str, Any] = {
        "stdin": subprocess.DEVNULL,
        "capture_output": True,
        "text": True,
        "timeout": 120,
        "cwd": ROOT,
    }
    return subprocess.run(
        [sys.executable, "-m", "tui.cli", *argv], check=False, **(defaults | options)
    )


# Without reading anything: what is judged comes from a table.


@pytest.fixture
def outcomes(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Any]]:
    """Let ``check_files`` say what the test wants; the calls are returned."""

    def prepared(*items: Any) -> list[Any]:
        calls: list[Any] = []

        def check_files(
            paths: Sequence[str], options: AnalysisOptions, **more: Any
        ) -> Iterator[Any]:
            calls.append((list(paths), options, more))
            for item in items:
                if isinstance(item, BaseException):
                    raise item
                yield item

        monkeypatch.setattr(check, "check_files", check_files)
        return calls

    return prepared


@pytest.mark.parametrize(
    ("items", "fail_on", "code"),
    [
        ([report(healthy())], "problem", 0),
        ([report(denied())], "problem", 1),
        ([report(stalled())], "problem", 0),
        ([report(stalled())], "warning", 1),
        ([report(denied())], "never", 0),
        ([report(healthy())], "info", 0),
        ([mixed()], "info", 1),
        ([report(findings=mixed().findings)], "info", 1),
        ([Unreadable("x", "not a capture")], "problem", 4),
        ([report(denied()), Unreadable("x", "not a capture")], "problem", 4),
        ([Unreadable("x", "not a capture"), report(healthy())], "never", 4),
        ([report(denied()), KeyboardInterrupt()], "problem", 130),
    ],
)
def test_exit_codes(
    outcomes: Callable[..., list[Any]], items: list[Any], fail_on: str, code: int
) -> None:
    outcomes(*items)
    assert cli.main(["check", "--fail-on", fail_on, *["x"] * len(items)]) == code


def test_a_failing_file_is_told_on_stderr_once(
    outcomes: Callable[..., list[Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    outcomes(Unreadable("a\x1b[2J", "not a capture"), Unreadable("b", "b: no such file"), mixed())
    assert cli.main(["check", "--format", "json", "a", "b", "c"]) == 4
    captured = capsys.readouterr()
    assert captured.err == "tunnelscope: a·[2J: not a capture\ntunnelscope: b: no such file\n"
    assert len(json.loads(captured.out)) == 1


def test_formats_without_room_for_warnings_tell_them_on_stderr(
    outcomes: Callable[..., list[Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    outcomes(mixed())
    cli.main(["check", "--format", "csv", "x"])
    assert "fmc.pcapng: warning: cut inside packet 413" in capsys.readouterr().err
    cli.main(["check", "--format", "text", "x"])
    assert capsys.readouterr().err == ""


def test_options_reach_the_analysis(
    outcomes: Callable[..., list[Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    conf = tmp_path / "iprep_proxy.conf"
    conf.write_text("iprep_proxy { PROXY_HOST 10.0.0.2; PROXY_PORT 80; }")
    monkeypatch.setenv("http_proxy", "http://u:p@10.0.0.3:3128")
    calls = outcomes(mixed())
    cli.main([
        "check", "--proxy", "10.0.0.1:8080", "--proxy", "[fd00::1]",
        "--iprep-proxy-conf", str(conf), "--all", "--rules", str(tmp_path), "--jobs", "3",
        "--format", "csv", "a",
    ])  # fmt: skip
    ((paths, options, more),) = calls
    assert paths == ["a"]
    assert options == AnalysisOptions(
        proxies=(("10.0.0.1", 8080), ("fd00::1", None), ("10.0.0.2", 80), ("10.0.0.3", 3128)),
        keep_other=True,
        keep_steps=False,
        keep_texts=False,
        rules=(str(tmp_path),),
    )
    assert more["jobs"] == 3


def test_json_has_the_steps_of_all_flows(outcomes: Callable[..., list[Any]]) -> None:
    calls = outcomes(mixed())
    cli.main(["check", "--format", "json", "a"])
    assert calls[0][1].keep_steps


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        ([], "name a capture"),
        (["check"], "check needs a capture"),
        (["check", "-", "-"], "only once"),
        (["check", "--format", "xml", "x"], "invalid choice"),
        (["check", "--proxy", "http://u:hunter2@p:x", "x"], "port"),
        (["check", "--rules", "/no/such/dir", "x"], "no such directory"),
        (["check", "--iprep-proxy-conf", "/no/such", "x"], "No such file"),
        (["demo", "no-such-demo"], "no demo"),
        (["check", "-o", "/no/such/place", "x"], "No such file"),
    ],
)
def test_mistakes_are_one_line_and_code_2(
    argv: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(argv) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert words in captured.err
    assert captured.err.count("\n") == 1
    assert captured.err.startswith("tunnelscope: ")
    assert "hunter2" not in captured.err


def test_a_name_as_proxy_is_answered_honestly(
    outcomes: Callable[..., list[Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    outcomes(mixed())
    cli.main(["check", "--proxy", "proxy.corp:3128", "x"])
    assert "names are not looked up" in capsys.readouterr().err


def test_demo_problems_are_no_failure(
    outcomes: Callable[..., list[Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    calls = outcomes(report(denied()))
    assert cli.main(["demo"]) == 0
    assert "Proxy ACL restriction" in capsys.readouterr().out
    assert Path(calls[0][0][0]).is_file()


def test_names_are_asked_for_when_wanted_and_where_there_is_a_place_for_them(
    outcomes: Callable[..., list[Any]],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []

    def name(host: str) -> str:
        asked.append(host)
        return "proxy.lab" if host == "10.10.10.1" else ""

    monkeypatch.setattr(naming, "WAIT_S", 20.0)
    monkeypatch.setattr(resolver, "Resolver", partial(Resolver, name))
    outcomes(report(denied()))
    cli.main(["check", "x"])
    cli.main(["check", "--resolve", "--format", "csv", "x"])
    assert not asked
    assert "proxy.lab" not in capsys.readouterr().out
    cli.main(["check", "--resolve", "x"])
    assert sorted(asked) == ["10.10.10.1", "10.40.40.1"]
    assert "proxy.lab (10.10.10.1:80)" in capsys.readouterr().out


def test_demo_list_names_each_once(capsys: pytest.CaptureFixture[str]) -> None:
    from capture.demo import list_demos

    assert cli.main(["demo", "--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [demo.name for demo in list_demos()]
    assert all(len(line) <= 100 for line in lines)


def test_r_without_a_terminal_prints_the_report(
    outcomes: Callable[..., list[Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    for argv in (["x.pcap"], ["-r", "x.pcap"], ["-r", "-"]):
        outcomes(report(denied()))
        assert cli.main(argv) == 1
        assert "Proxy ACL restriction" in capsys.readouterr().out


class Tty(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("argv", "path", "terminal_in", "screen"),
    [
        (["x.pcap"], "x.pcap", True, True),
        (["x.pcap"], "x.pcap", False, False),
        (["-r", "-"], "-", False, True),
    ],
)
def test_with_a_terminal_the_screen_opens(
    outcomes: Callable[..., list[Any]],
    monkeypatch: pytest.MonkeyPatch,
    argv: list[str],
    path: str,
    terminal_in: bool,
    screen: bool,
) -> None:
    import tui.app

    opened: list[Any] = []

    def fake(feed: FileFeed, **options: Any) -> int:
        opened.append((feed.path, options))
        return 0

    monkeypatch.setattr(tui.app, "run", fake)
    monkeypatch.setattr(sys, "stdout", Tty())
    monkeypatch.setattr(sys, "stdin", Tty() if terminal_in else io.StringIO())
    outcomes(report(healthy()))
    arguments = ["--ascii", "--no-mouse", "--theme", "light", "--slow-link", *argv]
    assert cli.main(arguments) == 0
    if not screen:
        assert opened == []
        return
    ((source, options),) = opened
    assert source == path
    assert (options["ascii"], options["mouse"], options["theme"], options["slow_link"]) == (
        True, False, "light", True,
    )  # fmt: skip


def test_a_dumb_terminal_gets_the_report(
    outcomes: Callable[..., list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = Tty()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setattr(sys, "stdin", Tty())
    monkeypatch.setenv("TERM", "dumb")
    outcomes(report(healthy()))
    assert cli.main(["x.pcap"]) == 0
    assert "without a problem" in terminal.getvalue()


def test_output_to_a_file(outcomes: Callable[..., list[Any]], tmp_path: Path) -> None:
    outcomes(mixed())
    target = tmp_path / "report.html"
    assert cli.main(["check", "--format", "html", "-o", str(target), "x"]) == 1
    assert target.read_text().startswith("<!DOCTYPE html>")


@pytest.mark.parametrize("format", ["text", "json", "ndjson", "csv", "markdown", "html", "mermaid"])
def test_no_format_prints_controls_or_credentials(
    outcomes: Callable[..., list[Any]], capsys: pytest.CaptureFixture[str], format: str
) -> None:
    from tests.capture.report.data import SECRET

    outcomes(report(hostile()))
    cli.main(["check", "--format", format, "--ascii", "x"])
    out = capsys.readouterr().out
    assert SECRET not in out
    assert out.replace("\n", "").isprintable()
    assert out.isascii()


# As a process, on real captures.


def test_version_and_help() -> None:
    done = run("-V")
    assert (done.returncode, done.stdout) == (0, f"tunnelscope {__version__}\n")
    done = run("-h")
    assert done.returncode == 0
    assert "tunnelscope check FILE..." in done.stdout
    assert run("check", "-h").returncode == 0


def test_a_healthy_capture() -> None:
    done = run("check", HEALTHY)
    assert (done.returncode, done.stderr) == (0, "")
    assert "1 flow through a proxy: 1 without a problem" in done.stdout


def test_a_denied_capture() -> None:
    done = run("check", DENIED)
    assert (done.returncode, done.stderr) == (1, "")
    assert "acl_denied" in done.stdout
    assert "403 FAILED" in done.stdout


def test_several_files_come_in_order_and_the_gravest_code_wins(tmp_path: Path) -> None:
    foreign = tmp_path / "foreign.pcap"
    foreign.write_bytes(b"\x7fELF" + bytes(200))
    done = run("check", "--format", "csv", "--jobs", "2", DENIED, str(foreign), HEALTHY)
    assert done.returncode == 4
    assert done.stderr.count("\n") == 1
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [(row["file"], row["verdict"]) for row in rows] == [
        (DENIED, "acl_denied"),
        (HEALTHY, "ok"),
    ]


@pytest.mark.parametrize("name", ["absent.pcap", "empty.pcap", "text.pcap", ""])
def test_unreadable_input_is_one_line_and_code_4(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty.pcap").touch()
    (tmp_path / "text.pcap").write_text("no packets here\n" * 30)
    done = run("check", str(tmp_path / name))
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr


def test_standard_input(tmp_path: Path) -> None:
    with open(DENIED, "rb") as packets:
        done = run("check", "--format", "json", "-", stdin=packets)
    assert done.returncode == 1
    assert json.loads(done.stdout)["flows"][0]["verdict"] == "acl_denied"


def test_a_reader_that_leaves_is_no_error() -> None:
    read, write = os.pipe()
    os.close(read)
    try:
        done = run("check", DENIED, stdout=write, capture_output=False, stderr=subprocess.PIPE)
    finally:
        os.close(write)
    assert done.returncode in (0, 1)
    assert done.stderr == ""


def test_a_full_disk_is_one_line() -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no /dev/full here")
    with full.open("w") as disk:
        done = run("check", DENIED, stdout=disk, capture_output=False, stderr=subprocess.PIPE)
    assert done.returncode == 2
    assert done.stderr == "tunnelscope: standard output: No space left on device\n"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_any_output_encoding(encoding: str) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    done = run("check", DENIED, env=environment, encoding="latin-1")
    assert done.returncode == 1
    assert "acl_denied" in done.stdout


def test_ctrl_c_ends_the_packets_of_a_pipe_and_the_report_follows() -> None:
    read, write = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-m", "tui.cli", "check", "-"],
        stdin=read,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ROOT,
        text=True,
    )
    try:
        os.write(write, Path(DENIED).read_bytes())
        until_taken(read)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=120)
    finally:
        os.close(read)
        os.close(write)
        process.kill()
    assert (process.returncode, err) == (1, "")
    assert "acl_denied" in out


def until_taken(pipe: int) -> None:
    """Wait until all there is in a pipe was read. More than is looked at to tell the format
    was in there: so the packets are being analysed."""
    import fcntl
    import termios
    import time

    left = bytearray(4)
    for _ in range(2400):
        fcntl.ioctl(pipe, termios.FIONREAD, left)
        if not int.from_bytes(left, sys.byteorder):
            return
        time.sleep(0.05)
    raise AssertionError("nobody reads the pipe")


def test_on_a_terminal_the_report_ends_with_a_clean_line() -> None:
    """The bar, if it was drawn at all, is gone when the report is."""
    leader, follower = pty.openpty()
    done = run("check", DENIED, stderr=follower, capture_output=False, stdout=subprocess.PIPE)
    os.close(follower)
    try:
        drawn = os.read(leader, 65_536)
    except OSError:
        drawn = b""
    finally:
        os.close(leader)
    assert done.returncode == 1
    assert drawn == b"" or drawn.endswith(b"\r\x1b[K")


def configuration(directory: Path, text: str) -> str:
    file = directory / "config.toml"
    file.write_text(text)
    return str(file)


def test_the_configuration_speaks_where_the_command_line_does_not(tmp_path: Path) -> None:
    file = configuration(tmp_path, "ascii = true\n[thresholds]\nreply-slow-s = 7\n")
    done = run("check", "--config", file, DENIED)
    assert done.returncode == 1
    assert done.stdout.isascii()
    done = run("--config", file, "--print-config")
    assert "\nreply-slow-s = 7 " in done.stdout
    assert "\nascii = true\n" in done.stdout
    assert '"main.find" = "slash"' in done.stdout


@pytest.mark.parametrize("arguments", [["check", DENIED], ["demo", "--list"], [DENIED]])
def test_a_wrong_configuration_is_a_wrong_usage(arguments: list[str], tmp_path: Path) -> None:
    file = configuration(tmp_path, "colour = 'red'")
    done = run(*arguments, "--config", file)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == f"tunnelscope: {file}: no setting 'colour': did you mean columns, sort?\n"


@pytest.mark.parametrize("shell", ["bash", "fish", "zsh"])
def test_completion_is_printed(shell: str) -> None:
    done = run("--completion", shell)
    assert done.returncode == 0
    assert "tunnelscope" in done.stdout
