from __future__ import annotations

import re
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.filtering.regex import LONGEST, Pattern, PatternError

SAMPLES = [
    "", "a", "A", "b", "ab", "aab", "abab", "ba b", "a_b-c.d", "tools.cisco.com:443", "x" * 30,
    "one two", "10.0.0.1", "\n", "a\nb", "{2}", "é", "É", "]", "^", "aaa", "bbbb", "-",
]  # fmt: skip


@pytest.mark.parametrize(
    "pattern",
    [
        "a", "^a", "b$", "^$", "a.b", "a*b", "a+b", "a?b", "(ab)+", "(?:ab){2}", "a{2}", "a{2,}",
        "a{1,2}b", "^(a|b)+$", "a|", "|b", r"\bb", r"\Bb", r"\d+\.\d+", r"[a-c]+$", "[^a-z]",
        r"[\w.-]+:\d{1,5}$", r"[]]", r"[^]]", "[-a]", "[a-]", r"\.com", "cisco", "(a*)*b",
        "((a|b)*)+$", "x{30}", "{", "a{x}",
        "a{,1}b", "é", "É", r"\x61", r"\u00e9", "a*?b", "a{1,2}?",
        r"\s", r"\S+$", r"\W", "^(?i:A)$", r"\Aa", r"b\Z", "()a", "(|a)b", r"[\d-]+", "[A-C]",
        "^a$|^b$", r"\-", r"\^",
    ],
)  # fmt: skip
def test_agrees_with_the_standard_library(pattern: str) -> None:
    ours, theirs = Pattern(pattern), re.compile(pattern, re.IGNORECASE | re.DOTALL)
    for text in SAMPLES:
        if pattern.endswith("$") and text.endswith("\n"):
            continue  # Python lets $ stand before a final line break
        assert ours.search(text) is bool(theirs.search(text)), text


PIECES = st.recursive(
    st.sampled_from(["a", "b", "[ab]", "[^a]", ".", r"\w", r"\b", "^", "$", "ab"]),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map(lambda pair: f"(?:{pair[0]}|{pair[1]})"),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "{0,2}", "{2}"])).map(
            lambda pair: f"(?:{pair[0]}){pair[1]}"
        ),
    ),
    max_leaves=6,
)


@given(PIECES, st.text(alphabet="ab c", max_size=7))
def test_agrees_on_anything_small(pattern: str, text: str) -> None:
    assert Pattern(pattern).search(text) is bool(re.search(pattern, text, re.IGNORECASE))


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("(", "not closed"), (")", "no group to close"), ("[a", "set is not closed"),
        ("*a", "nothing before"), ("{2}", "nothing before"), ("a\\", "ends too early"),
        (r"(a)\1", "back-references"),
        ("(?=a)", "look-around"), ("(?<!a)b", "look-around"), ("(?P<n>a)", "named groups"),
        ("a++", "possessive"), ("[b-a]", "backwards"), ("a{3,2}", "counts backwards"),
        ("a{99999999}", "too large"), ("((a{30}){30}){30}", "too large"), (r"\q", "no meaning"),
        ("(" * 60, "too many groups"), (r"\xg1", "hexadecimal"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_said(pattern: str, words: str) -> None:
    with pytest.raises(PatternError) as caught:
        Pattern(pattern)
    assert words in str(caught.value)
    assert caught.value.at <= len(pattern)


class Counting(Pattern):
    """Counts the steps that are not remembered."""

    steps = 0

    def _step(self, state: object, char: str) -> object:  # type: ignore[override]
        self.steps += 1
        return super()._step(state, char)  # type: ignore[arg-type]


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|a)+$", "(a*)*b", "(.*){9}x", "(a|aa)+$"])
def test_no_pattern_goes_back(pattern: str) -> None:
    hostile = Counting(pattern)
    assert hostile.search("a" * 1000 + "!") is False
    assert hostile.steps <= 20  # every further letter is a state that was met


def test_long_texts_are_cut_not_walked() -> None:
    assert Pattern("b").search("a" * (LONGEST - 1) + "b")
    assert not Pattern("b").search("a" * LONGEST + "b")


@given(st.text(alphabet="ab()[]{}*+?|^$\\.-,:!=<1d", max_size=30))
def test_any_pattern_is_compiled_or_refused(pattern: str) -> None:
    with suppress(PatternError):
        assert Pattern(pattern).search("ab1-") in (True, False)
