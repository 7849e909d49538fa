from __future__ import annotations

import pytest

from tests.widgets.screen import HOSTILE, staged, steers
from widgets.choice_list import Choice, ChoiceList, Section
from widgets.glyphs import ASCII


def section(title: str, *names: str, remark: str = "") -> Section:
    choices = tuple(Choice((title, name), ((name, ""), ("7/s", "dim"), (f"about {name}", "")))
                    for name in names)  # fmt: skip
    return Section(title, choices, remark, right=frozenset({1}))


LIVE = section("Live", "eth0", "wlan0")
DEMOS = section("Demos", "tour", remark="each issue")


async def test_sections_with_headings_and_columns() -> None:
    async with staged(ChoiceList(glyphs=ASCII), 40, 10) as stage:
        stage.widget.show([LIVE, section("None"), DEMOS])
        await stage.settle()
        assert stage.lines()[:8] == [
            "Live",
            "> eth0   7/s  about eth0",
            "  wlan0  7/s  about wlan0",
            "",
            "None",
            "",
            "Demos  each issue",
            "  tour  7/s  about tour",
        ]
        assert stage.fits()


async def test_the_cursor_rests_on_choices_only() -> None:
    async with staged(ChoiceList(), 40, 5) as stage:
        stage.widget.show([LIVE, DEMOS])
        seen = []
        for key in ("down", "down", "down", "up", "G", "g", "pagedown", "pageup"):
            await stage.press(key)
            seen.append(stage.widget.selected)
        assert seen == [
            ("Live", "wlan0"), ("Demos", "tour"), ("Demos", "tour"), ("Live", "wlan0"),
            ("Demos", "tour"), ("Live", "eth0"), ("Demos", "tour"), ("Live", "eth0"),
        ]  # fmt: skip
        await stage.press("up")
        assert stage.widget.top_row == 0


async def test_enter_and_double_click_choose() -> None:
    async with staged(ChoiceList(), 40, 8) as stage:
        stage.widget.show([LIVE])
        await stage.press("down", "enter")
        await stage.click(3, 0, times=2)  # a heading
        await stage.click(3, 1, times=2)
        chosen = [item.key for item in stage.heard if isinstance(item, ChoiceList.Chosen)]
        assert chosen == [("Live", "wlan0"), ("Live", "eth0")]


async def test_the_first_choice_until_somebody_chose() -> None:
    async with staged(ChoiceList(), 40, 8) as stage:
        stage.widget.show([section("Live"), DEMOS])
        assert stage.widget.selected == ("Demos", "tour")
        stage.widget.show([LIVE, DEMOS])
        assert stage.widget.selected == ("Live", "eth0")
        await stage.press("down")
        stage.widget.show([section("Live", "aaa", "eth0", "wlan0"), DEMOS])
        assert stage.widget.selected == ("Live", "wlan0")
        stage.widget.show([section("Live", "aaa"), DEMOS])
        assert stage.widget.selected is not None
        stage.widget.show([])
        assert stage.widget.selected is None


async def test_only_rows_that_read_differently_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    async with staged(ChoiceList(), 40, 8) as stage:
        stage.widget.show([LIVE, DEMOS])
        await stage.settle()
        drawn: list[int] = []
        monkeypatch.setattr(stage.widget, "refresh_row", drawn.append)
        stage.widget.show([LIVE, DEMOS])
        assert drawn == []
        first, second = LIVE.choices
        other = Choice(second.key, (second.cells[0], ("9/s", "dim"), second.cells[2]))
        stage.widget.show([Section("Live", (first, other), right=LIVE.right), DEMOS])
        assert drawn == [2]


async def test_select() -> None:
    async with staged(ChoiceList(), 40, 8) as stage:
        stage.widget.show([LIVE, DEMOS])
        assert stage.widget.select(("Demos", "tour"))
        assert stage.widget.selected == ("Demos", "tour")
        assert not stage.widget.select(("Demos", "none"))


@pytest.mark.parametrize("width", [6, 20, 80])
@pytest.mark.parametrize("glyphs", [ASCII, None])
async def test_hostile_names(width: int, glyphs: object) -> None:
    widget = ChoiceList(glyphs=ASCII) if glyphs else ChoiceList()
    async with staged(widget, width, 30) as stage:
        stage.widget.show([section(name, name, remark=name) for name in HOSTILE])
        await stage.settle()
        assert stage.fits()
        assert not steers(stage.full_lines())


@pytest.mark.parametrize("width", [30, 44, 100])
async def test_a_warning_is_shown_whole_at_any_width(width: int) -> None:
    remark = "no right to capture: use `sudo tunnelscope`, or once `sudo setcap cap_net_raw=eip x`"
    async with staged(ChoiceList(), width, 14) as stage:
        stage.widget.show([Section("Live", LIVE.choices, remark, warning=True), DEMOS])
        await stage.settle()
        lines = stage.lines()
        assert " ".join(" ".join(lines[: lines.index("▸ eth0   7/s  about eth0")]).split()) == (
            f"Live {remark}"
        )
        assert stage.fits()
        await stage.press("down")
        assert stage.widget.selected == ("Live", "wlan0")


async def test_the_cursor_stays_on_its_choice_while_the_width_changes() -> None:
    remark = " ".join(["words"] * 20)
    async with staged(ChoiceList(), 100, 14) as stage:
        stage.widget.show([Section("Live", LIVE.choices, remark, warning=True), DEMOS])
        await stage.press("down")
        before = stage.widget.cursor
        await stage.resize(40, 14)
        assert stage.widget.selected == ("Live", "wlan0")
        assert stage.widget.cursor > before
        assert stage.fits()
