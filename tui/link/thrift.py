"""Says the style of what is written to a terminal in few bytes.

Textual sets every piece of text's style in full and resets it behind: in true colour some 45
bytes a piece, most of which repeat the piece before. Here a style is known by what it comes to,
so that only what changes need be sent. Source: ECMA-48, 8.3.117 (SGR), and ISO 8613-6 for
colours of 256 and more.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final, NamedTuple

__all__ = ["PLAIN", "Style", "UnknownStyle", "after", "behind", "change"]


class Style(NamedTuple):
    """What the terminal writes with: parameters of SGR, empty for the default."""

    foreground: str = ""
    background: str = ""
    attributes: frozenset[str] = frozenset()


PLAIN: Final = Style()

_ATTRIBUTES: Final = frozenset({"1", "2", "3", "4", "5", "6", "7", "8", "9", "21", "53"})
"""Switched on by these; switched off here by a reset only."""
_ON_BLANKS: Final = _ATTRIBUTES - {"1", "2", "3"}
"""What shows where nothing is written: underlines, reverse video."""
_COLOURS: Final = frozenset(
    str(first + colour) for first in (30, 40, 90, 100) for colour in range(8)
) | {"39", "49"}


class UnknownStyle(Exception):
    """A parameter of SGR is not known here."""


@lru_cache(4096)
def after(style: Style, parameters: str) -> Style:
    """The style that follows when SGR comes with these parameters.

    Raises:
        UnknownStyle: One of them is not known here.
    """
    codes = iter(parameters.split(";"))
    for code in codes:
        if code in ("", "0"):
            style = PLAIN
        elif code in _ATTRIBUTES:
            style = style._replace(attributes=style.attributes | {code})
        elif code in _COLOURS:
            value = "" if code[-1] == "9" else code
            style = _coloured(style, background=code[0] == "4" or len(code) == 3, value=value)
        elif code in ("38", "48"):
            count = {"5": 1, "2": 3}.get(kind := next(codes, ""))
            if count is None:
                raise UnknownStyle
            value = ";".join([code, kind, *(next(codes, "") for _ in range(count))])
            style = _coloured(style, background=code == "48", value=value)
        else:
            raise UnknownStyle
    return style


def _coloured(style: Style, *, background: bool, value: str) -> Style:
    return style._replace(background=value) if background else style._replace(foreground=value)


@lru_cache(4096)
def behind(style: Style) -> Style:
    """All that is seen of a style where a blank is written: mostly the colour behind it."""
    if style.attributes & _ON_BLANKS:
        return style
    return Style(background=style.background)


@lru_cache(4096)
def change(now: Style, wanted: Style) -> str:
    """The shortest SGR from one style to another; empty when they are the same."""
    if now == wanted:
        return ""
    afresh = "" if wanted == PLAIN else ";".join(["0", *_codes(wanted)])
    if now.attributes - wanted.attributes:
        return f"\x1b[{afresh}m"
    codes = sorted(wanted.attributes - now.attributes)
    if wanted.foreground != now.foreground:
        codes.append(wanted.foreground or "39")
    if wanted.background != now.background:
        codes.append(wanted.background or "49")
    return f"\x1b[{min(';'.join(codes), afresh, key=len)}m"


def _codes(style: Style) -> list[str]:
    """Parameters that set a style after a reset."""
    return [*sorted(style.attributes), *filter(None, (style.foreground, style.background))]
