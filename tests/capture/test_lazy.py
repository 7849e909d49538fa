from __future__ import annotations

from capture.lazy import lazy


class Sum:
    def __init__(self, *numbers: int) -> None:
        self.numbers = numbers
        self.times = 0

    @lazy
    def total(self) -> int:
        """All of them."""
        self.times += 1
        return sum(self.numbers)


def test_a_value_is_worked_out_once_for_each_instance() -> None:
    one, other = Sum(1, 2), Sum(3)
    assert one.times == 0
    assert (one.total, one.total, other.total) == (3, 3, 3)
    assert (one.times, other.times) == (1, 1)


def test_the_class_has_its_description() -> None:
    assert Sum.total.__doc__ == "All of them."
