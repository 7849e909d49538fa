from __future__ import annotations

from dataclasses import replace

import pytest
from textual.events import Key

from capture.snapshot import Snapshot
from tests.tui.fakes import FakeEngine, capture, loaded_app, make_app
from tests.tui.user import SIZES, User, using
from tests.widgets.build import report
from tui.screens.packet import PacketScreen
from widgets.issue_panel import IssuePanel

# What is shown


@pytest.mark.parametrize("size", SIZES)
async def test_failing_tunnel_is_selected_and_every_pane_is_about_it(
    size: tuple[int, int],
) -> None:
    async with using(loaded_app(), size) as user:
        selected = user.tunnels().selected
        assert selected is not None
        assert selected.uid == 1
        assert "403 ✗" in user.text()
        assert "Proxy ACL restriction" in user.text()
        assert user.packets().row_count() == 9
        assert user.timeline().border_title == "Timeline 1"
        assert user.packets().border_title == "Packets of 1"


@pytest.mark.parametrize(
    ("size", "panes"),
    [
        ((80, 24), {"tunnels", "timeline", "brief"}),
        ((80, 50), {"tunnels", "timeline", "brief", "packets"}),
        ((120, 24), {"tunnels", "timeline", "issue"}),
        ((120, 36), {"tunnels", "timeline", "issue", "packets"}),
        ((200, 50), {"tunnels", "timeline", "issue", "packets"}),
    ],
)
async def test_panes_by_size(size: tuple[int, int], panes: set[str]) -> None:
    async with using(loaded_app(), size) as user:
        assert user.shown() == panes


@pytest.mark.parametrize("size", [*SIZES, (40, 12), (20, 5)])
async def test_no_line_is_wider_than_the_terminal(size: tuple[int, int]) -> None:
    async with using(loaded_app(), size) as user:
        lines = user.text().split("\n")
        assert len(lines) == size[1]
        assert {len(line) for line in lines} == {size[0]}


async def test_resize_folds_and_unfolds() -> None:
    async with using(loaded_app(), (160, 50)) as user:
        await user.press("4")
        user.packets().focus()
        await user.resize(80, 24)
        await user.press("4")
        assert user.shown() == {"tunnels", "timeline", "brief"}
        await user.resize(160, 50)
        assert "issue" in user.shown()
        assert user.focus() in user.shown()


async def test_focus_never_rests_on_what_a_resize_hides() -> None:
    async with using(loaded_app(), (120, 36)) as user:
        user.packets().focus()
        await user.resize(80, 24)
        assert user.focus() == "tunnels"


async def test_fills_while_it_reads() -> None:
    full, store = capture()
    first = replace(
        full,
        rev=0,
        report=report(),
        facts={},
        packets=replace(full.packets, rows=full.packets.rows[:0]),
        bytes_done=4_500_000,
        finished=False,
    )
    engine = FakeEngine(first, full, store=store)
    async with using(make_app(engine), loaded=False) as user:
        await user.until(lambda: "50%" in user.text())
        assert user.tunnels().row_count() == 0
        engine.advance()
        await user.until(lambda: user.packets().row_count() == 9)
        assert "50%" not in user.text()
        assert "1 failing" in user.text()


async def test_nothing_is_read_before_the_first_screen_and_nothing_after_leaving() -> None:
    engine = FakeEngine()
    app = make_app(engine)
    assert engine.calls == []
    async with using(app, loaded=False) as user:
        await user.until(lambda: engine.calls == ["start"])
        assert "Opening" in user.text()
        await user.press("q")
    assert app.bridge is not None
    app.bridge.stop()
    assert engine.calls == ["start", "stop", "join"]
    assert app.return_code == 0
    assert app.bridge is not None
    assert app.bridge.failure is None  # to leave early is no failure


async def test_capture_without_tunnels_explains_itself() -> None:
    snapshot, _ = capture()
    empty = replace(
        snapshot,
        report=report(other_flows=3, not_understood=(("outer GRE 0x88be", 412),)),
        facts={},
    )
    async with using(make_app(FakeEngine(empty)), loaded=False) as user:
        await user.until(lambda: "no tunnel through a proxy" in user.text())
        assert "GRE 0x88be" in user.text()
        await user.until(lambda: user.packets().row_count() == len(snapshot.packets))


# Failures are one line


async def test_error_of_the_source_is_one_line_and_the_screen_lives() -> None:
    broken = Snapshot(1, report(), {}, error="fmc.pcapng is\x1b[31m no capture", finished=True)
    async with using(make_app(FakeEngine(broken)), loaded=False) as user:
        await user.until(lambda: "no capture" in user.text())
        assert "\x1b" not in user.text()
        await user.press("j", "question_mark", "escape", "q")
    assert user.app.return_code == 0
    assert user.app.bridge is not None
    assert user.app.bridge.failure == broken.error


async def test_death_of_the_engine_is_told() -> None:
    engine = FakeEngine()
    async with using(make_app(engine), loaded=False) as user:
        await user.until(lambda: engine.alive)
        engine.alive = False
        await user.until(lambda: "analysis stopped" in user.text())


# Moving about


async def test_selection_fills_the_other_panes() -> None:
    async with using(loaded_app()) as user:
        await user.press("j")
        await user.until(lambda: user.timeline().border_title == "Timeline 2")
        assert user.packets().row_count() == len(capture()[0].packets) - 9 - 1
        assert "ClientHello SNI=tools.cisco.com" in user.text()
        assert user.packets().selected_number == 10
        user.packets().go_to(30)
        await user.press("k")
        await user.until(lambda: user.timeline().border_title == "Timeline 1")
        assert user.packets().selected_number == 1


async def test_problem_keys() -> None:
    async with using(loaded_app()) as user:
        await user.press("j")
        await user.press("right_square_bracket")
        selected = user.tunnels().selected
        assert selected is not None
        assert selected.uid == 1
        await user.press("o")
        assert user.tunnels().row_count() == 1
        assert "with a problem" in str(user.tunnels().border_title)
        await user.press("o")
        assert user.tunnels().row_count() == 2


async def test_no_problem_is_said() -> None:
    snapshot, _ = capture()
    healthy = replace(snapshot, report=report(snapshot.report.flows[1]))
    async with using(make_app(FakeEngine(healthy))) as user:
        await user.press("right_square_bracket")
        assert user.said() == "no failing tunnel"


async def test_tab_goes_round_the_panes() -> None:
    async with using(loaded_app()) as user:
        seen = []
        for _ in range(5):
            seen.append(user.focus())
            await user.press("tab")
        assert seen == ["tunnels", "timeline", "packets", "issue", "tunnels"]
        await user.press("shift+tab")
        assert user.focus() == "tunnels"


@pytest.mark.parametrize("size", SIZES[:2])
@pytest.mark.parametrize(
    ("key", "name"), [("1", "tunnels"), ("2", "timeline"), ("3", "packets"), ("4", "issue")]
)
async def test_maximise_and_back(size: tuple[int, int], key: str, name: str) -> None:
    async with using(loaded_app(), size) as user:
        before = user.shown()
        await user.press(key)
        assert user.shown() == {name}
        assert user.focus() == name
        await user.press("q")
        assert user.shown() == before
        assert user.focus() == "tunnels"
        await user.press(key, key)
        assert user.shown() == before
        assert user.app.is_running


async def test_tab_while_maximised_goes_to_the_next_pane() -> None:
    async with using(loaded_app(), (80, 24)) as user:
        await user.press("3", "tab")
        assert user.shown() == {"issue"}
        await user.press("escape")
        assert user.shown() == {"tunnels", "timeline", "brief"}


@pytest.mark.parametrize("size", SIZES)
async def test_enter_leads_from_tunnel_to_packet_and_escape_back(size: tuple[int, int]) -> None:
    async with using(loaded_app(), size) as user:
        await user.press("enter")
        assert user.focus() == "timeline"
        await user.press("enter")  # the failing line: 403 in #5
        assert user.focus() == "packets"
        assert user.packets().selected_number == 5
        await user.press("enter")
        screen = user.app.screen
        assert isinstance(screen, PacketScreen)
        assert screen.number == 5
        await user.press("escape", "escape", "escape")
        assert len(user.app.screen_stack) == 1
        assert user.focus() == "tunnels"


@pytest.mark.parametrize("size", SIZES)
async def test_evidence_leads_to_its_packet(size: tuple[int, int]) -> None:
    async with using(loaded_app(), size) as user:
        await user.press("4", "escape")
        if size[0] < 100:
            await user.press("4")
        else:
            user.issue().focus()
        await user.press("enter")
        await user.until(lambda: user.focus() == "packets")
        assert user.packets().selected_number == 4


async def test_evidence_outside_the_tunnel_shows_all_packets() -> None:
    async with using(loaded_app()) as user:
        user.screen.post_message(IssuePanel.Evidence(user.issue(), 12))
        await user.until(lambda: user.packets().selected_number == 12)
        assert user.packets().border_title == "Packets"
        await user.press("a")
        assert user.packets().border_title == "Packets of 1"


async def test_what_times_are_counted_from_is_said() -> None:
    async with using(loaded_app()) as user:
        seen = []
        for _ in range(4):
            await user.press("t")
            seen.append(user.said())
        assert (
            seen[3] == "times in the timeline: since the first packet; of packets: time of day, UTC"
        )
        assert len(set(seen)) == 4
        user.packets().focus()
        await user.press("t")  # the pane's own key
        assert user.said() == (
            "times in the timeline: since the first packet; of packets: since the first packet"
        )


async def test_time_format_changes_in_both_panes() -> None:
    async with using(loaded_app()) as user:
        before = user.timeline().time_format, user.packets().time_format
        await user.press("t")
        assert user.timeline().time_format != before[0]
        assert user.packets().time_format != before[1]


async def test_copy_puts_the_command_on_the_clipboard() -> None:
    async with using(loaded_app()) as user:
        await user.press("y")
        assert user.app.clipboard == "curl -x http://10.10.10.1:80 -I https://tools.cisco.com"
        assert user.said().startswith("copied: curl")


# Search


async def type_query(user: User, query: str) -> None:
    await user.press("slash")
    for char in query:
        await user.pilot.press(
            {"#": "number_sign", " ": "space", "/": "slash", ".": "full_stop"}.get(char, char)
        )
    await user.press("enter")


async def test_search_finds_tunnels() -> None:
    async with using(loaded_app()) as user:
        await type_query(user, "40002")
        selected = user.tunnels().selected
        assert selected is not None
        assert selected.uid == 2
        assert user.said() == "40002: tunnel 1 of 1"
        assert user.focus() == "tunnels"


async def test_search_in_the_packets_goes_from_hit_to_hit() -> None:
    async with using(loaded_app()) as user:
        user.packets().focus()
        await type_query(user, "fin")
        await user.until(lambda: user.packets().selected_number == 7)
        await user.press("n")
        assert user.packets().selected_number == 8
        await user.press("n")
        assert user.packets().selected_number == 7
        await user.press("N")
        assert user.packets().selected_number == 8
        await user.press("escape")
        assert user.said() == ""
        await user.press("n")
        assert "nothing to look for" in user.said()


async def test_search_falls_back_to_packets_and_says_when_there_is_nothing() -> None:
    async with using(loaded_app()) as user:
        await type_query(user, "ws 64")
        await user.until(lambda: user.packets().selected_number == 2)
        await type_query(user, "zebra")
        await user.until(lambda: user.said() == "zebra: not found")


async def test_search_by_number_and_cancelled_search() -> None:
    async with using(loaded_app()) as user:
        await type_query(user, "#6")
        await user.until(lambda: user.packets().selected_number == 6)
        await user.press("slash", "x", "escape")
        assert user.focus() == "packets"
        await type_query(user, "#99999")
        assert user.app.is_running


async def test_keys_after_enter_are_not_part_of_the_query() -> None:
    async with using(loaded_app()) as user:
        user.packets().focus()
        await user.press("slash")
        for key in ("f", "i", "n", "enter", "n"):
            user.app.post_message(Key(key, key if len(key) == 1 else None))
        await user.until(lambda: user.said() == "fin: packet 2 of 2")


async def test_a_slash_in_the_query_is_a_letter() -> None:
    async with using(loaded_app()) as user:
        user.packets().focus()
        await type_query(user, "http/1.1")
        await user.until(lambda: user.said() == "http/1.1: packet 1 of 1")


async def test_search_follows_the_selected_tunnel() -> None:
    async with using(loaded_app()) as user:
        user.packets().focus()
        await type_query(user, "clienthello")
        await user.until(lambda: user.said() == "clienthello: not found")
        user.tunnels().select(2)
        await user.until(lambda: user.timeline().border_title == "Timeline 2")
        await user.press("n")
        assert user.packets().selected_number == 16


# Leaving


@pytest.mark.parametrize("key", ["q", "ctrl+c", "ctrl+q"])
async def test_quit(key: str) -> None:
    async with using(loaded_app()) as user:
        await user.press(key)
    assert user.app.return_code == 0


async def test_quit_while_loading_with_the_search_line_open() -> None:
    async with using(make_app(FakeEngine()), loaded=False) as user:
        await user.press("slash", "a", "ctrl+c")
    assert user.app.return_code == 0


async def test_no_key_breaks_an_empty_screen() -> None:
    async with using(make_app(FakeEngine()), (80, 24), loaded=False) as user:
        for key in ("enter", "n", "N", "t", "a", "o", "y", "z", "less_than_sign", "1", "enter",
                    "2", "enter", "3", "enter", "4", "enter", "j", "G", "g", "escape", "tab",
                    "right_square_bracket", "left_square_bracket"):  # fmt: skip
            await user.press(key)
        assert user.app.is_running
