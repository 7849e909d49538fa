from __future__ import annotations

from dataclasses import replace

import pytest

from tests.widgets import build
from tests.widgets.screen import HOSTILE, Stage, staged, steers
from widgets.glyphs import ASCII
from widgets.tunnel_columns import COLUMNS
from widgets.tunnel_list import TunnelList


def selected(stage: object) -> list[int]:
    return [
        message.uid
        for message in stage.heard  # type: ignore[attr-defined]
        if type(message) is TunnelList.Selected
    ]


def ids(tunnels: TunnelList) -> list[int]:
    return [flow.id for flow in tunnels.order]


THREE = (build.flow(1), build.flow(2, target=None), build.denied(4))


@pytest.mark.parametrize(
    ("width", "expected"),
    [
        (40, ["# target     SYN CON 200 TLS DAT FIN▴", "4 tools…:443  ✓   ✓  403  ·   ·   ✓"]),
        (
            80,
            [
                "# client           target              SYN CON 200 TLS DAT FIN▴ verdict",
                "4 10.40.40.1:40004 tools.cisco.com:443  ✓   ✓  403  ·   ·   ✓  acl_denied",
            ],
        ),
        (
            120,
            [
                "# client           proxy         target              SYN CON 200 TLS DAT FIN▴ "
                "verdict       duration    bytes      RTT",
                "4 10.40.40.1:40004 10.10.10.1:80 tools.cisco.com:443  ✓   ✓  403  ·   ·   ✓  "
                "acl_denied      1.25 s    14 kB  19.8 ms",
            ],
        ),
        (
            200,
            [
                "# client           proxy         target              SYN CON 200 TLS DAT FIN▴ "
                "verdict       duration    bytes      RTT retr packets SNI",
                "4 10.40.40.1:40004 10.10.10.1:80 tools.cisco.com:443  ✓   ✓  403  ·   ·   ✓  "
                "acl_denied      1.25 s    14 kB  19.8 ms    1      24",
            ],
        ),
    ],
)
async def test_the_wider_the_more_columns(width: int, expected: list[str]) -> None:
    async with staged(TunnelList(), width, 6) as stage:
        stage.widget.show(THREE)
        await stage.settle()
        head, first, *_ = stage.lines()
        assert head.split() == expected[0].split()
        assert first.removeprefix("▸").split() == expected[1].split()
        assert stage.fits()


async def test_ascii_draws_nothing_but_ascii() -> None:
    async with staged(TunnelList(glyphs=ASCII), 120, 8) as stage:
        stage.widget.show((*THREE, build.flow(5, target="zwölf.example:443")))
        await stage.settle()
        assert all(line.isascii() for line in stage.full_lines())
        assert stage.lines()[1].startswith("> 4")
        assert " x" not in stage.lines()[1]
        assert "403" in stage.lines()[1]


@pytest.mark.parametrize("width", [30, 40, 77, 120, 200])
async def test_hostile_names_stay_in_their_cells(width: int) -> None:
    flows = tuple(
        build.flow(number, target=name, client=name, proxy=name, verdict=name)
        for number, name in enumerate(HOSTILE, 1)
    )
    async with staged(TunnelList(), width, 12) as stage:
        stage.widget.show(flows)
        await stage.settle()
        assert stage.fits()
        assert not steers(stage.full_lines())


async def test_markup_in_a_name_is_text() -> None:
    async with staged(TunnelList(), 120) as stage:
        stage.widget.show((build.flow(1, target="[bold]x[/bold]:443"),))
        await stage.settle()
        assert "[bold]x[/bold]:443" in stage.lines()[1]


async def test_failing_first_then_warning_then_the_rest() -> None:
    slow = build.flow(3, findings=(build.SLOW,))
    async with staged(TunnelList()) as stage:
        stage.widget.show((build.flow(1), build.flow(2), slow, build.denied(4)))
        assert ids(stage.widget) == [4, 3, 1, 2]


async def test_first_failing_tunnel_is_selected_until_the_user_chooses() -> None:
    async with staged(TunnelList()) as stage:
        stage.widget.show((build.flow(1),))
        await stage.settle()
        stage.widget.show((build.flow(1), build.denied(2)))
        await stage.settle()
        assert selected(stage) == [1, 2]
        stage.widget.show((build.flow(1), build.denied(2), build.denied(3)))
        await stage.settle()
        assert selected(stage) == [1, 2]
        await stage.press("G")
        stage.widget.show((build.denied(1), build.denied(2), build.denied(3), build.denied(4)))
        await stage.settle()
        assert selected(stage) == [1, 2, 1]
        assert stage.widget.selected is not None
        assert stage.widget.selected.failing


async def test_selection_is_a_tunnel_and_survives_every_order() -> None:
    async with staged(TunnelList(), 200) as stage:
        tunnels = stage.widget
        tunnels.show(tuple(build.flow(n, packets=100 - n) for n in range(1, 30)))
        assert tunnels.select(17)
        for column in ("packets", "id", "target", "verdict", "rtt", "sni", "client"):
            tunnels.sort_by(column)
            await stage.settle()
            assert tunnels.selected is not None
            assert tunnels.selected.uid == 17
            assert any(line.startswith("▸ 17") for line in stage.lines())
        tunnels.show((build.denied(40), *[build.flow(n) for n in range(1, 30)]))
        await stage.settle()
        assert tunnels.selected is not None
        assert tunnels.selected.uid == 17
        assert any(line.startswith("▸ 17") for line in stage.lines())


async def test_a_selected_row_keeps_its_line_when_others_come_before_it() -> None:
    async with staged(TunnelList(), 80, 10) as stage:
        healthy = tuple(build.flow(n) for n in range(1, 60))
        stage.widget.show(healthy)
        stage.widget.select(30)
        await stage.settle()
        place = next(y for y, line in enumerate(stage.lines()) if line.startswith("▸"))
        stage.widget.show((*healthy, build.denied(90), build.denied(91)))
        await stage.settle()
        assert stage.lines()[place].startswith("▸ 30")


async def test_sorting_by_keys_and_by_mouse() -> None:
    async with staged(TunnelList(), 200) as stage:
        tunnels = stage.widget
        tunnels.show((build.flow(1, packets=5), build.flow(2, packets=9), build.flow(3, packets=7)))
        await stage.press("z")
        assert tunnels.sort_reversed
        await stage.press(">")
        assert tunnels.sort_column == "verdict"
        await stage.press("<", "<")
        assert tunnels.sort_column == "target"
        x = stage.lines()[0].index("packets") + 2
        await stage.click(x, 0)
        assert tunnels.sort_column == "packets"
        assert ids(tunnels) == [2, 3, 1], "the largest first"
        assert "packet▾" in stage.lines()[0]
        await stage.click(x, 0)
        await stage.settle()
        assert ids(tunnels) == [1, 3, 2]


async def test_sorting_by_an_unknown_column_is_refused() -> None:
    async with staged(TunnelList()) as stage:
        with pytest.raises(ValueError, match="no such column"):
            stage.widget.sort_by("colour")


async def test_ties_keep_the_order_of_the_capture_both_ways() -> None:
    async with staged(TunnelList()) as stage:
        stage.widget.show(tuple(build.flow(n) for n in (1, 2, 3)))
        stage.widget.sort_by("verdict")
        assert ids(stage.widget) == [1, 2, 3]
        stage.widget.sort_by("verdict", reverse=True)
        assert ids(stage.widget) == [1, 2, 3]
        stage.widget.sort_by("id", reverse=True)
        assert ids(stage.widget) == [3, 2, 1]


async def test_problems_only_and_jumping_between_problems() -> None:
    flows = (build.flow(1), build.denied(2), build.flow(3), build.denied(4))
    async with staged(TunnelList()) as stage:
        tunnels = stage.widget
        tunnels.sort_by("id")
        tunnels.show(flows)
        tunnels.select(1)
        seen = []
        for _ in range(3):
            assert tunnels.next_problem()
            assert tunnels.selected is not None
            seen.append(tunnels.selected.uid)
        assert seen == [2, 4, 2]
        assert tunnels.previous_problem()
        assert tunnels.selected is not None
        assert tunnels.selected.uid == 4
        tunnels.problems_only = True
        assert ids(tunnels) == [2, 4]
        assert not tunnels.select(1)
        tunnels.show(tuple(build.flow(n) for n in (1, 2, 3, 4)))
        assert ids(tunnels) == []
        assert not tunnels.next_problem()


async def test_messages_of_moving_and_opening() -> None:
    async with staged(TunnelList()) as stage:
        stage.widget.show(THREE)
        await stage.press("j", "down", "k", "enter")
        assert [(type(m).__name__, m.uid) for m in stage.heard] == [  # type: ignore[attr-defined]
            ("Selected", 4), ("Selected", 1), ("Selected", 2), ("Selected", 1), ("Opened", 1),
        ]  # fmt: skip
        stage.heard.clear()
        await stage.click(10, 3, times=2)
        await stage.settle()
        assert [(type(m).__name__, m.uid) for m in stage.heard] == [  # type: ignore[attr-defined]
            ("Selected", 2), ("Opened", 2),
        ]  # fmt: skip


async def test_columns_can_be_scrolled_sideways_where_they_do_not_fit() -> None:
    async with staged(TunnelList(), 80) as stage:
        stage.widget.show(THREE)
        await stage.press("l", "l", "l", "l")
        assert "bytes" in stage.lines()[0]
        assert "tools.cisco.com:443" in stage.lines()[1]
        await stage.press("h", "h", "h", "h", "h")
        assert "client" in stage.lines()[0]


async def test_only_rows_on_screen_are_rendered() -> None:
    class Counting(TunnelList):
        rendered = 0

        def row_segments(self, row: int, width: int, selected: bool):  # type: ignore[no-untyped-def]
            Counting.rendered += 1
            return super().row_segments(row, width, selected)

    flow = build.flow(1)
    many = tuple(replace(flow, id=n, uid=n) for n in range(1, 20_001))
    async with staged(Counting(), 80, 12) as stage:
        stage.widget.show(many)
        await stage.press("G", "g", "pagedown")
        assert 0 < Counting.rendered < 200
        before = Counting.rendered
        stage.full_lines()
        assert Counting.rendered == before, "an unchanged screen is drawn from the cache"


async def test_only_changed_rows_are_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async with staged(TunnelList(), 80, 12) as stage:
        flows = [build.flow(n) for n in range(1, 9)]
        stage.widget.show(tuple(flows))
        await stage.settle()
        drawn: list[int] = []
        monkeypatch.setattr(stage.widget, "refresh_row", drawn.append)
        flows[3] = replace(flows[3], target="other.example:443")
        stage.widget.show(tuple(flows))
        assert drawn == [3]
        drawn.clear()
        stage.widget.show(tuple(flows))
        assert drawn == []
        flows[5] = replace(flows[5], notes=("seen late",))
        stage.widget.show(tuple(flows))
        assert drawn == [], "no column for it is on screen"


async def test_changed_flow_shows_its_new_state() -> None:
    async with staged(TunnelList(), 80) as stage:
        stage.widget.show((build.flow(1),))
        await stage.settle()
        for verdict in ("acl_denied", "ok", "mtu_rst", "ok"):
            stage.widget.show((build.flow(1, verdict=verdict),))
            await stage.settle()
            assert verdict in stage.lines()[1]


async def test_flows_may_vanish() -> None:
    async with staged(TunnelList(), 80) as stage:
        stage.widget.show(THREE)
        stage.widget.show(THREE[:1])
        await stage.settle()
        assert ids(stage.widget) == [1]
        assert stage.widget.selected is not None
        assert stage.widget.selected.uid == 1
        stage.widget.show(())
        await stage.settle()
        assert stage.lines()[1].strip() == "No tunnels yet"
        assert stage.widget.selected is None


async def test_empty_list_says_why() -> None:
    async with staged(TunnelList(), 40, 5) as stage:
        stage.widget.empty_text = "412 packets, none TCP\nouter GRE 0x88be and a reason too long"
        await stage.press("j", "enter", "G", "z", ">")
        lines = stage.lines()
        assert lines[1].strip() == "412 packets, none TCP"
        assert lines[2].endswith("…")
        assert {type(message) for message in stage.heard} == {TunnelList.Arranged}


async def test_growth_lays_out_twice_a_second_at_most() -> None:
    async with staged(TunnelList(), 80, 8) as stage:
        sizes = set()
        for number in range(1, 60):
            stage.widget.show(tuple(build.flow(n) for n in range(1, number)))
            sizes.add(stage.widget.virtual_size.height)
        assert len(sizes) <= 3
        await stage.until(lambda: stage.widget.virtual_size.height == 59)


@pytest.mark.parametrize("theme", ["textual-dark", "textual-light", "ansi-dark", "ansi-light"])
async def test_themes_change_colours_and_no_text(theme: str) -> None:
    async with staged(TunnelList(), 80, theme=theme) as stage:
        stage.widget.show(THREE)
        await stage.settle()
        assert stage.lines()[1].split()[:2] == ["▸", "4"]
        marked = stage.widget.render_line(1)
        plain = stage.widget.render_line(2)
        assert {s.style for s in marked} & {s.style for s in plain} == set()


async def test_a_new_theme_clears_the_cache() -> None:
    async with staged(TunnelList(), 80) as stage:
        stage.widget.show(THREE)
        await stage.settle()
        dark = list(stage.widget.render_line(2))
        stage.theme = "textual-light"
        await stage.settle()
        assert list(stage.widget.render_line(2)) != dark


# Columns, marks, filters


def head(stage: Stage[TunnelList]) -> list[str]:
    return stage.lines()[0].split()


async def test_every_column_can_be_sorted_by_and_is_seen_at_80_cells() -> None:
    slow = build.flow(3, rtt_ms=None, tls=None, target=None, status=None, packets=9)
    async with staged(TunnelList(), 80) as stage:
        stage.widget.show((build.flow(1), slow, build.denied(4)))
        for column in COLUMNS:
            if column.key == "mark":
                continue
            stage.widget.sort_by(column.key, reverse=True)
            await stage.settle()
            sign = "▾"
            assert sign in stage.lines()[0], column.key
            assert stage.fits()


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("key", ["rtt", "sni", "target", "status"])
async def test_what_has_no_value_comes_last(key: str, reverse: bool) -> None:
    without = build.flow(1, rtt_ms=None, tls=None, target=None, status=None)
    async with staged(TunnelList()) as stage:
        stage.widget.show((without, build.flow(2), build.flow(3)))
        stage.widget.sort_by(key, reverse=reverse)
        assert ids(stage.widget)[-1] == 1


async def test_chosen_columns_come_before_the_others() -> None:
    async with staged(TunnelList(), 80) as stage:
        tunnels = stage.widget
        tunnels.show(THREE)
        tunnels.choose_columns(["bytes", "retrans", "bytes"])
        await stage.settle()
        assert tunnels.columns == ("bytes", "retrans")
        assert {"#", "target", "SYN", "bytes", "retr"} <= set(head(stage))
        assert "client" not in head(stage)
        await stage.press("l", "l")
        assert "bytes" in head(stage), "what was chosen is not scrolled away"
        tunnels.choose_columns([])
        assert "client" in head(stage)
        with pytest.raises(ValueError, match="no such column: color"):
            tunnels.choose_columns(["color"])


async def test_sorting_goes_through_the_chosen_columns() -> None:
    async with staged(TunnelList(), 80) as stage:
        stage.widget.choose_columns(["bytes"])
        seen = []
        for _ in range(4):
            await stage.press(">")
            seen.append((stage.widget.sort_column, stage.widget.sort_reversed))
        assert seen == [("bytes", True), ("id", False), ("target", False), ("steps", False)]


async def test_marks_are_seen_and_outlive_updates_and_orders() -> None:
    async with staged(TunnelList(), 80) as stage:
        tunnels = stage.widget
        tunnels.sort_by("id")
        tunnels.show(tuple(build.flow(n) for n in (1, 2, 3, 4)))
        await stage.press("m", "j", "m")
        assert tunnels.marked == {1, 3}
        assert [line[:4].strip() for line in stage.lines()[1:5]] == ["◆ 1", "2", "◆ 3", "▸  4"]
        assert stage.fits()
        seen = []
        for _ in range(3):
            await stage.press("apostrophe")
            assert tunnels.selected is not None
            seen.append(tunnels.selected.uid)
        assert seen == [1, 3, 1]
        assert stage.lines()[1].startswith("▸◆ 1")
        tunnels.show(tuple(build.flow(n, packets=n) for n in (1, 2, 3)))
        assert tunnels.marked == {1, 3}
        tunnels.show((build.flow(1),))
        assert tunnels.marked == {1}
        await stage.press("m")
        assert tunnels.marked == frozenset()
        assert stage.lines()[1].startswith("▸ 1") or stage.lines()[1].startswith("▸  1")


async def test_no_mark_no_jump() -> None:
    async with staged(TunnelList()) as stage:
        await stage.press("m", "apostrophe")
        stage.widget.show(THREE)
        await stage.press("apostrophe")
        assert stage.widget.selected is not None
        assert stage.widget.selected.uid == 4


async def test_only_the_allowed_tunnels_are_shown() -> None:
    async with staged(TunnelList()) as stage:
        tunnels = stage.widget
        tunnels.show((build.flow(1), build.denied(2), build.flow(3)))
        tunnels.select(3)
        tunnels.allow({1, 3})
        assert ids(tunnels) == [1, 3]
        assert tunnels.selected is not None
        assert tunnels.selected.uid == 3
        tunnels.show((build.flow(1), build.denied(2), build.flow(3), build.flow(5)))
        assert ids(tunnels) == [1, 3]
        tunnels.problems_only = True
        assert ids(tunnels) == []
        tunnels.problems_only = False
        tunnels.allow({2})
        assert ids(tunnels) == [2]
        assert tunnels.selected.uid == 2
        tunnels.allow(None)
        assert ids(tunnels) == [2, 1, 3, 5]


async def test_what_a_filter_found_is_read_from_the_top() -> None:
    flows = tuple(build.flow(number) for number in range(1, 9))
    async with staged(TunnelList()) as stage:
        tunnels = stage.widget
        tunnels.show(flows)
        tunnels.select(5)
        tunnels.allow({1, 3, 6, 7, 8})
        assert tunnels.selected is flows[0]
        tunnels.allow(None)
        tunnels.select(5)
        tunnels.show(tuple(flow for flow in flows if flow.uid != 5))  # it is no more
        assert tunnels.selected is flows[5]


async def test_names_stand_for_addresses_where_they_are_known() -> None:
    async with staged(TunnelList(), 120, 8) as stage:
        stage.widget.show(THREE)
        await stage.settle()
        assert "10.10.10.1:80" in "\n".join(stage.lines())
        stage.widget.name_hosts({"10.10.10.1": "proxy.lab", "10.40.40.1": "a" * 60 + ".lab"})
        await stage.settle()
        text = "\n".join(stage.lines())
        assert "proxy.lab:80" in text
        assert "10.10.10.1" not in text
        assert "…:40004" in text  # cut, but with its port
        stage.widget.name_hosts({})
        await stage.settle()
        assert "10.10.10.1:80" in "\n".join(stage.lines())
