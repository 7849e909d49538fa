"""Says the same to a terminal in fewer bytes.

Textual sets every piece of text's style in full and resets it behind: in true colour some 45
bytes a piece, most of which repeat the piece before. Here only what changes is sent. Source:
ECMA-48, 8.3.117 (SGR), and ISO 8613-6 for colours of 256 and more.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

__all__ = ["thrifty"]

_SGR: Final = re.compile(r"\x1b\[([\d;]*)m")
_MOVE: Final = re.compile(r"(?:\x1b\[\d*(?:;\d*)?H)*")
"""Moving the cursor looks the same in any style; what is erased or written does not."""


class _Style(NamedTuple):
    """What the terminal writes with: parameters of SGR, empty for the default."""

    foreground: str = ""
    background: str = ""
    attributes: frozenset[str] = frozenset()


_PLAIN: Final = _Style()

_ATTRIBUTES: Final = frozenset({"1", "2", "3", "4", "5", "6", "7", "8", "9", "21", "53"})
"""Switched on by these; switched off here by a reset only."""
_ON_BLANKS: Final = _ATTRIBUTES - {"1", "2", "3"}
"""What shows where nothing is written: underlines, reverse video."""
_COLOURS: Final = frozenset(
    str(first + colour) for first in (30, 40, 90, 100) for colour in range(8)
) | {"39", "49"}


def thrifty(data: str) -> str:
    """Leave out what repeats the style that is set already.

    Args:
        data: Output that begins with the style reset. Where it holds a style that is not
            known here, it is passed on as it is.

    Returns:
        Output that looks the same, and ends with the same style.
    """
    try:
        return "".join(_saved(_SGR.split(data)))
    except _Unknown:
        return data


class _Unknown(Exception):
    """A parameter of SGR is not known here."""


def _saved(parts: Sequence[str]) -> Iterator[str]:
    """Texts and the parameters of SGR take turns; a text comes first and last."""
    now = wanted = _PLAIN
    for place, part in enumerate(parts):
        if place % 2:
            wanted = _after(wanted, part)
        elif part:
            if now is not wanted and not (
                _MOVE.fullmatch(part) or _is_same_blank(part, now, wanted)
            ):
                yield _change(now, wanted)
                now = wanted
            yield part
    yield _change(now, wanted)


def _is_same_blank(text: str, one: _Style, other: _Style) -> bool:
    """Whether a text looks the same in both styles: blanks show no colour but the one behind."""
    return (
        one.background == other.background
        and text.strip(" ") == ""
        and not (one.attributes | other.attributes) & _ON_BLANKS
    )


@lru_cache(4096)
def _after(style: _Style, parameters: str) -> _Style:
    """The style that follows when SGR comes with these parameters."""
    codes = iter(parameters.split(";"))
    for code in codes:
        if code in ("", "0"):
            style = _PLAIN
        elif code in _ATTRIBUTES:
            style = style._replace(attributes=style.attributes | {code})
        elif code in _COLOURS:
            value = "" if code[-1] == "9" else code
            style = _coloured(style, background=code[0] == "4" or len(code) == 3, value=value)
        elif code in ("38", "48"):
            count = {"5": 1, "2": 3}.get(kind := next(codes, ""))
            if count is None:
                raise _Unknown
            value = ";".join([code, kind, *(next(codes, "") for _ in range(count))])
            style = _coloured(style, background=code == "48", value=value)
        else:
            raise _Unknown
    return style


def _coloured(style: _Style, *, background: bool, value: str) -> _Style:
    return style._replace(background=value) if background else style._replace(foreground=value)


@lru_cache(4096)
def _change(now: _Style, wanted: _Style) -> str:
    """The shortest SGR from one style to another."""
    if now == wanted:
        return ""
    afresh = "" if wanted == _PLAIN else ";".join(["0", *_codes(wanted)])
    if now.attributes - wanted.attributes:
        return f"\x1b[{afresh}m"
    codes = sorted(wanted.attributes - now.attributes)
    if wanted.foreground != now.foreground:
        codes.append(wanted.foreground or "39")
    if wanted.background != now.background:
        codes.append(wanted.background or "49")
    return f"\x1b[{min(';'.join(codes), afresh, key=len)}m"


def _codes(style: _Style) -> list[str]:
    """Parameters that set a style after a reset."""
    return [*sorted(style.attributes), *filter(None, (style.foreground, style.background))]
