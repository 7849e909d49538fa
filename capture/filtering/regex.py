r"""Regular expressions whose time grows with the text alone, whatever the pattern.

Patterns come from people, texts from the network, and a backtracking matcher can be kept
busy for hours by the two together (``(a+)+$``). This one runs all alternatives at once
(Thompson 1968) and remembers the sets of states that it met (a lazy DFA), so there is no
such pair. The price is back-references and look-around, which are refused.

Matching ignores case and looks anywhere in the text, as Wireshark's ``matches`` does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from capture.filtering.regex_syntax import ANY, Assertion, CharSet, Fragment, PatternError, parse

__all__ = ["Pattern", "PatternError"]

LONGEST: Final = 2000
"""Characters of a text that are looked at."""

REMEMBERED: Final = 4000
"""Transitions kept; then all are forgotten."""

_ACCEPT: Final = -1
_State = tuple[frozenset[int], bool | None]
"""Nodes to go on from, and whether a word character stands before (None: the text begins)."""


class Pattern:
    """A compiled regular expression.

    Args:
        pattern: Python's syntax without back-references and look-around.

    Raises:
        PatternError: It cannot be understood, or is too large.
    """

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self._sets: list[CharSet | Assertion | None] = []
        self._next: list[list[int]] = []
        self._start = self._build(parse(pattern), _ACCEPT)
        self._steps: dict[tuple[_State, str], _State | None] = {}
        self._first: _State = (frozenset((self._start,)), None)

    def search(self, text: str) -> bool:
        """Whether the pattern occurs in a text (in its first 2,000 characters)."""
        state: _State = self._first
        steps = self._steps
        for char in text[:LONGEST].lower():
            key = (state, char)
            try:
                after = steps[key]
            except KeyError:
                if len(steps) >= REMEMBERED:
                    steps.clear()
                after = steps[key] = self._step(state, char)
            if after is None:
                return True
            state = after
        return _ACCEPT in self._closure(state, None)

    # Nodes

    def _node(self, what: CharSet | Assertion | None, *following: int) -> int:
        self._sets.append(what)
        self._next.append(list(following))
        return len(self._sets) - 1

    def _build(self, fragment: Fragment, after: int) -> int:
        """Add the nodes of a fragment; returns the one to enter it by."""
        kind, parts = fragment.kind, fragment.parts
        if fragment.item is not None:
            return self._node(fragment.item, after)
        if kind == "sequence":
            for part in reversed(parts):
                after = self._build(part, after)
            return after
        if kind == "choice":
            return self._node(None, *(self._build(part, after) for part in parts))
        return self._repeat(parts[0], fragment.least, fragment.most, after)

    def _repeat(self, part: Fragment, least: int, most: int | None, after: int) -> int:
        if most is None:
            loop = self._node(None)
            self._next[loop] = [self._build(part, loop), after]
            entry = loop
        else:
            entry = after
            for _ in range(most - least):
                entry = self._node(None, self._build(part, entry), after)
        for _ in range(least):
            entry = self._build(part, entry)
        return entry

    # Running

    def _step(self, state: _State, char: str) -> _State | None:
        """The state after a character; None: the pattern has been found before it."""
        word = _is_word(char)
        nodes = self._closure(state, word)
        if _ACCEPT in nodes:
            return None
        reached = set(self._reached(nodes, char))
        reached.add(self._start)  # the pattern may begin anywhere
        return frozenset(reached), word

    def _reached(self, nodes: Iterable[int], char: str) -> Iterator[int]:
        for node in nodes:
            chars = self._sets[node]
            if isinstance(chars, CharSet) and (chars is ANY or char in chars):
                yield from self._next[node]

    def _closure(self, state: _State, following: bool | None) -> set[int]:
        """All nodes that can be reached without taking a character.

        Args:
            state: Where to go on from.
            following: Whether a word character comes next; None at the end of the text.
        """
        nodes, before = state
        seen = set(nodes)
        waiting = list(nodes)
        while waiting:
            node = waiting.pop()
            if node == _ACCEPT or isinstance(self._sets[node], CharSet):
                continue
            rule = self._sets[node]
            if isinstance(rule, Assertion) and not rule.holds(before, following):
                continue
            fresh = [other for other in self._next[node] if other not in seen]
            seen.update(fresh)
            waiting += fresh
        return seen


def _is_word(char: str) -> bool:
    return char.isalnum() or char == "_"
