from __future__ import annotations

import pytest

from capture.live.rates import Rates


def test_rate_settles_at_what_comes_however_often_it_is_looked_at() -> None:
    for step in (0.1, 0.5, 1.0):
        rates, now = Rates(), 0.0
        rates.tick(now)
        while now < 20:
            now += step
            rates.add(round(1000 * step), round(1000 * step) * 1400)
            rates.tick(now)
        assert rates.packets_per_s == pytest.approx(1000, rel=0.01)
        assert rates.bytes_per_s == pytest.approx(1_400_000, rel=0.01)


def test_rate_fades_to_nothing() -> None:
    rates = Rates()
    rates.tick(0)
    rates.add(1000, 10**6)
    rates.tick(1)
    assert 500 < rates.packets_per_s < 1000
    for second in range(2, 30):
        rates.tick(second)
    assert rates.packets_per_s == 0
    assert rates.bytes_per_s == 0


def test_two_looks_at_the_same_moment() -> None:
    rates = Rates()
    rates.tick(5)
    rates.add(10, 100)
    rates.tick(5)
    assert rates.packets_per_s == 0
    rates.tick(6)
    assert rates.packets_per_s > 5
