from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from capture.shards.channel import Lost
from capture.shards.exchange import Exchange, Peers

LARGE = 1 << 20
"""Bytes: more than a pipe takes before somebody reads."""


def peers_of(exchange: Exchange) -> list[Peers]:
    """All workers' means in one process, where no end may be closed."""
    channels, memory = exchange._channels, exchange._memory
    return [Peers(index, own, memory) for index, own in enumerate(channels)]


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_all_show_each_other_more_than_a_pipe_holds(count: int) -> None:
    exchange = Exchange(count)
    values = [bytes([index]) * (LARGE + index) for index in range(count)]
    with ThreadPoolExecutor(count) as pool:
        shown = [
            pool.submit(peers.show, value)
            for peers, value in zip(peers_of(exchange), values, strict=True)
        ]
        try:
            assert [item.result(30) for item in shown] == [values] * count
        finally:
            exchange.close()


def test_what_was_told_of_a_window_is_not_taken_for_what_is_shown() -> None:
    exchange = Exchange(2)
    one, other = peers_of(exchange)
    one.tell(1, "of a window that nobody took")
    with ThreadPoolExecutor(1) as pool:
        found = pool.submit(other.show, "b")
        assert one.show("a") == ["a", "b"]
        assert found.result(30) == ["a", "b"]
    exchange.close()


def test_a_worker_that_is_gone_is_noticed() -> None:
    exchange = Exchange(2)
    one, other = peers_of(exchange)
    for channel in exchange._channels[other.index].values():
        channel.close()
    with pytest.raises(Lost):
        one.show("a")
    exchange.close()
