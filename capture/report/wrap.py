"""Wraps and pads text by terminal cells, so that wide characters keep columns straight."""

from __future__ import annotations


def cells(text: str) -> int:
    """Terminal cells that ``text`` takes: wide characters two, combining marks none."""
    if text.isascii():
        return len(text)
    return sum(_cell(char) for char in text)


def _cell(char: str) -> int:
    from unicodedata import combining, east_asian_width

    if combining(char):
        return 0
    return 2 if east_asian_width(char) in "WF" else 1


def wrap(text: str, width: int) -> list[str]:
    """Break ``text`` at blanks into lines of at most ``width`` cells.

    A word longer than a line is broken where it must be. Where a command in back-quotes
    has to be broken, the line ends in a backslash, so that a shell takes what is pasted.
    Always returns a line.
    """
    lines: list[str] = []
    line, used = "", 0
    in_command = in_word = False
    commands = text.count("`") % 2 == 0
    for word in text.split():
        length = cells(word)
        in_word = in_command
        if commands and word.count("`") % 2:
            in_command = not in_command
        if line and used + 1 + length + (2 if in_command else 0) <= width:
            line, used = f"{line} {word}", used + 1 + length
            continue
        if line:
            lines.append(f"{line} \\" if in_word and used + 2 <= width else line)
        while length > width:
            head = take(word, width)
            lines.append(head)
            word = word[len(head) :]
            length = cells(word)
        line, used = word, length
    if line or not lines:
        lines.append(line)
    return lines


def take(text: str, width: int) -> str:
    """The longest start of ``text`` that fits in ``width`` cells (at least one character)."""
    if text.isascii():
        return text[: max(1, width)]
    used = 0
    for index, char in enumerate(text):
        used += _cell(char)
        if used > width and index:
            return text[:index]
    return text


def fit_middle(text: str, width: int) -> str:
    """Pad ``text`` to ``width`` cells; a longer one loses its middle, since both the start
    of a host name and its port tell flows apart."""
    length = cells(text)
    if length > width:
        tail = min(7, max(0, (width - 3) // 2))
        head = take(text, width - 3 - tail)
        end = text[len(text) - tail :] if tail else ""
        text = f"{head}...{end}"
        while cells(text) > width and end:
            end = end[1:]
            text = f"{head}...{end}"
        length = cells(text)
    return text + " " * max(0, width - length)
