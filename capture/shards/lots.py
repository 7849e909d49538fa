"""Judged flows as columns: their rows of the table, and what others must know of them.

Most are judged many at a time (``alike``) and differ in less than half of it: what they have in
common is said, sent and put into words once (measured: a fifth of the time of an object each).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Any, NamedTuple, TypeAlias

from capture.judging import Judgement
from capture.judging.cards import Card
from capture.record import record
from capture.report.table import TableRow, rules_of
from capture.report.to_csv import cells


class Same(NamedTuple):
    """A column with the same value in every row."""

    value: Any


Column: TypeAlias = Same | list[Any]


@dataclass(frozen=True, slots=True)
class Cards:
    """Cards as columns."""

    count: int
    columns: tuple[Column, ...]
    """One a field."""

    @classmethod
    def of(cls, cards: Sequence[Card]) -> Cards:
        """These cards."""
        return cls(len(cards), _columns(cards, len(Card._fields)))

    def each(self) -> Iterator[Card]:
        """The cards, in order."""
        return map(Card._make, zip(*[each(item, self.count) for item in self.columns], strict=True))

    def numbers(self) -> Iterable[int]:
        """``Card.number`` of each."""
        return each(self.columns[_NUMBER], self.count)


_NUMBER = Card._fields.index("number")


@record
class Line:
    """A judged flow."""

    card: Card
    judgement: Judgement
    row: TableRow


@dataclass(slots=True)
class Lot:
    """Some judged flows."""

    judgements: list[Judgement]
    """Of each."""
    cards: Cards
    rows: tuple[Column, ...]
    """One a field of ``TableRow``."""

    @classmethod
    def of(cls, lines: Sequence[Line]) -> Lot:
        """Flows that were judged one by one."""
        cards, rows = [item.card for item in lines], [item.row for item in lines]
        columns = _columns(rows, len(TableRow._fields))
        return cls([item.judgement for item in lines], Cards.of(cards), columns)

    def texts(self, timed: bool) -> list[str]:
        """Their lines of the table, by their judgements as they are now."""
        columns = dict(zip(TableRow._fields, self.rows, strict=True))
        rules = {id(item): rules_of(item.findings) for item in self.judgements}
        columns["verdict"] = [item.verdict for item in self.judgements]
        columns["rules"] = [rules[id(item)] for item in self.judgements]
        texts = [
            repeat(next(cells(name, (column.value,), timed)))
            if isinstance(column, Same)
            else cells(name, column, timed)
            for name, column in columns.items()
            if name != "id"
        ]
        return list(map(",".join, zip(*texts, strict=False)))


def each(column: Column, count: int) -> Iterable[Any]:
    """The values of a column of so many rows."""
    return repeat(column.value, count) if isinstance(column, Same) else column


def _columns(items: Sequence[tuple[Any, ...]], fields: int) -> tuple[Column, ...]:
    """Cards or rows of so many fields as columns."""
    return tuple(map(list, zip(*items, strict=True))) if items else ([],) * fields
