from __future__ import annotations

import math
import os
import shutil
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tui.terminal_screen import Screen
from tui.link.canvas import GAP, TRUSTED_S, Canvas


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


SIGNS = st.sampled_from(["a", "b", " ", "─", "漢", "e\u0301", " " * 12, "─" * 9, "x" * 15])
RUNS = st.tuples(
    st.sampled_from(["", "1", "4;31", "31;40", "38;2;1;2;3", "0;44"]),
    st.lists(SIGNS, max_size=4).map("".join),
)
TEXTS = st.lists(RUNS, max_size=4).map(
    lambda runs: "".join(f"\x1b[{style}m{text}\x1b[0m" if style else text for style, text in runs)
)
PIECES = st.tuples(st.integers(1, 3), st.integers(1, 12), TEXTS, st.sampled_from(["", "\n"])).map(
    lambda piece: f"\x1b[{piece[0]};{piece[1]}H{piece[2]}"
)
ODD = st.sampled_from(["\x1b[2J", "\x1b[2;3H\x1b[58;5;1mx\x1b[0m\x1b[2;9H", "\x1b[1;1Ha\nb"])
MODES = st.sampled_from(["\x1b[?25l", "\x1b[?2026h", "\x1b[>25u", "\x07", "\x1b]0;title\x07"])
WRITES = st.lists(
    st.one_of(st.lists(PIECES, max_size=4).map("".join), ODD, MODES), min_size=1, max_size=8
)


def halves_no_wide_sign(screen: Screen) -> bool:
    """What is left of a wide character that was half written over is each terminal's own."""
    cells = screen.cells
    return all(
        (char != "漢" or cells.get((y, x + 1), ("?",))[0] == "")
        and (char != "" or cells.get((y, x - 1), ("?",))[0] == "漢")
        for (y, x), (char, _) in cells.items()
    )


@given(
    WRITES, st.booleans(), st.lists(st.one_of(st.integers(1, 60), st.just(math.inf)), max_size=9)
)
def test_in_the_end_the_screen_is_the_same(
    writes: list[str], erasing: bool, portions: list[float]
) -> None:
    whole, saved, canvas = Screen(), Screen(), Canvas(Clock(), erasing=erasing)
    room = iter(portions)
    for data in writes:
        whole.write(data)
        if not halves_no_wide_sign(whole):
            return
        saved.write(canvas.draw(data, asked=len(data) % 2 == 0))
        saved.write(canvas.portion(next(room, 1)))
    while canvas.behind:
        saved.write(canvas.portion(20))
    assert saved.seen() == whole.seen()


@given(st.lists(PIECES, min_size=1, max_size=6).map("".join))
def test_what_is_there_is_not_sent_again(data: str) -> None:
    canvas, whole = Canvas(Clock()), Screen()
    whole.write(data)
    if not halves_no_wide_sign(whole):
        return
    canvas.draw(data)
    canvas.portion(math.inf)
    canvas.draw(data)
    before, after = Screen(), Screen()
    before.cells = dict(whole.cells)
    after.cells = dict(whole.cells)
    after.write(canvas.portion(math.inf))
    assert after.seen() == before.seen()
    assert not canvas.behind


def everything(canvas: Canvas, data: str) -> str:
    canvas.draw(data)
    return canvas.portion(math.inf)


def test_only_the_cells_that_differ_are_sent() -> None:
    canvas = Canvas(Clock())
    line = "\x1b[1;1H\x1b[31m 1,003/s \x1b[0m{} packets\n\x1b[2;1Hnext"
    everything(canvas, line.format("6,104"))
    assert everything(canvas, line.format("6,356") + "\x1b[1;15H") == "\x1b[1;12H356"
    assert everything(canvas, "\x1b[1;4H") == "\x1b[1;4H"  # the cursor's own place
    assert everything(canvas, "\x1b[1;4H") == ""
    wide = "\x1b[3;1H" + "a" + "=" * GAP + "b" + "=" * (GAP + 1) + "c"
    everything(canvas, wide)
    changed = wide.replace("a", "A").replace("b", "B").replace("c", "C")
    assert everything(canvas, changed) == f"\x1b[3;1HA{'=' * GAP}B\x1b[{GAP + 1}CC"


def test_what_was_drawn_over_before_it_was_sent_is_not_sent() -> None:
    canvas = Canvas(Clock())
    canvas.draw("\x1b[1;1Hold text")
    canvas.draw("\x1b[1;1Hnew text")
    assert canvas.portion(math.inf) == "\x1b[1;1Hnew text"
    canvas.draw("\x1b[1;1Hold")
    canvas.draw("\x1b[1;1Hnew\x1b[1;9H")
    assert canvas.portion(math.inf) == ""


def test_what_was_asked_for_goes_first_and_the_oldest_next() -> None:
    canvas = Canvas(Clock())
    for y in (3, 1, 2):
        canvas.draw(f"\x1b[{y};1Hline {y}")
    canvas.draw("\x1b[5;1Hasked", asked=True)
    canvas.draw("\x1b[2;1HLINE 2", asked=True)
    order = []
    while canvas.behind:
        screen = Screen()
        screen.write(canvas.portion(1))
        order.append(screen.text().strip())
    assert order == ["asked", "LINE 2", "line 3", "line 1"]
    canvas.draw("\x1b[1;1Hfirst key", asked=True)
    canvas.put_off()
    canvas.draw("\x1b[2;1Hsecond key", asked=True)
    assert "second" in canvas.portion(1)


def test_what_was_asked_for_may_have_more_room() -> None:
    canvas = Canvas(Clock())
    canvas.draw("\x1b[1;1Hby itself\x1b[2;1Has well")
    canvas.draw("\x1b[3;1Hasked for\x1b[4;1Hthis too", asked=True)
    screen = Screen()
    screen.write(canvas.portion(-5, asked=math.inf))
    assert screen.text().split("\n") == ["asked for", "this too"]
    assert canvas.behind


def test_a_portion_is_as_long_as_there_is_room() -> None:
    canvas = Canvas(Clock())
    row = "".join(f"\x1b[3{n % 8}mword{n}\x1b[0m" for n in range(20))
    canvas.draw("".join(f"\x1b[{y};1H{row}" for y in range(1, 9)))
    parts = []
    while canvas.behind:
        parts.append(canvas.portion(100))
    assert len(parts) > 5
    assert max(map(len, parts)) < 130


def test_blanks_are_erased_where_that_leaves_the_colour() -> None:
    line = "\x1b[1;1H\x1b[44mbegin" + " " * 40 + "end\x1b[0m"
    said = everything(Canvas(Clock(), erasing=True), line)
    assert said == "\x1b[1;1H\x1b[44mbegin\x1b[35X\x1b[35C     end"
    plain = everything(Canvas(Clock()), line)
    assert plain == "\x1b[1;1H\x1b[44mbegin" + " " * 40 + "end"


def test_what_is_erased_is_not_underlined() -> None:
    line = "\x1b[1;1H\x1b[4m" + " " * 40 + "\x1b[0m"
    assert everything(Canvas(Clock(), erasing=True), line) == line.removesuffix("\x1b[0m")


@pytest.mark.parametrize(("terminal", "does"), [("linux", True), ("dumb", False), ("none", False)])
def test_terminals_say_whether_they_erase_in_colour(terminal: str, does: bool) -> None:
    if does and shutil.which("infocmp") is None:
        pytest.skip("no descriptions of terminals here")
    # In a process of its own: a description is read once.
    code = "from tui.link.pen import erases_in_colour; print(erases_in_colour())"
    said = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "TERM": terminal},
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout.strip() == str(does)


def test_a_line_with_wide_signs_is_written_whole() -> None:
    canvas = Canvas(Clock())
    everything(canvas, "\x1b[1;1H漢字 and more text here")
    said = everything(canvas, "\x1b[1;23HHERE")
    assert said.startswith("\x1b[1;1H漢\x1b[1;3H字\x1b[1;5H and")
    everything(canvas, "\x1b[1;1Habcd")
    assert "漢" not in everything(canvas, "\x1b[1;1HABCD")


def test_a_terminal_is_trusted_for_a_while() -> None:
    clock = Clock()
    canvas = Canvas(clock)
    line = "\x1b[1;1Hunchanged\x1b[1;10H"
    everything(canvas, line)
    clock.now_s += TRUSTED_S / 2
    assert everything(canvas, line) == ""
    clock.now_s += TRUSTED_S / 2
    assert everything(canvas, line) == "\x1b[1;1Hunchanged"
    assert everything(canvas, line) == ""
    canvas.forget()
    assert everything(canvas, line) == "\x1b[1;1Hunchanged"


@pytest.mark.parametrize("mode", ["\x1b[?25l", "\x1b[?2026$p", "\x1b[>25u", "\x1b[<u", "\x07"])
def test_modes_are_set_at_once_and_change_nothing_else(mode: str) -> None:
    canvas = Canvas(Clock())
    everything(canvas, "\x1b[1;1Htext")
    assert canvas.draw(mode) == mode
    assert everything(canvas, "\x1b[1;1Htext") == ""


def test_what_is_sent_in_parts_is_not_shown_at_once() -> None:
    assert Canvas(Clock(), split=True).draw("\x1b[?2026h") == ""
    assert Canvas(Clock()).draw("\x1b[?2026h") == "\x1b[?2026h"


def test_on_another_screen_nothing_is_left_of_the_one_before() -> None:
    canvas = Canvas(Clock())
    canvas.draw("\x1b[1;1Hmuch that was not sent")
    assert canvas.draw("\x1b[?1049l") == "\x1b[?1049l"
    assert not canvas.behind
    everything(canvas, "\x1b[1;1H\x1b[31mred")
    assert canvas.draw("\x1b[?1049l") == "\x1b[m\x1b[?1049l"
