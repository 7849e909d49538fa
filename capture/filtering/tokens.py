"""Cuts a filter into words, strings and signs, each with its place."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import Final

from capture.filtering.errors import FilterError

LIMIT: Final = 4096
"""Longest filter, in characters."""


class TokenKind(Enum):
    """What a token is."""

    WORD = "word"
    """A field, an operator in words, or a bare value."""
    STRING = "string"
    SIGN = "sign"
    """An operator or a bracket."""
    END = "end"


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of the filter."""

    kind: TokenKind
    text: str
    """As written; of a string without its quotes and with escapes undone."""
    start: int
    end: int
    raw: str = ""
    """Of a string: between the quotes as written, for regular expressions."""

    def says(self, *signs: str) -> bool:
        """Whether it is one of these signs or (in any case) words, unquoted."""
        return self.kind is not TokenKind.STRING and self.text.lower() in signs


_SIGN: Final = re.compile(r"===|!==|==|!=|~=|>=|<=|&&|\|\||[=!<>~&(){},]")
_WORD: Final = re.compile(r"[^\s=!<>~&|(){},\"']+")
_BLANK: Final = re.compile(r"\s*")
_ESCAPES: Final = {
    '"': '"', "'": "'", "\\": "\\", "n": "\n", "t": "\t", "r": "\r", "0": "\0", "a": "\a",
    "b": "\b", "f": "\f", "v": "\v",
}  # fmt: skip
_DIGITS: Final = {"x": 2, "u": 4, "U": 8}


def tokenize(text: str) -> list[Token]:
    """All tokens of a filter; the last one is the end.

    Raises:
        FilterError: A string is not closed, an escape is unknown, or a character has no place.
    """
    if len(text) > LIMIT:
        raise FilterError(f"longer than {LIMIT} characters", LIMIT, len(text))
    tokens: list[Token] = []
    place = 0
    while True:
        blank = _BLANK.match(text, place)
        place = blank.end() if blank else place
        if place == len(text):
            return [*tokens, Token(TokenKind.END, "", place, place)]
        token = _token(text, place)
        tokens.append(token)
        place = token.end


def _token(text: str, place: int) -> Token:
    raw_string = text[place] in "rR" and text[place + 1 : place + 2] == '"'
    if text[place] in "\"'" or raw_string:
        return _string(text, place, raw_string)
    word = _WORD.match(text, place)
    if word:
        return Token(TokenKind.WORD, word[0], place, word.end())
    sign = _SIGN.match(text, place)
    if sign:
        return Token(TokenKind.SIGN, sign[0], place, sign.end())
    raise FilterError(f"{text[place]!r} has no meaning here", place, place + 1)


def _string(text: str, start: int, literal: bool) -> Token:
    """A quoted string; with ``r`` before it, backslashes stand for themselves."""
    first = start + (2 if literal else 1)
    quote = text[first - 1]
    place, cooked = first, []
    while place < len(text) and text[place] != quote:
        if text[place] == "\\" and place + 1 < len(text):
            if literal:
                char, after = text[place : place + 2], place + 2
            else:
                char, after = _escape(text, place)
            cooked.append(char)
            place = after
        else:
            cooked.append(text[place])
            place += 1
    if place >= len(text):
        raise FilterError("the string has no closing quote", start, len(text))
    return Token(TokenKind.STRING, "".join(cooked), start, place + 1, text[first:place])


def _escape(text: str, place: int) -> tuple[str, int]:
    r"""What an escape stands for, and where it ends.

    An unknown one stays as it is written: ``\.`` and ``\d`` are for regular expressions.
    """
    letter = text[place + 1]
    if letter in _ESCAPES:
        return _ESCAPES[letter], place + 2
    if letter in _DIGITS:
        end = place + 2 + _DIGITS[letter]
        try:
            return chr(int(text[place + 2 : end], 16)), end
        except (ValueError, OverflowError):
            wanted = f"\\{letter} wants {_DIGITS[letter]} hexadecimal digits"
            raise FilterError(wanted, place, place + 2) from None
    return text[place : place + 2], place + 2
