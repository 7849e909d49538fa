"""Equal things have a number in common; unequal ones never have."""

from __future__ import annotations

from capture.shards.numbers import MOST, Numbers


def test_equal_things() -> None:
    numbers = Numbers()
    assert numbers.of(("a", 1)) == numbers.of(("a", 1)) > 0
    assert numbers.of(("a", 1)) != numbers.of(("a", 2))


def test_what_was_forgotten_gets_another_number() -> None:
    numbers = Numbers()
    given = [numbers.of(thing) for thing in range(3 * MOST)]
    given += [numbers.of(thing) for thing in range(MOST)]
    assert len(set(given)) == len(given)
    assert len(numbers._known) <= MOST
