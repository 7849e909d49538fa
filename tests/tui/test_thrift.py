from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.thrift import thrifty

SGR = re.compile(r"\x1b\[([\d;]*)m")
MOVE = re.compile(r"\x1b\[\d*(?:;\d*)?H")


def drawn(data: str) -> tuple[list[tuple[str, object]], object]:
    """What a terminal makes of it: every character with its style, and the style left behind.
    Moving the cursor has none."""
    cells: list[tuple[str, object]] = []
    style: tuple[str, str, frozenset[str]] = ("", "", frozenset())
    at = 0
    while at < len(data):
        if found := SGR.match(data, at):
            style = interpreted(style, found[1])
            at = found.end()
        elif found := MOVE.match(data, at):
            cells.append((found[0], None))
            at = found.end()
        else:
            cells.append((data[at], seen(data[at], style)))
            at += 1
    return cells, style


def seen(char: str, style: tuple[str, str, frozenset[str]]) -> object:
    """What is seen of a style: a blank shows what is behind it only."""
    if char == " " and style[2] <= {"1", "2", "3"}:
        return style[1]
    return style


def interpreted(
    style: tuple[str, str, frozenset[str]], parameters: str
) -> tuple[str, str, frozenset[str]]:
    foreground, background, attributes = style
    codes = parameters.split(";")
    while codes:
        code = int(codes.pop(0) or 0)
        if code == 0:
            foreground, background, attributes = "", "", frozenset()
        elif code in (38, 48):
            take = 2 if codes[0] == "5" else 4
            value, codes = ";".join(codes[:take]), codes[take:]
            if code == 38:
                foreground = value
            else:
                background = value
        elif code in (39, 49):
            foreground, background = ("", background) if code == 39 else (foreground, "")
        elif 30 <= code < 38 or 90 <= code < 98:
            foreground = str(code)
        elif 40 <= code < 48 or 100 <= code < 108:
            background = str(code)
        else:
            attributes |= {str(code)}
    return foreground, background, attributes


COLOURS = st.one_of(
    st.integers(0, 7).map(lambda n: str(30 + n)),
    st.integers(0, 7).map(lambda n: str(100 + n)),
    st.sampled_from(["39", "49", "38;5;200", "48;5;7", "38;2;1;2;3", "48;2;255;0;9"]),
)
STYLES = st.lists(st.one_of(COLOURS, st.sampled_from(["", "0", "1", "2", "4", "7", "9"]))).map(
    lambda codes: f"\x1b[{';'.join(codes)}m"
)
PIECES = st.one_of(
    STYLES,
    st.text("ab ─✓\n", max_size=4),
    st.sampled_from(["\x1b[3;4H", "\x1b[H", "\x1b[K", "\x1b[2J", "\x1b[0m", "\x1b[?25l", "\x1b"]),
)


@given(st.lists(PIECES, max_size=20).map("".join))
def test_it_looks_the_same(data: str) -> None:
    saved = thrifty(data)
    assert drawn(saved) == drawn(data)
    assert len(saved) <= len(data) + len("\x1b[0m")


def test_what_repeats_is_left_out() -> None:
    row = "".join(
        f"\x1b[38;2;224;224;224;48;2;18;18;18m{word}\x1b[0m" for word in ("one", "two", "three")
    )
    assert thrifty(row) == "\x1b[38;2;224;224;224;48;2;18;18;18monetwothree\x1b[0m".replace(
        "[0m", "[m"
    )
    bold = "\x1b[31;40ma\x1b[0m\x1b[1;31;40mb\x1b[0m\x1b[2;2H\x1b[1;31;40mc\x1b[0m"
    assert thrifty(bold) == "\x1b[31;40ma\x1b[1mb\x1b[2;2Hc\x1b[m"


@pytest.mark.parametrize("data", ["", "plain", "\x1b[58;5;3mcurly\x1b[0m", "\x1b[38;9;1mx", "\x1b"])
def test_what_is_not_known_is_passed_on(data: str) -> None:
    assert thrifty(data) == data
