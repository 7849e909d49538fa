from __future__ import annotations

import math
from dataclasses import replace

import pytest

from capture.snapshot import ReplayClock
from tests.widgets.screen import staged
from widgets.glyphs import ASCII
from widgets.replay_bar import ReplayBar, speed_text

START = 1_741_951_812_536_989_000  # 11:30:12.536989
CLOCK = ReplayClock(
    now_ns=START, first_ns=START - 10_000_000_000, last_ns=START + 10_000_000_000, speed=4.0,
    playing=True, at_packet=50, packets=1000, share=0.5,
)  # fmt: skip


@pytest.mark.parametrize(
    ("width", "line"),
    [
        (46, " ▶ 4x    11:30:12.536 ━━━━━━━━●─────────  50%"),
        (34, " ▶ 4x    11:30:12 ━━━━●─────  50%"),
        (24, " ▶ 4x    11:30:12  50%"),
    ],
)
async def test_it_says_how_the_clock_runs_and_where_it_stands(width: int, line: str) -> None:
    async with staged(ReplayBar(), width, 1) as stage:
        stage.widget.show(CLOCK)
        await stage.settle()
        assert stage.full_lines()[0].rstrip() == line
        assert stage.fits()


async def test_paused_and_at_the_end() -> None:
    async with staged(ReplayBar(), 34, 1) as stage:
        stage.widget.show(replace(CLOCK, playing=False, share=1.0, at_end=True))
        await stage.settle()
        assert stage.full_lines()[0] == " ‖ 4x    11:30:12 ━━━━━━━━━● 100% "


async def test_only_the_very_end_is_a_hundred_percent() -> None:
    async with staged(ReplayBar(), 34, 1) as stage:
        stage.widget.show(replace(CLOCK, share=0.9999))
        await stage.settle()
        assert " 99%" in stage.full_lines()[0]


async def test_without_times_it_goes_by_packets() -> None:
    async with staged(ReplayBar(), 40, 1) as stage:
        stage.widget.show(replace(CLOCK, timed=False))
        await stage.settle()
        assert "  #50 " in stage.full_lines()[0]


async def test_plain_terminals() -> None:
    async with staged(ReplayBar(glyphs=ASCII), 46, 1) as stage:
        stage.widget.show(CLOCK)
        await stage.settle()
        line = stage.full_lines()[0]
        assert line.isascii()
        assert "> 4x" in line
        assert "O" in line


@pytest.mark.parametrize("share", [-1.0, 2.0])
async def test_a_share_beyond_the_ends_stays_on_the_bar(share: float) -> None:
    async with staged(ReplayBar(), 46, 1) as stage:
        stage.widget.show(replace(CLOCK, share=share))
        await stage.settle()
        assert stage.full_lines()[0].count("●") == 1
        assert stage.fits()


@pytest.mark.parametrize(
    ("speed", "text"), [(1.0, "1x"), (64.0, "64x"), (1 / 16, "1/16x"), (math.inf, "max")]
)
def test_speeds_in_words(speed: float, text: str) -> None:
    assert speed_text(speed) == text
