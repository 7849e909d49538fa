"""Columns of judged flows say what the flows one by one would have said."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from typing import Any, get_type_hints

from hypothesis import given
from hypothesis import strategies as st

from capture.judging import Judgement
from capture.judging.cards import Card
from capture.judging.hit import CERTAIN, INFO, Hit
from capture.judging.judge import bare
from capture.report.table import TableRow
from capture.report.to_csv import line_of
from capture.shards.lots import Cards, Column, Line, Lot, Same

TEXTS = st.one_of(
    st.sampled_from(["", "10.0.0.1:4711", "[fe80::1]:80", "=1+1", "a,b", '"', "proxy:3128"]),
    st.text(max_size=8),
)
TIMES = st.integers(-(1 << 63), (1 << 63) - 1)
SECONDS = st.floats(allow_nan=False, allow_infinity=False)
ROWS = st.builds(
    TableRow,
    st.just(0), TEXTS, TEXTS, st.none() | TEXTS, st.sampled_from(["tunnel", "plain"]),
    st.none() | st.integers(100, 599), st.none() | TEXTS, st.none() | TEXTS, st.none() | TEXTS,
    st.just("ok"), st.just(""), st.sampled_from(["", "client_fin"]), TIMES, SECONDS,
    *[st.integers(0, 1 << 40)] * 4, st.none() | SECONDS, st.none() | SECONDS,
)  # fmt: skip
KINDS: dict[Any, Any] = {
    int: TIMES, str: TEXTS, bool: st.booleans(), str | None: st.none() | TEXTS,
    tuple[str, ...]: st.lists(TEXTS, max_size=2).map(tuple),
}  # fmt: skip
CARDS = st.builds(Card, *[KINDS[kind] for kind in get_type_hints(Card).values()])
RULES = st.lists(st.sampled_from(["tcp-refused", "tls-spare", "idle-close"]), max_size=2)
JUDGEMENTS = st.builds(
    lambda verdict, rules: Judgement(
        verdict, tuple([bare(Hit(rule, INFO, CERTAIN, "")) for rule in rules])
    ),
    st.sampled_from(["ok", "auth_ok", "transfer_reset"]),
    RULES,
)
LINE = st.builds(Line, CARDS, JUDGEMENTS, ROWS)
LINES = st.lists(LINE, min_size=1, max_size=4)


def texts(lines: Sequence[Line], timed: bool) -> list[str]:
    """What the table says of flows, one by one."""
    found = []
    for item in lines:
        rules = " ".join([finding.rule for finding in item.judgement.findings])
        row = item.row._replace(verdict=item.judgement.verdict, rules=rules)
        found.append(line_of(row, timed))
    return found


@given(st.lists(LINE, max_size=4), st.booleans())
def test_lines_of_flows_that_were_judged_one_by_one(lines: list[Line], timed: bool) -> None:
    assert Lot.of(lines).texts(timed) == texts(lines, timed)


@given(LINES, JUDGEMENTS)
def test_lines_follow_a_judgement_in_the_light_of_others(
    lines: list[Line], judgement: Judgement
) -> None:
    lot = Lot.of(lines)
    lot.judgements[-1] = judgement
    last = Line(lines[-1].card, judgement, lines[-1].row)
    assert lot.texts(True) == texts([*lines[:-1], last], True)


@given(LINES, st.sets(st.sampled_from(TableRow._fields)), st.booleans())
def test_what_flows_have_in_common(lines: list[Line], common: set[str], timed: bool) -> None:
    alike: dict[str, Any] = {name: getattr(lines[0].row, name) for name in common}
    rows = [item.row._replace(**alike) for item in lines]
    lot = Lot.of(lines)
    columns: dict[str, Column] = {name: [getattr(row, name) for row in rows] for name in
                                  TableRow._fields}  # fmt: skip
    columns |= {name: Same(value) for name, value in alike.items()}
    lot.rows = tuple(columns.values())
    made = [Line(item.card, item.judgement, row) for item, row in zip(lines, rows, strict=True)]
    assert lot.texts(timed) == texts(made, timed)


@given(st.lists(CARDS, max_size=4))
def test_cards_cross_processes_as_columns(cards: list[Card]) -> None:
    shown = pickle.loads(pickle.dumps(Cards.of(cards)))
    assert [*shown.each()] == cards
    assert [*shown.numbers()] == [card.number for card in cards]


@given(CARDS, st.lists(TIMES, min_size=1, max_size=4))
def test_cards_that_have_much_in_common(card: Card, numbers: list[int]) -> None:
    columns: dict[str, Column] = {name: Same(value) for name, value in card._asdict().items()}
    shown = Cards(len(numbers), tuple((columns | {"number": numbers}).values()))
    assert [*shown.each()] == [card._replace(number=number) for number in numbers]
    assert [*shown.numbers()] == numbers
