from __future__ import annotations

import time

import pytest

from capture.replay.giving_way import GivingWay, go_on


class Day:
    """Time passes by sleeping only."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_s = 100.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now_s)
        monkeypatch.setattr(time, "sleep", self.sleep)

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds


def test_it_waits_until_the_other_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    day = Day(monkeypatch)
    give_way = GivingWay(lambda: day.now_s < 100.1)
    waited = give_way()
    assert 0.1 <= waited < 0.11
    assert give_way() == 0.0
    assert give_way.waited_s == waited


def test_it_waits_no_longer_than_it_may_in_all(monkeypatch: pytest.MonkeyPatch) -> None:
    Day(monkeypatch)
    give_way = GivingWay(lambda: True, 0.05)
    assert 0.05 <= give_way() < 0.06
    assert give_way() == 0.0


def test_nobody_waits_for_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    day = Day(monkeypatch)
    assert go_on() == GivingWay(lambda: False)() == 0.0
    assert day.now_s == 100.0
