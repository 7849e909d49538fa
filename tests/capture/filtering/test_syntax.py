from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.filtering.errors import FilterError
from capture.filtering.syntax import And, Comparison, Node, Not, Or, parse


def told(node: Node) -> str:
    """The tree with all its brackets."""
    if isinstance(node, Not):
        return f"!{told(node.part)}"
    if isinstance(node, And | Or):
        sign = " & " if isinstance(node, And) else " | "
        return f"({sign.join(map(told, node.parts))})"
    values = [i.first.text + (f"..{i.last.text}" if i.last else "") for i in node.items]
    mask = f"&{node.mask.text}" if node.mask else ""
    return " ".join([node.field.text + mask, node.operator, *values]).strip(" ")


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("tcp", "tcp"),
        ("a or b and not c", "(a | (b & !c))"),
        ("a||b&&!c", "(a | (b & !c))"),
        ("(a or b) and c", "((a | b) & c)"),
        ("a and b and c", "(a & b & c)"),
        ("not not a", "!!a"),
        ("!tcp.port==80", "!tcp.port == 80"),
        ("a AND b OR NOT c", "((a & b) | !c)"),
        ("a eq 1 and b ne 2", "(a == 1 & b != 2)"),
        ("a ge 1 or b le 2 or c gt 3 or d lt 4", "(a >= 1 | b <= 2 | c > 3 | d < 4)"),
        ("a === 1 and b !== 2 and c ~= 3", "(a === 1 & b ~= 2 & c ~= 3)"),
        ("a any_eq 1 and b all_ne 2", "(a == 1 & b != 2)"),
        ('a contains "x y" and b ~ "z"', "(a contains x y & b matches z)"),
        ("a in {1, 2..5, 7 .. 9,10.. 12}", "a in 1 2..5 7..9 10..12"),
        ("a in {1 2 3}", "a in 1 2 3"),
        ("a not in {1}", "a not in 1"),
        ("tcp.flags & 0x02", "tcp.flags&0x02"),
        ("tcp.flags & 3 == 2", "tcp.flags&3 == 2"),
        ("a == fd00::1/64", "a == fd00::1/64"),
        ("a == tools.cisco.com:443", "a == tools.cisco.com:443"),
        ("a == 'single'", "a == single"),
        ('a == "not" and b', "(a == not & b)"),
        (r'a == "q\"\\\x41\u00e9\n"', 'a == q"\\Aé\n'),
        (r'a == r"\d\\"', r"a == \d\\"),
        ("a\t==\n1", "a == 1"),
    ],
)
def test_trees(text: str, tree: str) -> None:
    assert told(parse(text)) == tree


@pytest.mark.parametrize(
    ("text", "start", "words"),
    [
        ("", 0, "a field is missing"),
        ("a and", 5, "a field is missing"),
        ("a b", 2, "'and' or 'or' is missing"),
        ("a == ", 5, "a value is missing"),
        ("a == and b", 5, "a value was expected"),
        ("a = 1", 2, "compare with =="),
        ("(a", 0, "not closed"),
        ("a)", 1, "no bracket to close"),
        ("a in 5", 2, "wants a set"),
        ("a in {1, 2", 5, "set is not closed"),
        ("a in {}", 5, "set is empty"),
        ("a in {1..}", 9, "a value was expected"),
        ('a == "x', 5, "no closing quote"),
        ('a == "\\xzz"', 6, "hexadecimal"),
        ("== 1", 0, "a field was expected"),
        ('"a" == 1', 0, "a field was expected"),
        ("a @@ {", 2, "'and' or 'or' is missing"),
        ("(" * 500 + "a", 65, "too many brackets"),
        ("!" * 500 + "a", 65, "too many brackets"),
        ("a" * 5000, 4096, "longer than"),
    ],
)
def test_errors_have_a_place(text: str, start: int, words: str) -> None:
    with pytest.raises(FilterError) as caught:
        parse(text)
    assert words in str(caught.value)
    assert caught.value.start == start
    assert caught.value.end > start
    assert "\n" not in caught.value.pointed(text)


@given(st.text(alphabet="ab=!<>~&|(){},\"'. \\rin1not", max_size=40))
def test_whatever_is_typed_is_a_tree_or_an_error_with_a_place(text: str) -> None:
    error = refused(text)
    if error is not None:
        assert 0 <= error.start < error.end
        assert error.start <= len(text)


def refused(text: str) -> FilterError | None:
    try:
        parse(text)
    except FilterError as error:
        return error
    return None


def test_a_string_is_never_an_operator() -> None:
    node = parse('a == "x" and b == "or"')
    assert isinstance(node, And)
    assert all(isinstance(part, Comparison) for part in node.parts)
