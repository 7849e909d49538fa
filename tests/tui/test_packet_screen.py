from __future__ import annotations

import pytest

from tests.tui.fakes import CONNECT, SECRET, FakeEngine, FakeStore, capture, loaded_app, make_app
from tests.tui.user import SIZES, User, using
from tui.screens.packet import PacketScreen
from widgets.packet_detail import HexView, LayerTree


async def open_packet(user: User, number: int) -> PacketScreen:
    await user.press("3")
    user.packets().go_to(number)
    await user.press("enter")
    screen = user.app.screen
    assert isinstance(screen, PacketScreen)
    return screen


@pytest.mark.parametrize("size", SIZES)
async def test_layers_and_bytes_are_shown_without_the_secret(size: tuple[int, int]) -> None:
    async with using(loaded_app(), size) as user:
        screen = await open_packet(user, 4)
        await user.until(lambda: screen.query_one(LayerTree).row_count() > 3)
        text = user.text()
        assert "Packet 4" in text
        assert "Proxy-Authorization" in text
        assert "Basic ****" in text
        assert "secrets covered" in text
        assert SECRET.decode() not in text
        user.app.screen.query_one(HexView).focus()
        await user.press("G")
        assert SECRET.decode() not in user.text()
        assert SECRET[:8].hex(" ") not in user.text()


async def test_tree_and_bytes_go_in_step() -> None:
    async with using(loaded_app(), (200, 50)) as user:
        screen = await open_packet(user, 4)
        tree, view = screen.query_one(LayerTree), screen.query_one(HexView)
        await user.until(lambda: tree.row_count() > 3)
        start = 54 + CONNECT.index(b"Host:")
        screen.post_message(HexView.ByteSelected(view, start + 3))
        await user.until(lambda: tree.selected is not None and tree.selected.label == "Host")
        assert tree.selected is not None
        assert (tree.selected.start, tree.selected.end) == (
            start, start + len(b"Host: tools.cisco.com:443"),
        )  # fmt: skip
        await user.until(lambda: view._range == (start, start + 25))


async def test_neighbours_are_those_of_the_list() -> None:
    async with using(loaded_app()) as user:
        screen = await open_packet(user, 9)
        await user.press("right_square_bracket")
        assert screen.number == 9  # #10 is another tunnel's
        assert "no further packet" in user.text()
        await user.press("left_square_bracket")
        assert screen.number == 8
        await user.press("q")
        assert user.packets().selected_number == 8


async def test_frame_that_is_gone_is_one_line() -> None:
    snapshot, _ = capture()
    async with using(make_app(FakeEngine(snapshot, store=FakeStore([])))) as user:
        await open_packet(user, 4)
        assert "the file was replaced while it was open" in user.text()
        await user.press("escape")
        assert user.app.is_running


async def test_frame_that_scapy_cannot_read_still_has_its_bytes() -> None:
    snapshot, store = capture()
    rows = snapshot.packets.rows.copy()
    rows["linktype"] = 147  # reserved for private use
    from dataclasses import replace

    from capture.packets.index import PacketView

    odd = replace(snapshot, packets=PacketView(rows))
    async with using(make_app(FakeEngine(odd, store=store))) as user:
        screen = await open_packet(user, 4)
        await user.until(lambda: "cannot dissect" in user.text())
        assert screen.query_one(HexView).row_count() > 5
        assert screen.query_one(LayerTree).row_count() > 0
        assert SECRET.decode() not in user.text()
        assert SECRET[:8].hex(" ") not in user.text()


async def test_value_is_copied() -> None:
    async with using(loaded_app()) as user:
        screen = await open_packet(user, 5)
        await user.until(lambda: screen.query_one(LayerTree).row_count() > 3)
        screen.query_one(LayerTree).select_at(54)
        await user.press("y")
        assert user.app.clipboard == "HTTP/1.1 403 Forbidden"


async def test_bytes_of_a_field_and_the_summary_are_copied() -> None:
    async with using(loaded_app()) as user:
        screen = await open_packet(user, 4)
        tree = screen.query_one(LayerTree)
        await user.until(lambda: tree.row_count() > 3)
        tree.select_at(54 + CONNECT.index(b"Proxy-Auth"))
        await user.press("x")
        copied = bytes.fromhex(user.app.clipboard)
        assert copied.startswith(b"Proxy-Authorization: Basic ****")
        assert SECRET not in copied
        await user.press("Y")
        assert user.app.clipboard.startswith("#4 11:30:12.536989 HTTP CONNECT tools.cisco.com:443")


async def test_neighbours_of_all_packets_and_of_the_tunnel() -> None:
    async with using(loaded_app()) as user:
        screen = await open_packet(user, 9)
        await user.press("a", "right_square_bracket")
        assert screen.number == 10
        await user.press("a", "left_square_bracket")
        assert screen.number == 10  # the first of its own tunnel
        assert "this is the first packet" in user.text()


async def test_a_layer_that_is_the_whole_packet_marks_no_byte() -> None:
    async with using(loaded_app(), (120, 36)) as user:
        await open_packet(user, 4)
        screen = user.app.screen
        layers, view = screen.query_one(LayerTree), screen.query_one(HexView)
        await user.until(lambda: layers.row_count() > 1)
        assert view._range == (0, 0)
        await user.press("down")
        await user.until(lambda: view._range != (0, 0))
