from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from tests.widgets.screen import HOSTILE, STEERING
from widgets.cells import cut, cut_middle, fit, safe, wrap

words = st.text(st.characters(codec="utf-8"), max_size=60).map(safe)


@given(words, st.integers(0, 40), st.booleans())
def test_fit_takes_exactly_its_cells(text: str, width: int, right: bool) -> None:
    assert cell_len(fit(text, width, "…", right=right)) == width


@given(words, st.integers(0, 40))
def test_what_is_cut_says_so(text: str, width: int) -> None:
    for short in (cut(text, width, "…"), cut_middle(text, width, "…")):
        assert cell_len(short) <= width
        assert short == text or "…" in short or not width


@given(words, st.integers(2, 40), st.integers(2, 40))
def test_wrapping_keeps_every_character_and_the_width(text: str, width: int, first: int) -> None:
    lines = wrap(text, width, first)
    assert cell_len(lines[0]) <= first
    assert all(cell_len(line) <= width for line in lines[1:])
    assert "".join("".join(lines).split(" ")) == "".join(text.split(" "))


def test_wrap_breaks_at_blanks() -> None:
    assert wrap("the proxy forbids this", 10) == ["the proxy", "forbids", "this"]
    assert wrap("https://a-very-long.example", 10) == ["https://a-", "very-long.", "example"]
    assert wrap("", 10) == [""]
    assert wrap("漢字漢字", 1) == ["漢", "字", "漢", "字"], "nothing is lost where nothing fits"


def test_cut_middle_keeps_both_ends() -> None:
    assert cut_middle("updates.vrt.sourcefire.com:443", 20, "…") == "updates.vr…e.com:443"
    assert cut_middle("漢字漢字漢字:443", 12, "…") == "漢字漢…:443"


def test_wide_characters_are_never_halved() -> None:
    assert cut("漢字漢字", 6, "…") == "漢字…"
    assert cut("漢字漢字", 7, "…") == "漢字漢…"
    assert fit("漢字漢字", 6, "…") == "漢字… "


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_steers_the_terminal(text: str) -> None:
    assert not STEERING & set(safe(text))
    assert safe(text, True).isascii()
    assert safe(text, True).isprintable()


def test_ascii_keeps_the_sense() -> None:
    assert safe("83 µs · a → b …", True) == "83 us . a -> b ~"
    assert safe("zwölf", True) == "zw?lf"
