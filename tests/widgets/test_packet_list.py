from __future__ import annotations

import numpy as np
import pytest

from capture.packets.index import RETRANSMISSION, PacketView
from capture.packets.lines import Describer, PacketText
from tests.widgets import build
from tests.widgets.screen import HOSTILE, Stage, staged, steers
from widgets.glyphs import ASCII
from widgets.packet_list import PacketList
from widgets.times import TimeFormat


def shown(stage: Stage[PacketList], segments: int = 40) -> PacketView:
    """Show the packets of a healthy tunnel."""
    view = build.tunnel_packets(segments)
    stage.widget.show(view, view.of_flow(1), Describer(view, {1: build.tunnel_facts()}))
    return view


def million() -> PacketView:
    return PacketView(np.resize(build.tunnel_packets().rows, 1_000_000))


@pytest.mark.parametrize(
    ("width", "line"),
    [
        (40, "    4 → HTTP   CONNECT tools.cisco.com…"),
        (80, "    4 11:30:12.537329 → HTTP   CONNECT tools.cisco.com:443 HTTP/1.1       122 B"),
    ],
)
async def test_what_a_line_shows(width: int, line: str) -> None:
    async with staged(PacketList(), width) as stage:
        shown(stage)
        await stage.settle()
        assert stage.lines()[3] == line
        assert stage.fits()


@pytest.mark.parametrize("width", [24, 40, 80, 120, 200])
async def test_lines_fit_at_every_width_and_in_ascii(width: int) -> None:
    async with staged(PacketList(glyphs=ASCII), width) as stage:
        shown(stage)
        await stage.settle()
        assert stage.fits()
        assert all(line.isascii() for line in stage.full_lines())


@pytest.mark.parametrize("width", [40, 80])
async def test_hostile_text_stays_in_its_cells(width: int) -> None:
    async with staged(PacketList(), width) as stage:
        view = build.tunnel_packets()
        stage.widget.show(
            view, None, lambda row: PacketText(HOSTILE[row % 9], HOSTILE[(row + 4) % 9])
        )
        await stage.settle()
        assert stage.fits()
        assert not steers(stage.full_lines())


async def test_time_formats() -> None:
    async with staged(PacketList(), 100) as stage:
        shown(stage)
        starts = {}
        for _ in TimeFormat:
            starts[stage.widget.time_format] = stage.lines()[4].split()[1]
            await stage.press("t")
        assert starts == {
            TimeFormat.ABSOLUTE: "11:30:12.713929",
            TimeFormat.RELATIVE: "0.196800",
            TimeFormat.DELTA: "0.176600",
            TimeFormat.EPOCH: "1741951812.713929000",
        }
        assert stage.widget.time_format is TimeFormat.ABSOLUTE


async def test_a_text_without_times_shows_none() -> None:
    async with staged(PacketList(), 100) as stage:
        rows = build.tunnel_packets().rows.copy()
        rows["time_ns"] = 0
        stage.widget.show(PacketView(rows))
        await stage.settle()
        assert ":" not in stage.lines()[0]


async def test_a_million_rows_cost_a_screenful() -> None:
    described: list[int] = []

    def describe(row: int) -> PacketText:
        described.append(row)
        return PacketText("TCP", f"row {row}")

    view = million()
    async with staged(PacketList(), 80, 12) as stage:
        stage.widget.show(view, None, describe)
        await stage.press("G")
        assert stage.lines()[-1].split()[1] == "1000000"
        await stage.press("g", "pagedown", "pageup")
        assert stage.widget.go_to(654_321)
        await stage.settle()
        assert any("row 654320" in line for line in stage.lines())
        assert len(described) < 200


async def test_cursor_is_a_packet_and_survives_growth_and_another_selection() -> None:
    view = million()
    some = np.arange(0, 1_000_000, 10)
    async with staged(PacketList(), 80, 12) as stage:
        packets = stage.widget
        packets.show(PacketView(view.rows[:900_000]), None)
        packets.go_to(500_001)
        packets.show(view, None)
        assert packets.selected_number == 500_001
        packets.show(view, some)
        assert packets.selected_number == 500_001
        assert packets.go_to(500_101)
        assert not packets.go_to(500_104), "not among the rows: the nearest one"
        assert packets.selected_number == 500_101
        assert not packets.go_to(500_109)
        assert packets.selected_number == 500_111
        packets.show(view, np.array([7, 9]))
        assert packets.selected_number == 10
        packets.show(view, np.zeros(0, np.int64))
        assert not packets.go_to(5)
        assert stage.widget.selected_number is None


async def test_another_flow_begins_with_its_own_rows() -> None:
    view = PacketView(np.concatenate([build.tunnel_packets().rows, build.denied_packets().rows]))
    first, second = np.arange(71), np.arange(71, len(view))
    async with staged(PacketList(), 80, 12) as stage:
        stage.widget.show(view, second)
        await stage.press("G")
        stage.widget.show(view, first)
        await stage.settle()
        assert stage.widget.row_count() == 71
        assert any(line.startswith("▸  71") for line in stage.lines())


async def test_messages() -> None:
    async with staged(PacketList()) as stage:
        shown(stage)
        await stage.press("j", "enter")
        assert [(type(m).__name__, m.number) for m in stage.heard] == [  # type: ignore[attr-defined]
            ("Highlighted", 2), ("Opened", 2),
        ]  # fmt: skip


async def test_the_tail_can_be_shown_before_the_scroll_bar_follows() -> None:
    rows = million().rows
    async with staged(PacketList(), 80, 12) as stage:
        packets = stage.widget
        packets.following = True
        packets.show(PacketView(rows[:100]))
        packets.show(PacketView(rows[:200]))
        assert packets.selected_number == 100
        packets.catch_up()
        assert packets.selected_number == 200
        packets.following = False
        packets.show(PacketView(rows[:300]))
        packets.catch_up()
        assert packets.selected_number == 200


async def test_follows_the_tail_until_the_user_scrolls() -> None:
    rows = million().rows
    async with staged(PacketList(), 80, 12) as stage:
        packets = stage.widget
        packets.following = True
        packets.show(PacketView(rows[:100]))
        await stage.settle()
        assert packets.selected_number == 100
        packets.show(PacketView(rows[:200]))
        await stage.until(lambda: packets.selected_number == 200)
        assert stage.lines()[-1].startswith("▸ 200")
        await stage.press("k")
        packets.show(PacketView(rows[:242]))
        await stage.settle()
        assert packets.selected_number == 199
        assert stage.lines()[-1].endswith(" +42"), "held: the new ones are counted"
        await stage.press("G")
        assert packets.following
        assert not stage.lines()[-1].endswith(" +42")


async def test_wheel_stops_following_and_the_end_resumes_it() -> None:
    rows = million().rows
    async with staged(PacketList(), 80, 12) as stage:
        packets = stage.widget
        packets.following = True
        packets.show(PacketView(rows[:100]))
        await stage.settle()
        packets.scroll_to(y=10, animate=False)
        await stage.settle()
        assert not packets.following
        packets.scroll_end(animate=False)
        await stage.settle()
        assert stage.widget.following


async def test_a_file_starts_at_its_top_and_counts_nothing_as_missed() -> None:
    rows = million().rows
    async with staged(PacketList(), 80, 12) as stage:
        stage.widget.show(PacketView(rows[:100]))
        stage.widget.show(PacketView(rows[:300]))
        await stage.settle()
        assert stage.widget.selected_number == 1
        assert "+" not in stage.lines()[-1]


async def test_hits_are_marked_by_more_than_colour() -> None:
    async with staged(PacketList()) as stage:
        shown(stage)
        stage.widget.set_hits([4, 5])
        await stage.settle()
        assert [line[0] for line in stage.lines()[:6]] == ["▸", " ", " ", "•", "•", " "]
        stage.widget.set_hits(np.array([2]))
        await stage.settle()
        assert [line[0] for line in stage.lines()[:6]] == ["▸", "•", " ", " ", " ", " "]
        stage.widget.set_hits(())
        await stage.settle()
        assert [line[0] for line in stage.lines()[:6]] == ["▸", " ", " ", " ", " ", " "]


async def test_a_text_that_became_known_later_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    async with staged(PacketList()) as stage:
        view = build.tunnel_packets()
        describer = Describer(view, {})
        stage.widget.show(view, view.of_flow(1), describer)
        await stage.settle()
        assert "CONNECT" not in stage.lines()[3]
        describer.update(view, {1: build.tunnel_facts()})
        drawn: list[int] = []
        monkeypatch.setattr(stage.widget, "refresh_row", drawn.append)
        stage.widget.show(view, view.of_flow(1), describer)
        assert 3 in drawn
        assert 5 not in drawn
        assert "CONNECT" in stage.lines()[3]


async def test_all_packets_are_labelled_with_their_tunnel() -> None:
    rows = build.tunnel_packets().rows.copy()
    rows["flow"][5] = 0
    rows["flow"][6] = 77
    view = PacketView(rows)
    async with staged(PacketList(), 100) as stage:
        stage.widget.show(view, None, Describer(view, {}), {1: "12", 77: "3"})
        await stage.settle()
        assert stage.lines()[4].split()[3:5] == ["12", "←"] or "12 ←" in stage.lines()[4]
        assert "→" not in stage.lines()[5]
        assert "←" not in stage.lines()[5]
        assert " 3 →" in stage.lines()[6]


async def test_retransmissions_carry_words() -> None:
    rows = build.tunnel_packets().rows.copy()
    rows["analysis"][9] = RETRANSMISSION
    view = PacketView(rows)
    async with staged(PacketList(), 120) as stage:
        stage.widget.show(view, None, Describer(view, {}))
        await stage.settle()
        assert "[retransmission]" in stage.lines()[9]


async def test_empty_list_takes_keys_without_harm() -> None:
    async with staged(PacketList(), 40, 4) as stage:
        await stage.press("j", "G", "enter", "t", "pageup")
        assert stage.lines()[0].strip() == "No packets"
        assert not stage.heard
