"""The screen as a picture: an SVG that any browser shows, and that fetches nothing."""

from __future__ import annotations

import re
import time

from tui.writing import write_whole

__all__ = ["save_picture", "self_contained"]


def save_picture(svg: str) -> str:
    """Write a picture to a file named by the time, where the program was started.

    Args:
        svg: As Textual draws it.

    Returns:
        The file's name.

    Raises:
        CannotWrite: It could not be written.
    """
    name = time.strftime("tunnelscope-%Y%m%d-%H%M%S.svg")
    write_whole(name, [self_contained(svg)])
    return name


def self_contained(svg: str) -> str:
    """The picture without the web fonts that Textual names: opening it must tell nobody."""
    svg = re.sub(r"\s*@font-face\s*\{[^}]*\}", "", svg)
    # librsvg drops the blanks at both ends of a text unless it is told to keep them.
    svg = svg.replace("<text ", '<text xml:space="preserve" ')
    return svg.replace("Fira Code", "DejaVu Sans Mono")
