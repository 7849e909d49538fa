"""Turns a filter into conditions: looks up its fields, and checks what they are compared with."""

from __future__ import annotations

import operator
from collections.abc import Callable
from functools import reduce
from typing import Any, Final

from capture.filtering import syntax
from capture.filtering.bare import condition_with
from capture.filtering.conditions import (
    All,
    AnyOf,
    Check,
    Column,
    Condition,
    End,
    Inverted,
    Message,
    Tunnel,
)
from capture.filtering.errors import FilterError, did_you_mean
from capture.filtering.fields import AnyField, ColumnField, EndField, MessageField
from capture.filtering.kinds import (
    OPERATORS,
    EndpointTest,
    Kind,
    Remembered,
    instant,
    net,
    number,
    truth,
)
from capture.filtering.registry import FIELDS, find_field
from capture.filtering.selecting import Material, Selection
from capture.filtering.tokens import Token
from capture.protocols.text import printable

__all__ = ["DisplayFilter", "compile_filter"]

_COMPARE: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "==": operator.eq, "===": operator.eq, "!=": operator.ne, "~=": operator.ne,
    "<": operator.lt, ">": operator.gt, "<=": operator.le, ">=": operator.ge,
}  # fmt: skip
_EVERY: Final = frozenset({"!=", "===", "not in"})
"""Comparisons that all values of a field must pass; of the others one value must."""


class DisplayFilter:
    """A compiled filter."""

    def __init__(self, text: str, condition: Condition, hints: tuple[str, ...]) -> None:
        self.text = text
        """As written."""
        self.hints = hints
        """What may not be meant so, one line each."""
        self.condition = condition
        """The whole expression; judges packets each by itself."""

    @property
    def needs_packets(self) -> bool:
        """Whether it cannot tell of tunnels without the packet index."""
        return self.condition.needs_packets

    def select(self, material: Material) -> Selection:
        """Judge all tunnels and packets of a snapshot."""
        tunnels = self.condition.tunnels(material)
        packets = self.condition.packets(material)
        if len(packets):
            inside = material.of_packets(tunnels)
            reported = material.of_packets(tunnels | True)
            whole = tunnels & ~material.with_some(packets, tunnels)
            packets = (packets & (inside | ~reported)) | material.of_packets(whole)
        return Selection(tunnels, packets)


def compile_filter(text: str) -> DisplayFilter:
    """Compile a filter.

    Raises:
        FilterError: It cannot be understood; says where and why.
    """
    compiler = _Compiler()
    condition = compiler.condition(syntax.parse(text))
    return DisplayFilter(text, condition, tuple(compiler.hints))


class _Compiler:
    """Collects hints on the way."""

    def __init__(self) -> None:
        self.hints: list[str] = []

    def condition(self, node: syntax.Node) -> Condition:
        if isinstance(node, syntax.Not):
            return Inverted(self.condition(node.part))
        if isinstance(node, syntax.And):
            return All(tuple(self.condition(part) for part in node.parts))
        if isinstance(node, syntax.Or):
            return AnyOf(tuple(self.condition(part) for part in node.parts))
        return self._test(node)

    def _test(self, test: syntax.Comparison) -> Condition:
        field = find_field(test.field.text)
        if field is None:
            shown = printable(test.field.text, 60)
            near = did_you_mean(test.field.text, list(FIELDS))
            meant = "" if near or test.operator else condition_with(test.field.text)
            if meant:
                near = f"; did you mean {meant}?"
            raise FilterError(
                f"there is no field {shown!r}{near}", test.field.start, test.field.end
            )
        check = self._check(field, test)
        every = test.operator in _EVERY
        if isinstance(field, ColumnField):
            return Column(field, check, every)
        present = check or _is_there
        if isinstance(field, EndField):
            return End(field, present, every)
        if isinstance(field, MessageField):
            return Message(field, present, every)
        return Tunnel(field, present, every)

    def _check(self, field: AnyField, test: syntax.Comparison) -> Check | None:
        """What the values must pass; None: they need only be there."""
        mask = self._mask(field, test)
        if not test.operator:
            if mask is not None:
                return lambda value: (value & mask) != 0
            if field.always:
                truthy = " == 1" if field.kind is Kind.BOOLEAN else ""
                self.hints.append(
                    f"{field.name} alone is true of every packet that has it: compare it"
                    + (f", as in {field.name}{truthy}" if truthy else "")
                )
            return None
        at = test.at or test.field
        if test.operator not in OPERATORS[field.kind]:
            raise FilterError(_misfit(field, at.text), at.start, at.end)
        if test.operator == "matches":
            return _pattern(test.items[0].first)
        check = self._comparison(field, test)
        return check if mask is None else lambda value: check(value & mask)

    def _mask(self, field: AnyField, test: syntax.Comparison) -> int | None:
        if test.mask is None:
            return None
        if field.kind is not Kind.NUMBER or not isinstance(field, ColumnField | MessageField):
            raise FilterError(_misfit(field, "&"), test.mask.start, test.mask.end)
        bits = number(test.mask, field.unit, field.names)
        if not isinstance(bits, int):
            raise FilterError("a mask is a whole number", test.mask.start, test.mask.end)
        return bits

    def _comparison(self, field: AnyField, test: syntax.Comparison) -> Check:
        if test.operator in ("in", "not in"):
            checks = [self._in_range(field, item) for item in test.items]
            if test.operator == "in":
                return lambda value: reduce(operator.or_, [check(value) for check in checks])
            return lambda value: reduce(operator.or_, [c(value) for c in checks]) ^ True
        token = test.items[0].first
        if test.operator == "contains":
            part = token.text
            return lambda text: part in text
        return self._compare(field, test.operator, token)

    def _in_range(self, field: AnyField, item: syntax.Item) -> Check:
        """A test for one member of a set."""
        if item.last is None:
            return self._compare(field, "==", item.first)
        if field.kind is Kind.ADDRESS:
            first, last = net(item.first), net(item.last)
            for token, end in ((item.first, first), (item.last, last)):
                _check_family(field, token, end.version)
            span = type(first)(first.version, first.first, last.last)
            return span.holds
        if field.kind not in (Kind.NUMBER, Kind.TEXT, Kind.ORDERED):
            raise FilterError(_misfit(field, ".."), item.first.start, item.last.end)
        low = self._compare(field, ">=", item.first)
        high = self._compare(field, "<=", item.last)
        return lambda value: low(value) & high(value)

    def _compare(self, field: AnyField, sign: str, token: Token) -> Check:
        """A test against one value."""
        kind = field.kind
        compare = _COMPARE[sign]
        if kind is Kind.NUMBER:
            wanted = number(token, field.unit, field.names)
            return lambda value: compare(value, wanted)
        if kind is Kind.BOOLEAN:
            yes = truth(token)
            return lambda value: compare(value, yes)
        if kind is Kind.TIME:
            moment = instant(token)
            return lambda value: compare(value, moment)
        if kind is Kind.ADDRESS:
            wanted_net = net(token)
            _check_family(field, token, wanted_net.version)
            return _inverted(wanted_net.holds, compare is operator.ne)
        if kind is Kind.ENDPOINT:
            same = Remembered(EndpointTest.of(token))
            return _inverted(same, compare is operator.ne)
        if kind is Kind.ORDERED:
            return self._ordered(field, compare, token)
        self._hint_at_word(field, token)
        text = token.text
        return lambda value: compare(value, text)

    def _ordered(self, field: AnyField, compare: Callable[[Any, Any], Any], token: Token) -> Check:
        word = token.text.lower()
        if word not in field.words:
            raise FilterError(
                f"{field.name} is one of {', '.join(field.words)}", token.start, token.end
            )
        rank = {name: place for place, name in enumerate(field.words)}
        return lambda value: compare(rank[value], rank[word])

    def _hint_at_word(self, field: AnyField, token: Token) -> None:
        """Own rules may give verdicts that nobody knows here: a hint is all that is due."""
        if field.words and token.text not in field.words:
            near = did_you_mean(token.text, list(field.words))
            self.hints.append(f"no {field.name} is called {printable(token.text, 40)!r}{near}")


def _is_there(value: Any) -> bool:
    return value is not None


def _inverted(check: Callable[[Any], bool], inverted: bool) -> Check:
    return (lambda value: not check(value)) if inverted else check


def _pattern(token: Token) -> Check:
    from capture.filtering.regex import Pattern, PatternError

    source = token.raw or token.text
    try:
        pattern = Pattern(source)
    except PatternError as error:
        raise FilterError(f"the pattern is wrong: {error}", token.start, token.end) from None
    return Remembered(pattern.search)


def _check_family(field: AnyField, token: Token, version: int) -> None:
    wanted = 6 if field.name.startswith("ipv6.") else 4
    if version != wanted:
        other = field.name.replace("ip.", "ipv6.") if wanted == 4 else field.name.replace("v6", "")
        raise FilterError(
            f"an IPv{version} address: compare {other} with it", token.start, token.end
        )


def _misfit(field: AnyField, sign: str) -> str:
    """Why a comparison does not go with a field."""
    if field.kind is Kind.PRESENCE:
        return f"{field.name} is there or not: it stands alone, or behind 'not'"
    known = sorted(OPERATORS[field.kind], key=len)
    return f"{field.name} is {field.kind.value}: {sign!r} does not fit; use {', '.join(known)}"
