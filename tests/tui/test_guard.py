from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.segment import Segment
from textual.color import Color

from tui.guard import AsciiFilter, ControlFilter, to_ascii

BACKGROUND = Color(0, 0, 0)
STEERING = "\x1b]0;owned\x07\x9b31m\u202e\u2066\r\n\x7f"


def test_controls_are_dropped_and_text_is_kept() -> None:
    (segment,) = ControlFilter().apply([Segment(f"a{STEERING}b")], BACKGROUND)
    assert segment.text == "a]0;owned31mb"


def test_clean_lines_pass_untouched() -> None:
    segments = [Segment("plain ✓ 日本"), Segment("[bold]")]
    assert ControlFilter().apply(segments, BACKGROUND) is segments


@given(st.text(max_size=60))
def test_nothing_steering_passes(text: str) -> None:
    (segment,) = ControlFilter().apply([Segment(text)], BACKGROUND)
    assert not any(ord(char) < 32 or 127 <= ord(char) < 160 for char in segment.text)
    assert not set(segment.text) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def test_ascii_look_alikes() -> None:
    assert to_ascii("╭─ ✓ 403 ✗ ━▶│…") == "+- + 403 x ->|."


@given(st.text(alphabet=st.characters(exclude_categories=("C", "M")), max_size=60))
def test_ascii_is_ascii_and_as_wide(text: str) -> None:
    (segment,) = AsciiFilter().apply([Segment(text)], BACKGROUND)
    assert segment.text.isascii()
    assert cell_len(segment.text) == cell_len(text)
