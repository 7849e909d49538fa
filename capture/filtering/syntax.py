"""Parses a filter into a tree. Nothing here knows a field.

expression = conjunction { ("or" | "||") conjunction }
conjunction = inversion { ("and" | "&&") inversion }
inversion = ("not" | "!") inversion | "(" expression ")" | test
test = FIELD [ "&" VALUE ] [ comparison VALUE | ["not"] "in" "{" item { [","] item } "}" ]
item = VALUE [ ".." VALUE ]
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from capture.filtering.errors import FilterError
from capture.filtering.tokens import Token, TokenKind, tokenize

DEPTH: Final = 64
"""Brackets and inversions within one another."""

OPERATORS: Final = {
    "==": "==", "eq": "==", "any_eq": "==",
    "!=": "!=", "ne": "!=", "all_ne": "!=",
    "===": "===", "all_eq": "===",
    "~=": "~=", "!==": "~=", "any_ne": "~=",
    ">": ">", "gt": ">", "<": "<", "lt": "<",
    ">=": ">=", "ge": ">=", "<=": "<=", "le": "<=",
    "contains": "contains", "matches": "matches", "~": "matches", "in": "in",
}  # fmt: skip
"""Every comparison, by each of its spellings."""

_KEYWORDS: Final = frozenset({*OPERATORS, "and", "or", "not", "&&", "||", "!"})


@dataclass(frozen=True, slots=True)
class Item:
    """A value, or a range of values with both ends, behind a comparison."""

    first: Token
    last: Token | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """A field, alone or compared with values."""

    field: Token
    operator: str = ""
    """A value of ``OPERATORS``; empty: the field is there."""
    items: tuple[Item, ...] = ()
    mask: Token | None = None
    """``field & mask``."""
    at: Token | None = None
    """The operator as written."""


@dataclass(frozen=True, slots=True)
class Not:
    """An inversion."""

    part: Node


@dataclass(frozen=True, slots=True)
class And:
    """A conjunction of two or more."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """A disjunction of two or more."""

    parts: tuple[Node, ...]


Node = Comparison | Not | And | Or


def parse(text: str) -> Node:
    """Parse a filter that is not empty.

    Raises:
        FilterError: With the place where it went wrong.
    """
    parser = _Parser(tokenize(text))
    node = parser.expression(0)
    rest = parser.token
    if rest.kind is not TokenKind.END:
        if rest.text == ")":
            raise FilterError("there is no bracket to close", rest.start, rest.end)
        raise FilterError(f"'and' or 'or' is missing before {rest.text!r}", rest.start, rest.end)
    return node


class _Parser:
    """Recursive descent over the tokens."""

    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._at = 0

    @property
    def token(self) -> Token:
        return self._tokens[self._at]

    def _take(self) -> Token:
        token = self.token
        if token.kind is not TokenKind.END:
            self._at += 1
        return token

    def _took(self, *signs: str) -> bool:
        if self.token.says(*signs):
            self._at += 1
            return True
        return False

    def expression(self, depth: int) -> Node:
        parts = [self._conjunction(depth)]
        while self._took("or", "||"):
            parts.append(self._conjunction(depth))
        return parts[0] if len(parts) == 1 else Or(tuple(parts))

    def _conjunction(self, depth: int) -> Node:
        parts = [self._inversion(depth)]
        while self._took("and", "&&"):
            parts.append(self._inversion(depth))
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    def _inversion(self, depth: int) -> Node:
        token = self.token
        if depth > DEPTH:
            raise FilterError("too many brackets within one another", token.start, token.end)
        if self._took("not", "!"):
            return Not(self._inversion(depth + 1))
        if self._took("("):
            node = self.expression(depth + 1)
            if not self._took(")"):
                raise FilterError("a bracket is not closed", token.start, token.end)
            return node
        return self._test()

    def _test(self) -> Comparison:
        field = self._take()
        if field.kind is TokenKind.END:
            raise FilterError("a field is missing here", field.start, field.end)
        if field.kind is not TokenKind.WORD or field.text.lower() in _KEYWORDS:
            raise FilterError(f"a field was expected, not {field.text!r}", field.start, field.end)
        mask = self._value(self.token) if self._took("&") else None
        at = self.token
        inverted = at.says("not") and self._tokens[self._at + 1].says("in")
        if inverted:
            self._take()
            at = self.token
        if at.says("="):
            raise FilterError("compare with ==", at.start, at.end)
        if at.kind is TokenKind.STRING or at.text.lower() not in OPERATORS:
            return Comparison(field, mask=mask)
        self._take()
        operator = OPERATORS[at.text.lower()]
        items = self._set(at) if operator == "in" else (Item(self._value(at)),)
        return Comparison(field, "not in" if inverted else operator, items, mask, at)

    def _set(self, at: Token) -> tuple[Item, ...]:
        opening = self.token
        if not self._took("{"):
            raise FilterError("'in' wants a set: in {200, 300..399}", at.start, at.end)
        items = []
        while not self._took("}"):
            if self.token.kind is TokenKind.END:
                raise FilterError("the set is not closed", opening.start, opening.end)
            items += self._items()
            self._took(",")
        if not items:
            raise FilterError("the set is empty", opening.start, opening.end)
        return tuple(items)

    def _items(self) -> list[Item]:
        """A value of a set, or a range: ``1..5`` is one word, ``1 .. 5`` are three."""
        token = self._value(self.token)
        first, dots, last = _split_range(token)
        if not dots and self.token.text.startswith("..") and self.token.kind is TokenKind.WORD:
            _, dots, last = _split_range(self._take())
        if not dots:
            return [Item(first)]
        return [Item(first, last if last.text else self._value(self.token))]

    def _value(self, after: Token) -> Token:
        token = self._take()
        if token.kind is TokenKind.END:
            raise FilterError("a value is missing here", token.start, token.end)
        if token.kind is TokenKind.SIGN or token.says("and", "or"):
            raise FilterError(f"a value was expected, not {token.text!r}", token.start, token.end)
        return token


def _split_range(token: Token) -> tuple[Token, str, Token]:
    """The ends of ``1..5``; without dots the whole is the first."""
    if token.kind is TokenKind.STRING:
        return token, "", token
    left, dots, right = token.text.partition("..")
    middle = token.start + len(left)
    first = Token(TokenKind.WORD, left, token.start, middle)
    return first, dots, Token(TokenKind.WORD, right, middle + len(dots), token.end)
