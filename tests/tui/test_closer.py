"""Looking closer at a tunnel from the main screen: stream, TLS, plots, comparison."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest

from capture.packets.index import PacketView
from tests.conversations import client_hello, extension
from tests.tui.fakes import (
    SECRET,
    FakeEngine,
    FakeStore,
    capture,
    frame,
    loaded_app,
    make_app,
)
from tests.tui.user import SIZES, User, using
from tui.application import TunnelscopeApp
from tui.engine_bridge import EngineBridge
from tui.feeds import Feed, FeedFailed
from tui.footline import Footline
from tui.screens.base import PaneScreen
from tui.screens.compare import CompareScreen
from tui.screens.packet import PacketScreen
from tui.screens.plots import PlotScreen
from tui.screens.stream import StreamScreen, files_for
from tui.screens.tls import TlsScreen
from widgets.compare_view import CompareView
from widgets.fact_list import FactList
from widgets.plot import PlotView
from widgets.stream_bytes import StreamHexView, StreamSizesView
from widgets.stream_text import StreamTextView

S = TypeVar("S", bound=PaneScreen)


async def opened(user: User, key: str, kind: type[S]) -> S:
    await user.press(key)
    await user.until(lambda: isinstance(user.app.screen, kind))
    screen = user.app.screen
    assert isinstance(screen, kind)
    return screen


def said(user: User) -> str:
    return user.app.screen.query_one(Footline).message


@pytest.mark.parametrize("size", SIZES)
async def test_stream_in_every_view_without_the_secret(size: tuple[int, int]) -> None:
    async with using(loaded_app(), size) as user:
        screen = await opened(user, "r", StreamScreen)
        seen = [user.text()]
        assert "CONNECT tools.cisco.com:443 HTTP/1.1" in seen[0]
        assert "HTTP/1.1 403 Forbidden" in seen[0]
        await user.press("v")
        assert isinstance(user.app.focused, StreamHexView)
        seen.append(user.text())
        assert "43 4f 4e 4e 45 43 54" in seen[1]
        await user.press("G", "v")
        assert isinstance(user.app.focused, StreamSizesView)
        seen.append(user.text())
        assert "#4" in seen[2]
        assert "#5" in seen[2]
        await user.press("v", "c")
        seen.append(user.text())
        assert "the client only" in seen[3]
        assert "403 Forbidden" not in seen[3]
        everything = "\n".join(seen)
        assert "Basic ****" in everything
        assert SECRET.decode() not in everything
        assert SECRET[:8].hex(" ") not in everything
        await user.press("escape")
        assert user.app.screen is not screen


async def test_a_line_leads_to_its_packet() -> None:
    async with using(loaded_app()) as user:
        screen = await opened(user, "r", StreamScreen)
        await user.press("right_square_bracket", "down", "enter")
        packet = user.app.screen
        assert isinstance(packet, PacketScreen)
        assert packet.number == 5
        await user.press("q", "v", "enter")
        assert isinstance(user.app.screen, PacketScreen)
        await user.press("q")
        assert screen.is_current


async def test_searching_the_text_and_the_bytes() -> None:
    async with using(loaded_app()) as user:
        screen = await opened(user, "r", StreamScreen)
        await user.press("slash", *"SQUID", "enter")
        selected = screen.query_one(StreamTextView).selected
        assert selected is not None
        assert selected.text == "Server: squid/5.7"
        await user.press("n")
        assert "no further 'SQUID'" in said(user)
        await user.press("v", "g", "slash", *"34 30 33", "enter")
        hexes = screen.query_one(StreamHexView)
        assert hexes._hit == (1, 9, 12)
        await user.press("N")
        assert "forward only" in said(user)
        await user.press("n")
        assert "no further" in said(user)


async def test_copying_a_line() -> None:
    async with using(loaded_app()) as user:
        await opened(user, "r", StreamScreen)
        await user.press("down", "y")
        assert user.app.clipboard == "CONNECT tools.cisco.com:443 HTTP/1.1"
        await user.press("v", "y")
        assert "text view" in said(user)


@pytest.mark.parametrize("with_secrets", [False, True])
async def test_saving_text_and_bytes(tmp_path: Path, with_secrets: bool) -> None:
    async with using(loaded_app()) as user:
        screen = await opened(user, "r", StreamScreen)
        from threading import Event

        from tui.screens.write_file import Choice

        options = frozenset(("secrets",)) if with_secrets else frozenset[str]()
        write = screen._writing()
        for name, scope in (("a.txt", "both"), ("a.bin", "both"), ("b.bin", "client")):
            choice = Choice(str(tmp_path / name), scope, options, replace=False)
            assert str(tmp_path) in write(choice, lambda part: None, Event())
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"a.txt", "a-client.bin", "a-proxy.bin", "b.bin"}
    for name in ("a.txt", "a-client.bin", "b.bin"):
        data = (tmp_path / name).read_bytes()
        assert (SECRET in data) == with_secrets
        assert (b"Basic ****************" in data) != with_secrets
    assert (tmp_path / "a-proxy.bin").read_bytes().startswith(b"HTTP/1.1 403 Forbidden\r\n")


async def test_the_dialog_of_saving() -> None:
    async with using(loaded_app()) as user:
        await opened(user, "r", StreamScreen)
        await user.press("s")
        assert "Save the stream of 1" in user.text()
        await user.press("escape")
        assert isinstance(user.app.screen, StreamScreen)


def test_files_of_the_sides() -> None:
    assert files_for("/x/a.bin", None) == {0: "/x/a-client.bin", 1: "/x/a-proxy.bin"}
    assert files_for("a.bin", 1) == {1: "a.bin"}


async def test_frames_that_are_gone_are_said_to_be() -> None:
    snapshot, _ = capture()
    async with using(make_app(FakeEngine(snapshot, store=FakeStore([])))) as user:
        await opened(user, "r", StreamScreen)
        assert "the file was replaced while it was open" in user.text()
        assert "not captured" in user.text()
        await user.press("escape")
        await opened(user, "i", TlsScreen)
        assert "No TLS handshake was seen" in user.text()
        await user.press("escape")
        await opened(user, "d", CompareScreen)
        assert "First difference" in user.text()


async def test_a_lone_tunnel_is_compared_with_another_capture() -> None:
    snapshot, store = capture()
    alone = replace(snapshot, report=replace(snapshot.report, flows=snapshot.report.flows[:1]))
    app = make_app(FakeEngine(alone, store=store))
    app.set_keymap({"compare.other": "f9"})
    async with using(app) as user:
        await opened(user, "d", CompareScreen)
        assert "no other tunnel to compare with; F9 opens another capture" in user.text()


def with_hello() -> TunnelscopeApp:
    """The application on a capture whose ClientHello (#16) is a real one."""
    snapshot, store = capture()
    row = snapshot.packets.rows[15]
    padding = int(row["length"]) - len(client_hello()) - 4
    frames = list(store.frames)
    frames[15] = frame(row, client_hello(more=extension(21, bytes(padding))))
    return make_app(FakeEngine(snapshot, store=FakeStore(frames)))


@pytest.mark.parametrize("size", SIZES)
async def test_tls(size: tuple[int, int]) -> None:
    async with using(with_hello(), size) as user:
        await user.press("G")
        await user.until(lambda: user.screen._shown is not None and user.screen._shown.uid == 2)
        await opened(user, "i", TlsScreen)
        assert "nothing: no ServerHello" in user.text()
        await user.press("down", "y")
        assert user.app.clipboard == "nothing: no ServerHello"
        assert isinstance(user.app.focused, FactList)
        assert "tools.cisco.com" in user.text()
        await user.press("down", "down", "down", "enter")
        packet = user.app.screen
        assert isinstance(packet, PacketScreen)
        assert packet.number == 16


@pytest.mark.parametrize("size", SIZES)
async def test_plots(size: tuple[int, int]) -> None:
    async with using(loaded_app(), size) as user:
        await user.press("G")
        await user.until(lambda: user.screen._shown is not None and user.screen._shown.uid == 2)
        await opened(user, "v", PlotScreen)
        for word in ("acknowledged", "payload", "round trip", "window"):
            assert word in user.text()
            await user.press("v")
        await user.press("c")
        assert "sent by the client" in user.text()
        await user.press("end", "enter")
        packet = user.app.screen
        assert isinstance(packet, PacketScreen)
        assert packet.number > 60


@pytest.mark.parametrize("size", SIZES)
async def test_a_failing_tunnel_beside_a_healthy_one(size: tuple[int, int]) -> None:
    async with using(loaded_app(), size) as user:
        screen = await opened(user, "d", CompareScreen)
        assert "First difference: reply" in user.text()
        view = screen.query_one(CompareView)
        selected = view.selected
        assert selected is not None
        assert (selected.step, selected.name) == ("reply", "reply")
        rows = view.row_count()
        await user.press("x")
        assert view.row_count() < rows
        await user.press("n")
        assert view.selected is not None
        assert view.selected.name == "status"
        await user.press("y")
        assert "403 Forbidden | 200 Connection established" in user.app.clipboard
        await user.press("right_square_bracket")
        assert "no further tunnel" in said(user)
        await user.press("q")
        assert user.app.screen is user.screen


def other_capture(feed: Feed) -> EngineBridge:
    if not feed.title.endswith(".pcap"):
        raise FeedFailed(f"{feed.title}: not a capture", 4)
    snapshot, store = capture()
    return EngineBridge(lambda: FakeEngine(snapshot, store=store))


async def test_a_tunnel_of_another_capture() -> None:
    async with using(loaded_app(opener=other_capture)) as user:
        await opened(user, "d", CompareScreen)
        await user.press("w", *"no-capture", "enter")
        assert "not a capture" in said(user)
        await user.press("w", *"good.pcap", "enter")
        await user.until(lambda: "of good.pcap" in user.text())
        assert "First difference: reply" in user.text()


async def test_a_second_capture_named_on_the_command_line() -> None:
    async with using(loaded_app(opener=other_capture, other="good.pcap")) as user:
        await user.until(lambda: isinstance(user.app.screen, CompareScreen))
        await user.until(lambda: "of good.pcap" in user.text())
        await user.press("q")
        assert user.app.screen is user.screen


async def test_marked_tunnels_are_the_ones_compared() -> None:
    async with using(loaded_app()) as user:
        user.tunnels().mark(2)
        screen = await opened(user, "d", CompareScreen)
        assert (screen._flow.uid, screen._choices[0].uid) == (1, 2)


async def test_what_was_said_since_is_read_again() -> None:
    async with using(loaded_app()) as user:
        screen = await opened(user, "r", StreamScreen)
        lines = len(screen._text.lines)
        newest = user.screen._snapshot
        assert newest is not None
        rows = newest.packets.rows.copy()
        rows["flow"][rows["flow"] == 2] = 1
        screen._newest = lambda: PacketView(rows)
        await user.press("down", "v", "f5")
        assert len(screen._text.lines) > lines
        assert screen.query_one(StreamHexView).row_count() > 100
        assert screen.query_one(StreamHexView).place == (0, 0)


async def test_without_a_tunnel_nothing_opens() -> None:
    from dataclasses import replace

    from tests.widgets.build import report

    snapshot, store = capture()
    empty = replace(snapshot, report=report())
    async with using(make_app(FakeEngine(empty, store=store))) as user:
        for key in "ridv":
            await user.press(key)
            assert user.app.screen is user.screen
            assert user.said() == "no tunnel is selected"


async def test_every_view_is_drawn_in_ascii() -> None:
    async with using(loaded_app(ascii_only=True)) as user:
        for key in "ridv":
            await user.press(key)
            await user.until(lambda: user.app.screen is not user.screen)
            assert user.text().isascii()
            if key == "v":
                assert isinstance(user.app.focused, PlotView)
            await user.press("escape")
