"""The last gate before the terminal: nothing that steers it, nothing it cannot show.

All captured text is made printable where it enters a report or a widget. These filters run
over every line that Textual is about to draw, so that a place that was forgotten stays a
cosmetic fault.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from rich.cells import cell_len
from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

__all__ = ["AsciiFilter", "ControlFilter", "to_ascii"]

_STEERING: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufff9-\ufffb\ud800-\udfff]"
)
"""C0, DEL, C1, bidirectional controls, line separators, lone surrogates."""


class ControlFilter(LineFilter):
    """Drops control characters; they take no cell, so the line keeps its width."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        search = _STEERING.search
        if not any(search(text) for text, _, control in segments if not control):
            return segments
        return [
            segment if segment.control else Segment(_STEERING.sub("", segment.text), segment.style)
            for segment in segments
        ]


_ASCII: Final = str.maketrans(
    {
        **dict.fromkeys("─━┄┅┈┉╌╍═⎯‐‑‒–—―▔▁▂", "-"),
        **dict.fromkeys("│┃┆┇┊┋╎╏║▏▎▕▍▌▐", "|"),
        **dict.fromkeys("┌┐└┘├┤┬┴┼╭╮╰╯┏┓┗┛┣┫┳┻╋╔╗╚╝╠╣╦╩╬╴╵╶╷", "+"),
        **dict.fromkeys("█▇▆▅▄▃▀■▊▋▉▮●", "#"),
        **dict.fromkeys("░▒▓", ":"),
        **dict.fromkeys("▶▸▷→⇒►❯›»", ">"),
        **dict.fromkeys("◀◂◁←⇐◄❮‹«", "<"),
        **dict.fromkeys("▲▴△↑⇑", "^"),
        **dict.fromkeys("▼▾▽↓⇓⏎↵", "v"),
        **dict.fromkeys("✓✔", "+"),
        **dict.fromkeys("✗✘×", "x"),
        **dict.fromkeys("·•∙○◦…", "."),
        **dict.fromkeys("‘’‚", "'"),
        **dict.fromkeys("“”„", '"'),
        "µ": "u",
        "\xa0": " ",
        "⚠": "!",
        "ℹ": "i",
    }
)


@lru_cache(4096)
def to_ascii(text: str) -> str:
    """Return ``text`` in ASCII and as wide as it was: look-alikes, ``?`` for the rest."""
    if text.isascii():
        return text
    text = text.translate(_ASCII)
    if text.isascii():
        return text
    return "".join(char if char < "\x7f" else "?" * cell_len(char) for char in text)


class AsciiFilter(LineFilter):
    """Turns everything into ASCII, for terminals (and people) without UTF-8."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        if all(text.isascii() for text, _, _ in segments):
            return segments
        return [Segment(to_ascii(text), style, control) for text, style, control in segments]
