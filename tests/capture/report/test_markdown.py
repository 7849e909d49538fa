from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.report.render import render
from capture.report.to_markdown import code, prose
from tests.capture.report.data import SECRET, empty, hostile, mixed, report


def outside_code(markdown: str) -> str:
    """What is left when code spans are taken out, as CommonMark finds them."""
    return re.sub(r"(?<!`)(`+)(?!`)(?:.*?[^`])\1(?!`)", "", markdown)


@pytest.mark.parametrize(
    "text",
    [
        "[click](http://evil.example)",
        "![x](http://evil.example/x.png)",
        "<img src=x onerror=alert(1)>",
        "<!-- hidden -->",
        "see #8 and @everyone",
        "http://evil.example www.evil.example evil.example/path",
        "a|b|c",
        "**bold** __bold__ ~~gone~~",
        "`unpaired",
        "`a`b`c`",
        "&lt;b&gt; &amp;",
        "$x$ \\$x\\$",
    ],
)
def test_nothing_from_the_network_becomes_markup(text: str) -> None:
    bare = outside_code(prose(text))
    assert not re.search(r"(?<!\\)[\[\]<>|*_~`$&]", bare)
    assert "http" not in bare
    assert "@everyone" not in bare
    assert not re.search(r"#\d", bare)


@pytest.mark.parametrize("text", ["1. one", "- item", "+ item", "# head", "> quote", "=== x"])
def test_no_paragraph_begins_as_a_list_or_a_heading(text: str) -> None:
    assert prose(text)[0] in "\\`" or prose(text)[1] == "\\"


def test_own_code_spans_stay_code() -> None:
    assert prose("Run `curl -x http://p:80 -I https://t`.") == (
        "Run `curl -x http://p:80 -I https://t`."
    )


@given(st.text(max_size=80))
def test_no_text_leaves_its_code_span(text: str) -> None:
    span = code(text)
    if span != "\\-":
        fence = re.match("`+", span)
        assert fence is not None
        inner = span[len(fence[0]) : -len(fence[0])]
        assert span.endswith(fence[0])
        assert len(fence[0]) not in {len(run) for run in re.findall("`+", inner)}
    assert not re.search(r"(?<!\\)\|", span)


def test_tables_keep_their_columns() -> None:
    for line in "".join(render("markdown", [mixed(), report(hostile())])).splitlines():
        if line.startswith("|") and " --:" not in line:
            bars = len(re.findall(r"(?<!\\)\|", line))
            assert bars in (3, 9), line


def test_no_credential() -> None:
    assert SECRET not in "".join(render("markdown", [report(hostile())]))


def test_an_empty_report_says_why() -> None:
    assert "none TCP: outer GRE 0x88be (300)" in "".join(render("markdown", [empty()]))
