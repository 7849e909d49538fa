"""What is wrong with a filter, and where."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Final

NEAR: Final = 3
"""Names that are offered for one that does not exist."""


class FilterError(ValueError):
    """A filter that cannot be understood. ``str()`` is one line, without the place.

    Args:
        message: What is wrong.
        start: Index of the first character that is.
        end: Index behind the last one.
    """

    def __init__(self, message: str, start: int, end: int) -> None:
        super().__init__(message)
        self.start = start
        self.end = max(end, start + 1)

    def pointed(self, text: str) -> str:
        """The message with its place, in one line for a terminal without a screen.

        Args:
            text: The filter that was compiled.
        """
        word = text[self.start : self.end]
        place = f"at character {self.start + 1}" if word.strip() else "at the end"
        return f"{self} ({place})"


def did_you_mean(word: str, names: list[str]) -> str:
    """``; did you mean a, b or c?`` for a word that nothing has, or nothing."""
    written = {name.lower(): name for name in names}
    near = [written[name] for name in get_close_matches(word.lower(), written, NEAR)]
    if not near:
        last = word.lower().rpartition(".")[2]
        near = [name for name in names if name.rpartition(".")[2] == last][:NEAR]
    if not near:
        return ""
    said = near[0] if len(near) == 1 else f"{', '.join(near[:-1])} or {near[-1]}"
    return f"; did you mean {said}?"
