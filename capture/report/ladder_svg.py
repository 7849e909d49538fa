"""A ladder as an inline SVG: no script, no font, no outside resource.

It is drawn 460 units wide, so that its letters stay legible when a phone shrinks it. Colours are
CSS variables of the page that holds it (``--fg --dim --bad --line``) and follow light and dark.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape
from typing import Final

from capture.facts import CLIENT
from capture.report.rungs import Rung
from capture.units import milliseconds

WIDTH: Final = 460
_LEFT: Final = 84
_RIGHT: Final = 448
_TOP: Final = 34
_PITCH: Final = 30
_LETTERS: Final = 47
"""Monospaced letters of 12 units that fit between the two lines."""
_END_LETTERS: Final = 26

STYLE: Final = """
svg.ladder{display:block;width:100%;max-width:38rem;height:auto;margin:.75rem 0}
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
    height = _TOP + _PITCH * len(rungs)
    return (
        f'<svg class="ladder" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-label="{escape(_spoken(rungs))}">\n' + "".join(_parts(rungs, client, proxy, height))
    ) + "</svg>\n"


def _parts(rungs: Sequence[Rung], client: str, proxy: str, height: int) -> Iterator[str]:
    yield f'<text x="{_LEFT - 8}" y="14">{escape(_cut(client, _END_LETTERS))}</text>\n'
    yield f'<text class="e" x="{_RIGHT + 8}" y="14">{escape(_cut(proxy, _END_LETTERS))}</text>\n'
    for x in (_LEFT, _RIGHT):
        yield f'<line class="life" x1="{x}" y1="20" x2="{x}" y2="{height - 4}"/>\n'
    for index, rung in enumerate(rungs):
        yield _rung(rung, _TOP + _PITCH * index + 10)


def _rung(rung: Rung, y: int) -> str:
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
    middle = (_LEFT + _RIGHT) // 2
    text = escape(_cut(("\u2717 " if rung.failing else "") + rung.text, _LETTERS))
    parts.append(f'<text class="m" x="{middle}" y="{y - 4}">{text}</text>')
    if rung.sender is not None:
        start, end = (_LEFT, _RIGHT) if rung.sender == CLIENT else (_RIGHT, _LEFT)
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
