"""The look of the main screens; ``pytest --snapshot-update`` after a wanted change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from textual.pilot import Pilot

from tests.rest import at_rest
from tests.tui.fakes import loaded_app
from widgets.packet_list import PacketList

SnapCompare = Callable[..., bool]

pytestmark = pytest.mark.filterwarnings("default")


def pressing(*keys: str) -> Callable[[Pilot[Any]], Any]:
    """Wait until the capture is shown, then press keys."""

    async def steps(pilot: Pilot[Any]) -> None:
        def awaited() -> str:
            shown = any(packets.row_count() for packets in pilot.app.query(PacketList))
            return "" if shown else "no packet is shown"

        await at_rest(pilot.app, awaited)
        for key in keys:
            await pilot.press(key)
            await at_rest(pilot.app)

    return steps


@pytest.mark.parametrize("size", [(80, 24), (160, 40)], ids=["80x24", "160x40"])
def test_failing_tunnel(snap_compare: SnapCompare, size: tuple[int, int]) -> None:
    assert snap_compare(loaded_app(), terminal_size=size, run_before=pressing())


def test_healthy_tunnel_on_a_light_screen(snap_compare: SnapCompare) -> None:
    app = loaded_app(theme="light")
    assert snap_compare(app, terminal_size=(160, 40), run_before=pressing("j"))


def test_ascii(snap_compare: SnapCompare) -> None:
    app = loaded_app(ascii_only=True, theme="ansi-dark")
    assert snap_compare(app, terminal_size=(80, 24), run_before=pressing("2"))
