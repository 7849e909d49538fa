"""The catalogue file, cut at its headers and parsed by parts."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

import capture.judging
from capture.judging.texts import CatalogueError, Tables, builtin, split

FILE = Path(capture.judging.__file__).with_name("catalogue.toml")
TEXT = FILE.read_text(encoding="utf-8")

SMALL = """
[issue.mtu]
name = "MTU"
summary = "Too large."

[code.403]
name = "Forbidden"
meaning = "Not allowed."

[verdict]
ok = "Fine."

[step]
look = "Look at {proxy}."

[rule.too-large]
title = "A packet of {size} bytes"
issue = "mtu"
likely = "The MTU is wrong."
steps = ["@look", "Try again."]

[[service]]
for = "updates"
hosts = ["example.com"]

[[sign]]
place = "body"
pattern = 'too large'
means = "too-large"
"""


def test_the_parts_are_what_the_whole_file_says() -> None:
    whole = tomllib.loads(TEXT)
    named, plain = split(TEXT)
    parts: dict[str, Any] = {kind: tomllib.loads(text)[kind] for kind, text in plain.items()}
    for kind, blocks in named.items():
        parts[kind] = {name: tomllib.loads(text)[kind][name] for name, text in blocks.items()}
    assert parts == whole
    assert {kind: list(item) for kind, item in parts.items()} == {
        kind: list(item) for kind, item in whole.items()
    }


@pytest.mark.parametrize("name", list(builtin().rules))
def test_each_rule_is_valid(name: str) -> None:
    texts = builtin().rules[name]
    assert texts.title
    assert texts.issue in builtin().issues


def test_each_other_table_is_valid() -> None:
    tables = builtin()
    assert all(issue.name and issue.summary for issue in tables.issues.values())
    assert tables.signs
    assert tables.services


def test_nothing_is_parsed_before_it_is_asked_for() -> None:
    tables = Tables(SMALL.replace('title = "A packet', "title = A packet"))
    assert list(tables.rules) == ["too-large"]
    assert "too-large" in tables.rules
    assert tables.signs[0].means == "too-large"
    with pytest.raises(tomllib.TOMLDecodeError):
        tables.rules["too-large"]


def test_a_rule_is_parsed_once() -> None:
    rules = Tables(SMALL).rules
    assert rules["too-large"] is rules["too-large"]
    assert rules["too-large"].steps == ("Look at {proxy}.", "Try again.")
    with pytest.raises(KeyError):
        rules["unheard-of"]


@pytest.mark.parametrize(
    ("good", "bad", "said"),
    [
        ("{size}", "{weight}", r"too-large: unknown placeholder \{weight\}"),
        ("Look at {proxy}", "Look at {proxy.host}", r"unknown placeholder \{proxy.host\}"),
        ('issue = "mtu"', 'issue = "ntu"', "too-large: unknown issue ntu"),
        ("@look", "@listen", "too-large: lacks or does not know 'listen'"),
        ('likely = "The', 'maybe = "The', "lacks or does not know 'certain, likely or possible'"),
        ("title =", "heading =", "lacks or does not know 'title'"),
    ],
)
def test_a_wrong_rule_is_refused(good: str, bad: str, said: str) -> None:
    assert good in SMALL
    with pytest.raises(CatalogueError, match=said):
        Tables(SMALL.replace(good, bad)).rules["too-large"]


@pytest.mark.parametrize(
    ("good", "bad"), [('place = "body"', 'place = "trailer"'), ('means = "too', 'means = "not-too')]
)
def test_a_wrong_sign_is_refused(good: str, bad: str) -> None:
    assert good in SMALL
    with pytest.raises(CatalogueError, match="unknown place or rule"):
        _ = Tables(SMALL.replace(good, bad)).signs


def test_a_name_stands_there_once() -> None:
    with pytest.raises(CatalogueError, match="issue mtu: stands there twice"):
        Tables(SMALL + "\n[issue.mtu]\nname = 'again'\nsummary = 'again'\n")
