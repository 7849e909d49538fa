"""Every sign that the widgets draw, in Unicode and in plain ASCII.

A sign carries meaning by its shape: colour only repeats it. The ASCII table is for
terminals without UTF-8 (``--ascii``); both tables have one cell per sign unless said
otherwise, so that layouts do not change with them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Glyphs:
    """One table of signs."""

    done: str
    failed: str
    missing: str
    pending: str
    warning: str
    info: str
    cursor: str
    """Marks the selected row."""
    hit: str
    """Marks a search hit."""
    mark: str
    """Marks what the user put aside."""
    ellipsis: str
    """Stands for what was cut off."""
    ascending: str
    descending: str
    right: str
    """From the client to the proxy, in one cell."""
    left: str
    solid: str
    """Joins steps that were taken; shaft of a message arrow."""
    dashed: str
    """Joins steps that were not taken; shaft of what never came."""
    heavy: str
    """Joins steps that were taken, in the step strip."""
    heavy_dashed: str
    arrow_right: str
    """Head of a message arrow."""
    arrow_left: str
    lane: str
    """Life line of a participant."""
    gap: str
    """Life line during a silence."""
    expanded: str
    collapsed: str
    bullet: str
    separator: str
    """Between words of one line."""
    bar_full: str
    bar_empty: str
    knob: str
    """Where a bar stands."""
    playing: str
    paused: str
    dot: str
    """Stands for a byte that is no printable ASCII character."""


UNICODE: Final = Glyphs(
    done="✓", failed="✗", missing="·", pending="…", warning="!", info="i",
    cursor="▸", hit="•", mark="◆", ellipsis="…", ascending="▴", descending="▾", right="→", left="←",
    solid="─", dashed="╌", heavy="━", heavy_dashed="┅", arrow_right="▶", arrow_left="◀",
    lane="│", gap="┊", expanded="▾", collapsed="▸", bullet="•", separator="·",
    bar_full="━", bar_empty="─", knob="●", playing="▶", paused="‖", dot="·",
)  # fmt: skip

ASCII: Final = Glyphs(
    done="+", failed="x", missing="-", pending="?", warning="!", info="i",
    cursor=">", hit="*", mark="@", ellipsis="~", ascending="^", descending="v", right=">", left="<",
    solid="-", dashed=".", heavy="=", heavy_dashed=".", arrow_right=">", arrow_left="<",
    lane="|", gap=":", expanded="v", collapsed=">", bullet="*", separator="-",
    bar_full="=", bar_empty="-", knob="O", playing=">", paused="|", dot=".",
)  # fmt: skip


def glyphs(ascii_only: bool) -> Glyphs:
    """The table for a terminal."""
    return ASCII if ascii_only else UNICODE
