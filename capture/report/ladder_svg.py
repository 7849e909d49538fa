"""A ladder as an inline SVG: no script, no font, no outside resource.

It is as wide as its texts ask for, at most 460 units, so that a phone need not shrink it much; what
still does not fit is reached by scrolling it. Colours are CSS variables of the page that holds it
(``--fg --dim --bad --line``) and follow light and dark.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape
from typing import Final

from capture.facts import CLIENT
from capture.report.rungs import Rung
from capture.units import milliseconds

_LEFT: Final = 84
_MARGIN: Final = 12
_TOP: Final = 34
_PITCH: Final = 30
_LETTER: Final = 7.4
"""Units that a monospaced letter of 12 units takes at most."""
_FEWEST, _MOST = 24, 47
"""Letters that there is room for between the two lines."""
_END_LETTERS: Final = 26
_GROWN: Final = 1.3
"""CSS pixels of a unit where there is room."""
_WIDE: Final = 430
"""A drawing wider than that keeps letters of 9.6 px on a phone, and is scrolled there; others
shrink to 9 px at most."""

STYLE: Final = """
.ladder{overflow-x:auto;margin:.75rem 0}.ladder svg{display:block;max-width:100%;height:auto}
.ladder svg.wide{min-width:23rem}
.ladder text{font:12px ui-monospace,monospace;fill:var(--fg)}
.ladder .t{fill:var(--dim);text-anchor:end}.ladder .m{text-anchor:middle}
.ladder .e{text-anchor:end}.ladder .life{stroke:var(--line)}
.ladder .arrow{stroke:var(--fg);fill:none}.ladder .head{fill:var(--fg);stroke:none}
.ladder .bad text.m{fill:var(--bad);font-weight:700}.ladder .bad .arrow{stroke:var(--bad)}
.ladder .bad .head{fill:var(--bad)}
.ladder .gone .arrow{stroke-dasharray:4 4}.ladder .note text.m{font-style:italic}
.ladder .note:not(.bad) text.m{fill:var(--dim)}
"""
"""Rules for the page's style sheet."""


def ladder_svg(rungs: Sequence[Rung], client: str, proxy: str) -> str:
    """The ``<svg>`` element; empty for no rungs.

    Args:
        rungs: Lines in order, texts safe to print.
        client: Name of the left end.
        proxy: Name of the right end.
    """
    if not rungs:
        return ""
    texts = [_cut(("\u2717 " if rung.failing else "") + rung.text, _MOST) for rung in rungs]
    ends = _cut(client, _END_LETTERS), _cut(proxy, _END_LETTERS)
    letters = max(_FEWEST, len(ends[0]) + len(ends[1]) + 1, *map(len, texts))
    right = _LEFT + math.ceil(min(letters, _MOST) * _LETTER) + 16
    width, height = right + _MARGIN, _TOP + _PITCH * len(rungs)
    wide = ' class="wide"' if width > _WIDE else ""
    parts = [
        f'<div class="ladder"><svg{wide} width="{width * _GROWN:.0f}" '
        f'viewBox="0 0 {width} {height}" role="img" aria-label="{escape(_spoken(rungs))}">\n',
        f'<text x="{_LEFT - 8}" y="14">{escape(ends[0])}</text>\n',
        f'<text class="e" x="{right + 8}" y="14">{escape(ends[1])}</text>\n',
    ]
    for x in (_LEFT, right):
        parts.append(f'<line class="life" x1="{x}" y1="20" x2="{x}" y2="{height - 4}"/>\n')
    for index, (rung, text) in enumerate(zip(rungs, texts, strict=True)):
        parts.append(_rung(rung, text, _TOP + _PITCH * index + 10, right))
    return "".join(parts) + "</svg></div>\n"


def _rung(rung: Rung, text: str, y: int, right: int) -> str:
    classes = ["bad"] if rung.failing else []
    if not rung.seen:
        classes.append("gone")
    if rung.sender is None:
        classes.append("note")
    where = f"packet {rung.packet}: " if rung.packet is not None else ""
    parts = [f'<g class="{" ".join(classes)}"><title>{escape(where + rung.text)}</title>']
    if rung.time_s is not None:
        time = milliseconds(rung.time_s * 1e3)
        parts.append(f'<text class="t" x="{_LEFT - 8}" y="{y + 4}">{escape(time)}</text>')
    parts.append(f'<text class="m" x="{(_LEFT + right) // 2}" y="{y - 4}">{escape(text)}</text>')
    if rung.sender is not None:
        start, end = (_LEFT, right) if rung.sender == CLIENT else (right, _LEFT)
        back = -7 if end > start else 7
        parts.append(f'<path class="arrow" d="M{start} {y}H{end + back}"/>')
        parts.append(f'<path class="head" d="M{end} {y}l{back} -4v8z"/>')
    parts.append("</g>\n")
    return "".join(parts)


def _spoken(rungs: Iterable[Rung]) -> str:
    """What a screen reader says of the picture."""
    return "; ".join(rung.text + (" (failed)" if rung.failing else "") for rung in rungs)


def _cut(text: str, letters: int) -> str:
    return text if len(text) <= letters else text[: letters - 1] + "\u2026"
