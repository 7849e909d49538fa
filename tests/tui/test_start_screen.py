from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from capture.live import interfaces, privileges
from capture.live.interfaces import NetworkInterface
from capture.live.settings import CaptureSettings
from capture.snapshot import Capturing
from tests.tui.fakes import FakeEngine, capture
from tests.tui.user import User
from tui import recent
from tui.application import TunnelscopeApp
from tui.engine_bridge import EngineBridge
from tui.feeds import Feed, FeedFailed, FileFeed, LiveFeed
from tui.footline import Footline
from tui.screens.main import MainScreen
from tui.screens.parts import live as live_part
from tui.screens.start import StartScreen
from widgets.choice_list import ChoiceList

ETH0 = NetworkInterface("eth0", ("192.0.2.2/24",), default_route=True)
TUN0 = NetworkInterface("tun0", ("10.8.0.2/24",), proxies=("10.10.10.1:3128",))
WIFI = NetworkInterface("wlan0", up=False, running=False)
ANY = NetworkInterface("any")


class Machine:
    """What the start screen finds, and what it opens."""

    def __init__(self) -> None:
        self.interfaces = [TUN0, ETH0, WIFI, ANY]
        self.rates = {"tun0": 1234.0, "eth0": 0.0}
        self.opened: list[Feed] = []
        self.bridges: list[EngineBridge] = []
        self.failure = ""

    def open(self, feed: Feed) -> EngineBridge:
        self.opened.append(feed)
        if self.failure:
            raise FeedFailed(self.failure, 3)
        snapshot, store = capture()
        bridge = EngineBridge(lambda: FakeEngine(snapshot, store=store))
        self.bridges.append(bridge)
        return bridge


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Machine:
    found = Machine()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("SUDO_UID", raising=False)
    monkeypatch.setattr(interfaces, "list_interfaces", lambda proxies=(): found.interfaces)
    monkeypatch.setattr(interfaces.RateMeter, "sample", lambda self: found.rates)
    monkeypatch.setattr(privileges, "can_capture", lambda: True)
    return found


class Starter(User):
    """Looks at the start screen."""

    def choices(self) -> ChoiceList:
        return self.app.screen_stack[0].query_one(ChoiceList)

    def said(self) -> str:
        return self.app.screen.query_one(Footline).message


@asynccontextmanager
async def starting(
    machine: Machine,
    size: tuple[int, int] = (80, 24),
    settings: CaptureSettings | None = None,
    *,
    ascii_only: bool = False,
) -> AsyncIterator[Starter]:
    app = TunnelscopeApp(
        None, title="", opener=machine.open, settings=settings, period_s=0.03,
        ascii_only=ascii_only,
    )  # fmt: skip
    async with app.run_test(size=size) as pilot:
        user = Starter(app, pilot)
        await user.until(lambda: user.choices().selected == ("live", machine.interfaces[0].name))
        yield user


@pytest.mark.parametrize("size", [(80, 24), (120, 36), (200, 50), (40, 10)])
async def test_it_fits_every_terminal(machine: Machine, size: tuple[int, int]) -> None:
    async with starting(machine, size) as user:
        lines = user.text().split("\n")
        assert len(lines) == size[1]
        assert {len(line) for line in lines} == {size[0]}


async def test_interfaces_with_state_rate_and_proxies(machine: Machine) -> None:
    async with starting(machine) as user:
        lines = user.text().split("\n")
        (tun0,) = (line for line in lines if "tun0" in line)
        assert "up" in tun0
        assert "1,234/s" in tun0
        assert "proxy 10.10.10.1:3128; 10.8.0.2/24" in tun0
        (wifi,) = (line for line in lines if "wlan0" in line)
        assert "down" in wifi
        assert "/s" not in wifi
        machine.rates = {"tun0": 7.0}
        user.app.screen._measure()  # type: ignore[attr-defined]
        await user.until(lambda: "7/s" in user.text())


async def test_rows_stay_when_interfaces_come_and_go(machine: Machine) -> None:
    async with starting(machine) as user:
        await user.press("down")
        assert user.choices().selected == ("live", "eth0")
        ppp = NetworkInterface("ppp0", ("10.9.0.1/32",), proxies=("10.10.10.1:80",))
        machine.interfaces = [ppp, ETH0, TUN0]
        await user.press("r")
        await user.until(lambda: "ppp0" in user.text())
        assert user.choices().selected == ("live", "eth0")
        text = user.text()
        assert text.index("tun0") < text.index("eth0") < text.index("ppp0")
        assert "wlan0" not in text


async def test_enter_captures_with_the_filter(machine: Machine) -> None:
    settings = CaptureSettings((), filter="port 80", write="out.pcapng")
    async with starting(machine, settings=settings) as user:
        assert "port 80" in user.text()
        await user.press("f", "backspace", "backspace", *"3128", "enter", "down", "enter")
        await user.until(lambda: isinstance(user.app.screen, MainScreen))
        assert machine.opened == [
            LiveFeed(CaptureSettings(("eth0",), filter="port 3128", write="out.pcapng"))
        ]
        assert user.app.capture_title == "eth0  port 3128"


async def test_each_capture_has_a_file_of_its_own(machine: Machine) -> None:
    async with starting(machine, settings=CaptureSettings((), write="d.d/out.pcapng")) as user:
        for _ in range(3):
            await user.press("enter")
            await user.until(lambda: isinstance(user.app.screen, MainScreen))
            await user.press("q")
            await user.until(lambda: isinstance(user.app.screen, StartScreen))
        files = [feed.settings.write for feed in machine.opened if isinstance(feed, LiveFeed)]
        assert files == ["d.d/out.pcapng", "d.d/out-2.pcapng", "d.d/out-3.pcapng"]


async def test_escape_leaves_the_filter_as_it_was(machine: Machine) -> None:
    async with starting(machine, settings=CaptureSettings((), filter="tcp")) as user:
        await user.press("f", *" port", "escape", "enter")
        await user.until(lambda: bool(machine.opened))
        (feed,) = machine.opened
        assert isinstance(feed, LiveFeed)
        assert feed.settings.filter == "tcp"


async def test_what_does_not_open_is_said_and_the_choice_stays(machine: Machine) -> None:
    machine.failure = "no right to capture: use `sudo tunnelscope`"
    async with starting(machine) as user:
        await user.press("enter")
        await user.until(lambda: user.said() == machine.failure)
        assert isinstance(user.app.screen, StartScreen)
        machine.failure = ""
        await user.press("enter")
        await user.until(lambda: isinstance(user.app.screen, MainScreen))


async def test_without_permission_the_rest_works(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(privileges, "can_capture", lambda: False)
    monkeypatch.setattr(privileges, "advice", lambda: "no right to capture: use `sudo x`")
    async with starting(machine) as user:
        assert "no right to capture: use `sudo x`" in user.text()
        assert "tun0" in user.text()
        await user.press("G", "enter")
        await user.until(lambda: isinstance(user.app.screen, MainScreen))


async def test_back_from_a_capture_and_out(machine: Machine) -> None:
    async with starting(machine) as user:
        await user.press("enter")
        await user.until(lambda: isinstance(user.app.screen, MainScreen))
        await user.until(lambda: "403" in user.text())
        await user.press("q")
        await user.until(lambda: isinstance(user.app.screen, StartScreen))
        assert user.app.bridge is None
        (bridge,) = machine.bridges
        await user.until(lambda: not bridge._engine or not bridge._engine.is_alive())
        await user.press("q")
        assert user.app.return_code == 0


async def test_escape_goes_back_from_a_recording(machine: Machine) -> None:
    async with starting(machine) as user:
        await user.press("G", "enter")
        await user.until(lambda: isinstance(user.app.screen, MainScreen))
        await user.until(lambda: "to the start" in user.text())
        await user.press("escape")
        await user.until(lambda: isinstance(user.app.screen, StartScreen))


@pytest.mark.parametrize("file", ["", "out.pcapng"])
async def test_packets_that_no_file_keeps_are_not_left_by_a_slip(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    snapshot, store = capture()
    live = replace(snapshot, capturing=Capturing(("eth0",), file=file), finished=False)
    monkeypatch.setattr(
        Machine,
        "open",
        lambda self, feed: EngineBridge(lambda: FakeEngine(live, store=store), live=True),
    )
    monkeypatch.setattr(live_part, "ASKED_S", 3600.0)
    async with starting(machine) as user:
        await user.press("enter")
        await user.until(lambda: isinstance(user.app.screen, MainScreen))
        await user.until(lambda: "403" in user.text())
        if not file:
            await user.press("escape")
            assert isinstance(user.app.screen, MainScreen)
            assert "Esc again" in user.said()
        await user.press("escape")
        await user.until(lambda: isinstance(user.app.screen, StartScreen))


async def test_recent_captures_with_size_and_age(machine: Machine, tmp_path: Path) -> None:
    old, gone = tmp_path / "fmc\x1b[2J.pcapng", tmp_path / "gone.pcap"
    old.write_bytes(bytes(1_500_000))
    os.utime(old, (1, 1))
    recent.remember(str(gone))
    recent.remember(str(old))
    async with starting(machine, (100, 40)) as user:
        text = user.text()
        assert "1.5 MB" in text
        assert "years ago" in text
        assert "gone.pcap" not in text
        assert "\x1b" not in text
        assert user.choices().select(("recent", str(old)))
        await user.press("enter")
        await user.until(lambda: bool(machine.opened))
        assert machine.opened == [FileFeed(str(old))]


async def test_demos_open_by_name(machine: Machine) -> None:
    async with starting(machine) as user:
        assert user.choices().select(("demo", "acl-denied"))
        await user.press("enter")
        await user.until(lambda: isinstance(user.app.screen, MainScreen))
        assert user.app.capture_title == "demo: acl-denied"


async def test_help_lists_its_keys(machine: Machine) -> None:
    async with starting(machine) as user:
        await user.press("question_mark")
        text = user.text()
        assert "Capture filter" in text
        assert "Look again" in text


async def test_ascii_is_ascii(machine: Machine) -> None:
    async with starting(machine, ascii_only=True) as user:
        strips = user.app.screen._compositor.render_strips()
        filtered = [user.app._guards[-1].apply(list(strip), None) for strip in strips]  # type: ignore[arg-type]
        assert all(segment.text.isascii() for line in filtered for segment in line)
