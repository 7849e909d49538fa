from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.tui.terminal_screen import Screen
from tui.repeats import GAP, TRUSTED_S, Repeats
from tui.thrift import thrifty


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


RUNS = st.tuples(st.sampled_from(["", "1", "31;40", "38;2;1;2;3"]), st.text("abc ─", max_size=9))
TEXTS = st.lists(RUNS, max_size=5).map(
    lambda runs: "".join(f"\x1b[{style}m{text}\x1b[0m" if style else text for style, text in runs)
)
PIECES = st.tuples(st.integers(1, 3), st.integers(1, 12), TEXTS, st.sampled_from(["", "\n"])).map(
    lambda piece: f"\x1b[{piece[0]};{piece[1]}H{piece[2]}"
)
ODD = st.sampled_from(["\x1b[2J", "\x1b[2;3H漢字\x1b[2;9H", "loose", "\x1b[1;1Ha\nb"])
WRITES = st.lists(st.one_of(st.lists(PIECES, max_size=4).map("".join), ODD), min_size=1, max_size=8)


@given(WRITES)
def test_the_screen_is_the_same(writes: list[str]) -> None:
    whole, saved, repeats = Screen(), Screen(), Repeats(Clock())
    for data in writes:
        whole.write(data)
        saved.write(repeats.without(data))
        assert saved.cells == whole.cells


@given(st.lists(PIECES, min_size=1, max_size=6).map("".join))
def test_what_is_there_is_not_sent_again(data: str) -> None:
    repeats = Repeats(Clock())
    whole = Screen()
    whole.write(data)
    repeats.without(data)
    everything = "".join(
        f"\x1b[{y};{x}H" + (f"\x1b[{style}m{char}\x1b[0m" if style else char)
        for (y, x), (char, style) in whole.cells.items()
    )
    assert repeats.without(everything) == ""


def test_only_the_cells_that_differ_are_sent() -> None:
    repeats = Repeats(Clock())
    line = "\x1b[1;1H\x1b[31m 1,003/s \x1b[0m{} packets\n\x1b[2;1Hnext"
    repeats.without(line.format("6,104"))
    assert repeats.without(line.format("6,356")) == "\x1b[1;12H356"
    assert repeats.without("\x1b[1;4H") == "\x1b[1;4H"  # the cursor's own place
    wide = "\x1b[3;1H" + "a" + "=" * GAP + "b" + "=" * (GAP + 1) + "c"
    repeats.without(wide)
    changed = wide.replace("a", "A").replace("b", "B").replace("c", "C")
    kept = f"\x1b[3;1HA{'=' * GAP}B\x1b[3;{2 * GAP + 4}HC"
    assert repeats.without(changed) == kept


def test_a_terminal_is_trusted_for_a_while() -> None:
    clock = Clock()
    repeats = Repeats(clock)
    line = "\x1b[1;1Hunchanged"
    repeats.without(line)
    clock.now_s += TRUSTED_S / 2
    assert repeats.without(line) == ""
    clock.now_s += TRUSTED_S / 2
    assert repeats.without(line) == line
    assert repeats.without(line) == ""
    repeats.forget()
    assert repeats.without(line) == line


@given(WRITES)
def test_thrift_comes_on_top(writes: list[str]) -> None:
    whole, saved, repeats = Screen(), Screen(), Repeats(Clock())
    for data in writes:
        whole.write(data)
        saved.write(thrifty(repeats.without(data)))
        assert {place: char for place, (char, _) in saved.cells.items()} == {
            place: char for place, (char, _) in whole.cells.items()
        }
