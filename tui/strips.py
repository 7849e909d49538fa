"""Lets lines that were drawn go when nobody shows them any more.

Textual's compositor cuts every line that a widget gives it (``Strip.divide``), and a line that
need not be cut is put into its own cache: a circle that only the collector of garbage undoes. It
works rarely here (``capture.collector``): on a busy live screen such lines were 25 MB a minute,
and to look for them among all that a capture keeps stopped all threads for a while (measured).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from textual.strip import Strip

__all__ = ["without_circles"]

_DIVIDE: Final = Strip.divide


def _divide(strip: Strip, cuts: Iterable[int]) -> Sequence[Strip]:
    """As ``Strip.divide``, but that a whole line is not noted in itself."""
    inside = [cut for cut in cuts if cut <= strip.cell_length]
    return [strip] if inside == [strip.cell_length] else _DIVIDE(strip, inside)


def without_circles() -> None:
    """Have lines divided so from now on."""
    Strip.divide = _divide  # type: ignore[method-assign, assignment]
