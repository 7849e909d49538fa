"""What a terminal shows of what is written on it."""

from __future__ import annotations

import re

from rich.cells import cell_len

TOKEN = re.compile(
    r"\x1b\[(\d+);(\d+)H|\x1b\[([\d;]*)m|\x1b\[(\d*)([CXb])|(\x1b\[2J)"
    r"|\x1b\][^\x07]*\x07|\x1b\[[\d;?<>=]*[ -/]*[@-~]|\x1b.|(.)",
    re.DOTALL,
)

Style = tuple[str, str, frozenset[str]]
"""Colour of the text, colour behind it, attributes."""
PLAIN: Style = ("", "", frozenset())


class Screen:
    """As much of a terminal as is needed here."""

    def __init__(self) -> None:
        self.cells: dict[tuple[int, int], tuple[str, Style]] = {}
        self.at = (1, 1)
        self.style = PLAIN
        self._last = ""

    def write(self, data: str) -> None:
        for token in TOKEN.finditer(data):
            y, x, style, count, what, clear, char = token.groups()
            if y:
                self.at = (int(y), int(x))
            elif style is not None:
                self.style = interpreted(self.style, style)
            elif what:
                self._repeat(int(count or 1), what)
            elif clear:
                self.cells.clear()
            elif char == "\n":
                self.at = (self.at[0] + 1, 1)
            elif char and char.isprintable():
                self._put(char)

    def _repeat(self, count: int, what: str) -> None:
        y, x = self.at
        if what == "C":
            self.at = (y, x + count)
        elif what == "X":
            for place in range(x, x + count):
                self.cells[y, place] = (" ", ("", self.style[1], frozenset()))
        else:
            for _ in range(count):
                self._put(self._last)

    def _put(self, char: str) -> None:
        y, x = self.at
        width = cell_len(char)
        for extra in range(width):
            self.cells[y, x + extra] = (char if not extra else "", self.style)
        if not width:  # it combines with the one before
            before = x - 2 if self.cells.get((y, x - 1), ("?",))[0] == "" else x - 1
            text, style = self.cells[y, before]
            self.cells[y, before] = (text + char, style)
        self.at = (y, x + width)
        self._last = char

    def text(self) -> str:
        """What can be read on it, line by line."""
        lines: dict[int, dict[int, str]] = {}
        for (y, x), (char, _) in self.cells.items():
            lines.setdefault(y, {})[x] = char
        return "\n".join(
            "".join(line.get(x, " ") for x in range(1, max(line) + 1))
            for _, line in sorted(lines.items())
        )

    def seen(self) -> dict[tuple[int, int], tuple[str, Style]]:
        """What is seen: a blank shows what is behind it only."""
        return {
            place: (char, ("", style[1], frozenset()) if is_bare(char, style) else style)
            for place, (char, style) in self.cells.items()
        }


def is_bare(char: str, style: Style) -> bool:
    """Whether nothing of a cell is seen but the colour behind the text."""
    return char == " " and style[2] <= {"1", "2", "3"}


def interpreted(style: Style, parameters: str) -> Style:
    """The style that follows when SGR comes with these parameters."""
    foreground, background, attributes = style
    codes = parameters.split(";")
    while codes:
        code = int(codes.pop(0) or 0)
        if code == 0:
            foreground, background, attributes = PLAIN
        elif code in (38, 48):
            take = 2 if codes[0] == "5" else 4
            value, codes = f"{code};" + ";".join(codes[:take]), codes[take:]
            if code == 38:
                foreground = value
            else:
                background = value
        elif code in (39, 49):
            foreground, background = ("", background) if code == 39 else (foreground, "")
        elif 30 <= code < 38 or 90 <= code < 98:
            foreground = str(code)
        elif 40 <= code < 48 or 100 <= code < 108:
            background = str(code)
        else:
            attributes |= {str(code)}
    return foreground, background, attributes
