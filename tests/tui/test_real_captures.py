"""The real engine behind the screen, on real captures."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from capture.engine import Engine
from capture.options import AnalysisOptions
from capture.sources import open_source
from tests.tui.fakes import FakeEngine, capture, make_app
from tests.tui.user import User, using
from tests.widgets.build import denied, report
from tui.application import TunnelscopeApp
from tui.engine_bridge import EngineBridge
from tui.screens.packet import PacketScreen
from widgets.packet_detail import LayerTree

CAPTURES = Path(__file__).parent.parent / "data" / "captures"
HOSTILE = (
    "\x1b]0;owned\x07[bold red]x[/] \u202egnp.exe\u2066 \x9b2J\r\n\t日本語e\u0301\u0301 "
    + "A" * 300
)


def app_on(name: str) -> TunnelscopeApp:
    source = open_source(str(CAPTURES / name), spool=True)
    bridge = EngineBridge(
        lambda: Engine(source, AnalysisOptions(keep_packets=True), period_s=0.02), source.progress
    )
    return TunnelscopeApp(bridge, title=name, period_s=0.02)


async def loaded(user: User) -> None:
    await user.until(lambda: user.screen._snapshot is not None and user.screen._snapshot.finished)
    await user.until(lambda: user.packets().row_count() > 0)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("02a_squid_acl_deny.pcap", "403 ✗"),
        ("01a_success_302_tls13.pcap", "No problem found"),
        ("document_acl.txt", "403 ✗"),
        ("06d_proxy_admin_prohibited_icmp.pcap", "prohibited"),
        ("13d_socks5_to_http_proxy.pcap", "1 failing"),
        ("01l_success_any_sll2.pcap", "1 ok"),
    ],
)
async def test_capture_is_shown(name: str, shown: str) -> None:
    app = app_on(name)
    async with using(app, (160, 50), loaded=False) as user:
        await loaded(user)
        await user.until(lambda: shown in user.text())
        await user.press("3", "enter")
        screen = app.screen
        assert isinstance(screen, PacketScreen)
        await user.until(lambda: screen.query_one(LayerTree).row_count() > 1)
        assert "cannot" not in user.text()
    assert app.bridge is not None
    app.bridge.stop()


@pytest.mark.parametrize("name", ["05a_basic_407_then_ok.pcap", "05b_basic_wrong_password.pcap"])
async def test_no_credential_on_any_screen(name: str) -> None:
    raw = (CAPTURES / name).read_bytes()
    secrets = {
        match.decode() for match in re.findall(rb"Authorization: Basic ([A-Za-z0-9+/]{4,}=*)", raw)
    }
    assert secrets
    app = app_on(name)
    async with using(app, (160, 60), loaded=False) as user:
        await loaded(user)
        texts = [user.text()]
        await user.press("3", "g", "enter")
        screen = app.screen
        assert isinstance(screen, PacketScreen)
        while True:
            texts.append(user.text())
            number = screen.number
            await user.press("right_square_bracket")
            if screen.number == number:
                break
        everything = "\n".join(texts)
        assert "secrets covered" in everything
        for secret in secrets:
            assert secret not in everything
            assert secret[:8].encode().hex(" ") not in everything
    assert app.bridge is not None
    app.bridge.stop()


@pytest.mark.parametrize("size", [(80, 24), (160, 50)])
async def test_hostile_texts_stay_text(size: tuple[int, int]) -> None:
    snapshot, store = capture()
    flow = snapshot.report.flows[0]
    finding = replace(
        flow.findings[0], title=HOSTILE, observation=HOSTILE, cause=HOSTILE, next_steps=(HOSTILE,)
    )
    hostile = denied(1, target=HOSTILE, reason=HOSTILE, client=HOSTILE, findings=(finding,))
    odd = replace(snapshot, report=report(hostile, snapshot.report.flows[1]))
    app = make_app(FakeEngine(odd, store=store), title=HOSTILE)
    async with using(app, size) as user:
        for keys in ((), ("4",), ("y",), ("escape", "2"), ("question_mark",)):
            await user.press(*keys)
            lines = user.text().split("\n")
            assert len(lines) == size[1]
            for line in lines:
                assert line.isprintable()
                assert not set(line) & set("\u202e\u2066\x9b\x1b")
        # What is pasted into a shell must not end a line there.
        assert app.clipboard
        assert app.clipboard.isprintable()


async def test_the_second_leg_is_drawn_and_leads_to_its_packets() -> None:
    app = app_on("04z_on_proxy_server_dead.pcap")
    async with using(app, (160, 50), loaded=False) as user:
        await loaded(user)
        await user.until(lambda: "no answer" in user.text())
        timeline = user.timeline()
        lines = timeline._lines
        place = next(at for at, line in enumerate(lines) if line.second)
        assert lines[place].first_number == 6
        timeline.focus()
        timeline.cursor = place
        await user.press("enter")
        # The packet is not the tunnel's: all packets are shown.
        await user.until(lambda: user.packets().row_count() == 15)
        assert user.packets().cursor == 5
