"""Text measured in terminal cells: cleaned, cut with an ellipsis, padded, wrapped.

A character may take no cell (combining marks), one, or two (CJK), so ``len`` never decides
about layout here. Everything that may have come off the wire goes through ``safe`` before
it becomes a segment: in the last place before the terminal it is checked once more,
whatever was done upstream.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from rich.cells import cell_len, set_cell_size, split_graphemes
from rich.segment import Segment
from rich.style import Style

from capture.report.redact import safe as guarded

_ASCII_SUBSTITUTES = str.maketrans(
    {
        "…": "~", "·": ".", "—": "-", "–": "-", "µ": "u", "→": "->", "←": "<-", "×": "x",
        "≥": ">=", "≤": "<=", "’": "'", "‘": "'", "“": '"', "”": '"', "▸": ">", "✓": "+", "✗": "x",
    }
)  # fmt: skip


@lru_cache(4096)
def safe(text: str, ascii_only: bool = False) -> str:
    """One line without a credential or any character that could steer a terminal.

    Args:
        text: Anything; longer than any screen is cut.
        ascii_only: Also replace what is not ASCII (``?`` where there is nothing alike).
    """
    text = guarded(text)
    if ascii_only and not text.isascii():
        text = text.translate(_ASCII_SUBSTITUTES).encode("ascii", "replace").decode("ascii")
    return text


def joined(pieces: Iterable[tuple[str, Style]]) -> list[Segment]:
    """Texts with their styles as few segments: each costs some 40 bytes on the link.

    A blank has no colour of its own, so it takes that of what is before it.
    """
    segments: list[Segment] = []
    for text, style in pieces:
        if not text:
            continue
        before = segments[-1].style if segments else None
        if before is not None and (
            style == before or (text.isspace() and _blanks_alike(style, before))
        ):
            segments[-1] = Segment(segments[-1].text + text, before)
        else:
            segments.append(Segment(text, style))
    return segments


def _blanks_alike(one: Style, other: Style) -> bool:
    """Whether a blank looks the same in both styles."""
    drawn = any(style.reverse or style.underline or style.strike for style in (one, other))
    return not drawn and one.bgcolor == other.bgcolor


def cut(text: str, width: int, ellipsis: str) -> str:
    """``text`` in at most ``width`` cells; what does not fit gives way to an ellipsis."""
    if width <= 0:
        return ""
    if cell_len(text) <= width:
        return text
    room = width - cell_len(ellipsis)
    if room < 0:
        return ""
    # A double-width character that straddles the cut would become a space: dropped.
    return set_cell_size(text, room).rstrip() + ellipsis if room else ellipsis


def fit(text: str, width: int, ellipsis: str, *, right: bool = False) -> str:
    """``text`` in exactly ``width`` cells: cut with an ellipsis or padded with spaces.

    Args:
        text: A safe line.
        width: Cells to fill.
        ellipsis: Sign that ends a cut text.
        right: Align to the right.
    """
    text = cut(text, width, ellipsis)
    pad = " " * max(0, width - cell_len(text))
    return pad + text if right else text + pad


def cut_middle(text: str, width: int, ellipsis: str) -> str:
    """As ``cut``, but keeps both ends: for host names and addresses with a port."""
    if cell_len(text) <= width:
        return text
    room = width - cell_len(ellipsis)
    if room < 4:
        return cut(text, width, ellipsis)
    tail = room // 2
    head = set_cell_size(text, room - tail).rstrip()
    spans, _ = split_graphemes(text)
    cells, start = 0, len(text)
    for first, _, span_cells in reversed(spans):
        if cells + span_cells > tail:
            break
        cells, start = cells + span_cells, first
    return head + ellipsis + text[start:]


def wrap(text: str, width: int, first: int | None = None) -> list[str]:
    """Break a safe line at its blanks into lines of at most ``width`` cells.

    A word that is longer than a line is broken where the line ends (a long command must
    stay readable; nothing is lost).

    Args:
        text: A safe line.
        width: Cells of each line; at least 1.
        first: Cells of the first line where it differs.
    """
    width = max(1, width)
    room = width if first is None else max(1, first)
    lines: list[str] = []
    line, used = "", 0
    for word in text.split(" "):
        cells = cell_len(word)
        if line and used + 1 + cells <= room:
            line, used = f"{line} {word}", used + 1 + cells
            continue
        if line:
            lines.append(line)
            room = width
        while cells > room and len(word) > 1:
            head, word = _break_word(word, room)
            lines.append(head)
            room, cells = width, cell_len(word)
        line, used = word, cells
    lines.append(line)
    return lines


def _break_word(word: str, room: int) -> tuple[str, str]:
    """The part of a word that fits into ``room`` cells (at least one character), and the rest."""
    spans, _ = split_graphemes(word)
    cells = 0
    for start, end, span_cells in spans:
        if cells + span_cells > room:
            split = start or end
            return word[:split], word[split:]
        cells += span_cells
    return word, ""
