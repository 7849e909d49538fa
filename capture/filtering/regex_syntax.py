"""Parses regular expressions, in Python's syntax, into fragments without backtracking."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final

DEPTH: Final = 40
"""Groups within one another."""
LARGEST: Final = 1000
"""Single-character pieces of a pattern, with counted repetitions written out."""


class PatternError(ValueError):
    """A pattern that cannot be used; ``str()`` is one line, ``at`` the index in it."""

    def __init__(self, message: str, at: int) -> None:
        super().__init__(message)
        self.at = at


class Assertion(Enum):
    """A condition on a place between two characters."""

    START = "start"
    END = "end"
    BORDER = "border"
    """Of a word."""
    NO_BORDER = "no border"

    def holds(self, before: bool | None, after: bool | None) -> bool:
        """Whether it is true of a place.

        Args:
            before: A word character stands before it; None: nothing does.
            after: A word character stands behind it; None: nothing does.
        """
        if self is Assertion.START:
            return before is None
        if self is Assertion.END:
            return after is None
        return (bool(before) != bool(after)) is (self is Assertion.BORDER)


class CharSet:
    """Characters that a place takes, without regard to case."""

    __slots__ = ("_classes", "_inverted", "_ranges")

    def __init__(
        self,
        ranges: tuple[tuple[str, str], ...],
        classes: tuple[Callable[[str], bool], ...] = (),
        *,
        inverted: bool = False,
    ) -> None:
        self._ranges = ranges
        self._classes = classes
        self._inverted = inverted

    def __contains__(self, char: str) -> bool:
        forms = (char, char.upper(), char.lower())
        found = any(low <= form <= high for low, high in self._ranges for form in forms)
        found = found or any(test(char) for test in self._classes)
        return found is not self._inverted


ANY: Final = CharSet((("\0", "\U0010ffff"),))

_CLASSES: Final[dict[str, Callable[[str], bool]]] = {
    "d": str.isdecimal,
    "D": lambda char: not char.isdecimal(),
    "w": lambda char: char.isalnum() or char == "_",
    "W": lambda char: not (char.isalnum() or char == "_"),
    "s": str.isspace,
    "S": lambda char: not char.isspace(),
}
_CONTROLS: Final = {
    "n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v", "a": "\a", "0": "\0",
}  # fmt: skip
_ASSERTIONS: Final = {
    "b": Assertion.BORDER, "B": Assertion.NO_BORDER, "A": Assertion.START, "Z": Assertion.END,
    "z": Assertion.END,
}  # fmt: skip
_DIGITS: Final = {"x": 2, "u": 4, "U": 8}


@dataclass(frozen=True, slots=True)
class Fragment:
    """A piece of a pattern."""

    kind: str
    """``item``, ``sequence``, ``choice`` or ``repeat``."""
    parts: tuple[Fragment, ...] = ()
    item: CharSet | Assertion | None = None
    least: int = 0
    most: int | None = None
    size: int = 1
    """Nodes that it takes."""


def parse(pattern: str) -> Fragment:
    """Parse a whole pattern.

    Raises:
        PatternError: It is wrong, too large, or needs backtracking.
    """
    parser = _Parser(pattern)
    fragment = parser.choice(0)
    if parser.at < len(pattern):
        raise PatternError("there is no group to close", parser.at)
    return fragment


class _Parser:
    """Recursive descent over the characters."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self.at = 0

    def _peek(self) -> str:
        return self._pattern[self.at : self.at + 1]

    def _take(self) -> str:
        char = self._peek()
        if not char:
            raise PatternError("the pattern ends too early", self.at)
        self.at += 1
        return char

    def choice(self, depth: int) -> Fragment:
        if depth > DEPTH:
            raise PatternError("too many groups within one another", self.at)
        parts = [self._sequence(depth)]
        while self._peek() == "|":
            self.at += 1
            parts.append(self._sequence(depth))
        return parts[0] if len(parts) == 1 else self._sized("choice", tuple(parts))

    def _sequence(self, depth: int) -> Fragment:
        parts = []
        while self._peek() and self._peek() not in "|)":
            part = self._piece(depth)
            while self._peek() and (self._peek() in "*+?" or self._counted()):
                part = self._repeated(part)
            parts.append(part)
        return self._sized("sequence", tuple(parts))

    def _sized(self, kind: str, parts: tuple[Fragment, ...], least: int = 0,
               most: int | None = None, times: int = 1) -> Fragment:  # fmt: skip
        size = times * (sum(part.size for part in parts) + 1)
        if size > LARGEST:
            raise PatternError("the pattern is too large", self.at)
        return Fragment(kind, parts, None, least, most, size)

    def _piece(self, depth: int) -> Fragment:
        start = self.at
        if self._counted() or self._peek() in "*+?":
            raise PatternError("nothing before it to repeat", start)
        char = self._take()
        if char == "(":
            self._group_head(start)
            inner = self.choice(depth + 1)
            if self._peek() != ")":
                raise PatternError("a group is not closed", start)
            self.at += 1
            return inner
        if char == "[":
            return Fragment("item", item=self._set(start))
        if char == ".":
            return Fragment("item", item=ANY)
        if char in "^$":
            return Fragment("item", item=Assertion.START if char == "^" else Assertion.END)
        if char == "\\":
            return Fragment("item", item=self._escape(start))
        return Fragment("item", item=CharSet(((char.lower(), char.lower()),)))

    def _group_head(self, start: int) -> None:
        """Skip what may stand behind an opening bracket."""
        if self._peek() != "?":
            return
        for head in ("?:", "?i:", "?i)"):
            if self._pattern.startswith(head, self.at):
                # A flag alone is a group with nothing in it: its bracket closes below.
                self.at += len(head) - (head[-1] == ")")
                return
        raise PatternError("look-around and named groups are not supported", start)

    def _escape(self, start: int) -> CharSet | Assertion:
        char = self._take()
        if char in _ASSERTIONS:
            return _ASSERTIONS[char]
        if char in _CLASSES:
            return CharSet((), (_CLASSES[char],))
        letter = self._character(char, start).lower()
        return CharSet(((letter, letter),))

    def _character(self, char: str, start: int) -> str:
        """What stands behind a backslash as one character."""
        if char in _CONTROLS:
            return _CONTROLS[char]
        if char in _DIGITS:
            digits = self._pattern[self.at : self.at + _DIGITS[char]]
            self.at += len(digits)
            try:
                return chr(int(digits, 16))
            except (ValueError, OverflowError):
                raise PatternError(f"\\{char} wants hexadecimal digits", start) from None
        if char.isdigit():
            raise PatternError("back-references are not supported", start)
        if char.isascii() and char.isalpha():
            raise PatternError(f"\\{char} has no meaning", start)
        return char

    def _set(self, start: int) -> CharSet:
        inverted = self._peek() == "^"
        self.at += inverted
        ranges: list[tuple[str, str]] = []
        classes: list[Callable[[str], bool]] = []
        first = True
        while first or self._peek() != "]":
            if not self._peek():
                raise PatternError("a set is not closed", start)
            first = False
            low = self._set_item(classes)
            if low is None:
                continue
            if self._peek() == "-" and self._pattern[self.at + 1 : self.at + 2] not in ("]", ""):
                self.at += 1
                high = self._set_item(classes)
                if high is None or high < low:
                    raise PatternError("a range of characters runs backwards", start)
                ranges.append((low, high))
            else:
                ranges.append((low, low))
        self.at += 1
        return CharSet(tuple(ranges), tuple(classes), inverted=inverted)

    def _set_item(self, classes: list[Callable[[str], bool]]) -> str | None:
        """A character of a set; None for a class, which is added."""
        start = self.at
        char = self._take()
        if char != "\\":
            return char
        char = self._take()
        if char in _CLASSES:
            classes.append(_CLASSES[char])
            return None
        return "\b" if char == "b" else self._character(char, start)

    # Repetition

    def _counted(self) -> bool:
        """Whether a ``{2,5}`` stands here; any other brace is a letter."""
        end = self._pattern.find("}", self.at)
        inside = self._pattern[self.at + 1 : end]
        digits = inside.replace(",", "", 1)
        return self._peek() == "{" and end > 0 and digits.isdecimal() and len(digits) < 9

    def _repeated(self, part: Fragment) -> Fragment:
        char = self._take()
        least, most = {"*": (0, None), "+": (1, None), "?": (0, 1)}.get(char, (0, None))
        if char == "{":
            end = self._pattern.index("}", self.at)
            low, comma, high = self._pattern[self.at : end].partition(",")
            least = int(low or 0)
            most = int(high) if high else None if comma else least
            self.at = end + 1
            if most is not None and most < least:
                raise PatternError("a repetition counts backwards", self.at - 1)
        if self._peek() == "?":
            self.at += 1  # lazy or greedy: the text matches or does not
        elif self._peek() == "+":
            raise PatternError("possessive repetition is not supported", self.at)
        times = max(least, most or 0, 1) + 1
        return self._sized("repeat", (part,), least, most, times)
