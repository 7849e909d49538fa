from __future__ import annotations

import io
import os
import sys
from pathlib import Path

import pytest

from capture.frames import UnreadableInput
from capture.live import interfaces, source
from capture.live.interfaces import NetworkInterface
from capture.live.settings import CaptureSettings, Ring
from tui import cli, recent
from tui.engine_bridge import EngineBridge
from tui.feeds import FeedFailed, FileFeed, LiveFeed, interfaces_here, may_come_late
from tui.sessions import Setup, open_bridge

CAPTURE = Path(__file__).parents[1] / "data" / "captures" / "02a_squid_acl_deny.pcap"


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [NetworkInterface("eth7"), NetworkInterface("wan0"), NetworkInterface("any")]
    monkeypatch.setattr(interfaces, "list_interfaces", lambda proxies=(): names)


@pytest.mark.usefixtures("known")
def test_interfaces_by_name_and_number() -> None:
    settings = CaptureSettings(("wan0", "1", "eth7"))
    assert interfaces_here(settings).interfaces == ("wan0", "eth7")
    remote = CaptureSettings(("99",), ssh="root@box")
    assert interfaces_here(remote) is remote


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize(
    ("name", "words"),
    [("eth", "did you mean eth7?"), ("zzz", "there are eth7, wan0, any"), ("4", "there are"),
     ("0", "no interface"), ("x\x1b[2J" + "y" * 99, "there are")],
)  # fmt: skip
def test_an_interface_that_is_none_names_near_ones(
    name: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(FeedFailed, match="no interface") as caught:
        interfaces_here(CaptureSettings((name,)))
    assert words in str(caught.value)
    assert caught.value.code == 2
    if name.isprintable():
        assert cli.main(["check", "-i", name]) == 2
        captured = capsys.readouterr()
        assert captured.err.count("\n") == 1
        assert words in captured.err


class Refusing:
    """A live source that cannot begin."""

    error: Exception = UnreadableInput("")

    def __init__(self, settings: CaptureSettings) -> None:
        raise self.error


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize(
    ("bpf", "message", "code"),
    [("", "no right to capture: use `sudo x`", 3), ("port", "capture filter `port`: wrong", 2)],
)
def test_a_capture_that_does_not_begin_is_one_line(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    bpf: str,
    message: str,
    code: int,
) -> None:
    monkeypatch.setattr(source, "LiveSource", Refusing)
    monkeypatch.setattr(Refusing, "error", UnreadableInput(message))
    assert cli.main(["check", "-i", "eth7", "-f", bpf]) == code
    assert capsys.readouterr() == ("", f"tunnelscope: {message}\n")


def test_titles_say_where_and_what() -> None:
    assert LiveFeed(CaptureSettings(("eth0", "tun0"))).title == "eth0+tun0"
    assert LiveFeed(CaptureSettings(("eth0",), filter="port 80")).title == "eth0  port 80"
    assert LiveFeed(CaptureSettings(("any",), ssh="root@box")).title == "root@box any"
    assert FileFeed("/a/b.pcap").title == "b.pcap"
    assert FileFeed("-").title == "standard input"
    assert FileFeed("/a/b.pcap", "demo: b").title == "demo: b"


def test_files_that_can_be_opened_again_are_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.delenv("SUDO_UID", raising=False)
    from capture.options import AnalysisOptions

    setup = Setup(AnalysisOptions(), None, 0.25)
    bridge = open_bridge(FileFeed(str(CAPTURE)), setup)
    assert isinstance(bridge, EngineBridge)
    assert not bridge.live
    bridge.stop()
    open_bridge(FileFeed(str(CAPTURE), "demo: x"), setup).stop()
    assert [item.path for item in recent.recent_captures(9)] == [str(CAPTURE)]
    assert FileFeed("-").file == ""
    assert LiveFeed(CaptureSettings(("a",))).file == ""
    assert LiveFeed(CaptureSettings(("a",), write="out.pcapng")).file == "out.pcapng"
    ring = CaptureSettings(("a",), write="out.pcapng", ring=Ring(packets=9))
    assert LiveFeed(ring).file == ""


def test_what_cannot_be_read_is_not_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    from capture.options import AnalysisOptions

    with pytest.raises(FeedFailed) as caught:
        open_bridge(FileFeed(str(tmp_path / "none.pcap")), Setup(AnalysisOptions(), None, 0.25))
    assert caught.value.code == 4
    assert str(caught.value).startswith(f"{tmp_path}/none.pcap: ")
    assert recent.recent_captures(9) == []


def test_pipes_and_fifos_are_live(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    assert may_come_late(str(fifo))
    assert not may_come_late(str(CAPTURE))
    assert not may_come_late(str(tmp_path / "none"))


def test_without_a_terminal_the_start_screen_is_a_usage_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    assert cli.main([]) == 2
    assert "name a capture" in capsys.readouterr().err


@pytest.mark.usefixtures("known")
def test_interfaces_are_listed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli, "RATES_OVER_S", 0.0)
    for argv in (["-D"], ["interfaces"], ["--ascii", "interfaces"]):
        assert cli.main(argv) == 0
        out = capsys.readouterr().out
        assert [line.split()[:2] for line in out.splitlines()] == [
            ["1.", "eth7"], ["2.", "wan0"], ["3.", "any"],
        ]  # fmt: skip
