"""What a terminal shows of what is written on it."""

from __future__ import annotations

import re

from rich.cells import cell_len

TOKEN = re.compile(
    r"\x1b\[(\d+);(\d+)H|\x1b\[([\d;]*)m|(\x1b\[2J)"
    r"|\x1b\][^\x07]*\x07|\x1b\[[\d;?<>=]*[ -/]*[@-~]|\x1b.|(.)",
    re.DOTALL,
)


class Screen:
    """As much of a terminal as is needed here."""

    def __init__(self) -> None:
        self.cells: dict[tuple[int, int], tuple[str, str]] = {}
        self.at = (1, 1)
        self.style = ""

    def write(self, data: str) -> None:
        for token in TOKEN.finditer(data):
            y, x, style, clear, char = token.groups()
            if y:
                self.at = (int(y), int(x))
            elif style is not None:
                codes = "" if style in ("", "0") else style.removeprefix("0;")
                restarts = style in ("", "0") or style.startswith("0;")
                self.style = codes if restarts or not self.style else f"{self.style};{codes}"
            elif clear:
                self.cells.clear()
            elif char == "\n":
                self.at = (self.at[0] + 1, 1)
            elif char and char.isprintable():
                self._put(char)

    def _put(self, char: str) -> None:
        y, x = self.at
        width = cell_len(char)
        for extra in range(width):
            self.cells[y, x + extra] = (char if not extra else "", self.style)
        self.at = (y, x + width)

    def text(self) -> str:
        """What can be read on it, line by line."""
        lines: dict[int, dict[int, str]] = {}
        for (y, x), (char, _) in self.cells.items():
            lines.setdefault(y, {})[x] = char
        return "\n".join(
            "".join(line.get(x, " ") for x in range(1, max(line) + 1))
            for _, line in sorted(lines.items())
        )
