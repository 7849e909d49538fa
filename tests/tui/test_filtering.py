"""The display filter on the screen: typed, completed, applied, remembered."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from textual.events import Key

from tests.tui.fakes import FakeEngine, capture, loaded_app, make_app
from tests.tui.user import User, using
from tui.config import Config
from tui.footline import Footline
from tui.lines.filter_history import KEPT, FilterHistory
from tui.lines.filter_line import FilterBar
from widgets.column_list import ColumnList

NAMES = {
    " ": "space", "=": "equals_sign", ".": "full_stop", "_": "underscore", '"': "quotation_mark",
    ">": "greater_than_sign", "(": "left_parenthesis", "!": "exclamation_mark",
}  # fmt: skip


@pytest.fixture(autouse=True)
def _own_state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.delenv("SUDO_UID", raising=False)


async def type_in(user: User, text: str) -> None:
    for char in text:
        await user.pilot.press(NAMES.get(char, char))
    await user.rest()


async def apply(user: User, text: str) -> None:
    await user.press("f")
    await user.press("ctrl+u")
    await type_in(user, text)
    await user.press("enter")


def bar(user: User) -> FilterBar:
    return user.screen.query_one(FilterBar)


def line(user: User) -> str:
    return bar(user)._input.value


def said(user: User) -> str:
    return str(bar(user)._said.render())


def under_cursor(user: User) -> int | None:
    selected = user.tunnels().selected
    return None if selected is None else selected.uid


def shown(user: User) -> list[int]:
    return [flow.uid for flow in user.tunnels().order]


async def test_a_filter_chooses_tunnels_and_packets_and_says_how_many() -> None:
    async with using(loaded_app()) as user:
        await apply(user, "http.response.code == 403")
        assert shown(user) == [1]
        assert user.said() == "1 tunnel found; F shows all again"
        assert user.tunnels().border_title == "Tunnels  1 of 2"
        assert user.tunnels().border_subtitle == "http.response.code == 403"
        assert user.packets().row_count() == 1
        assert user.packets().border_subtitle == "1 of 9"
        assert user.packets().selected_number == 5
        await user.press("a")
        assert user.packets().row_count() == 1
        await user.press("F")
        assert shown(user) == [1, 2]
        assert user.tunnels().border_title == "Tunnels"
        assert not user.tunnels().border_subtitle
        assert not user.packets().border_subtitle
        assert user.packets().row_count() == len(capture()[0].packets)
        await user.press("F")
        assert user.said() == "there is no filter to clear"


async def test_the_selection_goes_where_the_filter_leaves_something() -> None:
    async with using(loaded_app()) as user:
        await apply(user, "status == 200")
        await user.until(lambda: user.timeline().border_title == "Timeline 2")
        assert shown(user) == [2]


async def test_an_empty_result_says_so_and_the_panes_show_nothing() -> None:
    async with using(loaded_app(), (80, 24)) as user:
        await apply(user, "status == 999")
        await user.until(lambda: "No tunnel of 2 matches the filter" in user.text())
        assert "status == 999" in user.text()
        assert user.tunnels().selected is None
        await apply(user, "")
        assert shown(user) == [1, 2]
        await user.until(lambda: user.tunnels().selected is not None)
        assert "No tunnel of" not in user.text()


async def test_a_wrong_filter_is_not_applied_and_says_why() -> None:
    async with using(loaded_app(), (80, 24)) as user:
        await user.press("f7")
        await type_in(user, "status == x")
        assert bar(user).has_class("-wrong")
        assert said(user) == "✗ 'x' is not a number"
        await user.press("enter")
        assert bar(user).is_open
        assert shown(user) == [1, 2]
        await user.press("escape")
        assert not bar(user).is_open
        assert user.focus() == "tunnels"
        assert shown(user) == [1, 2]


async def test_validity_is_shown_while_typing() -> None:
    async with using(loaded_app()) as user:
        await user.press("f")
        states = []
        for part in ("verd", "ict == ", "acl_denied", "x"):
            await type_in(user, part)
            states.append(
                next(
                    (n for n in ("right", "doubtful", "wrong") if bar(user).has_class(f"-{n}")), ""
                )
            )
        assert states == ["", "", "right", "doubtful"]
        assert "did you mean acl_denied?" in said(user)


async def test_tab_completes_fields_and_values_of_the_capture() -> None:
    async with using(loaded_app()) as user:
        await user.press("f")
        await type_in(user, "verdi")
        await user.press("tab")
        assert line(user) == "verdict"
        await type_in(user, " == ")
        assert "acl_denied" in said(user)
        await user.press("tab", "tab")
        assert line(user) == "verdict == ok"
        await user.press("shift+tab")
        assert line(user) == "verdict == acl_denied", "of the tunnel under the cursor"
        await user.press("enter")
        assert shown(user) == [1]


@pytest.mark.parametrize(("code", "found"), [(403, "1 tunnel"), (599, "no tunnel")])
async def test_what_is_found_while_it_reads_is_found_so_far(code: int, found: str) -> None:
    snapshot, store = capture()
    reading = replace(snapshot, finished=False)
    async with using(make_app(FakeEngine(reading, store=store))) as user:
        await apply(user, f"status == {code}")
        assert user.said() == f"{found} found so far; F shows all again"


async def test_tab_takes_what_all_have_in_common_first() -> None:
    async with using(loaded_app()) as user:
        await user.press("f")
        await type_in(user, "http.resp")
        await user.press("tab")
        assert line(user) == "http.response"
        await user.press("tab")
        assert line(user) == "http.response.code"


async def test_keys_typed_ahead_keep_their_order() -> None:
    async with using(loaded_app()) as user:
        await user.press("f")
        keys = [*"verd", "tab", "x", "backspace", "space", "equals_sign", "equals_sign", "space",
                "o", "k", "k", "backspace", "enter", "o"]  # fmt: skip
        characters = {"space": " ", "equals_sign": "="}
        for key in keys:
            user.app.post_message(Key(key, characters.get(key, key if len(key) == 1 else None)))
        await user.until(lambda: user.tunnels().problems_only)
        assert user.tunnels().border_subtitle == "verdict == ok"
        assert shown(user) == []


async def test_filters_used_before_are_a_key_away() -> None:
    async with using(loaded_app()) as user:
        await apply(user, "status == 403")
        await apply(user, "status == 200")
        await user.press("f")
        assert line(user) == "status == 200"
        await type_in(user, " and tls")
        await user.press("up", "up")
        assert line(user) == "status == 403"
        await user.press("up", "down", "down")
        assert line(user) == "status == 200 and tls"
        await user.press("down")
        assert line(user) == "status == 200 and tls"
    assert FilterHistory()._filters == ["status == 200", "status == 403"]


def test_history_keeps_no_secret_is_bounded_and_survives_a_bad_file(tmp_path: Path) -> None:
    history = FilterHistory()
    for text in (
        'http.request.uri contains "http://user:hunter2@host"',
        'http.request.line contains "Authorization: Basic dXNlcjpodW50ZXIy"',
        'http.request.uri contains "?token=abcdef0123"',
        "status == 403\x1b[31m",
    ):
        history.add(text)
    assert FilterHistory()._filters == []
    for number in range(KEPT + 5):
        history.add(f"status == {number}")
    history.add("status == 50")
    kept = FilterHistory()._filters
    assert len(kept) == KEPT
    assert kept[0] == "status == 50"
    assert kept.count("status == 50") == 1
    file = tmp_path / "tunnelscope" / "filters"
    assert file.stat().st_mode & 0o77 == 0
    file.write_bytes(b"\xff\x00\nstatus == 1\n\x1b]0;x\n")
    assert FilterHistory()._filters == ["status == 1"]
    file.unlink()
    file.mkdir()
    again = FilterHistory()
    again.add("tls")
    assert again.step(True, "") == "tls"


async def test_a_slash_and_an_f_in_the_lines_are_letters() -> None:
    async with using(loaded_app()) as user:
        await user.press("f")
        await type_in(user, "tcp.flags")
        await user.press("slash")
        assert line(user) == "tcp.flags/"
        await user.press("escape", "slash", "f", "i", "n", "enter")
        await user.until(lambda: "fin" in user.said())


async def test_the_filter_follows_new_snapshots() -> None:
    full, store = capture()
    first = replace(full, rev=0, report=replace(full.report, flows=full.report.flows[:1]))
    engine = FakeEngine(first, full, store=store)
    async with using(make_app(engine)) as user:
        await apply(user, "status >= 200")
        assert user.tunnels().border_title == "Tunnels  1 of 1"
        engine.advance()
        await user.until(lambda: user.tunnels().border_title == "Tunnels  2 of 2")
        assert shown(user) == [1, 2]


async def test_a_filter_of_the_command_line_is_in_force_from_the_start() -> None:
    async with using(loaded_app(display_filter="verdict == ok")) as user:
        await user.until(lambda: shown(user) == [2])
        await user.press("f")
        assert line(user) == "verdict == ok"


async def test_hostile_filters_stay_text() -> None:
    async with using(loaded_app()) as user:
        await apply(user, 'sni=="[bold]"')
        await user.until(lambda: "[bold]" in user.text())


# Search


async def test_search_goes_to_the_first_hit_while_it_is_typed() -> None:
    async with using(loaded_app()) as user:
        await user.press("slash", "4", "0", "0", "0", "2")
        assert under_cursor(user) == 2
        await user.press("backspace", "1")
        assert under_cursor(user) == 1
        await user.press("backspace", "2", "escape")
        await user.until(lambda: under_cursor(user) == 1)
        await user.press("n")
        assert "nothing to look for" in user.said()


async def test_hits_are_counted_once_all_tunnels_have_been_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tui.finding.finder.AT_ONCE_S", -1.0)
    monkeypatch.setattr("tui.finding.finder.SLICE_S", -1.0)
    monkeypatch.setattr("tui.finding.search.FLOWS", 1)
    said: list[str] = []
    monkeypatch.setattr(
        Footline, "tell", lambda line, message, **looks: said.append(message) if message else None
    )
    async with using(loaded_app()) as user:
        await user.press("slash", "4", "0", "0", "0", "enter")
        found = len(user.screen._finder.flows)
    assert found > 1
    assert f"4000: tunnel 1 of {found}" not in said[: said.index("4000: tunnel 1 of 1 so far")]
    assert said[-1] == f"4000: tunnel 1 of {found}"


async def test_escape_brings_the_search_before_back() -> None:
    async with using(loaded_app()) as user:
        user.packets().focus()
        await user.press("slash", "f", "i", "n", "enter", "n")
        assert user.said() == "fin: packet 2 of 2"
        await user.press("slash", "x", "escape")
        assert user.packets().selected_number == 8
        await user.press("n")
        assert user.said() == "fin: packet 1 of 2, from the top again"
        await user.press("N")
        assert user.said() == "fin: packet 2 of 2, from the end again"
        await user.press("slash", "enter")
        assert user.said() == "fin: packet 1 of 2, from the top again"


async def test_search_finds_header_text_in_tunnels_and_packets() -> None:
    async with using(loaded_app()) as user:
        user.packets().focus()
        await user.press("slash")
        await type_in(user, "server")
        await user.press("enter")
        await user.until(lambda: user.said() == "server: packet 1 of 1")
        assert user.packets().selected_number == 5
        user.tunnels().focus()
        await user.press("n")
        assert user.said() == "server: tunnel 2 of 2"


async def test_search_and_filter_go_together() -> None:
    async with using(loaded_app()) as user:
        await apply(user, "status == 403")
        await user.press("slash", "4", "0", "0", "0", "2", "enter")
        await user.until(lambda: "not found" in user.said() or "not in" in user.said())
        assert shown(user) == [1]


# Problems, marks, columns


async def test_problems_and_marks_are_in_the_title() -> None:
    async with using(loaded_app()) as user:
        await user.press("o")
        assert user.tunnels().border_title == "Tunnels with a problem"
        await user.press("o", "m")
        assert user.tunnels().border_title == "Tunnels  ◆ 1"
        assert user.tunnels().marked == {1}
        await user.press("apostrophe")
        assert under_cursor(user) == 1


async def test_columns_are_chosen_from_a_list() -> None:
    async with using(loaded_app(), (80, 24)) as user:
        await user.press("C")
        columns = user.app.screen.query_one(ColumnList)
        keys = [column.key for column in columns._columns]
        await user.press(*["j"] * keys.index("bytes"), "space")
        assert user.tunnels().columns == ("bytes",)
        await user.press("s")
        assert (user.tunnels().sort_column, user.tunnels().sort_reversed) == ("bytes", True)
        await user.press("s")
        assert not user.tunnels().sort_reversed
        await user.press("d")
        assert user.tunnels().columns == ()
        await user.press("home", "space")
        assert user.tunnels().columns == ()
        await user.press("escape")
        assert "bytes" in user.text()
        assert user.app.is_running


async def test_columns_and_order_of_the_configuration() -> None:
    looks = Config(columns=("bytes", "status"), sort="-bytes")
    async with using(loaded_app(looks=looks), (80, 24)) as user:
        assert user.tunnels().columns == ("bytes", "status")
        assert (user.tunnels().sort_column, user.tunnels().sort_reversed) == ("bytes", True)
        assert "status" in user.text()
