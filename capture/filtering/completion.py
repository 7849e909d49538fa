"""What may come next in a filter: fields, comparisons, and values that the capture holds."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final, NamedTuple

from capture.facts import FlowFacts
from capture.filtering.bare import condition_with
from capture.filtering.errors import FilterError, did_you_mean
from capture.filtering.fields import AnyField, EndField, MessageField, TunnelField
from capture.filtering.kinds import OPERATORS, Kind, Unit
from capture.filtering.registry import FIELDS, find_field
from capture.filtering.selecting import Material
from capture.filtering.tokens import Token, TokenKind, tokenize
from capture.protocols.text import printable
from capture.report.model import FlowReport
from capture.units import plural

__all__ = ["Completion", "complete"]

OFFERED: Final = 60
"""Completions at most."""
LOOKED_AT: Final = 4000
"""Tunnels whose values are gone through."""

_JOINS: Final = ("and", "or", "&&", "||")
_BARE: Final = re.compile(r"[A-Za-z0-9_.:/*+@-]+")


class Completion(NamedTuple):
    """A way to go on."""

    start: int
    """Index of the first character that it takes the place of."""
    text: str
    help: str


class _Context(NamedTuple):
    """What stands before the cursor."""

    expected: str
    """``field``, ``operator``, ``value``, ``join`` (behind a value) or ``nothing``."""
    field: AnyField | None
    word: str
    """What is typed of the next word so far, without an opening quote."""
    start: int
    """Where it begins, its quote included."""


def complete(
    text: str, cursor: int, material: Material | None = None, likely: FlowReport | None = None
) -> list[Completion]:
    """What may stand at the cursor, the likeliest first.

    Args:
        text: The filter as far as it is typed.
        cursor: Index behind the last character that counts.
        material: Whose values are offered.
        likely: The tunnel that the user looks at: its values come first.
    """
    context = _context(text[:cursor])
    if context is None:
        return []
    if context.expected == "field":
        found = _fields(context)
    elif context.expected == "value":
        found = _values(context, material, likely)
    else:
        found = _operators(context)
    return list(islice(found, OFFERED))


def _context(text: str) -> _Context | None:
    """What the text asks for at its end; None where it is wrong before."""
    try:
        tokens = tokenize(text)[:-1]
    except FilterError as error:
        if text[error.start : error.start + 1] not in ("'", '"'):
            return None
        # A string that is still open is the word.
        before = _walk(tokenize(text[: error.start])[:-1])
        return _Context(*before, text[error.start + 1 :], error.start)
    word, start = "", len(text)
    if tokens and tokens[-1].kind is TokenKind.WORD and tokens[-1].end == len(text):
        word, start = tokens[-1].text, tokens[-1].start
        tokens.pop()
    return _Context(*_walk(tokens), word, start)


def _walk(tokens: list[Token]) -> tuple[str, AnyField | None]:
    """What is expected behind some tokens, and the field it is about."""
    expected, field, in_set = "field", None, False
    for token in tokens:
        if expected == "field":
            if not token.says("not", "!", "("):
                expected, field = "operator", find_field(token.text)
        elif expected == "value":
            if token.says("{"):
                in_set = True
            elif token.says("}") or not (in_set or token.says(",")):
                expected, in_set = "join", False
        elif token.says(*_JOINS):
            expected, field = "field", None
        elif token.says(")"):
            expected = "join"
        elif expected == "operator" and not token.says("not"):
            expected = "value"
        elif expected == "join":
            return "nothing", None
    return expected, field


def _fields(context: _Context) -> Iterator[Completion]:
    """Names that begin so; then those that have it inside; then those that look alike."""
    word = context.word.lower()
    names = sorted(FIELDS, key=lambda name: ("." in name, name))
    beginning = [name for name in names if name.startswith(word)]
    inside = [name for name in names if word in name and not name.startswith(word)]
    found = beginning + inside
    if not found:
        said = did_you_mean(word, names)
        found = [name for name in names if re.search(rf"\b{re.escape(name)}(,|\?| or )", said)]
    for name in found:
        yield Completion(context.start, name, FIELDS[name].help)
    meant = "" if found else condition_with(context.word)
    if meant:
        yield Completion(context.start, meant, "a condition with this value")


_HELP: Final = {
    "==": "equal", "!=": "not equal", "<": "less", ">": "greater", "<=": "at most",
    ">=": "at least", "contains": "has the text", "matches": "regular expression", "in": "one of",
    "and": "both", "or": "either",
}  # fmt: skip


def _operators(context: _Context) -> Iterator[Completion]:
    known: set[str] = set() if context.expected == "nothing" else {"and", "or"}
    if context.expected == "operator" and context.field is not None:
        known |= OPERATORS[context.field.kind]
    for sign, help in _HELP.items():
        if sign in known and sign.startswith(context.word.lower()):
            yield Completion(context.start, "in {" if sign == "in" else sign, help)


def _values(
    context: _Context, material: Material | None, likely: FlowReport | None
) -> Iterator[Completion]:
    field = context.field
    if field is None:
        return
    word = context.word.casefold()
    offered = _offered(field, material, likely)
    matching = [item for item in offered if item[0].casefold().startswith(word)]
    matching += [item for item in offered if word and word in item[0].casefold()[1:]]
    for text, help in dict(matching).items():
        yield Completion(context.start, quoted(text), help)


def _offered(
    field: AnyField, material: Material | None, likely: FlowReport | None
) -> list[tuple[str, str]]:
    """Values with a word each: those of the capture, most frequent first; then the known."""
    if field.kind is Kind.BOOLEAN:
        return [("1", "set"), ("0", "not set")]
    found = _counted(field, material, likely) if material is not None else []
    known = [(word, "") for word in field.words] + [(name, "") for name in field.names]
    if field.kind is Kind.NUMBER and field.unit is not Unit.NONE:
        return known  # nobody wants the very bytes or nanoseconds of some tunnel
    return found + [item for item in known if item[0] not in dict(found)]


def _counted(
    field: AnyField, material: Material, likely: FlowReport | None
) -> list[tuple[str, str]]:
    if field.kind in (Kind.PRESENCE, Kind.TIME):
        return []
    counts: Counter[str] = Counter()
    for flow in material.flows[:LOOKED_AT]:
        counts.update(_of_flow(field, material, flow))
    own = [] if likely is None else sorted(_of_flow(field, material, likely))
    others = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:OFFERED]
    ranked = dict([(text, counts[text]) for text in own] + others)
    return [(printable(text, 200), _times(number)) for text, number in ranked.items()]


def _times(number: int) -> str:
    return plural(number, "tunnel") if number else ""


def _of_flow(field: AnyField, material: Material, flow: FlowReport) -> set[str]:
    """The values that a field has in one tunnel."""
    if isinstance(field, TunnelField):
        value = field.get(flow)
        values = value if field.several else () if value is None else (value,)
    else:
        facts = material.facts.get(flow.uid)
        values = () if facts is None else _of_facts(field, facts)
    return {str(value) for value in values}


def _of_facts(field: AnyField, facts: FlowFacts) -> Iterable[object]:
    if isinstance(field, MessageField):
        return [value for _, value in field.get(facts)]
    if isinstance(field, EndField):
        ends = [end for end in (facts.client, facts.proxy) if field.of(end) is not None]
        return [end.host if field.kind is Kind.ADDRESS else end.port for end in ends]
    return ()


def quoted(text: str) -> str:
    """A value as it is written in a filter: in quotes unless it is one plain word."""
    if _BARE.fullmatch(text) and text.lower() not in (*_JOINS, "not", "in") and ".." not in text:
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
