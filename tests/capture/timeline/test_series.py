from __future__ import annotations

import numpy as np

from capture.facts import CLIENT, PROXY
from capture.packets.index import DUPLICATE, RETRANSMISSION, PacketView
from capture.timeline.series import Points, round_trips, sequence, throughput, window
from tests.widgets.build import ACK, PSH, RST, SYN, packets

DATA = PSH | ACK


def download() -> PacketView:
    """Two segments to the client with one ACK, a third one sent twice, a reset."""
    return packets(
        (0, CLIENT, SYN, 0),
        (10, PROXY, SYN | ACK, 0, {"window": 1000}),
        (20, CLIENT, ACK, 0, {"window": 500}),
        (30, PROXY, DATA, 100),
        (40, PROXY, DATA, 100),
        (60, CLIENT, ACK, 0, {"window": 300}),
        (70, PROXY, DATA, 100),
        (270, PROXY, DATA, 100, {"seq": 201, "analysis": RETRANSMISSION}),
        (280, CLIENT, ACK, 0, {"window": 700}),
        (290, CLIENT, ACK, 0, {"ack": 0, "analysis": DUPLICATE}),
        (1000, PROXY, RST | ACK, 8),
    )


def rows(view: PacketView) -> np.ndarray:
    return np.arange(len(view))


def pairs(points: Points) -> list[tuple[float, float]]:
    return [(round(x, 6), y) for x, y in zip(points.x.tolist(), points.y.tolist(), strict=True)]


def test_sequence() -> None:
    view = download()
    found = sequence(view, rows(view), PROXY)
    assert pairs(found.sent) == [(0.03, 100), (0.04, 200), (0.07, 300)]
    assert pairs(found.resent) == [(0.27, 300)]
    assert pairs(found.acked) == [(0.02, 0), (0.06, 200), (0.28, 300)]
    assert found.acked.row.tolist() == [2, 5, 8]
    assert not len(sequence(view, rows(view), CLIENT).sent)


def test_round_trips_leave_out_what_was_sent_twice() -> None:
    view = download()
    found = round_trips(view, rows(view), PROXY)
    assert pairs(found) == [(0.06, 0.02)]
    assert found.row.tolist() == [5]


def test_window_is_the_receivers() -> None:
    view = download()
    assert pairs(window(view, rows(view), PROXY)) == [(0.02, 500), (0.06, 300), (0.28, 700)]


def test_throughput_keeps_every_byte() -> None:
    view = download()
    found = throughput(view, rows(view), PROXY, 10)
    assert len(found) == 10
    assert (found.y * 0.1 / 8).tolist() == [300, 0, 100, 0, 0, 0, 0, 0, 0, 0]
    assert float((found.y * 0.1 / 8).sum()) == 400


def test_sequence_numbers_begin_anew_and_the_plot_goes_on() -> None:
    view = packets((0, PROXY, DATA, 10), *((n, PROXY, DATA, 10) for n in range(1, 4)))
    view.rows["seq"] = [(1 << 32) - 20, (1 << 32) - 10, 0, 10]
    steps = np.diff(sequence(view, rows(view), PROXY).sent.y)
    assert steps.tolist() == [10, 10, 10]


def test_a_clock_set_back_does_not_turn_the_plot() -> None:
    view = packets((0, PROXY, DATA, 1), (50, PROXY, DATA, 1), (20, PROXY, DATA, 1))
    assert sequence(view, rows(view), PROXY).sent.x.tolist() == [0, 0.05, 0.05]


def test_nothing_to_plot() -> None:
    view = packets()
    for made in (round_trips, window):
        assert not len(made(view, rows(view), PROXY))
    assert not len(throughput(view, rows(view), PROXY, 10))
    assert not len(sequence(view, rows(view), PROXY).acked)
