"""The screen about the capture, and how one gets to know of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from capture.report.model import Warning
from tests.tui.fakes import FakeEngine, capture, loaded_app, make_app
from tests.tui.user import SIZES, using
from tui.application import TunnelscopeApp
from tui.config import Config
from tui.footline import Footline
from tui.screens.about import AboutScreen

CUT = "the file ends inside packet 44: 30 bytes of it from offset 9106"


def warned(*messages: str, **options: object) -> TunnelscopeApp:
    """The application on a capture that something is wrong with."""
    snapshot, store = capture()
    warnings = tuple(Warning("truncated-file", message) for message in messages)
    source = replace(snapshot.report.source, warnings=warnings)
    snapshot = replace(snapshot, report=replace(snapshot.report, source=source))
    return make_app(FakeEngine(snapshot, store=store), **options)


@pytest.mark.parametrize("size", SIZES)
async def test_a_warning_is_told_once_and_can_be_read_in_full(size: tuple[int, int]) -> None:
    async with using(warned(CUT, "what was lost cannot be judged"), size) as user:
        foot = user.screen.query_one(Footline)
        assert foot.message.startswith(f"2 warnings (I shows all): {CUT[:30]}")
        await user.press("escape")
        assert not foot.message
        await user.press("down")
        assert not foot.message
        await user.press("I")
        assert isinstance(user.app.screen, AboutScreen)
        words = " ".join(user.text().replace("┃", " ").split())
        assert "About fmc.pcapng" in words
        assert f"truncated-file {CUT}" in words
        assert "what was lost cannot be judged" in words
        await user.press("I")
        assert not user.app.query("#facts")
        assert user.focus() == "tunnels"


async def test_nothing_is_told_of_a_sound_capture() -> None:
    async with using(loaded_app()) as user:
        assert not user.screen.query_one(Footline).message
        await user.press("I")
        assert "To be known first" not in user.text()
        assert "acl_denied: Denied by the proxy" in user.text()


async def test_the_key_that_was_chosen_is_named() -> None:
    async with using(warned(CUT, looks=Config(keys={"main.about": "f9"}))) as user:
        assert user.screen.query_one(Footline).message.startswith("1 warning (F9 shows all)")


async def test_values_are_copied_and_no_hint_promises_more() -> None:
    async with using(warned(CUT)) as user:
        await user.press("I")
        last = user.text().rstrip().splitlines()[-1]
        assert "copy value" in last
        assert "open" not in last
        await user.press("y")
        assert user.app.screen.query_one(Footline).message == "nothing to copy here"
        await user.press("down", "y")
        assert user.app.clipboard == CUT
