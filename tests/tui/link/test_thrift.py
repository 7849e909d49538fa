from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tui.terminal_screen import interpreted, is_bare
from tui.link.thrift import PLAIN, Style, UnknownStyle, after, behind, change

SGR = re.compile(r"\x1b\[([\d;]*)m")

COLOURS = st.one_of(
    st.integers(0, 7).map(lambda n: str(30 + n)),
    st.integers(0, 7).map(lambda n: str(100 + n)),
    st.sampled_from(["39", "49", "38;5;200", "48;5;7", "38;2;1;2;3", "48;2;255;0;9"]),
)
ATTRIBUTES = st.sampled_from(["", "0", "1", "2", "3", "4", "7", "9"])
PARAMETERS = st.lists(st.one_of(COLOURS, ATTRIBUTES), max_size=5).map(";".join)
STYLES = PARAMETERS.map(lambda parameters: after(PLAIN, parameters))


@given(STYLES, PARAMETERS)
def test_a_style_is_what_its_parameters_come_to(style: Style, parameters: str) -> None:
    assert after(style, parameters) == interpreted(style, parameters)


@given(STYLES, STYLES)
def test_a_change_leads_from_one_style_to_the_other(now: Style, wanted: Style) -> None:
    said = change(now, wanted)
    found = SGR.fullmatch(said)
    assert (interpreted(now, found[1]) if found else now) == wanted
    afresh = ";".join(["0", *sorted(wanted.attributes), wanted.foreground, wanted.background])
    assert len(said) <= len(f"\x1b[{afresh}m")


def test_only_what_changes_is_said() -> None:
    row = after(PLAIN, "31;40")
    assert change(row, row) == ""
    assert change(row, after(row, "1")) == "\x1b[1m"
    assert change(after(row, "1"), row) == "\x1b[0;31;40m"
    assert change(row, after(row, "32")) == "\x1b[32m"
    assert change(row, PLAIN) == "\x1b[m"


@given(STYLES)
def test_of_a_blank_the_colour_behind_is_seen(style: Style) -> None:
    expected = Style(background=style.background) if is_bare(" ", style) else style
    assert behind(style) == expected


@pytest.mark.parametrize("parameters", ["58;5;3", "38;9;1", "38", "99", "x"])
def test_what_is_not_known_is_said_to_be_unknown(parameters: str) -> None:
    with pytest.raises(UnknownStyle):
        after(PLAIN, parameters)
